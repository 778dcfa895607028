"""JSON lines: the lossless exchange format. One record per line, read back by `inputs.jsonl`.

A key: ``db``, ``key``, ``type``, then ``expire_at_ms``, ``idle_s``, ``freq``, ``meta`` where it has them,
and ``value``:

| type | value |
|---|---|
| string | text |
| list, set | array of texts |
| hash | object: field -> value, or ``{"value": ..., "expire_at_ms": ...}`` where the field expires |
| zset | object: member -> score, a number, or ``"inf"``, ``"-inf"`` |
| stream | ``entries`` as XRANGE answers, ``[id, [field, value, ...]]``; ``last_id``, ``max_deleted_id``, \
``entries_added``; ``groups``, each with ``name``, ``last_id``, ``entries_read`` (null: not known), ``pending`` as \
``[id, delivered_ms, deliveries]``, and ``consumers`` with ``name``, ``seen_ms``, ``active_ms`` (null: never, or not \
known) and the ids that are ``pending``; ``idempotence``, base64, in files of Redis 8.6 |
| module | ``name``, ``version``, ``payload`` (base64, as in an RDB) |

Texts follow `basics.text`. Before the keys may stand a header, ``{"schema": 1, "rdbtool": 1, "bytes": mode, ...}``,
functions, ``{"function": code}``, and data of modules beside the keys, ``{"module_aux": name, ...}``.
"""

from __future__ import annotations

import json
from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.basics.decimals import write_decimal_text
from rdbtool.basics.text import BASE64, MODES, to_text
from rdbtool.basics.writing import write_id, write_integer
from rdbtool.inputs.jsonl import SCHEMA
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import FLUSH, Output
from rdbtool.model import NO_EXPIRY, Id
from rdbtool.rdb.events import ModuleAux
from rdbtool.rdb.layout.facts import Losses
from rdbtool.rdb.layout.visitor import ARRAY, HASH, KIND_NAMES, LIST, PATH_HASH, SET, STREAM, STRING, ZSET, Visitor
from rdbtool.rdb.opcodes import DIALECT_NAMES

from .exporter import KeyFacts, ValueExporter
from .json_text import write_number, write_string

_COMMA: Final = 44
_COLON: Final = 58
_QUOTE: Final = 34

_ONE: Final[i64] = 0
_ITEMS: Final[i64] = 1
_FIELD: Final[i64] = 2
_VALUE: Final[i64] = 3
_EXPIRING_VALUE: Final[i64] = 4
_INDEXED: Final[i64] = 5


