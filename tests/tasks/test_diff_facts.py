"""Whatever differs of a value, `diff` tells it in every format and within every memory limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from rdbtool.io.sink import open_sink
from rdbtool.io.source import open_input
from rdbtool.model import Entry, PathHash, Value, type_name
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.targets import target_names
from rdbtool.rdb.values.idempotence import Idempotence
from rdbtool.rdb.values.stream_nodes import of_pair
from rdbtool.tasks.diff import run as diff_run
from rdbtool.tasks.diff.run import Diff
from rdbtool.tasks.diff.snapshot import open_snapshot
from tests.cli.running import run
from tests.rdb.one_fact import PAIRS, Pair, stream_value

NEWEST: Final = "redis-8.10"
"""A server whose files can tell all facts."""

VALUES: Final = {type_name(pair.left): pair.left for pair in PAIRS}
"""A value of each type."""


@pytest.fixture(params=[False, True], ids=["held", "digested"])
def digested(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the memory limit leaves no room for any value, so that digests of values are compared."""
    if request.param:
        monkeypatch.setattr(diff_run, "LARGE_SHARE", 1 << 62)
    return bool(request.param)


def write(path: Path, value: Value, target: str = "") -> dict[str, int]:
    """An RDB for that server with one key; what could not be kept is returned."""
    with open_sink(str(path)) as sink:
        writer = open_rdb_writer(sink, target or ("valkey-9.2" if isinstance(value, PathHash) else NEWEST))
        writer.entry(Entry(0, b"k", value))
        writer.close()
    return dict(writer.losses.counts)


def shown(left: Path, right: Path, form: str, *options: str) -> tuple[int, bytes]:
    """The exit code of `diff`, and what it prints."""
    done = run("diff", left, right, "--format", form, "--detail", *options)
    assert not done.stderr
    return done.returncode, done.output


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "left.rdb", tmp_path / "right.rdb"


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.label)
def test_one_fact_makes_two_files_differ_in_every_format(
    pair: Pair, files: tuple[Path, Path], *, digested: bool
) -> None:
    for path, value in zip(files, (pair.left, pair.right), strict=True):
        assert not write(path, value)
    options = ["--with-eviction"] if pair.eviction else []
    code = 1 if pair.part else 0

    found, text = shown(*files, "text", *options)
    assert found == code
    assert text.rstrip().endswith(b"different" if code else b"the same, 1 key")

    found, document = shown(*files, "json", *options)
    assert found == code
    assert json.loads(document)["same"] is not bool(code)
    differences = json.loads(document)["differences"]

    found, lines = shown(*files, "jsonl", *options)
    assert found == code
    told = [json.loads(line) for line in lines.splitlines()]
    assert [record.pop("schema") for record in told] == [1] * len(told)
    assert told == differences

    found, commands = shown(*files, "commands", *options)
    assert found == code
    assert bool(commands) is bool(code)

    if pair.part:
        (difference,) = differences
        assert difference["kind"] == "changed"
        check_details(pair, text, difference.get("changes"), digested=digested)


def check_details(pair: Pair, text: bytes, changes: list[dict[str, Any]] | None, *, digested: bool) -> None:
    if digested:
        assert changes is None
        assert b"too large to look inside" in text
    else:
        assert changes
        assert {(change["part"], change.get("name", "").encode()) for change in changes} == {(pair.part, pair.name)}
        assert pair.name in text


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if not pair.eviction], ids=lambda pair: pair.label)
def test_the_commands_bring_about_every_fact(
    pair: Pair, files: tuple[Path, Path], tmp_path: Path, *, digested: bool
) -> None:
    left, right = files
    for path, value in zip(files, (pair.left, pair.right), strict=True):
        write(path, value)
    _, commands = shown(left, right, "resp")
    log = tmp_path / "left-and-commands.aof"
    with open_input(str(left)) as source, open_sink(str(log)) as sink:
        writer = open_rdb_writer(sink, NEWEST, aof=True)
        for event in RdbReader(source.window()):
            writer.event(event)
        writer.close()
        sink.write(commands)
    assert shown(log, right, "text")[0] == 0


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_a_value_written_for_another_server_is_the_same(kind: str, files: tuple[Path, Path], *, digested: bool) -> None:
    left, right = files
    write(left, VALUES[kind])
    compared = 0
    for name in target_names():
        if not write(right, VALUES[kind], name):
            compared += 1
            with open_snapshot(str(left)) as a, open_snapshot(str(right)) as b:
                assert [d.kind for d in Diff(a, b)] == []
    assert compared


@pytest.mark.parametrize("limit", ["64MiB", "512MiB"])
def test_large_streams_that_differ_in_their_producers_alone_are_told_apart(
    limit: str, files: tuple[Path, Path]
) -> None:
    for path, message in zip(files, (b"one", b"two"), strict=True):
        value = stream_value()
        value.entries[0] = ((1, 0), [b"field", bytes(3 << 20)])
        state = Idempotence()
        state.remember(b"producer", message, of_pair((1, 0)))
        value.idmp = state.encoded()
        with open_sink(str(path)) as sink:
            writer = open_rdb_writer(sink, NEWEST, compress=False)
            writer.entry(Entry(0, b"k", value))
            writer.close()
    code, out = shown(*files, "text", "--memory-limit", limit)
    assert code == 1
    assert (b"too large" in out) is (limit == "64MiB")
    assert shown(files[0], files[0], "text", "--memory-limit", limit)[0] == 0
