"""Rows collected by column, and given as arrays of Arrow: no row and no number is an object on the way.

A column is a buffer of values and one bit per row that tells whether there is one (Arrow's columnar format 1.0).
"""

from __future__ import annotations

from typing import Any, Final, final

from librt.strings import BytesWriter, write_f64_le, write_i32_le, write_i64_le
from mypy_extensions import i32, i64, u8

from rdbtool.errors import UnsupportedError

LONGEST: Final[i64] = 0x7FFF_FFFF
"""Bytes that one value of Parquet can have, and all of a column that Arrow is given at a time."""


class Column:
    """A column called ``name``. A subclass has an ``add`` of its own for a value."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: i64 = 0
        self.nulls: i64 = 0
        self.values = BytesWriter()
        self._present = BytesWriter()
        self._bits: i64 = 0
        self._marked: tuple[int, int, int, int] = (0, 0, 0, 0)

    def type(self, arrow: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Its type, of the module pyarrow."""
        raise NotImplementedError

    def array(self, arrow: Any) -> Any:  # noqa: ANN401
        """All rows as an array; the column begins anew. ``arrow``: the module pyarrow."""
        made = self._array(arrow)
        self.clear()
        return made

    def clear(self) -> None:
        """Begin anew."""
        self.rows = 0
        self.nulls = 0
        self.values = BytesWriter()
        self._present = BytesWriter()
        self._bits = 0
        self._marked = (0, 0, 0, 0)

    def mark(self) -> None:
        """Remember the rows that there are, for `take_back`."""
        self._marked = (int(self.rows), int(self.nulls), len(self.values), int(self._bits))

    def take_back(self) -> None:
        """Drop the rows since `mark`, or since the column began anew after that."""
        rows, nulls, size, bits = self._marked
        self.rows = rows
        self.nulls = nulls
        self._bits = bits
        self.values.truncate(size)
        self._present.truncate(rows >> 3)

    def note(self, present: bool) -> None:
        """Count a row, whose value was added if it is ``present``."""
        at = self.rows & 7
        if present:
            self._bits |= 1 << at
        else:
            self.nulls += 1
        self.rows += 1
        if at == 7:
            self._present.append(u8(self._bits))
            self._bits = 0

    def bits(self, arrow: Any) -> Any:  # noqa: ANN401
        """Which rows have a value; None for all."""
        if self.nulls == 0:
            return None
        return arrow.py_buffer(self._present.getvalue() + bytes([int(self._bits)]))

    def _array(self, arrow: Any) -> Any:  # noqa: ANN401
        values = arrow.py_buffer(self.values.getvalue())
        return arrow.Array.from_buffers(self.type(arrow), int(self.rows), [self.bits(arrow), values])


@final
class Integers(Column):
    """Whole numbers. ``kind``: the name of Arrow's type, of 32 or 64 bits."""

    def __init__(self, name: str, kind: str = "int64") -> None:
        super().__init__(name)
        self.kind = kind
        self._narrow = kind == "int32"

    def type(self, arrow: Any) -> Any:  # noqa: ANN401
        return getattr(arrow, self.kind)()

    def add(self, n: i64) -> None:
        """A row with this number."""
        if self._narrow:
            write_i32_le(self.values, i32(n))
        else:
            write_i64_le(self.values, n)
        self.note(True)

    def add_known(self, n: i64) -> None:
        """A row with this number, or with none for -1."""
        if n >= 0:
            self.add(n)
        else:
            self.add_none()

    def add_none(self) -> None:
        """A row without a value."""
        if self._narrow:
            write_i32_le(self.values, 0)
        else:
            write_i64_le(self.values, 0)
        self.note(False)


@final
class Doubles(Column):
    """Numbers with a fraction."""

    def type(self, arrow: Any) -> Any:  # noqa: ANN401
        return arrow.float64()

    def add(self, x: float) -> None:
        """A row with this number."""
        write_f64_le(self.values, x)
        self.note(True)

    def add_none(self) -> None:
        """A row without a value."""
        write_f64_le(self.values, 0.0)
        self.note(False)


@final
class Strings(Column):
    """Strings of bytes, or, where ``text`` says so, of UTF-8."""

    def __init__(self, name: str, *, text: bool) -> None:
        super().__init__(name)
        self.text = text
        self._offsets = BytesWriter()
        write_i32_le(self._offsets, 0)

    def type(self, arrow: Any) -> Any:  # noqa: ANN401
        return arrow.string() if self.text else arrow.binary()

    def clear(self) -> None:
        super().clear()
        self._offsets = BytesWriter()
        write_i32_le(self._offsets, 0)

    def take_back(self) -> None:
        super().take_back()
        self._offsets.truncate(4 + 4 * self.rows)

    def add(self, data: bytes) -> None:
        """A row with this string. Raises `UnsupportedError` where it does not fit."""
        if len(self.values) + len(data) > LONGEST:
            raise UnsupportedError(f"a string of {len(data):,} bytes is longer than Parquet can hold")
        self.values.write(data)
        write_i32_le(self._offsets, i32(len(self.values)))
        self.note(True)

    def add_none(self) -> None:
        """A row without a value."""
        write_i32_le(self._offsets, i32(len(self.values)))
        self.note(False)

    def _array(self, arrow: Any) -> Any:  # noqa: ANN401
        offsets = arrow.py_buffer(self._offsets.getvalue())
        values = arrow.py_buffer(self.values.getvalue())
        return arrow.Array.from_buffers(self.type(arrow), int(self.rows), [self.bits(arrow), offsets, values])


@final
class Repeated(Column):
    """Strings of which many rows in a row have the same: each is held once."""

    def __init__(self, name: str, *, text: bool) -> None:
        super().__init__(name)
        self.each = Strings(name, text=text)
        self._last: bytes | None = None

    def type(self, arrow: Any) -> Any:  # noqa: ANN401
        return arrow.dictionary(arrow.int32(), self.each.type(arrow))

    def clear(self) -> None:
        super().clear()
        self.each.clear()
        self._last = None

    def mark(self) -> None:
        super().mark()
        self.each.mark()

    def take_back(self) -> None:
        super().take_back()
        self.each.take_back()
        self._last = None

    def add(self, data: bytes) -> None:
        """A row with this string; the same object as in the row before costs nothing."""
        if data is not self._last:
            self.each.add(data)
            self._last = data
        write_i32_le(self.values, i32(self.each.rows - 1))
        self.note(True)

    def _array(self, arrow: Any) -> Any:  # noqa: ANN401
        places = arrow.Array.from_buffers(
            arrow.int32(), int(self.rows), [None, arrow.py_buffer(self.values.getvalue())]
        )
        return arrow.DictionaryArray.from_arrays(places, self.each.array(arrow))
