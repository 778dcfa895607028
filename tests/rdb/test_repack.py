"""Listpacks repacked as ziplists mean what decoding and encoding gives: sound, random and damaged ones."""

from __future__ import annotations

import random

import pytest

from rdbtool.errors import RdbToolError
from rdbtool.model import Entry, SortedSet, type_name
from rdbtool.rdb.encode import encode
from rdbtool.rdb.frame import Frame, frame_of
from rdbtool.rdb.layout.primitives import read_string
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.targets import target
from rdbtool.rdb.types import TypeRow
from tests.outputs.collected import Collected, entries_of
from tests.rdb.corpus import numbered, written_files
from tests.rdb.mutation import ROWS, SAMPLES, damaged, flipped
from tests.rdb.values_strategies import any_value
from tests.rdb.writing import events

SEED = 20261128
PACKED = ("hash-listpack", "zset-listpack", "list-quicklist2")
FILES = [path for path in written_files() if path.stat().st_size < 1 << 20 and "module" not in path.name]


def written(what: Frame | Entry) -> Frame:
    """What a file for Redis 6.2 holds of a key."""
    sink = Collected()
    writer = open_rdb_writer(sink, "redis-6.2")
    if isinstance(what, Frame):
        writer.frame(what)
    else:
        writer.entry(what)
    writer.close()
    (frame,) = (event for event in events(sink.getvalue()) if isinstance(event, Frame))
    return frame


def check(row: TypeRow, payload: bytes) -> bool:
    """See that both ways agree; answers whether the payload can be decoded."""
    frame = frame_of(0, b"key", row, payload)
    try:
        value = frame.value()
    except RdbToolError:
        with pytest.raises(RdbToolError):
            written(frame_of(0, b"key", row, payload))
        return False
    direct = written(frame_of(0, b"key", row, payload))
    encoded = written(Entry(0, b"key", value))
    assert direct.type is encoded.type, payload.hex()
    again = direct.value()
    assert repr(again) == repr(encoded.value()), payload.hex()
    if isinstance(again, SortedSet):
        assert list(again.scores) == list(dict(sorted(again.scores.items(), key=lambda item: (item[1], item[0]))))
    elif row.redis_type == "hash":
        assert read_string(direct.window()) == read_string(encoded.window()), payload.hex()
    return True


@pytest.mark.parametrize("number", numbered(FILES))
def test_what_servers_wrote(number: int) -> None:
    for entry in entries_of(FILES[number]):
        if type_name(entry.value) in {"list", "hash", "zset"}:
            for release in ("redis-7.0", "redis-7.2"):
                row, payload = encode(entry.value, target(release))
                if row.name in PACKED:
                    assert check(row, payload)


@pytest.mark.parametrize("kind", ["hash", "zset", "list"])
def test_random_values(kind: str) -> None:
    print("seed", SEED)
    rng = random.Random(f"{SEED} {kind}")
    met = 0
    for _ in range(150):
        row, payload = encode(any_value(rng, kind), target(rng.choice(("redis-7.0", "redis-7.2"))))
        if row.name in PACKED:
            met += 1
            assert check(row, payload)
            for _ in range(3):
                check(row, damaged(rng, payload, 0))
    assert met > 20


@pytest.mark.parametrize("name", PACKED)
def test_each_changed_byte(name: str) -> None:
    for payload in SAMPLES[name]:
        assert check(ROWS[name], payload)
        for changed in flipped(payload):
            check(ROWS[name], changed)
