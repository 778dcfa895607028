"""How far a log is replayed, and what becomes of logs that servers refuse."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rdbtool.aof.point_in_time import Place, PointInTime, parse_time
from rdbtool.engine.dataset import Dataset
from rdbtool.errors import FormatError, InputError, RdbToolError, UnsupportedError, UsageError
from rdbtool.inputs.replaying import Replayed, replay
from tests.aof.craft import command, make_set
from tests.servers.harness import SERVERS, running

LINES = [
    b"#TS:1000\r\n",
    command("SELECT", "0"),
    command("SET", "a", "1"),
    b"#TS:2000\r\n",
    command("SET", "b", "2"),
    command("MULTI"),
    command("SET", "c", "3"),
    command("SET", "d", "4"),
    command("EXEC"),
    b"#TS:3000\r\n",
    command("DEL", "a"),
    command("FLUSHALL"),
    command("SET", "e", "5"),
    command("FLUSHALL"),
]
LOG = b"".join(LINES)


def offset_of(n: int) -> int:
    return sum(map(len, LINES[:n]))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "appendonly.aof"
    path.write_bytes(LOG)
    return path


def keys(result: Replayed) -> str:
    return "".join(key.decode() for _, key, _ in result.dataset.items())


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (PointInTime(time_s=1999), "a"),
        (PointInTime(time_s=2000), "abcd"),
        (PointInTime(time_s=2999), "abcd"),
        (PointInTime(offset=Place(offset_of(4))), "a"),
        (PointInTime(offset=Place(offset_of(4) + 1)), "ab"),
        (PointInTime(offset=Place(offset_of(8))), "ab"),  # the transaction does not end before it
        (PointInTime(offset=Place(offset_of(9))), "abcd"),
        (PointInTime(commands=0), ""),
        (PointInTime(commands=2), "a"),
        (PointInTime(commands=7), "abcd"),
        (PointInTime(before="DEL"), "abcd"),
        (PointInTime(before="flushall"), "bcd"),
        (PointInTime(before="flushall", nth=2), "e"),
        (PointInTime(before="FLUSHALL", nth="last"), "e"),
        (PointInTime(before="FLUSHALL", without=(Place(offset_of(10)),)), "abcd"),
        (
            PointInTime(before="FLUSHALL", nth=2, without=(Place(offset_of(11)), Place(offset_of(6)))),
            "bde",
        ),  # what is left out counts too
    ],
)
def test_a_replay_stops_where_it_is_told_to(log: Path, point: PointInTime, expected: str) -> None:
    assert keys(replay(str(log), point=point)) == expected


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (PointInTime(before="HMSETT"), "no command that a log can hold"),
        (PointInTime(before="XGROUP"), "no command that a log can hold"),
        (PointInTime(before="LPUSH"), "no LPUSH number 1"),
        (PointInTime(before="LPUSH", nth="last"), "no LPUSH"),
        (PointInTime(before="FLUSHALL", nth=3), "no FLUSHALL number 3"),
        (PointInTime(without=(Place(3),)), "of 1 offsets to leave out, 0 are"),
        (PointInTime(offset=Place(3, "other.aof")), "say in which file"),
    ],
)
def test_a_point_that_the_log_does_not_have_is_refused(log: Path, point: PointInTime, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replay(str(log), point=point)


def test_a_time_needs_annotations(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    path.write_bytes(command("SET", "a", "1"))
    with pytest.raises(UsageError, match="no timestamp annotations"):
        replay(str(path), point=PointInTime(time_s=5))


def test_each_file_of_a_set_begins_in_database_0(tmp_path: Path) -> None:
    path = make_set(
        tmp_path / "set", base=command("SELECT", "3") + command("SET", "a", "1"), one=command("SET", "b", "2")
    )
    found = [(db, key) for db, key, _ in replay(str(path)).dataset.items()]
    assert found == [(0, b"b"), (3, b"a")]


def test_an_offset_in_a_set_means_its_only_increment_or_a_named_file(tmp_path: Path) -> None:
    one = command("SET", "a", "1") + command("SET", "b", "2")
    path = make_set(tmp_path / "set", base=command("SET", "x", "1"), one=one)
    point = PointInTime(offset=Place(len(command("SET", "a", "1"))))
    assert keys(replay(str(path), point=point)) == "xa"
    path = make_set(tmp_path / "set", base=command("SET", "x", "1"), one=one, two=one)
    with pytest.raises(UsageError, match="say in which file"):
        replay(str(path), point=point)
    point = PointInTime(offset=Place(len(command("SET", "a", "1")), "appendonly.aof.1.incr.aof"))
    assert keys(replay(str(path), point=point)) == "xa"


def test_a_time_before_the_base_is_refused(tmp_path: Path) -> None:
    path = make_set(tmp_path / "set", base=b"#TS:500\r\n" + command("SET", "x", "1"), one=LOG)
    assert keys(replay(str(path), point=PointInTime(time_s=1000))) == "xa"
    with pytest.raises(UsageError, match="before the rewrite that made this base"):
        replay(str(path), point=PointInTime(time_s=400))


def test_a_cut_command_at_the_end_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    path.write_bytes(command("SET", "a", "1") + command("SET", "b", "2")[:-3])
    result = replay(str(path))
    assert keys(result) == "a"
    assert result.loss
    assert result.findings.items[0].offset == len(command("SET", "a", "1"))


def test_a_transaction_that_does_not_end_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    path.write_bytes(command("SET", "a", "1") + command("MULTI") + command("SET", "b", "2"))
    result = replay(str(path))
    assert (keys(result), result.loss, result.findings.counts) == ("a", True, {"open-transaction": 1})


@pytest.mark.parametrize("end", [b"*1\r\n", command("MULTI")])
def test_a_file_that_ends_early_with_others_behind_it_is_refused(tmp_path: Path, end: bytes) -> None:
    path = make_set(tmp_path / "set", one=command("SET", "a", "1") + end, two=command("SET", "b", "2"))
    with pytest.raises(FormatError, match="more files follow"):
        replay(str(path))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    path = make_set(tmp_path / "set", one=LOG, two=LOG)
    (path / "appendonly.aof.1.incr.aof").unlink()
    with pytest.raises(InputError, match="not there"):
        replay(str(path))


def test_unknown_commands_stop_the_replay_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    first = command("SET", "a", "1")
    path.write_bytes(first + command("JSON.SET", "j", "$", "1") + command("SET", "b", "2"))
    with pytest.raises(UnsupportedError, match=r"unknown command 'JSON\.SET' after 1 command") as caught:
        replay(str(path))
    assert caught.value.offset == len(first)
    skipped = replay(str(path), unknown="skip")
    assert (keys(skipped), skipped.loss, skipped.replay.carried) == ("ab", True, [])
    carried = replay(str(path), unknown="carry")
    assert (keys(carried), carried.loss) == ("ab", False)
    assert [c.args for c in carried.replay.carried] == [[b"JSON.SET", b"j", b"$", b"1"]]


@pytest.mark.server
def test_failing_commands_are_findings_with_the_servers_own_text(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    first = command("SET", "a", "x")
    path.write_bytes(first + command("INCR", "a") + command("LPUSH", "a", "1"))
    result = replay(str(path))
    with running(SERVERS[0], tmp_path) as server:
        server.execute("SET", "a", "x")
        errors = server.send(("INCR", "a"), ("LPUSH", "a", "1"))
    told = result.findings.items
    texts = [str(e) for e in errors if isinstance(e, Exception)]
    assert [f.message for f in told] == [f"INCR fails: {texts[0]}", f"LPUSH fails: {texts[1]}"]
    assert (told[0].offset, told[0].key, told[0].path) == (len(first), b"a", str(path))
    assert (result.loss, result.lost) == (False, 2)


def test_a_text_of_commands_is_replayed_like_a_log(tmp_path: Path) -> None:
    path = tmp_path / "seed.redis"
    path.write_text('# seed\nSET a "x\\x00y"\nMULTI\nSET b 2\nEXEC\nDEL c\n')
    result = replay(str(path), source="commands")
    assert keys(result) == "ab"
    assert result.replay.count == 5
    assert keys(replay(str(path), source="commands", point=PointInTime(before="DEL"))) == "ab"
    assert keys(replay(str(path))) == "ab"


@pytest.mark.parametrize(
    "text", ["hello world\n", "Time flies\n", "SET a\n", "JSON.SET a . 1\nSET b 1\n", "VALKE", "\xff\n"]
)
def test_what_is_neither_data_nor_commands_is_told_as_such(text: str, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text(text)
    with pytest.raises(FormatError, match="neither an RDB, nor JSON lines, nor a log") as caught:
        replay(str(path))
    assert (caught.value.path, caught.value.offset) == (str(path), 0)


def test_json_lines_are_named_where_they_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"db":0,"key":"a","type":"string","value":"1"}\n')
    with pytest.raises(UnsupportedError, match="JSON lines"):
        replay(str(path))


def test_any_bytes_give_a_dataset_or_one_known_error(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    path = tmp_path / "a.aof"
    for _ in range(100):
        data = bytearray(LOG)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(bytes(data[: rng.randrange(1, len(data))]))
        try:
            result = replay(str(path))
        except RdbToolError:
            continue
        assert isinstance(result.dataset, Dataset)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1767225600", 1767225600), ("2026-01-01T00:00:00Z", 1767225600), ("2026-01-01 01:00+01:00", 1767225600)],
)
def test_times_are_unix_or_iso(text: str, seconds: int) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    ("parse", "text"), [(parse_time, "noon"), (parse_time, ""), (Place.parse, "a:b"), (Place.parse, "")]
)
def test_other_texts_are_refused(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.parametrize("end", [b"", b"*1\r\n?"], ids=["whole", "refused"])
def test_no_process_is_left_of_scripts_when_a_replay_has_ended(
    end: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lupa")
    begun: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            begun.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    path = tmp_path / "x.aof"
    path.write_bytes(command("EVAL", "return redis.call('SET', KEYS[1], 'v')", "1", "k") + end)
    if end:
        with pytest.raises(FormatError):
            replay(str(path))
    else:
        assert list(replay(str(path)).dataset.keys) == [b"k"]
    assert [process.returncode is not None for process in begun] == [True]
