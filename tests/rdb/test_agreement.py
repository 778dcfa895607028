"""Skipping, verifying, visiting and decoding are told of one payload, and agree on it: sound, edged or damaged.

These are the four ways through the layout of a type. Where two loops walk the same bytes, because one would be slower,
this is the test that drives both.
"""

from __future__ import annotations

import random

import pytest

from rdbtool.errors import RdbToolError, UnsupportedError
from rdbtool.findings import Findings, Severity
from rdbtool.io.window import window_over
from rdbtool.model import Value
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.visit import Visit
from rdbtool.rdb.layout.visitor import visit_value
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.types import TABLE, TypeRow
from tests.rdb.mutation import ROWS, SAMPLES, damaged, edged, flipped, records_by_type
from tests.rdb.recorder import Recorder

SEED = 20261127
PER_RECORD = 150


def passed(row: TypeRow, payload: bytes) -> int:
    """How many bytes a skip passes; -1 if it raises."""
    w = window_over(payload)
    try:
        row.skip(w)
    except RdbToolError:
        return -1
    return w.pos


def told(row: TypeRow, payload: bytes) -> tuple[int, list[tuple[object, ...]], RdbToolError | None]:
    """How many bytes a visit passes, -1 if it raises; what it tells; and the damage it finds."""
    w = window_over(payload)
    recorder = Recorder()
    visit = Visit(recorder)
    visit.begin(w)
    recorder.begin(row.kind, row.expires(w))
    assert w.pos == 0
    try:
        row.visit(visit)
    except RdbToolError as e:
        return -1, recorder.calls, e
    return w.pos, recorder.calls, visit.damage


def decoded(row: TypeRow, payload: bytes) -> tuple[int, Value | None, RdbToolError | None]:
    """How many bytes a decoder passes; the value, or the error."""
    w = window_over(payload)
    try:
        value = row.value(w)
    except RdbToolError as e:
        return -1, None, e
    return w.pos, value, None


def check(row: TypeRow, payload: bytes) -> bool:
    """See that all four agree; answers whether the payload is sound."""
    what = f"{row.name} {payload.hex()}"
    end = passed(row, payload)
    findings = Findings()
    w = window_over(payload)
    try:
        row.verify(w, Inspection(findings))
    except RdbToolError:
        w.pos = -1
    assert w.pos == end, f"verify passes {w.pos} bytes, skip {end}: {what}"
    visited, calls, damage = told(row, payload)
    assert visited == end, f"visit passes {visited} bytes, skip {end}: {what} {damage}"
    at, value, error = decoded(row, payload)
    if end < 0:
        assert error is not None, f"decode gives a value, skip none: {what}"
        return False
    sound = not findings.items
    assert sound or findings.worst is not Severity.NOTE, what
    if error is None:
        assert at == end, f"decode passes {at} bytes, skip {end}: {what}"
    else:
        assert not sound or isinstance(error, UnsupportedError), f"decode says '{error.message}', verify none: {what}"
    assert damage is None or not sound or isinstance(damage, UnsupportedError), (
        f"visit says '{damage}', verify none: {what}"
    )
    if value is not None and damage is None:
        recorder = Recorder()
        visit_value(value, recorder)
        assert recorder.comparable() == Recorder.of(calls).comparable(), what
    return sound


@pytest.mark.parametrize("name", ROWS)
def test_there_are_payloads_of_each_type_and_they_are_sound(name: str) -> None:
    for payload in SAMPLES[name]:
        assert check(ROWS[name], payload) == (name != "module-pre-ga"), payload.hex()


@pytest.mark.parametrize("name", ROWS)
def test_what_is_cut_off_is_missed_by_all(name: str) -> None:
    for payload in SAMPLES[name]:
        for size in range(len(payload)):
            assert passed(ROWS[name], payload[:size]) == -1
            check(ROWS[name], payload[:size])


@pytest.mark.parametrize("name", ROWS)
def test_all_agree_on_each_changed_byte(name: str) -> None:
    for payload in SAMPLES[name]:
        for changed in flipped(payload):
            check(ROWS[name], changed)


@pytest.mark.slow  # tens of thousands of values; those of changed bytes are checked all the same
@pytest.mark.parametrize("name", ROWS)
def test_all_agree_on_the_edges_of_each_number(name: str) -> None:
    """Times, counts, ids and lengths: none has a limit in one walk that it has not in the others."""
    for payload in SAMPLES[name]:
        for changed in edged(payload):
            check(ROWS[name], changed)


@pytest.mark.parametrize("name", ROWS)
def test_all_agree_on_random_damage(name: str) -> None:
    print("seed", SEED)
    rng = random.Random(f"{SEED} {name}")
    for payload in SAMPLES[name]:
        for _ in range(PER_RECORD):
            check(ROWS[name], damaged(rng, payload, 0))


RECORDS = records_by_type()


@pytest.mark.parametrize("name", RECORDS)
def test_all_agree_on_damage_to_what_servers_wrote(name: str) -> None:
    print("seed", SEED)
    rng = random.Random(f"{SEED} {name}")
    frames = [event for event in RdbReader(window_over(RECORDS[name])) if isinstance(event, Frame) and event.raw()]
    row, payload = frames[0].type, frames[0].raw()
    assert check(row, payload)
    for _ in range(PER_RECORD):
        check(row, damaged(rng, payload, 0))


def test_the_samples_are_of_types_that_there_are() -> None:
    assert SAMPLES.keys() == {row.name for rows in TABLE for row in rows if row is not None}
