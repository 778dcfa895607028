from __future__ import annotations

import pytest

from rdbtool.aof.names import CARRY, SKIP, STOP
from rdbtool.aof.point_in_time import Place, PointInTime
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replay.replay import Replay
from rdbtool.errors import UsageError
from rdbtool.findings import Severity
from rdbtool.model import NO_EXPIRY
from rdbtool.servers.releases import release_named

Script = list[tuple[int, list[bytes]]]


def script(*lines: str) -> Script:
    """Commands at offsets 0, 100, 200..."""
    return [(i * 100, line.encode().split()) for i, line in enumerate(lines)]


def replayed(
    lines: Script, *, point: PointInTime | None = None, unknown: str = STOP
) -> tuple[Replay, dict[bytes, object]]:
    replay = Replay(Dataset(release_named("redis-8.6"), now_ms=1_000_000), point=point, unknown=unknown)
    replay.run(lines)
    return replay, {key: cell.value() for _, key, cell in replay.dataset.items()}


def test_commands_are_applied_in_any_case_of_letters() -> None:
    replay, keys = replayed(script("set a 1", "InCr a", "APPEND a 0"))
    assert keys == {b"a": b"20"}
    assert (replay.count, replay.applied, replay.failed) == (3, 3, 0)


def test_a_transaction_is_applied_at_exec() -> None:
    replay, keys = replayed(script("MULTI", "SET a 1", "SET b 2", "EXEC", "SET c 3"))
    assert keys == {b"a": b"1", b"b": b"2", b"c": b"3"}
    assert replay.count == 5


def test_a_transaction_that_is_open_at_the_end_is_dropped_and_told() -> None:
    replay, keys = replayed(script("SET a 1", "MULTI", "SET a 2", "SET b 2"))
    assert keys == {b"a": b"1"}
    assert replay.dropped == 2
    (finding,) = replay.findings.items
    assert (finding.code, finding.offset) == ("open-transaction", 100)


def test_exec_without_multi_and_nested_multi_are_errors_that_do_not_stop() -> None:
    replay, keys = replayed(script("EXEC", "MULTI", "MULTI", "SET a 1", "EXEC"))
    assert keys == {b"a": b"1"}
    assert [f.message for f in replay.findings.items] == [
        "EXEC fails: ERR EXEC without MULTI",
        "MULTI fails: ERR MULTI calls can not be nested",
    ]


def test_a_command_that_fails_changes_nothing_and_is_told_with_the_text_of_the_server() -> None:
    replay, keys = replayed(script("SET a x", "LPUSH a 1", "INCR a", "GETSET a", "SET b 1"))
    assert keys == {b"a": b"x", b"b": b"1"}
    assert [(f.offset, f.key, f.message) for f in replay.findings.items] == [
        (100, b"a", "LPUSH fails: WRONGTYPE Operation against a key holding the wrong kind of value"),
        (200, b"a", "INCR fails: ERR value is not an integer or out of range"),
        (300, b"a", "GETSET fails: ERR wrong number of arguments for 'getset' command"),
    ]
    assert replay.failed == 3


def test_an_unknown_command_stops_the_replay() -> None:
    replay, keys = replayed(script("SET a 1", "JSON.SET j $ 1", "SET b 1"))
    assert keys == {b"a": b"1"}
    assert "JSON.SET" in replay.stopped
    assert replay.stopped_at == 100
    assert replay.findings.worst is Severity.ERROR


@pytest.mark.parametrize("name", ["XGROUP|CREATE", "FUNCTION", "XGROUP", "FUNCTION|FLUSH", "nonsense"])
def test_what_only_the_table_calls_a_command_is_unknown(name: str) -> None:
    replay, _ = replayed(script(f"{name} x y", "SET a 1"))
    assert replay.stopped


def test_an_unknown_command_can_be_skipped_or_carried() -> None:
    lines = script("SET a 1", "SELECT 0", "JSON.SET j $ 1", "SET b 1")
    replay, keys = replayed(lines, unknown=SKIP)
    assert set(keys) == {b"a", b"b"}
    assert replay.skipped == 1
    replay, keys = replayed(lines, unknown=CARRY)
    assert [(c.db, c.offset, c.args) for c in replay.carried] == [(0, 200, [b"JSON.SET", b"j", b"$", b"1"])]


def test_an_unknown_command_in_a_transaction_that_is_dropped_is_not_carried() -> None:
    replay, _ = replayed(script("MULTI", "JSON.SET j $ 1"), unknown=CARRY)
    assert replay.carried == []