@final
class JsonValues(Visitor):
    """Writes values as JSON."""

    def __init__(self, output: Output, mode: i64) -> None:
        self.output = output
        self.mode: i64 = mode
        self._kind: i64 = STRING
        self._state: i64 = _ONE
        self._first = True
        self._expiry: i64 = 0
        self._expires = False
        self._entries = False
        self._in_group = False
        self._in_consumer = False
        self._in_released = False
        self._groups = False

    def begin(self, kind: i64, expiring: bool) -> None:
        out = self.output.buffer
        self._kind = kind
        self._first = True
        self._expires = False
        if kind == STRING:
            self._state = _ONE
        elif kind in (LIST, SET):
            self._state = _ITEMS
            out.append(91)
        elif kind in (HASH, ZSET):
            self._state = _FIELD
            out.append(123)
        elif kind == STREAM:
            self._entries = False
            self._groups = False
            self._in_group = False
            self._in_consumer = False
            self._in_released = False
            out.write(b'{"entries":[')
        elif kind == ARRAY:
            self._entries = True
            out.write(b'{"elements":[')
        elif kind == PATH_HASH:
            self._entries = False
            out.append(123)

    def end(self) -> None:
        out = self.output.buffer
        kind = self._kind
        if kind in (LIST, SET):
            out.append(93)
        elif kind in (HASH, ZSET):
            out.append(125)
        elif kind == STREAM:
            self._close_groups(out)
            out.append(125)
        elif kind == ARRAY:
            out.write(b"]}" if self._entries else b"}")
        elif kind == PATH_HASH:
            out.write(b"}}" if self._entries else b"}")

    def text(self, data: bytes, start: i64, end: i64) -> None:
        o = self.output
        state = self._state
        if state in (_FIELD, _ITEMS):  # as `_before`, without a call for every string
            if self._first:
                self._first = False
            else:
                o.buffer.append(_COMMA)
        write_string(o, data, start, end, self.mode)
        self._after(o)

    def integer(self, n: i64) -> None:
        o = self.output
        self._before(o.buffer)
        if self.mode <= 1:
            out = o.buffer
            out.append(_QUOTE)
            write_integer(out, n)
            out.append(_QUOTE)
        else:
            data = b"%d" % n
            write_string(o, data, 0, len(data), self.mode)
        self._after(o)

    def _before(self, out: BytesWriter) -> None:
        state = self._state
        if state in (_ITEMS, _FIELD):
            if self._first:
                self._first = False
            else:
                out.append(_COMMA)

    def _after(self, o: Output) -> None:
        state = self._state
        if state == _FIELD:
            out = o.buffer
            out.append(_COLON)
            self._state = _VALUE
            if self._expires:
                out.write(b'{"value":')
                self._state = _EXPIRING_VALUE
        elif state == _VALUE:
            self._state = _FIELD
        elif state == _INDEXED:
            o.buffer.append(93)
        elif state == _EXPIRING_VALUE:
            out = o.buffer
            out.write(b',"expire_at_ms":')
            write_integer(out, self._expiry)
            out.append(125)
            self._expires = False
            self._state = _FIELD
        if len(o.buffer) >= FLUSH:  # a call for every element would cost more than what it looks at
            o.room()

    def score(self, x: float) -> None:
        write_number(self.output.buffer, x)
        self._state = _FIELD

    def score_integer(self, n: i64) -> None:
        if -9007199254740992 <= n <= 9007199254740992:
            write_integer(self.output.buffer, n)
            self._state = _FIELD
        else:
            self.score(float(n))

    def score_text(self, data: bytes, start: i64, end: i64) -> None:
        if write_decimal_text(self.output.buffer, data, start, end):
            self._state = _FIELD
        else:
            super().score_text(data, start, end)

    def expiry(self, ms: i64) -> None:
        self._expires = True
        self._expiry = ms

    def entry(self, ms: int, seq: int) -> None:
        out = self.output.buffer
        if self._entries:
            out.write(b"]],")
        self._entries = True
        out.append(91)
        _write_id(out, ms, seq)
        out.write(b",[")
        self._state = _ITEMS
        self._first = True

    def counters(self, last: Id, max_deleted: Id, added: int) -> None:
        out = self.output.buffer
        out.write(b']]],"last_id":' if self._entries else b'],"last_id":')
        _write_id(out, last[0], last[1])
        out.write(b',"max_deleted_id":')
        _write_id(out, max_deleted[0], max_deleted[1])
        out.write(b',"entries_added":%d,"groups":[' % added)

    def _close_group(self, out: BytesWriter) -> None:
        if self._in_released:
            out.append(93)
        elif self._in_consumer:
            out.write(b"]}")
        elif self._in_group:
            out.write(b'],"consumers":[')
        if self._in_group:
            out.write(b"}" if self._in_released else b"]}")
        self._in_released = False
        self._in_consumer = False
        self._in_group = False

    def _close_groups(self, out: BytesWriter) -> None:
        if not self._groups:
            self._close_group(out)
            out.append(93)
            self._groups = True

    def group(self, name: bytes, last: Id, entries_read: int) -> None:
        o = self.output
        if self._in_group:
            self._close_group(o.buffer)
            o.buffer.append(_COMMA)
        o.buffer.write(b'{"name":')
        write_string(o, name, 0, len(name), self.mode)
        out = o.buffer
        out.write(b',"last_id":')
        _write_id(out, last[0], last[1])
        out.write(b',"entries_read":null' if entries_read < 0 else b',"entries_read":%d' % entries_read)
        out.write(b',"pending":[')
        self._in_group = True
        self._first = True

    def pending(self, ms: int, seq: int, delivered_ms: int, deliveries: int) -> None:
        out = self.output.buffer
        if not self._first:
            out.append(_COMMA)
        self._first = False
        out.append(91)
        _write_id(out, ms, seq)
        out.write(b",%d,%d]" % (delivered_ms, deliveries))
        self.output.room()

    def consumer(self, name: bytes, seen_ms: int, active_ms: int) -> None:
        o = self.output
        o.buffer.write(b"]}," if self._in_consumer else b'],"consumers":[')
        self._in_consumer = True
        o.buffer.write(b'{"name":')
        write_string(o, name, 0, len(name), self.mode)
        out = o.buffer
        out.write(b',"seen_ms":null' if seen_ms == -1 else b',"seen_ms":%d' % seen_ms)
        out.write(b',"active_ms":null' if active_ms == -1 else b',"active_ms":%d' % active_ms)
        out.write(b',"pending":[')
        self._first = True

    def consumer_pending(self, ms: int, seq: int) -> None:
        out = self.output.buffer
        if not self._first:
            out.append(_COMMA)
        self._first = False
        _write_id(out, ms, seq)
        self.output.room()

    def released(self, ms: int, seq: int) -> None:
        out = self.output.buffer
        if self._in_released:
            out.append(_COMMA)
        else:
            out.write(b']}],"released":[' if self._in_consumer else b'],"consumers":[],"released":[')
        self._in_released = True
        _write_id(out, ms, seq)

    def index(self, index: int) -> None:
        self.output.buffer.write(b"[%d," % index if self._first else b",[%d," % index)
        self._first = False
        self._state = _INDEXED

    def last_insert(self, index: int) -> None:
        self.output.buffer.write(b'],"cursor":%d' % index)
        self._entries = False

    def path(self, name: bytes) -> None:
        o = self.output
        if self._entries:
            o.buffer.write(b"},")
        self._entries = True
        write_string(o, name, 0, len(name), self.mode)
        o.buffer.write(b":{")
        self._state = _FIELD
        self._first = True

    def idempotence(self, raw: bytes) -> None:
        out = self.output.buffer
        self._close_groups(out)
        out.write(b',"idempotence":')
        write_string(self.output, raw, 0, len(raw), BASE64)

    def module(self, name: str, version: int, payload: bytes) -> None:
        o = self.output
        o.buffer.write(b'{"name":"%b","version":%d,"payload":' % (name.encode(), version))
        write_string(o, payload, 0, len(payload), BASE64)
        o.buffer.append(125)


