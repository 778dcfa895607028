"""What the JSON beside a file says, and the same facts of decoded values, in one form to compare."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rdbtool.basics.numbers import format_double
from rdbtool.io.source import open_input
from rdbtool.model import Array, Hash, Id, Module, PathHash, SortedSet, Stream, Value, type_name
from rdbtool.rdb.events import Function, FunctionPreGa
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from tests.rdb.corpus import written_files


def corpus_files() -> list[Path]:
    """Every RDB file with its JSON, once: from the corpus where it is, else from the fixtures."""
    files = {f"{path.parent.name}/{path.name}": path for path in written_files()}
    return [path for path in files.values() if _has_json(path)]


def _has_json(path: Path) -> bool:
    return any(path.with_name(name + ".expected.json").exists() for name in (path.name, path.stem))


def label(path: Path) -> str:
    """A short name for a test's parameter."""
    return f"{path.parent.name}/{path.stem}"


def shown(data: bytes) -> Any:
    """Bytes as the JSON shows them."""
    if len(data) > 1024:
        return {"len": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return "".join(chr(b) if 32 <= b < 127 and b != 92 else "\\\\" if b == 92 else f"\\x{b:02x}" for b in data)


def unshown(text: str) -> bytes:
    """The bytes that a text of the JSON shows."""
    raw = text.encode("latin-1")
    return re.sub(rb"\\(\\|x[0-9a-f]{2})", lambda m: b"\\" if m[1] == b"\\" else bytes((int(m[1][1:], 16),)), raw)


def id_text(entry: Id) -> str:
    return f"{entry[0]}-{entry[1]}"


def value_as_json(value: Value, *, digits17: bool) -> Any:
    """The ``value`` member that the JSON would have."""
    if isinstance(value, bytes):
        return shown(value)
    if isinstance(value, deque):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return [shown(item) for item in sorted(value)]
    if isinstance(value, Hash):
        return [[shown(f), shown(v)] for f, v in sorted(value.fields.items())]
    if isinstance(value, SortedSet):
        ordered = sorted(value.scores.items(), key=lambda pair: (pair[1], pair[0]))
        return [[shown(m), format_double(s, digits17=digits17).decode()] for m, s in ordered]
    if isinstance(value, Array):
        return [[index, shown(item)] for index, item in value.elements.items()]
    if isinstance(value, PathHash):
        paths = sorted(value.paths.items())
        return [[shown(path), [[shown(f), shown(v)] for f, v in sorted(fields.items())]] for path, fields in paths]
    assert isinstance(value, Stream)
    return [[id_text(i), [shown(x) for x in pairs]] for i, pairs in value.entries]


def frames(path: Path) -> Iterator[Frame]:
    with open_input(str(path)) as source:
        for event in RdbReader(source.window()):
            if isinstance(event, Frame):
                yield event


def functions(path: Path) -> list[bytes]:
    """The source code of a file's libraries."""
    with open_input(str(path)) as source:
        events = RdbReader(source.window())
        return [event.code for event in events if isinstance(event, (Function, FunctionPreGa))]


def prints_17_digits(server: str) -> bool:
    """Whether that server prints scores with 17 digits."""
    found = re.search(r"redis-(\d+)\.(\d+)", server)
    return found is not None and (int(found[1]), int(found[2])) < (7, 2)


def plain(value: Value) -> object:
    """A value as something that compares and shows, with the order of its elements."""
    if isinstance(value, dict):
        return list(value)
    if isinstance(value, Hash):
        return [*value.fields.items()], value.expiries
    if isinstance(value, SortedSet):
        return [(m, repr(s)) for m, s in value.scores.items()]
    if isinstance(value, Module):
        return value.name, value.version, value.payload
    if isinstance(value, Array):
        return [*value.elements.items()], value.cursor
    if isinstance(value, PathHash):
        return [(path, [*fields.items()]) for path, fields in value.paths.items()]
    if isinstance(value, Stream):
        counters = (value.last_id, value.max_deleted_id, value.entries_added, value.idmp)
        groups = [
            (
                name,
                (group.last_id, group.entries_read),
                [(c, x.seen_ms, x.active_ms) for c, x in group.consumers.items()],
                [(p.entry, p.consumer, p.delivered_ms, p.deliveries) for p in group.pending],
            )
            for name, group in value.groups.items()
        ]
        return value.entries, counters, groups
    return value


def unsigned_zero(value: Value) -> Value:
    """What a server makes of a sorted set that it packs while loading: zero loses its sign."""
    if isinstance(value, SortedSet):
        return SortedSet({m: s + 0.0 for m, s in value.scores.items()})
    return value


def differences(key: dict[str, Any], value: Value, *, digits17: bool) -> list[str]:
    """What a decoded value and the JSON of its key do not agree on."""
    out = []

    def compare(what: str, ours: object, theirs: object) -> None:
        if ours != theirs:
            out.append(f"{key['key']} {what}: {str(ours)[:300]} != {str(theirs)[:300]}")

    if isinstance(value, Module):
        compare("type", value.name, key["type"])
        return out
    compare("type", type_name(value), key["type"])
    expected = key["value"]
    if isinstance(value, SortedSet):
        expected = [x[:2] for x in expected]
    compare("value", value_as_json(value, digits17=digits17), expected)
    if isinstance(value, Hash):
        ours = {shown(f): t for f, t in sorted((value.expiries or {}).items())}
        theirs = {f: t for f, t in (key.get("field_pexpiretime") or {}).items() if t >= 0}
        compare("field expiries", ours, theirs)
    if isinstance(value, Array):
        length = max(value.elements) + 1
        ours = {"count": len(value.elements), "len": length, "next_insert_index": value.cursor + 1}
        compare("array", ours, key["array"])
    if isinstance(value, Stream):
        out += stream_differences(key, value)
    return out


def stream_differences(key: dict[str, Any], value: Stream) -> list[str]:
    """The same for what a stream has beside its entries."""
    ours: dict[str, Any] = {
        "length": len(value.entries),
        "last-generated-id": id_text(value.last_id),
        "max-deleted-entry-id": id_text(value.max_deleted_id),
        "entries-added": value.entries_added,
        "recorded-first-entry-id": id_text(value.entries[0][0] if value.entries else (0, 0)),
        "groups": len(value.groups),
    }
    facts = key.get("stream") or {}
    out = [f"{key['key']} {k}: {ours[k]} != {facts[k]}" for k in ours.keys() & facts.keys() if ours[k] != facts[k]]
    groups = []
    for name, group in sorted(value.groups.items()):
        owned = [p.consumer for p in group.pending]
        groups.append(
            {
                "name": shown(name),
                "last-delivered-id": id_text(group.last_id),
                "entries-read": None if group.entries_read < 0 else group.entries_read,
                "consumers_list": [{"name": shown(c), "pending": owned.count(c)} for c in sorted(group.consumers)],
                "pel": [[id_text(p.entry), shown(p.consumer), "deliveries", p.deliveries] for p in group.pending],
            }
        )
    theirs = key.get("groups") or []
    if len(theirs) != len(groups):
        out.append(f"{key['key']}: {len(groups)} groups != {len(theirs)}")
    for mine, other in zip(groups, theirs, strict=False):
        out += [f"{key['key']} {k}: {mine[k]} != {other[k]}" for k in mine.keys() & other.keys() if mine[k] != other[k]]
    for mine, other in zip(groups, key.get("groups_full") or [], strict=False):
        group = value.groups[unshown(other["name"])]
        times = [
            [id_text(p.entry), shown(p.consumer), "delivery_time_ms", p.delivered_ms, "deliveries", p.deliveries]
            for p in group.pending
        ]
        if times != other["pel"]:
            out.append(f"{key['key']} {mine['name']}: {times} != {other['pel']}")
        for consumer in other["consumers"]:
            seen = group.consumers[unshown(consumer["name"])]
            if "seen-time" in consumer and seen.seen_ms != consumer["seen-time"]:
                out.append(f"{key['key']} {consumer}: seen {seen.seen_ms}")
            if "active-time" in consumer and seen.active_ms not in {consumer["active-time"], -1}:
                out.append(f"{key['key']} {consumer}: active {seen.active_ms}")
    return out
