"""Inputs that hold every fact of `rdb.facts`, and which facts something that was read holds."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from librt.strings import BytesWriter

from rdbtool.inputs.keys import EntryEvent, KeySource, RdbSource
from rdbtool.inputs.opening import open_keys
from rdbtool.io.window import window_over
from rdbtool.model import NO_PRODUCERS, Array, Consumer, Entry, Group, Hash, Module, PathHash, Pending, Stream, Value
from rdbtool.rdb.events import Event, Function, FunctionPreGa, ModuleAux, SlotImport
from rdbtool.rdb.frame import Frame, frame_of
from rdbtool.rdb.layout import facts
from rdbtool.rdb.layout.encoders import put_u64
from rdbtool.rdb.layout.modules import module_id
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.targets import target
from tests.outputs.collected import Collected, entries_of
from tests.rdb.corpus import FIXTURES

FAR = 4102444800000
SEEN = 1_700_000_000_111
ACTIVE = 1_700_000_000_222
DELIVERED = 1_700_000_000_333
MODULE = "hellotype"
MODULE_DATA = b"\x02\x05\x05\x03abc\x00"
META = b"\x01" + b"spec" + b"\x02\x07\x00"
PRODUCERS = FIXTURES / "redis-8.6.2" / "producers.rdb"


def stream() -> Stream:
    """A stream with a group, two pending entries, of one of which the entry is gone, and counters."""
    value = Stream()
    value.entries = [((5, 1), [b"f", b"v"]), ((5, 3), [b"f", b"w"])]
    value.last_id = (5, 9)
    value.max_deleted_id = (5, 2)
    value.entries_added = 7
    group = Group((5, 2), 2)
    group.consumers[b"c"] = Consumer(SEEN, ACTIVE)
    group.pending = [
        Pending((5, 1), b"c", DELIVERED, 2),
        Pending((5, 2), b"c", DELIVERED, 1),
        Pending((5, 3), b"", 0, 1, is_released=True),
    ]
    group.released = [(5, 3)]
    value.groups[b"g"] = group
    return value


def with_producers() -> Stream:
    """A stream with the state of idempotent producers, as Redis 8.6 wrote it."""
    for entry in entries_of(PRODUCERS):
        if isinstance(entry.value, Stream) and entry.key == b"set":
            return entry.value
    raise AssertionError


def module_aux() -> ModuleAux:
    """Data of a module beside the keys."""
    raw = BytesWriter()
    put_u64(raw, module_id(MODULE, 3))
    raw.write(b"\x02\x01\x05\x01x\x00")
    return ModuleAux(-1, MODULE, 1, raw.getvalue())


def snapshot(release: str) -> bytes:
    """An RDB for that release, of all that it can hold."""
    sink = Collected()
    to = target(release)
    writer = open_rdb_writer(sink, to)
    writer.aux(b"my-aux", b"1")
    writer.function(b"#!lua name=lib\nredis.register_function('f', function() end)")
    writer.event(module_aux())
    writer.event(SlotImport(-1, b"j" * 40, [(0, 5)]))
    values: dict[bytes, Value] = {
        b"empty": Stream(),
        b"hash": Hash({b"f": b"v", b"g": b"w"}, {b"f": FAR}),
        b"stream": stream(),
        b"array": Array({0: b"a", 9: b"b"}, 4),
        b"paths": PathHash({b"a/b": {b"f": b"v"}}),
        b"no paths": PathHash(),
    }
    values |= {b"module": Module(MODULE, 3, MODULE_DATA), b"producers": with_producers()}
    for key, value in values.items():
        writer.entry(Entry(0, key, value))
    writer.entry(Entry(0, b"idle", b"v", idle_s=54))
    writer.entry(Entry(0, b"used", b"v", freq=7))
    frame = frame_of(0, b"tagged", to.row("string"), b"\x01v")
    frame.meta = META
    writer.frame(frame)
    writer.close()
    return sink.getvalue()


def read(path: Path, release: str) -> set[str]:
    """The facts in a file, whatever it is but CSV, read as that release would."""
    with open_keys(str(path), to=target(release)) as opened:
        return held(opened.source)


def held(source: KeySource) -> set[str]:
    """The facts that come from a source of keys."""
    found: set[str] = set()
    while (event := source.next()) is not None:
        found |= _of_event(event)
    if b"my-aux" in source.facts.aux:
        found.add(facts.AUX)
    return found


def _of_event(event: Event) -> set[str]:
    if isinstance(event, Function | FunctionPreGa):
        return {facts.FUNCTIONS}
    if isinstance(event, ModuleAux):
        return {facts.MODULE_AUX}
    if isinstance(event, SlotImport):
        return {facts.SLOT_IMPORTS}
    if isinstance(event, Frame):
        found = {facts.KEY_META} if event.meta else set()
        entry = Entry(event.db, event.key, event.value(), event.expire_at_ms, event.idle_s, event.freq)
    elif isinstance(event, EntryEvent):
        found = set()
        entry = event.entry
    else:
        return set()
    if entry.idle_s == 54 or entry.freq == 7:
        found.add(facts.ACCESS_TIMES)
    value = entry.value
    if isinstance(value, Hash) and value.expiries == {b"f": FAR}:
        found.add(facts.FIELD_EXPIRIES)
    elif isinstance(value, Module):
        found |= {facts.MODULE_VALUES, *([facts.MODULE_VERSIONS] if value.version == 3 else [])}
    elif isinstance(value, Stream):
        found |= _of_stream(value)
    elif isinstance(value, Array):
        found |= {facts.ARRAYS, *([facts.ARRAY_CURSORS] if value.cursor == 4 else [])}
    elif isinstance(value, PathHash):
        found.add(facts.PATH_HASHES if value.paths else facts.EMPTY_PATH_HASHES)
    return found


def _of_stream(value: Stream) -> set[str]:
    found = {facts.STREAMS if value.entries else facts.EMPTY_STREAMS}
    if value.max_deleted_id == (5, 2) and value.entries_added == 7:
        found.add(facts.STREAM_COUNTERS)
    if value.idmp not in {b"", NO_PRODUCERS}:
        found.add(facts.IDEMPOTENCE)
    for group in value.groups.values():
        found |= {facts.GROUPS, *([facts.RELEASED] if group.released else [])}
        for consumer in group.consumers.values():
            found.add(facts.CONSUMERS)
            if consumer.seen_ms == SEEN:
                found.add(facts.SEEN_TIMES)
            if consumer.active_ms == ACTIVE:
                found.add(facts.ACTIVE_TIMES)
        for pending in group.pending:
            if pending.delivered_ms == DELIVERED:
                found.add(facts.PENDING)
            if pending.consumer == b"c":
                found.add(facts.PENDING_OWNERS)
            if pending.entry not in [entry for entry, _ in value.entries]:
                found.add(facts.DELETED_PENDING)
    return found


def in_rows(lines: Iterable[str]) -> set[str]:
    """The facts in CSV, whose columns have room for these only."""
    found: set[str] = set()
    for row in csv.DictReader(lines, strict=True):
        if row["type"] == "hash" and row["field_expire_at_ms"] == str(FAR):
            found.add(facts.FIELD_EXPIRIES)
        if row["type"] == "stream" and row["position"]:
            found.add(facts.STREAMS)
        if row["type"] == "array" and row["position"]:
            found.add(facts.ARRAYS)
        if row["type"] == "path-hash" and row["position"] and row["value"]:
            found.add(facts.PATH_HASHES)
        if row["type"] == "module" and row["value"]:
            found.add(facts.MODULE_VALUES)
    return found


def in_snapshot(data: bytes) -> set[str]:
    """The facts in an RDB, read frame by frame."""
    return held(RdbSource(window_over(data)))
