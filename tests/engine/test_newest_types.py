"""Commands on arrays (Redis 8.8) and path hashes (Valkey 9.2), moving blocks of lists, and commands inside a snapshot.

What arrays and lists come to is what Redis 8.10.2 said.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.engine.cells.arrays import ArrayCell
from rdbtool.engine.cells.path_hash import PathHashCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replies import CommandError
from rdbtool.engine.table import execute
from rdbtool.errors import UnsupportedError
from rdbtool.inputs.key_stream import keys
from rdbtool.inputs.keys import RdbSource
from rdbtool.inputs.replaying import replay
from rdbtool.io.window import window_over
from rdbtool.servers.releases import release_named
from rdbtool.tasks.verify.expectations import expectations
from rdbtool.tasks.verify.found import look, look_at_snapshot
from tests.cli.running import run
from tests.rdb.craft import rdb, record, string


def after(release: str, *lines: str) -> Dataset:
    dataset = Dataset(release_named(release))
    for line in lines:
        execute(dataset, line.encode().split())
    return dataset


def array(*lines: str) -> tuple[dict[int, bytes], int]:
    cell = after("redis-8.10", *lines).array(b"a")
    assert isinstance(cell, ArrayCell)
    cell.order()
    return cell.array.elements, cell.array.cursor


@pytest.mark.parametrize(
    ("lines", "elements", "cursor"),
    [
        (["ARSET a 3 x y"], {3: b"x", 4: b"y"}, -1),
        (["ARMSET a 7 x 2 y 7 z"], {2: b"y", 7: b"z"}, -1),
        (["ARINSERT a x y", "ARINSERT a z"], {0: b"x", 1: b"y", 2: b"z"}, 2),
        (["ARSET a 0 x", "ARSEEK a 42", "ARINSERT a y"], {0: b"x", 42: b"y"}, 42),
        (["ARINSERT a x y", "ARSEEK a 0"], {0: b"x", 1: b"y"}, -1),
        (["ARSET a 0 x y z", "ARDEL a 1 9"], {0: b"x", 2: b"z"}, -1),
        (["ARSET a 0 x y z", "ARDELRANGE a 2 1"], {0: b"x"}, -1),
        (["ARRING a 3 a b c d"], {0: b"d", 1: b"b", 2: b"c"}, 0),
        (["ARRING a 3 a b c d", "ARRING a 5 e"], {0: b"b", 1: b"c", 2: b"d", 3: b"e"}, 3),
        (["ARRING a 5 c d e f g", "ARRING a 2 h"], {0: b"h", 1: b"g"}, 0),
    ],
)
def test_arrays_are_as_the_server_has_them(lines: list[str], elements: dict[int, bytes], cursor: int) -> None:
    assert array(*lines) == (elements, cursor)


def test_an_array_without_elements_is_gone() -> None:
    assert after("redis-8.10", "ARSET a 5 x", "ARDEL a 5").any(b"a") is None


@pytest.mark.parametrize("index", ["-1", "1.0", "x", "", str((1 << 64) - 1), "9" * 30])
def test_what_is_no_index_changes_nothing(index: str) -> None:
    dataset = after("redis-8.10", "ARSET a 0 x")
    with pytest.raises(CommandError, match="invalid array index"):
        execute(dataset, [b"ARSET", b"a", index.encode(), b"y"])
    cell = dataset.array(b"a")
    assert cell is not None
    assert cell.array.elements == {0: b"x"}


@pytest.mark.parametrize(
    ("line", "moved"),
    [
        ("LMOVEM s d LEFT LEFT COUNT 3 OBO", "3 2 1"),
        ("LMOVEM s d LEFT LEFT COUNT 3 BULK", "1 2 3"),
        ("LMOVEM s d RIGHT RIGHT COUNT 3 OBO", "5 4 3"),
        ("LMOVEM s d RIGHT RIGHT COUNT 3 BULK", "3 4 5"),
        ("LMOVEM s d RIGHT LEFT COUNT 3 OBO", "3 4 5"),
        ("LMOVEM s d RIGHT LEFT COUNT 3 BULK", "3 4 5"),
        ("LMOVEM s d LEFT RIGHT", "1"),
        ("LMOVEM s d LEFT RIGHT COUNT 9 OBO", "1 2 3 4 5"),
        ("LMOVEM s d LEFT RIGHT EXACTLY 9 OBO", ""),
    ],
)
def test_blocks_of_lists_move_as_on_the_server(line: str, moved: str) -> None:
    cell = after("redis-8.10", "RPUSH s 1 2 3 4 5", line).list(b"d")
    assert b" ".join([] if cell is None else cell.items.all()) == moved.encode()


def test_path_hashes_change_by_path_and_stay_when_they_are_empty() -> None:
    dataset = after(
        "valkey-9.2",
        "PHSET h a FIELDS 2 f 1 g 2",
        "PHSET h a FNX FIELDS 1 f 9",
        "PHSET h a FXX FIELDS 1 f 3",
        "PHMSET h ab FIELDS 1 f x b FIELDS 1 f y",
        "PHDEL h a g",
    )
    cell = dataset.path_hash(b"h")
    assert isinstance(cell, PathHashCell)
    assert cell.path_hash.paths == {b"a": {b"f": b"3"}, b"ab": {b"f": b"x"}, b"b": {b"f": b"y"}}
    execute(dataset, [b"PHDELPREFIX", b"h", b"a"])
    assert cell.path_hash.paths == {b"b": {b"f": b"y"}}
    execute(dataset, [b"PHDEL", b"h", b"b"])
    assert dataset.path_hash(b"h") is cell
    assert not cell.path_hash.paths


def test_a_key_moves_over_another_where_it_is_told_to() -> None:
    held = ["SELECT 1", "SET a old", "SET c old", "SELECT 0", "SET a new EX 100", "SET b new"]
    dataset = after("valkey-9.2", *held, "MOVE a 1", "MOVE b 1 REPLACE", "MOVE a 1 replace", "MOVE none 1 REPLACE")
    assert not dataset.dbs[0]
    assert {key: dataset.decoded(held).value() for key, held in dataset.dbs[1].items()} == {
        b"a": b"new",
        b"b": b"new",
        b"c": b"old",
    }
    assert dataset.decoded(dataset.dbs[1][b"a"]).expire_at_ms > 0
    with pytest.raises(CommandError, match="syntax error"):
        execute(dataset, b"MOVE a 2 NOW".split())


UPDATED = rdb(
    record(0, b"a", b"\xc0\x01"),
    b"\xf2*2\r\n$4\r\nINCR\r\n$1\r\na\r\n",
    record(0, b"b", string(b"v")),
    magic=b"VALKEY081",
)


def test_commands_inside_a_snapshot_are_applied_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "x.rdb").write_bytes(UPDATED)
    dataset = replay(str(tmp_path / "x.rdb")).dataset
    assert {key: cell.value() for _, key, cell in dataset.items() if key == b"a"} == {b"a": b"2"}
    assert sorted(key for _, key, _ in dataset.items()) == [b"a", b"b"]


def test_commands_inside_a_snapshot_are_applied_before_its_keys_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    command = b"\xf2*2\r\n$4\r\nINCR\r\n$1\r\nz\r\n"
    path.write_bytes(rdb(record(0, b"a", b"\xc0\x01"), command, record(0, b"b", string(b"v")), magic=b"VALKEY081"))
    found = look(str(path), expectations(min_keys=3))
    assert found.counts is not None
    assert found.counts.keys == 3
    streamed = look_at_snapshot(window_over(path.read_bytes()), "x")  # as a live server sends it
    assert (streamed.counts, streamed.unsupported) == (None, True)


def test_commands_inside_a_snapshot_are_applied_by_whoever_reads_keys(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(UPDATED)
    (tmp_path / "y.txt").write_text("SET a 2\nSET b v\n")
    same = run("digest", tmp_path / "y.txt", "--as", "valkey-9.2").stdout.split()[0]
    run("convert", path, tmp_path / "a.rdb")
    run("convert", path, tmp_path / "b.rdb", "--keep-going")
    run("convert", path, tmp_path / "c.rdb", "--on-conflict", "merge")
    run("check-rdb", path, "--salvage", "-o", tmp_path / "d.rdb")
    run("rewrite", path, "-o", tmp_path / "e")
    for copy in (path, *map(tmp_path.joinpath, ("a.rdb", "b.rdb", "c.rdb", "d.rdb", "e"))):
        assert run("digest", copy, "--as", "valkey-9.2").stdout.split()[0] == same
        assert "the same, 2 keys" in run("diff", copy, tmp_path / "y.txt").stdout
    assert '"value":"2"' in run("dump", path, "a", "-f", "jsonl").stdout
    assert [(key.key, key.value()) for key in keys(path)] == [(b"a", b"2"), (b"b", b"v")]
    for words in (["dump", "--keys-only"], ["info"], ["memory"], ["verify", "--min-keys", "2"], ["digest", "--keys"]):
        told = run(*words, path)
        assert told.returncode == 0, told.stderr
        assert "inside the snapshot" in told.stdout + told.stderr


def test_commands_inside_a_snapshot_need_a_file(tmp_path: Path) -> None:
    for words in (["digest", "-"], ["dump", "-"], ["info", "-"], ["convert", "-", tmp_path / "y.rdb"]):
        told = run(*words, stdin=UPDATED)
        assert told.returncode == 2
        assert "they are applied where it is a file" in told.stderr
    assert not (tmp_path / "y.rdb").exists()


def test_commands_inside_a_damaged_snapshot_are_applied_to_what_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    at = UPDATED.index(b"\0\1b")
    put_in, cut = UPDATED[:at] + b"\x01\x09xx" + UPDATED[at:], UPDATED[:at] + b"\x01\x09xx"
    for data, lacks in ((put_in, False), (cut, True)):  # what is put in is undone
        path.write_bytes(data)
        told = run("check-rdb", path, "--salvage", "-o", tmp_path / "y.rdb", "--force")
        assert told.returncode == 3
        assert ("may end up with another value" in told.stdout + told.stderr) == lacks
        assert '"value":"2"' in run("dump", tmp_path / "y.rdb", "a", "-f", "jsonl").stdout
        for words in (["dump", "--keep-going", "-f", "jsonl", path], ["dump", "--keep-going", "-f", "jsonl", "-"]):
            shown = run(*words, stdin=path.read_bytes())
            assert (shown.returncode, '"key":"a","type":"string","value":"2"' in shown.stdout) == (3, True)
            assert ("may end up with another value" in shown.stderr) == lacks


def test_a_command_inside_a_snapshot_that_fails_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(rdb(record(0, b"a", string(b"v")), b"\xf2*2\r\n$4\r\nINCR\r\n$1\r\na\r\n", magic=b"VALKEY081"))
    told = run("convert", path, tmp_path / "y.rdb")
    assert told.returncode == 1
    assert "the command 'INCR' inside the snapshot fails" in told.stdout + told.stderr
    assert run("convert", path, tmp_path / "y.rdb", "--keep-going").returncode == 3
    assert '"value":"v"' in run("dump", tmp_path / "y.rdb", "-f", "jsonl").stdout


@pytest.mark.parametrize(
    ("text", "release"), [("ARSET a 1 x\n", "rdb-14"), ('PHSET p "" FIELDS 1 f v\nARSET b 1 x\n', "rdb-81")]
)
def test_a_log_of_new_types_is_of_a_server_that_has_them(text: str, release: str, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text(text)
    assert f"for {release}" in run("convert", path, tmp_path / "y.rdb").stderr
    for other in ([], ["--for", "redis-7.0"], ["--for", "valkey-9.2"]):
        assert run("memory", path, *other).returncode == 0


def test_who_passes_keys_on_refuses_commands_inside_a_snapshot_by_name() -> None:
    source = RdbSource(window_over(UPDATED))
    with pytest.raises(UnsupportedError, match="INCR"):
        list(iter(source.next, None))
