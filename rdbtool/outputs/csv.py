"""CSV, one row per element: ``db,key,type,expire_at_ms,position,field,value,field_expire_at_ms``.

``position``: a list's or array's index, a stream entry's id, a path. ``field``: of a hash, path or stream entry, or a
sorted set's member, whose score is the ``value``. Lines end in LF; cells are quoted where RFC 4180 asks for it. There
are rows for elements only: what else a stream has is left out, and so is a stream without entries.
"""

from __future__ import annotations

import re
from typing import Final, final

from librt.strings import BytesWriter, read_i64_le, write_i16_le, write_i64_le
from mypy_extensions import i16, i64, u8

from rdbtool.basics.decimals import double_at, write_decimal_text, write_double
from rdbtool.basics.text import AUTO, BASE64, UTF8, is_marked, to_text
from rdbtool.basics.writing import write_integer, write_lowest
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import FLUSH, LONG, Output
from rdbtool.model import NO_EXPIRY
from rdbtool.rdb.layout.facts import MODULE_VERSIONS, Losses
from rdbtool.rdb.layout.visitor import ARRAY, HASH, KIND_NAMES, LIST, PATH_HASH, STREAM, STRING, ZSET

from .exporter import KeyFacts, ValueExporter
from .rows import RowVisitor

HEADER: Final = b"db,key,type,expire_at_ms,position,field,value,field_expire_at_ms\n"

_COMMA: Final = 44
_QUOTE: Final = 34
_LF: Final = 10
_TYPES: Final = [b",%s," % name.encode() for name in KIND_NAMES]
"""The cell that names a type, by kind."""
_TWO_COMMAS: Final[i16] = 0x2C2C
_COMMA_LF: Final[i16] = 0x0A2C
_FORMULA: Final = (b"=", b"+", b"-", b"@", b"\t", b"\r")
_NUMBER: Final = re.compile(rb"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_TO_QUOTE: Final = re.compile(rb'[,"\r\n]')

_ONES: Final[i64] = 0x0101010101010101
_SPACES: Final[i64] = 0x2020202020202020
_QUOTES: Final[i64] = 0x2222222222222222
_COMMAS: Final[i64] = 0x2C2C2C2C2C2C2C2C


def write_cell(out: BytesWriter, data: bytes, start: i64, end: i64, mode: i64) -> None:
    """Write ``data[start:end]`` as a cell."""
    if mode == AUTO and _write_simple(out, data, start, end):
        return
    text = to_text(data[start:end], mode)
    if _TO_QUOTE.search(text):
        out.append(_QUOTE)
        out.write(text.replace(b'"', b'""'))
        out.append(_QUOTE)
    else:
        out.write(text)


def write_safe_cell(out: BytesWriter, data: bytes, start: i64, end: i64, mode: i64) -> None:
    """`write_cell` of what no spreadsheet takes for a formula: a quote stands before what would be one."""
    text = _unformulated(to_text(data[start:end], mode))
    write_cell(out, text, 0, len(text), UTF8)


def _unformulated(text: bytes) -> bytes:
    return b"'" + text if text[:1] in _FORMULA and not _NUMBER.fullmatch(text) else text


def _write_simple(out: BytesWriter, data: bytes, pos: i64, end: i64) -> bool:
    """Write printable ASCII that needs no quotes and no mark; False, and nothing is written, for anything else."""
    if is_marked(data, pos, end):
        return False
    mark: i64 = len(out)
    while end - pos >= 8:
        word = read_i64_le(data, pos)
        if not _is_simple(word):
            out.truncate(mark)
            return False
        write_i64_le(out, word)
        pos += 8
    left = end - pos
    if left > 0 and end >= 8:
        word = read_i64_le(data, end - 8) >> 8 * (8 - left)
        if not _is_simple(word | _SPACES << 8 * left):
            out.truncate(mark)
            return False
        write_lowest(out, word, left)
        return True
    while pos < end:
        c: i64 = data[pos]
        if c < 32 or c > 126 or c in (_QUOTE, _COMMA):
            out.truncate(mark)
            return False
        out.append(u8(c))
        pos += 1
    return True


def _is_simple(word: i64) -> bool:
    """Whether each of eight bytes is ASCII, at least a space, no quote and no comma: no term may have the highest bit
    of any byte set.
    """
    return (word | (word - _SPACES) | ((word ^ _QUOTES) - _ONES) | ((word ^ _COMMAS) - _ONES)) >> 7 & _ONES == 0


