"""What Redis 8.6 keeps of idempotent producers: from its files, into files, from its log and into commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.errors import FormatError, TruncatedError
from rdbtool.inputs.replaying import replay
from rdbtool.io.output import Output
from rdbtool.io.window import window_over
from rdbtool.model import NO_PRODUCERS, Entry, Stream
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.outputs.registry import make_exporter
from rdbtool.rdb.dump_payload import build_dump, dump
from rdbtool.rdb.layout.producers import skip_producers
from rdbtool.rdb.opcodes import REDIS
from rdbtool.rdb.targets import target
from rdbtool.rdb.types import row_of
from rdbtool.rdb.values.idempotence import Idempotence
from rdbtool.tasks.convert import convert
from tests.aof.craft import command
from tests.outputs.collected import Collected
from tests.rdb.corpus import FIXTURES, expected_of
from tests.rdb.craft import RELEASED
from tests.rdb.expected import frames
from tests.rdb.meanings import facts_of

FILE = FIXTURES / "redis-8.6.2" / "producers.rdb"
LOG = FIXTURES.parent / "aof" / "producers.aof"


def streams(path: Path) -> dict[bytes, Stream]:
    found = {}
    for frame in frames(path):
        value = frame.value()
        assert isinstance(value, Stream)
        found[frame.key] = value
    return found


def test_the_state_says_what_the_server_says_of_it() -> None:
    found = streams(FILE)
    for key in expected_of(FILE)["dbs"]["0"]:
        raw = found[key["key"].encode()].idmp
        state = Idempotence(raw)
        facts = {
            "idmp-duration": state.duration_s,
            "idmp-maxsize": state.max_size,
            "pids-tracked": len(state.producers),
            "iids-tracked": sum(map(len, state.producers.values())),
            "iids-added": state.added,
            "iids-duplicates": state.duplicates,
        }
        assert facts == {name: key["stream"][name] for name in facts}
        assert state.encoded() == raw


def test_replay_of_the_log_makes_the_same_state() -> None:
    """Names of messages too, which IDMPAUTO makes of their fields: 16 bytes."""
    replayed = replay(str(LOG))
    assert not replayed.findings.items
    made = {}
    for _, key, held in replayed.dataset.items():
        value = replayed.dataset.decoded(held).value()
        assert isinstance(value, Stream)
        made[key] = value.idmp or NO_PRODUCERS
    assert made == {key: value.idmp for key, value in streams(FILE).items()}


def test_a_state_that_is_cut_is_damage() -> None:
    raw = streams(FILE)[b"s"].idmp
    for at in range(len(raw)):
        with pytest.raises((FormatError, TruncatedError)):
            skip_producers(window_over(raw[:at]))


def commands(stream: Stream, to: str) -> tuple[list[bytes], dict[str, int]]:
    sink = Collected()
    output = Output(sink)
    exporter = make_exporter(output, OutputOptions("resp", RdbOptions(target(to))))
    exporter.entry(Entry(0, b"k", stream))
    exporter.end()
    output.flush()
    return sink.getvalue().split(b"\r\n"), exporter.losses.counts


def test_commands_say_it_to_redis_alone_and_as_bgrewriteaof_does() -> None:
    found = streams(FILE)
    words, losses = commands(found[b"set"], "rdb-13")
    assert not losses
    ids = [b"%d-%d" % entry for entry, _ in found[b"set"].entries]
    at = words.index(b"XCFGSET")
    assert words[at + 2 : at + 11 : 2] == [b"k", b"IDMP-DURATION", b"1000", b"IDMP-MAXSIZE", b"2"]
    records = [words[i + 4 : i + 9 : 2] for i, word in enumerate(words) if word == b"XIDMPRECORD"]
    assert records == [[b"p", b"z", ids[0]], [b"p", b"x", ids[1]], [b"q", b"z", ids[2]]]
    assert b"XCFGSET" not in commands(found[b"s"], "rdb-13")[0]
    for to in ("rdb-12", "rdb-80"):
        words, losses = commands(found[b"set"], to)
        assert losses == {"idempotent producers": 1}
        assert not {b"XCFGSET", b"XIDMPRECORD"} & set(words)
        assert not commands(found[b"plain"], to)[1]


def test_messages_whose_entries_are_gone_are_not_recorded() -> None:
    stream = streams(FILE)[b"set"]
    del stream.entries[:2]
    words, _ = commands(stream, "rdb-13")
    assert words.count(b"XIDMPRECORD") == 1
    stream.entries.clear()
    assert b"XIDMPRECORD" not in commands(stream, "rdb-13")[0]


def test_settings_that_no_server_takes_are_damage(tmp_path: Path) -> None:
    (raw,) = [frame.raw() for frame in frames(FILE) if frame.key == b"plain"]
    assert raw.endswith(NO_PRODUCERS)
    log = tmp_path / "a.aof"
    for state, text in ((b"\x40\x64\x00\0\0\0", "0 messages"), (b"\x00\x40\x64\0\0\0", "for 0 s")):
        with pytest.raises(FormatError, match=text):
            Idempotence(state)
        payload = build_dump(row_of(REDIS, "stream-listpacks4"), raw.removesuffix(NO_PRODUCERS) + state, 13)
        log.write_bytes(command("RESTORE", "s", "0", payload) + command("XADD", "s", "IDMP", "p", "m", "9-1", "a", "b"))
        assert "Bad data format" in replay(str(log)).findings.items[0].message


def test_released_entries_are_carried_from_a_payload_to_who_has_them(tmp_path: Path) -> None:
    log = tmp_path / "a.aof"
    payload = build_dump(row_of(REDIS, "stream-listpacks5"), RELEASED, 15)
    log.write_bytes(command("SET", "a", "1") + command("RESTORE", "s", "0", payload))
    for release, lost in (("redis-8.10", {}), ("redis-8.6", {"released entries": 2})):
        report = convert([str(log)], str(tmp_path / "out.aof"), OutputOptions("aof", RdbOptions(release)))
        assert report.losses == lost
        value = replay(str(tmp_path / "out.aof")).dataset.stream(b"s")
        assert value is not None
        told = value.value()
        assert isinstance(told, Stream)
        assert [group.released for group in told.groups.values()] == ([[]] if lost else [[(2, 0), (1, 0)]])


def test_states_are_compared_by_what_they_say() -> None:
    one = b"\x40\x64\x40\x64\x02\x01p\x01\x01m\x01\x01\x01q\x01\x02" + b"12" + b"\x02\x01\x02\x00"
    other = b"\x40\x64\x40\x64\x02\x01q\x01\xc0\x0c\x02\x01\x01p\x01\x01m\x01\x01\x02\x00"
    left, right = Stream(), Stream()
    left.idmp, right.idmp = one, other
    assert facts_of(left).same(facts_of(right))
    right.idmp = other[:-2] + b"\x03\x00"
    assert not facts_of(left).same(facts_of(right))


def test_counters_of_64_bits_are_bounds_too(tmp_path: Path) -> None:
    stream = Stream()
    stream.entries = [((1, 1), [b"a", b"b"])]
    stream.last_id, stream.entries_added = (1, 1), (1 << 64) - 5
    payload = dump(stream, target("redis-8.6"))
    log = tmp_path / "a.aof"
    log.write_bytes(
        command("RESTORE", "s", "0", payload)
        + command("XGROUP", "CREATE", "s", "g", "0", "ENTRIESREAD", "5")
        + command("XGROUP", "SETID", "s", "g", "0", "ENTRIESREAD", "6")
        + command("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    )
    assert "command-error" not in replay(str(log)).findings.counts
