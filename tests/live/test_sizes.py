"""From empty to 300 MB: what is fetched and loaded is the same, in little memory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import timed
from tests.cli.running import run
from tests.live.serving import AT_ONCE, url_of
from tests.servers.harness import SERVERS, Server, ServerKind, running

MIB = 1 << 20
BEYOND = 64
"""MiB that a run may take, beside its largest value."""

of_each_kind = pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)


def peak(*words: object) -> float:
    """MiB that a run takes, which must do its job."""
    done = timed([sys.executable, "-m", "rdbtool", *map(str, words)], Path.cwd())
    assert done.code == 0
    return done.peak_mib


def taken(source: Server, target: Server, out: Path) -> dict[str, float]:
    """Fetch, scan and load; the peak of each."""
    found = {"convert": peak("convert", url_of(source), out)}
    found["scan"] = peak("convert", url_of(source), out, "--scan", "--force", "--progress", "off")
    found["load"] = peak("load", out, url_of(target))
    assert target.digest() == source.digest()
    assert run("digest", out).stdout.split()[0] == source.digest()
    return found


def held(kind: ServerKind, tmp_path: Path, fill: list[tuple[bytes | str | int, ...]]) -> dict[str, float]:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    options = ("--proto-max-bulk-len", "1gb", "--rdbcompression", "no", *AT_ONCE)
    with running(kind, tmp_path / "source", *options) as source, running(kind, tmp_path / "target", *options) as target:
        for command in fill:
            source.execute(*command)
        return taken(source, target, tmp_path / "dump.rdb")


@of_each_kind
def test_an_empty_server(kind: ServerKind, tmp_path: Path) -> None:
    assert max(held(kind, tmp_path, []).values()) < BEYOND


@pytest.mark.server
def test_one_large_value_is_held_once(tmp_path: Path) -> None:
    found = held(SERVERS[0], tmp_path, [("SET", "large", b"x" * (96 * MIB)), ("DEBUG", "POPULATE", 10000, "key", 500)])
    print(found)
    assert max(found.values()) < BEYOND + 96


@pytest.mark.slow
@of_each_kind
def test_many_megabytes(kind: ServerKind, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    megabytes = 300 if request.config.getoption("--long") else 20
    fill: list[tuple[bytes | str | int, ...]] = [("DEBUG", "POPULATE", megabytes * 1000, "key", 1000)]
    found = held(kind, tmp_path, [*fill, ("DEBUG", "POPULATE", megabytes * 600, "short", 10)])
    print(found)
    assert max(found.values()) < BEYOND
