"""What a replay does where the server was set up in another way, or does what the engine cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.aof.names import CommandNames
from rdbtool.errors import FormatError, IncompleteError, UnsupportedError
from rdbtool.exit_codes import of_error
from rdbtool.inputs.replaying import Replayed, replay
from rdbtool.inputs.server import Server
from rdbtool.outputs.options import OutputOptions
from rdbtool.tasks.convert import convert
from rdbtool.tasks.digest import digest
from tests.aof.craft import command
from tests.cli.running import run as rdbtool

JOB = "6bce7714f17050aff67c9c6e62e678c386502b07"
ESTABLISH = command("CLUSTER", "SYNCSLOTS", "ESTABLISH", "SOURCE", "0" * 40, "NAME", JOB, "SLOTSRANGE", "0", "8191")
KEYS = command("SET", "loc:2", "b") + command("SET", "key:0", "v0") + command("SET", "key:1", "v1")


def finish(state: str) -> bytes:
    return command("CLUSTER", "SYNCSLOTS", "FINISH", "STATE", state, "NAME", JOB, "MESSAGE", "")


def log(tmp_path: Path, *commands: bytes) -> str:
    path = tmp_path / "a.aof"
    path.write_bytes(b"".join(commands))
    return str(path)


def found(result: Replayed) -> list[tuple[int, bytes]]:
    return [(db, key) for db, key, _ in result.dataset.items()]


def test_what_follows_a_select_that_is_refused_runs_in_the_database_before(tmp_path: Path) -> None:
    path = log(
        tmp_path, command("SELECT", "1"), command("SET", "a", "1"), command("SELECT", "20"), command("SET", "b", "2")
    )
    result = replay(path)
    assert found(result) == [(1, b"a"), (1, b"b")]
    assert result.lost == 1
    assert result.findings.counts == {"command-error": 1}
    more = replay(path, server=Server(databases=21))
    assert found(more) == [(1, b"a"), (20, b"b")]
    assert not more.lost


def test_a_command_by_another_name_is_the_command(tmp_path: Path) -> None:
    path = log(tmp_path, command("SET", "a", "1"), command("NUKE"), command("MYSET", "b", "2"))
    names = CommandNames.parse((), ("nuke=FLUSHALL", "MYSET=set"))
    assert found(replay(path, server=Server(names))) == [(0, b"b")]
    shown = rdbtool("dump", path, "--rename", "NUKE=FLUSHALL", "--rename", "MYSET=SET", "--format", "jsonl")
    assert (shown.returncode, shown.stdout.count('"key"')) == (0, 1)


def test_a_command_that_is_allowed_does_not_stop_the_replay(tmp_path: Path) -> None:
    path = log(tmp_path, command("X", "1"), command("SET", "a", "1"))
    result = replay(path, server=Server(CommandNames.parse(("x",))))
    assert (found(result), result.loss) == ([(0, b"a")], True)


@pytest.mark.parametrize(
    ("end", "keys"),
    [
        (b"", [b"loc:2"]),
        (finish("FAILED"), [b"loc:2"]),
        (finish("SUCCESS"), [b"loc:2", b"key:0", b"key:1"]),
        (finish("FAILED") + command("SET", "key:1", "v"), [b"loc:2", b"key:1"]),
        (command("FLUSHALL") + command("SET", "key:1", "v"), [b"key:1"]),
    ],
)
def test_a_migration_of_slots_that_does_not_finish_takes_its_keys_with_it(
    tmp_path: Path, end: bytes, keys: list[bytes]
) -> None:
    result = replay(log(tmp_path, ESTABLISH, KEYS, end))
    assert sorted(key for _, key in found(result)) == sorted(keys)
    assert result.loss == (not end)


NOT_RUN = [
    command("VADD", "v", "VALUES", "1", "1", "e"),
    command("FCALL", "f", "0"),
]


@pytest.mark.parametrize("lacking", NOT_RUN)
def test_a_replay_that_lacks_something_writes_nothing_unless_told(tmp_path: Path, lacking: bytes) -> None:
    path = log(tmp_path, command("SET", "a", "1"), lacking, command("SET", "b", "2"))
    out = tmp_path / "b.rdb"
    for job in (lambda: convert([path], str(out), OutputOptions("rdb")), lambda: digest(path)):
        with pytest.raises(IncompleteError) as caught:
            job()
        assert of_error(caught.value) == 1
        assert "the server stops" not in str(caught.value)
    assert not out.exists()
    report = convert([path], str(out), OutputOptions("rdb"), unknown="skip")
    assert (report.written, report.loss) == (2, True)
    assert rdbtool("digest", path, "--unknown", "carry").returncode == 3
    assert rdbtool("diff", path, path).returncode == 2


def test_a_wrong_checksum_is_one_for_servers_that_ask_for_it(tmp_path: Path) -> None:
    old = log(tmp_path, command("RESTORE", "h", "0", b"\x00\x01a" + b"\x0a\0" + bytes(8)))
    assert replay(old).findings.items[0].message == "RESTORE fails: ERR DUMP payload version or checksum are wrong"
    new = log(tmp_path, command("RESTORE", "h", "0", b"\x00\x01a" + b"\x0f\0" + bytes(8)))
    assert found(replay(new)) == [(0, b"h")]


def test_rewrite_tells_of_commands_that_fail(tmp_path: Path) -> None:
    path = log(tmp_path, command("SET", "a", "x"), command("INCR", "a"))
    shown = rdbtool("rewrite", path, "-o", str(tmp_path / "b.aof"))
    assert shown.returncode == 3
    assert "INCR fails" in shown.stderr


def test_a_text_of_commands_is_no_log_that_lost_something(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("SET a x\nINCR a\n")
    assert not replay(str(path), source="commands").lost
    assert not replay(str(path)).lost


def test_a_database_that_no_server_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.rdb"
    path.write_bytes(b"REDIS0010\xfe\x81\0\0\0\x01\0\0\0\0\0\x01k\x01v\xff" + bytes(8))
    with pytest.raises(FormatError, match="no server has so many"):
        digest(str(path))


def test_nested_commands_of_keydb_are_carried_out_where_they_are_allowed(tmp_path: Path) -> None:
    inner = command("RREPLAY", "u" * 36, command("INCR", "a") + command("INCR", "a"), "2", "1")
    path = log(
        tmp_path, command("SET", "b", "1"), command("RREPLAY", "u" * 36, inner, "1", "1"), command("SET", "c", "1")
    )
    with pytest.raises(UnsupportedError, match=r"--allow RREPLAY"):
        replay(path)
    result = replay(path, server=Server(CommandNames.parse(("RREPLAY",))))
    assert sorted(found(result)) == [(0, b"b"), (0, b"c"), (2, b"a")]
    assert not result.lost
    broken = log(tmp_path, command("RREPLAY", "u", "*1"), command("SET", "c", "1"))
    assert replay(broken, server=Server(CommandNames.parse(("rreplay",)))).lost


def test_a_value_that_does_not_fit_is_refused_first(tmp_path: Path) -> None:
    for big in (command("SETBIT", "a", "4294967295", "1"), command("SETRANGE", "a", "536870000", "x")):
        with pytest.raises(UnsupportedError, match=r"--memory-limit"):
            replay(log(tmp_path, big), server=Server(memory_limit=1 << 20))
    half = "x" * (40 << 20)
    grown = [command("SET", "a", half), command("APPEND", "a", half)]
    for commands in (grown, [command("RPUSH", "a", half, half)], [command("SETBIT", "a", str(8 << 26), "1")]):
        for limit in (128 << 20, 1 << 30):
            path = log(tmp_path, *commands, command("BITOP", "NOT", "b", "c"))
            if limit >> 30:
                assert found(replay(path, server=Server(memory_limit=limit)))
            else:
                with pytest.raises(UnsupportedError, match=r"--memory-limit"):
                    replay(path, server=Server(memory_limit=limit))
    shown = rdbtool("digest", log(tmp_path, command("SETBIT", "a", "4294967295", "1")), "--memory-limit", "64MB")
    assert (shown.returncode, "--memory-limit" in shown.stderr) == (2, True)


def test_metadata_of_a_key_that_a_command_opens_is_lost_and_told(tmp_path: Path) -> None:
    key = b"\xf3\x01spec\x02\x07\x00\x00\x01%b\x01v"
    base = b"REDIS0013\xfa\x0caof-preamble\x011" + key % b"a" + key % b"b" + b"\xff" + bytes(8)
    untouched = replay(log(tmp_path, base, command("SET", "c", "1")))
    assert not untouched.loss
    result = replay(log(tmp_path, base, command("APPEND", "a", "1")))
    assert result.loss
    assert "1 key with metadata" in result.findings.items[0].message
