"""THE table: what it holds is complete, and whoever names a type names one of it."""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import rdbtool
from rdbtool.findings import Findings
from rdbtool.io.window import window_over
from rdbtool.model import type_name
from rdbtool.rdb.dump_payload import build_dump, open_dump
from rdbtool.rdb.encode import encode
from rdbtool.rdb.frame import frame_of
from rdbtool.rdb.layout import codes
from rdbtool.rdb.layout.facts import OF_TYPE
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.primitives import skip_string
from rdbtool.rdb.layout.stream import STREAM_VERSIONS
from rdbtool.rdb.layout.visitor import KIND_NAMES
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.targets import target, target_names
from rdbtool.rdb.types import TABLE, TypeRow
from rdbtool.rdb.unordered import is_unordered, same_elements
from rdbtool.rdb.walk import Walker
from rdbtool.servers.limits import Limits
from rdbtool.servers.releases import MAX_RDB_VERSION, REDIS, VALKEY
from tests.rdb.mutation import ROWS, SAMPLES
from tests.rdb.recorder import Recorder
from tests.rdb.values_strategies import KINDS, any_value

PACKAGE = Path(rdbtool.__file__).resolve().parent
LOOKS_LIKE_A_TYPE = re.compile(r"(?:list|set|zset|hash|stream|module)(?:\d|-[a-z0-9-]+\d?)")


def named_types() -> Iterator[tuple[str, str]]:
    """All text in the code that looks like the name of an encoding, and where it stands."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if LOOKS_LIKE_A_TYPE.fullmatch(node.value):
                    yield node.value, f"{path.relative_to(PACKAGE)}:{node.lineno}"


OTHER_NAMES = {"module-aux", "module-digest", *codes.CODES}
"""Kinds of differences, remarks and findings, which have a table of their own."""


def test_whoever_names_a_type_names_one_that_there_is() -> None:
    found = list(named_types())
    assert {"hash2", "hash-listpack"} <= {name for name, _ in found}
    wrong = [(name, at) for name, at in found if name not in ROWS and name not in OTHER_NAMES]
    assert not wrong


def test_every_row_has_a_kind_and_rows_of_one_kind_are_read_alike() -> None:
    for row in ROWS.values():
        assert KIND_NAMES[row.kind] == row.redis_type
        assert (row.elements is None) == (row.redis_type in {"stream", "module", "array", "path-hash"})
        assert bool(row.stream_version) == (row.redis_type == "stream")
        if row.stream_version:
            assert STREAM_VERSIONS[row.stream_version] == row.name


def test_every_version_of_streams_has_its_row() -> None:
    assert set(STREAM_VERSIONS[1:]) == {row.name for row in ROWS.values() if row.stream_version}


@pytest.mark.parametrize("name", ROWS)
def test_the_decoded_value_is_of_the_type_that_the_row_says(name: str) -> None:
    row = ROWS[name]
    if name != "module-pre-ga":
        for payload in SAMPLES[name]:
            assert type_name(row.value(window_over(payload))) == row.redis_type


@pytest.mark.parametrize("to", target_names())
@pytest.mark.parametrize("kind", KINDS)
def test_a_target_writes_only_what_it_loads(to: str, kind: str) -> None:
    goal = target(to)
    if kind == "stream" and not goal.form(Limits(), open_rdb_writer(_Nowhere(), goal).losses).streams:
        return
    rng = Random(f"{to} {kind}")
    for _ in range(20):
        row, payload = encode(any_value(rng, kind), goal)
        assert goal.loads(row)
        findings = Findings()
        row.verify(window_over(payload), Inspection(findings))
        assert set(findings.counts) <= {"stream-counters"}  # those of these streams are any numbers


class _Nowhere:
    def write(self, data: bytes, /) -> object:
        return len(data)


@pytest.mark.parametrize("to", target_names())
@pytest.mark.parametrize("name", ROWS)
def test_every_type_can_be_written_for_every_target(name: str, to: str) -> None:
    """As it is or transcoded: a type that nobody transcodes would stop a conversion."""
    row = ROWS[name]
    goal = target(to)
    if row.redis_type == "module" or row.stream_version == 5:
        return  # only modules can transcode their values; the fifth version may have what no other can say
    for payload in SAMPLES[name]:
        writer = open_rdb_writer(_Nowhere(), goal)
        writer.frame(frame_of(0, b"k", row, payload))
        lost = OF_TYPE.get(row.redis_type) in writer.losses.counts
        assert writer.keys == (0 if lost else 1)


@pytest.mark.parametrize("name", ROWS)
def test_a_frame_of_every_type_is_told(name: str) -> None:
    if name != "module-pre-ga":
        recorder = Recorder()
        for payload in SAMPLES[name]:
            walker = Walker(recorder)
            assert walker.walk(frame_of(0, b"k", ROWS[name], payload)) is None
            assert walker.size == len(payload)


@pytest.mark.parametrize("name", ROWS)
def test_a_dump_payload_of_every_type_is_opened(name: str) -> None:
    row = ROWS[name]
    version = MAX_RDB_VERSION[REDIS if TABLE[REDIS][row.byte] is row else VALKEY]
    for payload in SAMPLES[name]:
        opened = open_dump(build_dump(row, payload, version)).frame(0, b"k")
        assert opened.type is row
        assert opened.raw() == payload


def reordered(row: TypeRow, payload: bytes) -> bytes:
    """The payload with its elements the other way round."""
    w = window_over(payload)
    elements = deque[bytes]()
    for _ in range(w.u8()):
        start = w.pos
        for _ in range(row.element_strings):
            skip_string(w)
        w.skip(row.element_bytes)
        elements.appendleft(payload[start : w.pos])
    assert w.pos == w.end
    return payload[:1] + b"".join(elements)


@pytest.mark.parametrize("name", ["set", "hash", "zset2", "hash2"])
def test_the_order_of_elements_of_tables_does_not_matter(name: str) -> None:
    row = ROWS[name]
    for payload in SAMPLES[name]:
        other = reordered(row, payload)
        assert other != payload
        assert same_elements(row, payload, other)
        assert not same_elements(row, payload, other[:-1] + bytes((other[-1] ^ 1,)))


def test_the_order_of_elements_is_known_not_to_matter_for_these_types_only() -> None:
    assert {row.name for row in ROWS.values() if is_unordered(row)} == {"set", "hash", "zset2", "hash2"}


def test_dialects_share_what_came_before_they_parted() -> None:
    for row in TABLE[REDIS]:
        if row is not None and row.since <= 11:
            assert TABLE[VALKEY][row.byte] is row
