"""Values are measured from their headers: the counts are those of decoding, and a payload is passed exactly."""

from __future__ import annotations

import contextlib
import random
from collections import deque
from pathlib import Path

import pytest

from rdbtool.analysis.costs import Costs
from rdbtool.analysis.encodings import ENCODINGS
from rdbtool.analysis.measure import Measure
from rdbtool.basics.lzf import beginning, compress
from rdbtool.errors import RdbToolError, UnsupportedError
from rdbtool.io.source import open_input
from rdbtool.io.window import Window, window_over
from rdbtool.model import Array, Hash, PathHash, SortedSet, Stream, Value
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from rdbtool.servers.releases import RELEASES, release_named
from tests.rdb.corpus import FIXTURES, name_of, written_files
from tests.rdb.mutation import damaged, records_by_type
from tests.rdb.sources import Dripping

SEED = 20260301
NEWEST = release_named("redis-8.6")
RECORDS = records_by_type()


def parts_of(value: Value) -> tuple[int, list[bytes]]:
    """How many elements, and what is looked at for the largest; [] for what is not."""
    if isinstance(value, bytes):
        return len(value), [value]
    if isinstance(value, Hash):
        return len(value.fields), [*value.fields, *value.fields.values()]
    if isinstance(value, SortedSet):
        return len(value.scores), list(value.scores)
    if isinstance(value, Stream):
        return len(value.entries), []
    if isinstance(value, (deque, dict)):
        return len(value), list(value)
    if isinstance(value, Array):
        return len(value.elements), []
    if isinstance(value, PathHash):
        return sum(map(len, value.paths.values())), [part for f in value.paths.values() for part in (*f, *f.values())]
    return 0, []


def checked_files() -> list[Path]:
    return [path for path in written_files() if path.stat().st_size < 200_000 and FIXTURES in path.parents]


@pytest.mark.parametrize("path", checked_files(), ids=name_of)
@pytest.mark.parametrize("largest", [False, True])
def test_counts_are_those_of_decoding(path: Path, largest: bool) -> None:
    measure = Measure(Costs(NEWEST), largest_wanted=largest)
    unknown = path.parent.name in {"redis-4.0-rc1", "redis-8.10.2"}
    with open_input(str(path)) as source, contextlib.suppress(*([UnsupportedError] if unknown else [])):
        for event in RdbReader(source.window()):
            if not isinstance(event, Frame):
                continue
            raw = event.raw()
            measure.measure(event)
            assert measure.size == len(raw), event.key
            assert measure.bytes > 0
            if event.type.redis_type == "module":
                continue
            elements, parts = parts_of(event.value())
            assert measure.elements == elements, event.key
            if parts and largest:
                assert measure.largest == max(map(len, parts)), event.key
            value = event.value()
            if isinstance(value, Hash):
                assert measure.field_expiries == len(value.expiries or {}), event.key


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_every_release_has_a_figure_for_every_type(release: object) -> None:
    for allocator in ("jemalloc", "system-jemalloc", "libc"):
        for reported in (False, True):
            measure = Measure(Costs(release, allocator, reported=reported))  # type: ignore[arg-type]
            for data in RECORDS.values():
                for event in RdbReader(window_over(data)):
                    if isinstance(event, Frame):
                        measure.measure(event)
                        assert 16 <= measure.bytes < 100_000


@pytest.mark.parametrize("name", RECORDS)
def test_damage_gives_a_figure_or_one_error(name: str) -> None:
    print("seed", SEED)
    rng = random.Random(f"{SEED} {name}")
    for largest in (False, True):
        measure = Measure(Costs(NEWEST), largest_wanted=largest)
        for _ in range(150):
            data = damaged(rng, RECORDS[name])
            with contextlib.suppress(RdbToolError):
                for event in RdbReader(window_over(data)):
                    if isinstance(event, Frame):
                        measure.measure(event)
                        assert measure.size <= len(data)


def test_a_figure_does_not_depend_on_how_the_bytes_arrive() -> None:
    measure = Measure(Costs(NEWEST))
    for data in RECORDS.values():
        told = []
        for window in (window_over(data), Window(Dripping(data, 1), size=-1)):
            for event in RdbReader(window):
                if isinstance(event, Frame):
                    measure.measure(event)
                    told.append((measure.bytes, measure.elements, measure.size, measure.largest))
        assert told[: len(told) // 2] == told[len(told) // 2 :]


def test_the_beginning_of_compressed_data_is_that_of_the_whole() -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    for _ in range(300):
        data = bytes(rng.choices(b"\0\0\0ab", k=rng.randint(20, 300)))
        packed = compress(data)
        if packed is None:
            continue
        for want in (1, 6, 10):
            assert beginning(packed, 0, len(packed), want) == data[:want]
            cut = rng.randrange(len(packed))
            got = beginning(packed, 0, cut, want)
            assert data.startswith(got)
        assert len(beginning(rng.randbytes(20), 0, 20, 10)) <= 10


ARRAYS = {
    b"cursor": 209,
    b"deleted": 210,
    b"floats": 457,
    b"gaps": 567,
    b"ins": 206,
    b"ints": 599,
    b"overwrite": 212,
    b"ring": 207,
    b"ringgrow": 259,
    b"ringshrink": 213,
    b"seek0": 208,
    b"seekfar": 210,
    b"strs": 2007,
    b"ttl": 214,
}
"""What MEMORY USAGE of a Redis 8.10.2 with the allocator of libc said when it had loaded that file."""


def test_arrays_take_what_redis_said_of_them() -> None:
    measure = Measure(Costs(release_named("redis-8.10"), "libc", reported=True))
    counted = {}
    with open_input(str(FIXTURES / "redis-8.10.2" / "arrays.rdb")) as source:
        for event in RdbReader(source.window()):
            if isinstance(event, Frame) and event.key in ARRAYS:
                measure.measure(event)
                counted[event.key] = int(measure.bytes)
    assert counted.keys() == ARRAYS.keys()
    assert {key: (size, ARRAYS[key]) for key, size in counted.items() if abs(size / ARRAYS[key] - 1) > 0.02} == {}


@pytest.mark.parametrize("release", ["redis-7.0", "redis-8.6", "redis-8.10"])
def test_hashes_with_templates_are_plain_ones_to_a_release_without_them(release: str) -> None:
    measure = Measure(Costs(release_named(release)))
    found = set()
    with open_input(str(FIXTURES / "redis-8.10.2" / "hash-templates.rdb")) as source:
        for event in RdbReader(source.window()):
            if isinstance(event, Frame) and "template" in event.type.name:
                measure.measure(event)
                found.add(ENCODINGS[measure.encoding])
    plain = {"listpack", "hashtable"}
    assert found == ({"template-listpack", "template-array"} if release == "redis-8.10" else plain)