@final
class CsvRows(RowVisitor):
    """Writes values as rows that begin with ``prefix``; the one row of a string has begun already."""

    def __init__(self, output: Output, losses: Losses, mode: i64, *, safe: bool = False) -> None:
        super().__init__(losses, mode)
        self.output = output
        self.safe = safe
        self.prefix = b""
        self._is_quick = mode == AUTO and not safe
        """Whether simple text is a cell as it stands."""
        self._index: i64 = 0
        self._paired = False
        """Whether a row has a field, and then a value."""
        self._has_field = False
        self._expiry: i64 = 0
        self._expires = False

    def begin(self, kind: i64, expiring: bool) -> None:
        super().begin(kind, expiring)
        self._index = 0
        self._paired = kind in (HASH, ZSET, STREAM, PATH_HASH)
        self._has_field = False
        self._expires = False

    def text(self, data: bytes, start: i64, end: i64) -> None:
        self._begin_cell()
        if self._is_quick and end - start < LONG and _write_simple(self.output.buffer, data, start, end):
            self._end_cell()
            return
        self._cell(data, start, end)
        self._end_cell()

    def integer(self, n: i64) -> None:
        if self.mode > UTF8:
            data = b"%d" % n
            self.text(data, 0, len(data))
            return
        self._begin_cell()
        write_integer(self.output.buffer, n)
        self._end_cell()

    def _begin_cell(self) -> None:
        """Write what stands before the next string: a comma, or the beginning of its row."""
        out = self.output.buffer
        if self._has_field:
            out.append(_COMMA)
            return
        kind = self._kind
        if kind != STRING:
            out.write(self.prefix)
        if kind == LIST:
            write_integer(out, self._index)
            self._index += 1
        elif kind in (STREAM, ARRAY, PATH_HASH):
            out.write(self._place)
        if self._paired:
            out.append(_COMMA)
        else:
            write_i16_le(out, _TWO_COMMAS)

    def _end_cell(self) -> None:
        """Write what stands behind a string: the end of its row, unless it is a field."""
        if self._paired and not self._has_field:
            self._has_field = True
            return
        self._has_field = False
        self._end_row(self.output.buffer)

    def _cell(self, data: bytes, start: i64, end: i64) -> None:
        if end - start >= LONG:
            self._long_cell(data[start:end])
        elif self.safe:
            write_safe_cell(self.output.buffer, data, start, end, self.mode)
        else:
            write_cell(self.output.buffer, data, start, end, self.mode)

    def _long_cell(self, data: bytes) -> None:
        """Write a cell that is copied as little as possible."""
        text = _unformulated(to_text(data, self.mode)) if self.safe else to_text(data, self.mode)
        del data
        quote = b'"' if _TO_QUOTE.search(text) else b""
        self.output.buffer.write(quote)
        if quote:
            text = text.replace(b'"', b'""')
        self.output.write_long(text, 0, len(text))
        self.output.buffer.write(quote)

    def _end_row(self, out: BytesWriter) -> None:
        if self._expires:
            self._expires = False
            out.append(_COMMA)
            write_integer(out, self._expiry)
            out.append(_LF)
        else:
            write_i16_le(out, _COMMA_LF)
        if len(out) >= FLUSH:
            self.output.room()

    def score(self, x: float) -> None:
        out = self.output.buffer
        out.append(_COMMA)
        write_double(out, x)
        self._has_field = False
        self._end_row(out)

    def score_integer(self, n: i64) -> None:
        if -9007199254740992 < n < 9007199254740992:
            out = self.output.buffer
            out.append(_COMMA)
            write_integer(out, n)
            self._has_field = False
            self._end_row(out)
        else:
            self.score(float(n))

    def score_text(self, data: bytes, start: i64, end: i64) -> None:
        out = self.output.buffer
        out.append(_COMMA)
        if write_decimal_text(out, data, start, end):
            self._has_field = False
            self._end_row(out)
        else:
            out.truncate(len(out) - 1)
            self.score(double_at(data, start, end))

    def expiry(self, ms: i64) -> None:
        self._expires = True
        self._expiry = ms

    def index(self, index: int) -> None:
        self._place = b"%d" % index

    def path(self, name: bytes) -> None:
        self._entries += 1
        cell = BytesWriter()
        if self.safe:
            write_safe_cell(cell, name, 0, len(name), self.mode)
        else:
            write_cell(cell, name, 0, len(name), self.mode)
        self._place = cell.getvalue()

    def module(self, name: str, version: int, payload: bytes) -> None:
        out = self.output.buffer
        out.write(self.prefix)
        out.append(_COMMA)
        write_cell(out, name.encode(), 0, len(name), AUTO)
        out.append(_COMMA)
        if self.safe:
            write_safe_cell(out, payload, 0, len(payload), BASE64)
        else:
            write_cell(out, payload, 0, len(payload), BASE64)
        self._end_row(out)
        self.left_out(MODULE_VERSIONS)


@final
class Csv(ValueExporter):
    """One row per element."""

    def __init__(self, output: Output, losses: Losses, mode: i64, *, safe: bool = False) -> None:
        self.rows = CsvRows(output, losses, mode, safe=safe)
        self.safe = safe
        super().__init__(output, losses, self.rows)
        self.mode: i64 = mode
        self._prefix = BytesWriter()

    def begin(self, facts: Facts) -> None:
        self.output.buffer.write(HEADER)

    def resume(self, facts: Facts) -> None:
        pass  # the header is there

    def head(self, k: KeyFacts) -> None:
        if k.kind == STRING:  # a single row
            self._begin_row(self.output.buffer, k)
            return
        prefix = self._prefix
        prefix.truncate(0)
        self._begin_row(prefix, k)
        self.rows.prefix = prefix.getvalue()

    def _begin_row(self, out: BytesWriter, k: KeyFacts) -> None:
        """Write what all rows of a key begin with."""
        write_integer(out, k.db)
        out.append(_COMMA)
        if self.safe:
            write_safe_cell(out, k.key, 0, len(k.key), self.mode)
        else:
            write_cell(out, k.key, 0, len(k.key), self.mode)
        out.write(_TYPES[k.kind])
        if k.expire_at_ms != NO_EXPIRY:
            write_integer(out, k.expire_at_ms)
        out.append(_COMMA)