def _write_id(out: BytesWriter, ms: int, seq: int) -> None:
    out.append(_QUOTE)
    write_id(out, ms, seq)
    out.append(_QUOTE)


_FIRST: Final = b'{"schema":%d,' % SCHEMA
_TYPES: Final = [b',"type":"%b"' % name.encode() for name in KIND_NAMES]


@final
class JsonLines(ValueExporter):
    """One record per line. ``header``: the first one says where the keys come from."""

    def __init__(self, output: Output, losses: Losses, mode: i64, *, header: bool) -> None:
        super().__init__(output, losses, JsonValues(output, mode))
        self.mode: i64 = mode
        self.header = header
        self._numbered = header

    def begin(self, facts: Facts) -> None:
        if self.header:
            self.output.buffer.write(header_record(facts, self.mode) + b"\n")

    def resume(self, facts: Facts) -> None:
        self._numbered = True

    def follow(self, head: bytes, db: int) -> tuple[bytes, int]:
        if self._numbered:
            return b"", 0
        self._numbered = True
        return _FIRST, 1

    def head(self, k: KeyFacts) -> None:
        write_head(self.output, k, self.mode, numbered=not self._numbered)
        self.output.buffer.write(b',"value":')

    def tail(self, k: KeyFacts) -> None:
        self.output.buffer.write(b"}\n")
        self._numbered = True

    def broken(self) -> None:
        self.output.buffer.append(10)

    def function(self, code: bytes) -> None:
        write_function(self.output, code, self.mode, numbered=not self._numbered)
        self._numbered = True
        self.output.buffer.append(10)
        self.output.room()

    def module_aux(self, aux: ModuleAux) -> None:
        write_module_aux(self.output, aux, numbered=not self._numbered)
        self._numbered = True
        self.output.buffer.append(10)
        self.output.room()


def write_head(o: Output, k: KeyFacts, mode: i64, *, numbered: bool) -> None:
    """Write the facts of a key, from the brace on. ``numbered``: the record says which version of the records it is."""
    out = o.buffer
    if numbered:
        out.write(_FIRST)
        out.write(b'"db":')
    else:
        out.write(b'{"db":')
    write_integer(out, k.db)
    out.write(b',"key":')
    write_string(o, k.key, 0, len(k.key), mode)
    out = o.buffer
    out.write(_TYPES[k.kind])
    if k.expire_at_ms != NO_EXPIRY:
        out.write(b',"expire_at_ms":')
        write_integer(out, k.expire_at_ms)
    if k.idle_s >= 0:
        out.write(b',"idle_s":')
        write_integer(out, k.idle_s)
    if k.freq >= 0:
        out.write(b',"freq":')
        write_integer(out, k.freq)
    if k.meta:
        out.write(b',"meta":')
        write_string(o, k.meta, 0, len(k.meta), BASE64)


def write_function(o: Output, code: bytes, mode: i64, *, numbered: bool) -> None:
    """Write the record of a function library."""
    o.buffer.write(_FIRST if numbered else b"{")
    o.buffer.write(b'"function":')
    write_string(o, code, 0, len(code), mode)
    o.buffer.append(125)


def write_module_aux(o: Output, aux: ModuleAux, *, numbered: bool) -> None:
    """Write the record of a module's data beside the keys."""
    o.buffer.write(_FIRST if numbered else b"{")
    o.buffer.write(b'"module_aux":"%b","when":%d,"payload":' % (aux.module.encode(), aux.when))
    write_string(o, aux.raw, 0, len(aux.raw), BASE64)
    o.buffer.append(125)


def header_record(facts: Facts, mode: i64) -> bytes:
    """The record that says where the keys come from, without a line end."""
    record = {
        "schema": SCHEMA,
        "rdbtool": SCHEMA,
        "bytes": MODES[mode],
        "dialect": DIALECT_NAMES[facts.dialect],
        "version": facts.version,
        "aux": {to_text(name, mode).decode(): to_text(value, mode).decode() for name, value in facts.aux.items()},
    }
    text: str = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return text.encode()