def test_findings_are_bounded_and_all_are_counted() -> None:
    replay, _ = replayed(script("SET a x", *["INCR a"] * 3000))
    assert replay.findings.counts["command-error"] == 3000
    assert len(replay.findings.items) < 3000


def test_a_replay_can_stop_at_an_offset() -> None:
    _, keys = replayed(script("SET a 1", "SET b 1", "SET c 1"), point=PointInTime(offset=Place(150)))
    assert set(keys) == {b"a", b"b"}


def test_a_replay_can_stop_after_a_number_of_commands() -> None:
    _, keys = replayed(script("SET a 1", "SET b 1", "SET c 1"), point=PointInTime(commands=1))
    assert set(keys) == {b"a"}


def test_a_replay_can_stop_before_the_nth_command_of_a_name() -> None:
    lines = script("SET a 1", "FLUSHALL", "SET b 1", "flushall", "SET c 1")
    assert set(replayed(lines, point=PointInTime(before="FLUSHALL"))[1]) == {b"a"}
    replay, keys = replayed(lines, point=PointInTime(before="FLUSHALL", nth=2))
    assert set(keys) == {b"b"}
    assert replay.stopped_at == 300
    with pytest.raises(UsageError):
        PointInTime(before="FLUSHALL", nth=0)


def test_a_replay_can_stop_before_a_subcommand() -> None:
    lines = script("XADD s 1-1 a b", "XGROUP CREATE s g 0", "XGROUP DESTROY s g")
    replay, _ = replayed(lines, point=PointInTime(before="XGROUP DESTROY"))
    assert replay.count == 2


def test_a_replay_can_leave_out_commands() -> None:
    _, keys = replayed(script("SET a 1", "DEL a", "SET b 1"), point=PointInTime(without=(Place(100),)))
    assert set(keys) == {b"a", b"b"}


def test_a_stop_inside_a_transaction_drops_all_of_it() -> None:
    replay, keys = replayed(
        script("SET a 1", "MULTI", "SET b 1", "SET c 1", "EXEC"), point=PointInTime(offset=Place(300))
    )
    assert set(keys) == {b"a"}
    assert replay.dropped == 1


def test_a_later_annotation_stops_the_replay() -> None:
    replay = Replay(Dataset(), point=PointInTime(time_s=1000))
    assert replay.annotation(1000)
    assert not replay.annotation(1001)
    assert replay.stopped


def test_nothing_expires_and_times_in_the_past_are_kept() -> None:
    replay, _ = replayed(
        script("SET a 1 PXAT 5", "SET b 1", "PEXPIREAT b 7", "HSET h f 1", "HPEXPIREAT h 9 FIELDS 1 f")
    )
    assert {key: cell.expire_at_ms for _, key, cell in replay.dataset.items()} == {b"a": 5, b"b": 7, b"h": NO_EXPIRY}
    cell = replay.dataset.hash(b"h")
    assert cell is not None
    assert cell.expiries == {b"f": 9}


def test_relative_times_count_from_the_given_now_and_are_told() -> None:
    replay, _ = replayed(script("SET a 1 EX 10", "SETEX b 1 x", "EXPIRE a 20"))
    assert {cell.expire_at_ms for _, key, cell in replay.dataset.items() if key == b"a"} == {1_020_000}
    assert replay.findings.counts == {"relative-expiry": 1}


def test_a_random_choice_is_told() -> None:
    replay, _ = replayed(script("SADD s a b c", "SPOP s"))
    assert replay.findings.counts == {"random-choice": 1}


def test_select_in_a_transaction_lasts() -> None:
    replay, _ = replayed(script("MULTI", "SELECT 3", "EXEC", "SET a 1"))
    assert list(replay.dataset.dbs[3]) == [b"a"]


def test_commands_of_a_server_that_change_no_dataset_are_passed_over() -> None:
    replay, keys = replayed(script("PING", "CONFIG SET maxmemory 5", "PUBLISH c m", "SET a 1"))
    assert set(keys) == {b"a"}
    assert not replay.findings.items


def test_slots_are_flushed_by_the_hash_of_keys() -> None:
    _, keys = replayed(script("SET a 1", "SET {a}b 1", "SET b 1", "SFLUSH 15495 15495"))
    assert set(keys) == {b"b"}
    _, keys = replayed(script("SET a 1", "SET x{a}b 1", "SET b 1", "CLUSTER FLUSHSLOT 15495 SYNC"))
    assert set(keys) == {b"b"}
