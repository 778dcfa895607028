"""JSON lines back into keys."""

from __future__ import annotations

import binascii
import json
from collections import deque
from typing import Any, Final, NoReturn, final

from mypy_extensions import i64

from rdbtool.basics.text import AUTO, MODES, from_text
from rdbtool.errors import FormatError, RdbToolError
from rdbtool.io.window import Window
from rdbtool.model import (
    NO_EXPIRY,
    Array,
    Consumer,
    Entry,
    Group,
    Hash,
    Id,
    Module,
    PathHash,
    Pending,
    SortedSet,
    Stream,
    Value,
)
from rdbtool.rdb.events import Event, Function, ModuleAux
from rdbtool.rdb.layout.facts import KEY_META, Losses
from rdbtool.rdb.layout.stream_node import key_of
from rdbtool.rdb.opcodes import DIALECT_NAMES
from rdbtool.rdb.values.idempotence import Idempotence

from .keys import EntryEvent, KeySource

SCHEMA: Final = 1
"""Version of the records; it changes when a reader of the old ones would misunderstand the new ones."""
U64: Final = 0xFFFF_FFFF_FFFF_FFFF
U64_DIGITS: Final = 20
I64: Final = 0x7FFF_FFFF_FFFF_FFFF
LAST_INDEX: Final = U64 - 1
"""Of an array."""

_LF: Final = b"\n"


