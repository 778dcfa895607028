"""Measured keys as lines of text, one by one: CSV with the columns of redis-rdb-tools, and JSON lines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, final

from mypy_extensions import i64

from rdbtool.analysis.collecting import KeyRows
from rdbtool.analysis.tallies import MeasuredKey
from rdbtool.basics.writing import write_integer
from rdbtool.io.output import Output
from rdbtool.model import NO_EXPIRY

from .csv import write_cell, write_safe_cell
from .json_text import write_string

CSV_HEADER: Final = b"database,type,key,size_in_bytes,encoding,num_elements,len_largest_element,expiry\n"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@final
class CsvRows(KeyRows):
    """CSV; a time as redis-rdb-tools writes it, in UTC. ``safe``: no cell is a formula."""

    def __init__(self, output: Output, mode: i64, *, safe: bool = False) -> None:
        super().__init__(output, mode)
        self.safe = safe

    @property
    def maker(self) -> Callable[[Output], KeyRows]:
        return partial(CsvRows, mode=self.mode, safe=self.safe)

    def begin(self) -> None:
        self.output.buffer.write(CSV_HEADER)

    def write(self, key: MeasuredKey) -> None:
        out = self.output.buffer
        write_integer(out, key.db)
        out.write(b",%b," % key.type.encode())
        if self.safe:
            write_safe_cell(out, key.key, 0, len(key.key), self.mode)
        else:
            write_cell(out, key.key, 0, len(key.key), self.mode)
        out.append(44)
        write_integer(out, key.bytes)
        out.write(b",%b," % key.encoding.encode())
        write_integer(out, key.elements)
        out.append(44)
        if key.largest >= 0:
            write_integer(out, key.largest)
        out.append(44)
        if key.expire_at_ms != NO_EXPIRY:
            out.write(time_cell(key.expire_at_ms))
        out.append(10)
        self.output.room()


def time_cell(ms: int) -> bytes:
    """A time as ``2026-01-01T00:00:00.000000``; ms where no calendar reaches."""
    try:
        return (_EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.%f").encode()
    except (OverflowError, ValueError):
        return b"%d" % ms


@final
class JsonRows(KeyRows):
    """JSON lines, each with the number of their ``schema``."""

    def __init__(self, output: Output, mode: i64, schema: int) -> None:
        super().__init__(output, mode)
        self._schema = schema
        self._head = b'{"schema":%d,"db":' % schema

    @property
    def maker(self) -> Callable[[Output], KeyRows]:
        return partial(JsonRows, mode=self.mode, schema=self._schema)

    def write(self, key: MeasuredKey) -> None:
        out = self.output.buffer
        out.write(self._head)
        write_integer(out, key.db)
        out.write(b',"key":')
        write_string(self.output, key.key, 0, len(key.key), self.mode)
        out = self.output.buffer
        out.write(b',"type":"%b","encoding":"%b","bytes":' % (key.type.encode(), key.encoding.encode()))
        write_integer(out, key.bytes)
        out.write(b',"size":')
        write_integer(out, key.size)
        out.write(b',"elements":')
        write_integer(out, key.elements)
        self._optional(b',"largest_element":', key.largest)
        self._optional(b',"expire_at_ms":', key.expire_at_ms)
        self._optional(b',"idle_s":', key.idle_s)
        self._optional(b',"freq":', key.freq)
        out.write(b"}\n")
        self.output.room()

    def _optional(self, name: bytes, number: i64) -> None:
        if number != -1:
            self.output.buffer.write(name)
            write_integer(self.output.buffer, number)
