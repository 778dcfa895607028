"""What Redis 8.6 keeps of idempotent producers: from its files, into files, from its log and into commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.errors import FormatError, TruncatedError
from rdbtool.export.resp import Resp
from rdbtool.model import Entry, Stream
from rdbtool.rdb.output import Output
from rdbtool.rdb.skip import skip_idempotence
from rdbtool.rdb.values.idempotence import NO_PRODUCERS, Idempotence
from rdbtool.source import window_over
from rdbtool.tasks.replaying import replay
from tests.rdb.corpus import FIXTURES, expected_of
from tests.rdb.expected import frames
from tests.rdb.test_writer import Collected

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
            skip_idempotence(window_over(raw[:at]))


def commands(stream: Stream, version: int, *, valkey: bool = False) -> tuple[list[bytes], dict[str, int]]:
    sink = Collected()
    output = Output(sink)
    exporter = Resp(output, version, valkey=valkey)
    exporter.entry(Entry(0, b"k", stream))
    exporter.end()
    output.flush()
    return sink.getvalue().split(b"\r\n"), exporter.losses


def test_commands_say_it_to_redis_alone_and_as_bgrewriteaof_does() -> None:
    found = streams(FILE)
    words, losses = commands(found[b"set"], 13)
    assert not losses
    ids = [b"%d-%d" % entry for entry in found[b"set"].entries]
    at = words.index(b"XCFGSET")
    assert words[at + 2 : at + 11 : 2] == [b"k", b"IDMP-DURATION", b"1000", b"IDMP-MAXSIZE", b"2"]
    records = [words[i + 4 : i + 9 : 2] for i, word in enumerate(words) if word == b"XIDMPRECORD"]
    assert records == [[b"p", b"z", ids[0]], [b"p", b"x", ids[1]], [b"q", b"z", ids[2]]]
    assert b"XCFGSET" not in commands(found[b"s"], 13)[0]
    for version, valkey in ((12, False), (80, True)):
        words, losses = commands(found[b"set"], version, valkey=valkey)
        assert losses == {"state of idempotent producers": 1}
        assert not {b"XCFGSET", b"XIDMPRECORD"} & set(words)
        assert not commands(found[b"plain"], version, valkey=valkey)[1]


def test_messages_whose_entries_are_gone_are_not_recorded() -> None:
    stream = streams(FILE)[b"set"]
    for entry in list(stream.entries)[:2]:
        del stream.entries[entry]
    words, _ = commands(stream, 13)
    assert words.count(b"XIDMPRECORD") == 1
    stream.entries.clear()
    assert b"XIDMPRECORD" not in commands(stream, 13)[0]
