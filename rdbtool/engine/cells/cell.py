"""Cells: what the dataset keeps per key, one class per Redis type.

A cell is mutable and belongs to one key. `Cell.value` gives the value of the library's model, sharing its
containers: what is to outlive the next command must be copied. Small cells matter more than anything
else for the memory of a replay, so facts live in as few and as narrow attributes as possible, and
cells are never part of reference cycles.
"""

from __future__ import annotations

from typing import Final, TypeAlias, final

from librt.strings import BytesWriter
from mypy_extensions import i64, mypyc_attr, u8

from rdbtool.model import NO_EXPIRY, Hash, Module, Value
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.rdb.layout.listpack_entry import element_at, end_of
from rdbtool.rdb.layout.run import LONGEST, RunOfFields, elements_of, find, find_name

GROWING: Final = 1024
"""Length from which on a string that is changed in place is kept in a buffer; a shorter one is copied each time."""


@mypyc_attr(acyclic=True)
class Cell:
    """A key's value, in a subclass, and when it expires: ``expire_at_ms`` is absolute, `NO_EXPIRY` for never."""

    __slots__ = ("expire_at_ms",)

    def __init__(self) -> None:
        self.expire_at_ms: i64 = NO_EXPIRY

    def value(self) -> Value:
        """The value; containers are shared with the cell."""
        raise NotImplementedError

    def copy(self) -> Cell:
        """A cell of its own with the same value, encoding and expiry."""
        raise NotImplementedError

    def is_empty(self) -> bool:
        """Whether the value is a collection without elements, whose key must go."""
        return False


NATURAL: Final = 0
"""The encoding that a fresh value of these bytes would get."""
RAW: Final = 1
"""Changed in place: the server keeps such strings unshared and unpacked."""
NOT_INT: Final = 2
"""Natural, but never int: the server did not try to read a number."""


@final
@mypyc_attr(acyclic=True)
class StringCell(Cell):
    """A string: ``data``, or while it is changed in place often, ``buffer``."""

    __slots__ = ("buffer", "data", "state")

    def __init__(self, data: bytes, state: u8 = NATURAL) -> None:
        self.expire_at_ms: i64 = NO_EXPIRY
        self.data = data
        self.buffer: BytesWriter | None = None
        self.state: u8 = state

    def get(self) -> bytes:
        """The string's bytes. Costs a copy for a string that is being changed in place."""
        buffer = self.buffer
        return self.data if buffer is None else buffer.getvalue()

    def put(self, data: bytes, state: u8 = NATURAL) -> None:
        """Replace the string; its expiry stays."""
        self.data = data
        self.buffer = None
        self.state = state

    def __len__(self) -> int:
        buffer = self.buffer
        return len(self.data) if buffer is None else len(buffer)

    def append(self, data: bytes) -> None:
        """Append, in amortized constant time per byte."""
        self.state = RAW
        buffer = self.buffer
        if buffer is not None:
            buffer.write(data)
        elif len(self.data) + len(data) < GROWING:
            self.data += data
        else:
            self.writable().write(data)

    def writable(self) -> BytesWriter:
        """The string as a buffer, to be changed in place; it is the string from now on, and raw."""
        self.state = RAW
        buffer = self.buffer
        if buffer is None:
            buffer = BytesWriter()
            buffer.write(self.data)
            self.buffer = buffer
            self.data = b""
        return buffer

    def value(self) -> Value:
        return self.get()

    def copy(self) -> Cell:
        cell = StringCell(self.get(), self.state)
        cell.expire_at_ms = self.expire_at_ms
        return cell


INTSET: Final = 0
LISTPACK: Final = 1
HASHTABLE: Final = 2
LISTPACKEX: Final = 3
SKIPLIST: Final = 4


SMALL: Final = 32
"""Fields, or members, up to which a hash or a set may be a run, in which they are looked for from the start."""
NEW: Final = 1
KNOWN: Final = 0
TOO_LARGE: Final = -1
"""What `HashCell.put_small` and `SetCell.add_small` answer."""