class _BadRecordError(Exception):
    """What is wrong with a record, and the name of the field, "" for none."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@final
class JsonlSource(KeySource):
    """The keys of JSON lines, as `outputs.jsonl` writes them. Errors name line and column.

    ``mode``: how texts stand for bytes, where no header tells. ``losses``: what cannot be taken over.
    """

    def __init__(self, window: Window, mode: int = AUTO) -> None:
        super().__init__(window.path)
        self.window = window
        self.mode = mode
        self.line = 0
        self.losses = Losses("JSON lines")

    def next(self) -> Event | None:
        while True:
            offset = self.window.offset()
            line = self._line()
            if not line:
                return None
            self.line += 1
            if not line.strip():
                continue
            event = self._event(line, offset)
            if event is not None:
                return event

    def _line(self) -> bytes:
        """The next line with its end, b"" at the end of the input."""
        w = self.window
        looked: i64 = 0
        while True:
            end: i64 = w.data.find(_LF, w.pos + looked, w.end)
            if end >= 0:
                return w.take(end + 1 - w.pos)
            looked = w.end - w.pos
            want = 2 * looked + 4096
            if w.size >= 0:
                want = min(want, w.size - w.offset())
            w.need(want)
            if w.end - w.pos == looked:
                return w.take(looked)

    def _event(self, line: bytes, offset: int) -> Event | None:
        try:
            record = json.loads(line.rstrip(b"\r\n").decode(), object_pairs_hook=_object, parse_constant=_constant)
        except UnicodeDecodeError as e:
            raise self._error("not UTF-8", offset, e.start + 1) from None
        except json.JSONDecodeError as e:
            raise self._error(f"not JSON: {e.msg}", offset, e.colno) from None
        except _BadRecordError as e:
            raise self._error(e.message, offset, line.find(f'"{e.field}"'.encode()) + 1 if e.field else 1) from None
        except (RecursionError, ValueError) as e:
            raise self._error(f"not JSON: {e}", offset, 1) from None
        try:
            if not isinstance(record, dict):
                raise _BadRecordError("not an object")
            return self._record(record, offset)
        except _BadRecordError as e:
            column = line.find(f'"{e.field}"'.encode()) + 1 if e.field else 1
            raise self._error(e.message, offset, max(column, 1)) from None

    def _error(self, message: str, offset: int, column: int) -> FormatError:
        place = f"line {self.line}, column {column}"
        return FormatError(f"{place}: {message}", path=self.path, offset=offset, doing="reading JSON lines")

    def _record(self, record: dict[str, Any], offset: int) -> Event | None:
        if "rdbtool" in record:
            self._header(record)
            return None
        if record.get("schema", SCHEMA) != SCHEMA:
            raise _BadRecordError(f"records of version {record['schema']}; this program reads {SCHEMA}", "schema")
        if "function" in record:
            return Function(offset, self._bytes(record, "function"))
        if "module_aux" in record:
            name = record["module_aux"]
            if not isinstance(name, str) or len(name) != 9:
                raise _BadRecordError("not the name of a module type", "module_aux")
            return ModuleAux(offset, name, _integer(record, "when", 0, U64), _base64(record, "payload"))
        if "value" not in record:
            raise _BadRecordError("a record without a value", "key")
        if "meta" in record:
            self.losses.add(KEY_META)
        entry = Entry(
            _integer(record, "db", 0, 0x7FFF_FFFF),
            self._bytes(record, "key"),
            self._value(record),
            _integer(record, "expire_at_ms", -I64, I64, NO_EXPIRY),
            _integer(record, "idle_s", 0, I64, -1),
            _integer(record, "freq", 0, 255, -1),
        )
        return EntryEvent(entry, offset)

    def _header(self, record: dict[str, Any]) -> None:
        if record["rdbtool"] != SCHEMA:
            raise _BadRecordError(f"records of version {record['rdbtool']}; this program reads {SCHEMA}", "rdbtool")
        mode = record.get("bytes", "auto")
        if mode not in MODES:
            raise _BadRecordError(f"unknown way to write bytes {mode!r}", "bytes")
        self.mode = MODES.index(mode)
        dialect = record.get("dialect", "redis")
        if dialect not in DIALECT_NAMES:
            raise _BadRecordError(f"unknown dialect {dialect!r}", "dialect")
        self.facts.dialect = DIALECT_NAMES.index(dialect)
        self.facts.version = _integer(record, "version", 0, 9999, 0)
        aux = record.get("aux", {})
        if not isinstance(aux, dict):
            raise _BadRecordError("not an object", "aux")
        for name in aux:
            self.facts.aux[self._text(name, "aux")] = self._text(aux[name], "aux")

    def _text(self, text: object, field: str) -> bytes:
        if not isinstance(text, str):
            raise _BadRecordError(f"text expected, not {json.dumps(text)[:40]}", field)
        try:
            return from_text(text, self.mode)
        except ValueError as e:
            raise _BadRecordError(f"not {MODES[self.mode]} text: {e}", field) from None

    def _bytes(self, record: dict[str, Any], field: str) -> bytes:
        if field not in record:
            raise _BadRecordError(f"a record without {field!r}")
        return self._text(record[field], field)

    def _value(self, record: dict[str, Any]) -> Value:
        kind = record.get("type")
        value = record["value"]
        if kind == "string":
            return self._text(value, "value")
        if kind in {"list", "set"}:
            if not isinstance(value, list):
                raise _BadRecordError(f"a {kind} is an array", "value")
            items = [self._text(item, "value") for item in value]
            if kind == "list":
                return deque(items)
            members = dict.fromkeys(items)
            if len(members) != len(items):
                raise _BadRecordError("a member more than once", "value")
            return members
        if kind not in {"hash", "zset", "stream", "module", "array", "path-hash"}:
            raise _BadRecordError(f"unknown type {kind!r}", "type")
        if not isinstance(value, dict):
            raise _BadRecordError(f"a {kind} is an object", "value")
        if kind == "hash":
            return self._hash(value)
        if kind == "zset":
            return SortedSet({self._text(name, "value"): _score(score) for name, score in value.items()})
        if kind == "stream":
            return self._stream(value)
        if kind == "array":
            return self._indexed(value)
        if kind == "path-hash":
            return self._paths(value)
        name = value.get("name")
        if not isinstance(name, str) or len(name) != 9:
            raise _BadRecordError("not the name of a module type", "name")
        return Module(name, _integer(value, "version", 0, 1023), _base64(value, "payload"))

    def _hash(self, value: dict[str, Any]) -> Hash:
        fields: dict[bytes, bytes] = {}
        expiries: dict[bytes, int] = {}
        for name, item in value.items():
            field = self._text(name, "value")
            if isinstance(item, dict):
                expiries[field] = _integer(item, "expire_at_ms", 0, I64)
                item = item.get("value")
            fields[field] = self._text(item, "value")
        return Hash(fields, expiries or None)

    def _indexed(self, value: dict[str, Any]) -> Array:
        array = Array()
        for item in _array(value, "elements"):
            if not (isinstance(item, list) and len(item) == 2 and _is_integer(item[0], 0, LAST_INDEX)):
                raise _BadRecordError("an element is [index, text]", "elements")
            if item[0] in array.elements:
                raise _BadRecordError(f"index {item[0]} more than once", "elements")
            array.elements[item[0]] = self._text(item[1], "elements")
        if not array.elements:
            raise _BadRecordError("an array without elements", "elements")
        array.elements = dict(sorted(array.elements.items()))
        array.cursor = _integer(value, "cursor", 0, LAST_INDEX, -1)
        return array

    def _paths(self, value: dict[str, Any]) -> PathHash:
        paths: dict[bytes, dict[bytes, bytes]] = {}
        for name, fields in value.items():
            if not isinstance(fields, dict) or not fields:
                raise _BadRecordError("a path is an object with a field", "value")
            path = self._text(name, "value")
            paths[path] = {self._text(field, "value"): self._text(item, "value") for field, item in fields.items()}
        return PathHash(paths)

    def _stream(self, value: dict[str, Any]) -> Stream:
        stream = Stream()
        for item in _array(value, "entries"):
            if not (isinstance(item, list) and len(item) == 2 and isinstance(item[1], list) and len(item[1]) % 2 == 0):
                raise _BadRecordError("an entry is [id, [field, value, ...]]", "entries")
            stream.entries.append((_id(item[0], "entries"), [self._text(part, "entries") for part in item[1]]))
        stream.entries.sort(key=_first)
        last: Id = (0, 0)
        for at, (id_, _) in enumerate(stream.entries):
            if at and id_ == last:
                raise _BadRecordError(f"entry {id_[0]}-{id_[1]} more than once", "entries")
            last = id_
        stream.last_id = _id(value["last_id"], "last_id") if "last_id" in value else last
        if stream.last_id < last:
            raise _BadRecordError("the last id is before that of an entry", "last_id")
        if "max_deleted_id" in value:
            stream.max_deleted_id = _id(value["max_deleted_id"], "max_deleted_id")
        stream.entries_added = _integer(value, "entries_added", 0, U64, len(stream.entries))
        for item in _array(value, "groups"):
            if not isinstance(item, dict):
                raise _BadRecordError("a group is an object", "groups")
            name = self._bytes(item, "name")
            if name in stream.groups:
                raise _BadRecordError("a group more than once", "groups")
            stream.groups[name] = self._group(item)
        if "idempotence" in value:
            stream.idmp = _base64(value, "idempotence")
            try:
                Idempotence(stream.idmp)
            except RdbToolError as e:
                raise _BadRecordError(f"no state of idempotent producers: {e.message}", "idempotence") from None
        return stream

    def _group(self, value: dict[str, Any]) -> Group:
        group = Group(_id(value.get("last_id", "0-0"), "last_id"))
        if value.get("entries_read") is not None:
            group.entries_read = _integer(value, "entries_read", -1, I64)
        delivered: dict[bytes, Pending] = {}
        for item in _array(value, "pending"):
            if not (isinstance(item, list) and len(item) == 3 and all(_is_integer(n, 0, I64) for n in item[1:])):
                raise _BadRecordError("a pending entry is [id, delivered_ms, deliveries]", "pending")
            id_ = _id(item[0], "pending")
            delivered[key_of(id_)] = Pending(id_, b"", item[1], item[2])
        unowned = set(delivered)
        for item in _array(value, "consumers"):
            if not isinstance(item, dict):
                raise _BadRecordError("a consumer is an object", "consumers")
            name = self._bytes(item, "name")
            if name in group.consumers:
                raise _BadRecordError("a consumer more than once", "consumers")
            seen = -1 if item.get("seen_ms") is None else _integer(item, "seen_ms", -I64, I64)
            active = -1 if item.get("active_ms") is None else _integer(item, "active_ms", -I64, I64)
            group.consumers[name] = Consumer(seen, active)
            for text in _array(item, "pending"):
                key = key_of(_id(text, "pending"))
                if key not in unowned:
                    raise _BadRecordError(f"pending entry {text} that is not the group's, or has two owners", "pending")
                unowned.discard(key)
                delivered[key].consumer = name
        for text in _array(value, "released"):
            key = key_of(_id(text, "released"))
            if key not in unowned:
                raise _BadRecordError(f"released entry {text} that is not pending, or has an owner", "released")
            unowned.discard(key)
            delivered[key].is_released = True
            group.released.append(delivered[key].entry)
        for key in sorted(delivered):
            pending = delivered[key]
            if key in unowned:
                ms, seq = pending.entry
                raise _BadRecordError(f"pending entry {ms}-{seq} without a consumer", "pending")
            group.pending.append(pending)
        return group


def _first(entry: tuple[Id, list[bytes]]) -> Id:
    return entry[0]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _BadRecordError(f"{json.dumps(name)[:60]} more than once in an object", name)
            seen.add(name)
    return found


def _constant(name: str) -> NoReturn:
    raise _BadRecordError(f"{name} is not JSON")


def _is_integer(n: object, least: int, most: int) -> bool:
    # bool first: compiled, what is known to be an int is no longer told from one
    return not isinstance(n, bool) and isinstance(n, int) and least <= n <= most


def _integer(record: dict[str, Any], field: str, least: int, most: int, default: int | None = None) -> int:
    if default is not None and field not in record:
        return default
    n: object = record.get(field)
    if not _is_integer(n, least, most):
        raise _BadRecordError(f"{field}: an integer from {least} to {most} expected", field)
    assert isinstance(n, int)
    return n


def _array(record: dict[str, Any], field: str) -> list[Any]:
    found = record.get(field, [])
    if not isinstance(found, list):
        raise _BadRecordError(f"{field}: an array expected", field)
    return found


def _base64(record: dict[str, Any], field: str) -> bytes:
    text = record.get(field)
    if not isinstance(text, str):
        raise _BadRecordError(f"{field}: base64 expected", field)
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError as e:
        raise _BadRecordError(f"{field}: not base64: {e}", field) from None


def _score(score: object) -> float:
    if isinstance(score, str) and score in {"inf", "-inf"}:
        return float(score)
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise _BadRecordError('a score is a number, or "inf", "-inf"', "value")
    try:
        return float(score)
    except OverflowError:
        raise _BadRecordError("a score beyond what a double holds", "value") from None


def _id(text: object, field: str) -> Id:
    if isinstance(text, str):
        ms, _, seq = text.partition("-")
        if ms.isascii() and ms.isdigit() and seq.isascii() and seq.isdigit() and max(len(ms), len(seq)) <= U64_DIGITS:
            found = (int(ms), int(seq))
            if max(found) <= U64:
                return found
    raise _BadRecordError(f"not a stream id: {json.dumps(text)[:60]}", field)
