"""From empty to 300 MB: what is fetched and loaded is the same, in little memory."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from rdbtool.tasks.digest import digest
from tests.bench.__main__ import timed
from tests.cli.running import run
from tests.live.serving import AT_ONCE, url_of
from tests.rdb import craft
from tests.servers.harness import SERVERS, Server, ServerKind, running

MIB = 1 << 20
BEYOND = 64
"""MiB that a run may take, beside its largest value."""

of_each_kind = pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)


def peak(*words: object, pipe: Path | None = None) -> float:
    """MiB that a run takes, which must do its job; what is at ``pipe`` comes by one."""
    command = [sys.executable, "-m", "rdbtool", *map(str, words)]
    if pipe is not None:
        command = ["/bin/sh", "-c", f"cat {shlex.quote(str(pipe))} | {shlex.join(command)}"]
    done = timed(command, Path.cwd())
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
@pytest.mark.parametrize("shape", ["string", "set"])
def test_one_large_value_is_held_once(shape: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """From a file nothing of it; from a pipe, which cannot be read again, and from another server, all of it."""
    size = (300 if request.config.getoption("--long") else 48) * MIB
    large = craft.string(b"x" * size)
    if shape == "set":
        count = size // 4096
        large = craft.encode_length(count) + b"".join(craft.string(b"%07d" % n + b"x" * 4089) for n in range(count))
    path = tmp_path / "large.rdb"
    few = [craft.record(0, b"key:%d" % n, craft.string(b"v" * 500)) for n in range(2000)]
    path.write_bytes(craft.rdb(*few[:1000], craft.record(2 if shape == "set" else 0, b"large", large), *few[1000:]))
    wanted = digest(path).digest
    kind = SERVERS[0]
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    options = ("--proto-max-bulk-len", "1gb", "--rdbcompression", "no", *AT_ONCE)
    with running(kind, tmp_path / "source", *options) as source, running(kind, tmp_path / "target", *options) as target:
        found = {"file": peak("load", path, url_of(source))}
        assert source.digest() == wanted
        others: dict[str, tuple[object, ...]] = {
            "pipe": ("-", url_of(target)),
            "server": (url_of(source), url_of(target)),
            "scan": (url_of(source), url_of(target), "--scan"),
        }
        for name, words in others.items():
            target.execute("FLUSHALL")
            found[name] = peak("load", *words, pipe=path if name == "pipe" else None)
            assert target.digest() == wanted
        found["convert"] = peak("convert", url_of(source), tmp_path / "copy.rdb")
        found["resp"] = peak("convert", url_of(source), tmp_path / "copy.resp")
        assert digest(tmp_path / "copy.rdb").digest == digest(tmp_path / "copy.resp").digest == wanted
    print(found)
    assert found["file"] < BEYOND
    assert found["convert"] < BEYOND
    assert max(found.values()) < BEYOND + size // MIB


@pytest.mark.slow
@of_each_kind
def test_many_megabytes(kind: ServerKind, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    megabytes = 300 if request.config.getoption("--long") else 20
    fill: list[tuple[bytes | str | int, ...]] = [("DEBUG", "POPULATE", megabytes * 1000, "key", 1000)]
    found = held(kind, tmp_path, [*fill, ("DEBUG", "POPULATE", megabytes * 600, "short", 10)])
    print(found)
    assert max(found.values()) < BEYOND