@mypyc_attr(acyclic=True)
class RunCell(Cell):
    """A collection that is a ``run`` of ``count`` names (`rdb.layout.run`) while it is small, and a dict once it has
    grown, or somebody has asked for the dict; ``run`` is then None. ``encoding``: what the server has it in.
    """

    __slots__ = ("count", "encoding", "run")

    def __init__(self, encoding: u8, run: bytes | None) -> None:
        self.expire_at_ms: i64 = NO_EXPIRY
        self.run: bytes | None = run
        self.encoding: u8 = encoding  # beside the other that is narrow, without a gap
        self.count: u8 = 0

    def _remove_name(self, run: bytes, name: bytes, width: i64, scratch: ListpackBuilder) -> bool:
        """Take a name out of the run, with a value behind it if ``width`` is 2; whether it was there."""
        at = find_name(run, name, width, scratch)
        if at < 0:
            return False
        end = end_of(run, at)
        if width == 2:
            end = end_of(run, end)
        self.run = run[:at] + run[end:]
        self.count -= 1
        return True

    def _copy_facts(self, original: RunCell) -> None:
        """Become a copy of ``original`` in all but the dict and the encoding."""
        self.run = original.run
        self.count = original.count
        self.expire_at_ms = original.expire_at_ms


@final
@mypyc_attr(acyclic=True)
class SetCell(RunCell):
    """A set, in insertion order. ``encoding``: INTSET, LISTPACK or HASHTABLE."""

    __slots__ = ("_members",)

    def __init__(self, members: dict[bytes, None] | None = None, encoding: u8 = INTSET) -> None:
        super().__init__(encoding, b"" if members is None else None)
        self._members: dict[bytes, None] | None = members

    @property
    def members(self) -> dict[bytes, None]:
        """The members, to be read and changed."""
        run = self.run
        if run is not None:
            self._members = self._decoded(run)
            self.run = None
        members = self._members
        assert members is not None
        return members

    def __len__(self) -> int:
        """The number of members."""
        return self.count if self.run is not None else len(self.members)

    def has(self, member: bytes, scratch: ListpackBuilder) -> bool:
        """Whether ``member`` is one."""
        run = self.run
        return member in self.members if run is None else find_name(run, member, 1, scratch) >= 0

    def add_small(self, member: bytes, scratch: ListpackBuilder) -> i64:
        """Add a member of a run: whether it is NEW or KNOWN, or TOO_LARGE, and then nothing has changed."""
        run = self.run
        if run is None or len(member) > LONGEST:
            return TOO_LARGE
        element = scratch.encoded(member)
        if find(run, element, 1) >= 0:
            return KNOWN
        if self.count >= SMALL:
            return TOO_LARGE
        self.run = run + element
        self.count += 1
        return NEW

    def remove(self, member: bytes, scratch: ListpackBuilder) -> bool:
        """Remove a member; whether it was there."""
        run = self.run
        if run is not None:
            return self._remove_name(run, member, 1, scratch)
        members = self.members
        if member not in members:
            return False
        del members[member]
        return True

    def _decoded(self, run: bytes) -> dict[bytes, None]:
        return dict.fromkeys(elements_of(run, i64(self.count)))

    def value(self) -> Value:
        run = self.run
        return self.members if run is None else self._decoded(run)

    def copy(self) -> Cell:
        cell = SetCell(None if self.run is not None else self.members.copy(), self.encoding)
        cell._copy_facts(self)
        return cell

    def is_empty(self) -> bool:
        return len(self) == 0


@final
@mypyc_attr(acyclic=True)
class HashCell(RunCell):
    """A hash, whose run has a value behind each field. ``expiries``: field -> ms, or None. ``encoding``: LISTPACK,
    LISTPACKEX or HASHTABLE.
    """

    __slots__ = ("_fields", "expiries")

    def __init__(
        self,
        fields: dict[bytes, bytes] | None = None,
        expiries: dict[bytes, int] | None = None,
        encoding: u8 = LISTPACK,
    ) -> None:
        super().__init__(encoding, b"" if fields is None else None)
        self._fields: dict[bytes, bytes] | None = fields
        self.expiries: dict[bytes, int] | None = expiries

    @property
    def fields(self) -> dict[bytes, bytes]:
        """Field -> value, to be read and changed."""
        run = self.run
        if run is not None:
            self._fields = RunOfFields(run, i64(self.count)).fields()
            self.run = None
        fields = self._fields
        assert fields is not None
        return fields

    def __len__(self) -> int:
        """The number of fields."""
        return self.count if self.run is not None else len(self.fields)

    def get(self, field: bytes, scratch: ListpackBuilder) -> bytes | None:
        """The value of ``field``."""
        run = self.run
        if run is None:
            return self.fields.get(field)
        at = find_name(run, field, 2, scratch)
        return None if at < 0 else element_at(run, end_of(run, at))

    def put_small(self, field: bytes, value: bytes, scratch: ListpackBuilder) -> i64:
        """Set a field of a run: whether it is NEW or KNOWN, or TOO_LARGE, and then nothing has changed."""
        run = self.run
        if run is None or len(field) > LONGEST or len(value) > LONGEST:
            return TOO_LARGE
        name = scratch.encoded(field)
        at = find(run, name, 2)
        out = scratch.restart()
        if at < 0:
            if self.count >= SMALL:
                return TOO_LARGE
            out.write(run)
            out.write(name)
            scratch.append(value)
            self.run = out.getvalue()
            self.count += 1
            return NEW
        at = end_of(run, at)
        out.write(run[:at])
        scratch.append(value)
        out.write(run[end_of(run, at) :])
        self.run = out.getvalue()
        return KNOWN

    def remove(self, field: bytes, scratch: ListpackBuilder) -> bool:
        """Remove a field; whether it was there. Its expiry is not looked at."""
        run = self.run
        if run is not None:
            return self._remove_name(run, field, 2, scratch)
        fields = self.fields
        if field not in fields:
            return False
        del fields[field]
        return True

    def value(self) -> Value:
        run = self.run
        if run is not None:
            return Hash(None, self.expiries, RunOfFields(run, i64(self.count)))
        return Hash(self.fields, self.expiries)

    def copy(self) -> Cell:
        expiries = self.expiries
        cell = HashCell(
            None if self.run is not None else self.fields.copy(),
            None if expiries is None else expiries.copy(),
            self.encoding,
        )
        cell._copy_facts(self)
        return cell

    def is_empty(self) -> bool:
        return len(self) == 0


@final
@mypyc_attr(acyclic=True)
class ModuleCell(Cell):
    """A module's value, which no command here can change."""

    __slots__ = ("module",)

    def __init__(self, module: Module) -> None:
        self.expire_at_ms: i64 = NO_EXPIRY
        self.module = module

    def value(self) -> Value:
        return self.module

    def copy(self) -> Cell:
        cell = ModuleCell(self.module)
        cell.expire_at_ms = self.expire_at_ms
        return cell


@final
@mypyc_attr(acyclic=True)
class FrameCell(Cell):
    """A key whose value is as it stands in an RDB file. The dataset replaces it when a command needs the value.

    ``expire_at_ms`` may have changed since it was read; the frame's own is then out of date.
    """

    __slots__ = ("frame",)

    def __init__(self, frame: Frame) -> None:
        self.expire_at_ms: i64 = frame.expire_at_ms
        self.frame = frame

    def value(self) -> Value:
        return self.frame.value()

    def copy(self) -> Cell:
        cell = FrameCell(self.frame.copy())
        cell.expire_at_ms = self.expire_at_ms
        return cell


Held: TypeAlias = Cell | bytes | Frame
"""What a keyspace stores for a key, as small as possible.

Most strings are stored as their bytes: those that never expire and that no command has changed in place. A key that was
read from an RDB file is stored as its `Frame` until a command needs it. Every other key has a cell.
"""


def cell_of_held(held: Held) -> Cell:
    """A cell with that value; the keyspace keeps what it has."""
    if isinstance(held, bytes):
        return StringCell(held)
    return FrameCell(held) if isinstance(held, Frame) else held


def copy_of_held(held: Held) -> Held:
    """A copy of the value, for another key."""
    return held if isinstance(held, bytes) else held.copy()
