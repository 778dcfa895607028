"""Tell a value from the bytes of a file: no element becomes an object, and nothing is held but the string
or packed node at hand.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i64_le
from mypy_extensions import i64

from rdbtool.basics.lzf import decompress
from rdbtool.basics.numbers import signed
from rdbtool.errors import FormatError, RdbToolError, UnsupportedError
from rdbtool.io.window import Window
from rdbtool.rdb.layout.cursor import STRING as ELEMENT_STRING
from rdbtool.rdb.layout.cursor import Cursor
from rdbtool.rdb.layout.intset import IntsetCursor
from rdbtool.rdb.layout.listpack import ListpackCursor
from rdbtool.rdb.layout.ziplist import ZiplistCursor
from rdbtool.rdb.layout.zipmap import ZipmapCursor
from rdbtool.rdb.values.idempotence import NO_PRODUCERS, Idempotence

from .layout.module_names import module_name
from .layout.primitives import (
    INT32,
    LZF,
    read_binary_double,
    read_count,
    read_double,
    read_encoded_integer,
    read_length,
    read_length_or_encoding,
    read_ms,
    read_string,
    read_u64,
)
from .layout.visitor import HASH, KINDS, STRING, Visitor
from .reader import Frame
from .skip import released_error, skip_module_values, take_idempotence
from .stream_entries import tell_entries
from .types import TypeRow

PLAIN: Final[i64] = 1
PACKED: Final[i64] = 2
"""Containers of quicklist nodes."""

_INFINITY: Final = float("inf")

_UNTOLD: Final[i64] = -1
_STRING: Final[i64] = 0
_STRINGS: Final[i64] = 1
_STRING_PAIRS: Final[i64] = 2
_ZSET: Final[i64] = 3
_ZSET2: Final[i64] = 4
_QUICKLIST: Final[i64] = 5
_QUICKLIST2: Final[i64] = 6
_MODULE: Final[i64] = 7
_LISTPACK: Final[i64] = 8
_ZIPLIST: Final[i64] = 9
_SCORED_LISTPACK: Final[i64] = 10
_SCORED_ZIPLIST: Final[i64] = 11
_INTSET: Final[i64] = 12
_ZIPMAP: Final[i64] = 13
_LISTPACK_EX: Final[i64] = 14
_LISTPACK_EX_PRE_GA: Final[i64] = 15
_METADATA: Final[i64] = 16
_METADATA_PRE_GA: Final[i64] = 17
_HASH2: Final[i64] = 18
_STREAM: Final[i64] = 20
"""Plus the version, 1 to 5."""
_EXPIRING_FROM: Final = _LISTPACK_EX
_EXPIRING_TO: Final = _HASH2

_SHAPES: Final[dict[str, i64]] = {
    "string": _STRING,
    "list": _STRINGS,
    "set": _STRINGS,
    "zset": _ZSET,
    "hash": _STRING_PAIRS,
    "zset2": _ZSET2,
    "module2": _MODULE,
    "hash-zipmap": _ZIPMAP,
    "list-ziplist": _ZIPLIST,
    "set-intset": _INTSET,
    "zset-ziplist": _SCORED_ZIPLIST,
    "hash-ziplist": _ZIPLIST,
    "list-quicklist": _QUICKLIST,
    "stream-listpacks": _STREAM + 1,
    "hash-listpack": _LISTPACK,
    "zset-listpack": _SCORED_LISTPACK,
    "list-quicklist2": _QUICKLIST2,
    "stream-listpacks2": _STREAM + 2,
    "set-listpack": _LISTPACK,
    "stream-listpacks3": _STREAM + 3,
    "hash-metadata-pre-ga": _METADATA_PRE_GA,
    "hash-listpack-ex-pre-ga": _LISTPACK_EX_PRE_GA,
    "hash-metadata": _METADATA,
    "hash-listpack-ex": _LISTPACK_EX,
    "stream-listpacks4": _STREAM + 4,
    "stream-listpacks5": _STREAM + 5,
    "hash2": _HASH2,
}
"""Shape of a payload by the name of its type; what is missing cannot be told."""


@final
class Walker:
    """Tells values to ``visitor``.

    Damage inside a string or packed node does not put the stream out of step: it is told once, when the
    rest of the payload has been passed. ``size`` is then the payload's, in bytes.
    """

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.size: i64 = 0
        self._at: i64 = 0
        self._damage: RdbToolError | None = None
        self._kind: i64 = STRING
        self._window: Window = Window(None)

    def walk(self, frame: Frame) -> RdbToolError | None:
        """Tell the value of ``frame`` and pass its payload; what is wrong inside it is returned.

        Raises what reading raises; the stream is then out of step.
        """
        w = frame.window()
        self._window = w
        self._damage = None
        row = frame.type
        self._kind = KINDS[row.redis_type]
        shape = _SHAPES.get(row.name, _UNTOLD)
        v = self.visitor
        v.begin(self._kind, _EXPIRING_FROM <= shape <= _EXPIRING_TO and self._has_expiry(shape))
        try:
            self._value(row, shape)
        except RdbToolError as e:
            self._locate(e, frame)
            raise
        v.end()
        return self._told(frame)

    def _has_expiry(self, shape: i64) -> bool:
        """Whether some field expires, as far as that shows at the beginning."""
        w = self._window
        if shape not in (_LISTPACK_EX, _METADATA) or not w.need(8):
            return True
        return read_i64_le(w.data, w.pos) != 0

    def _told(self, frame: Frame) -> RdbToolError | None:
        self.size = self._window.offset() - frame.value_offset
        damage = self._damage
        if damage is not None:
            self._locate(damage, frame)
        return damage

    def _value(self, row: TypeRow, shape: i64) -> None:
        if shape == _STRING:
            self._string()
        elif shape == _STRINGS:
            self._strings()
        elif shape == _STRING_PAIRS:
            self._string_pairs()
        elif shape == _ZSET:
            self._zset()
        elif shape == _ZSET2:
            self._zset2()
        elif shape == _QUICKLIST:
            self._quicklist()
        elif shape == _QUICKLIST2:
            self._quicklist2()
        elif shape == _METADATA:
            self._metadata(True)
        elif shape == _METADATA_PRE_GA:
            self._metadata(False)
        elif shape == _HASH2:
            self._hash2()
        elif shape >= _STREAM:
            self._stream(shape - _STREAM)
        elif shape == _MODULE:
            self._module()
        elif shape == _UNTOLD:
            row.skip(self._window)
            raise UnsupportedError("a type of value that cannot be decoded")
        else:
            if shape == _LISTPACK_EX:
                read_ms(self._window)  # the least expiry
            self._packed(shape)

    def _locate(self, error: RdbToolError, frame: Frame) -> None:
        error.path = error.path or self._window.path
        error.key = frame.key
        error.doing = error.doing or "reading a value"
        if error.offset < 0:
            error.offset = frame.value_offset

    def _damaged(self, error: RdbToolError, at: i64) -> None:
        if self._damage is None:
            error.offset = at
            self._damage = error

    def _string(self) -> None:
        """Tell a string at the window's position."""
        w = self._window
        at = w.offset()
        length = read_length_or_encoding(w)
        if length >= 0:
            if length > w.end - w.pos and not w.need(length):
                raise w.truncated(length)
            pos = w.pos
            w.pos = pos + length
            self.visitor.text(w.data, pos, pos + length)
        elif length >= INT32:
            self.visitor.integer(read_encoded_integer(w, length))
        else:
            data = self._decompressed(at, length)
            if data is not None:
                self.visitor.text(data, 0, len(data))

    def _node(self) -> bytes | None:
        """A string at the window's position, whole; None, and the damage is noted, where it cannot be decompressed."""
        w = self._window
        at = w.offset()
        self._at = at
        length = read_length_or_encoding(w)
        if length >= 0:
            return w.take(length)
        if length >= INT32:
            return b"%d" % read_encoded_integer(w, length)
        return self._decompressed(at, length)

    def _decompressed(self, at: i64, encoding: i64) -> bytes | None:
        """The rest of a string in LZF, or None."""
        w = self._window
        if encoding != LZF:
            read_encoded_integer(w, encoding)  # raises
        packed = read_length(w)
        size = read_length(w)
        data = decompress(w.take(packed), size)
        if data is None:
            self._damaged(FormatError("invalid LZF data", doing="decompressing a string"), at)
        return data

    def _packed(self, shape: i64) -> None:
        """Tell a packed node at the window's position."""
        data = self._node()
        if data is None:
            return
        try:
            if shape == _LISTPACK:
                self._elements(ListpackCursor(data))
            elif shape == _ZIPLIST:
                self._elements(ZiplistCursor(data))
            elif shape == _SCORED_LISTPACK:
                self._scored(ListpackCursor(data))
            elif shape == _SCORED_ZIPLIST:
                self._scored(ZiplistCursor(data))
            elif shape == _INTSET:
                self._elements(IntsetCursor(data))
            elif shape == _ZIPMAP:
                self._elements(ZipmapCursor(data))
            else:
                self._expiring(ListpackCursor(data))
        except FormatError as e:
            self._damaged(e, self._at)

    def _elements(self, c: Cursor) -> None:
        """Elements, each a string: a list, a set, or a hash's fields and values."""
        v = self.visitor
        count: i64 = 0
        while c.next():
            if c.kind == ELEMENT_STRING:
                v.text(c.data, c.start, c.start + c.size)
            else:
                v.integer(c.number)
            count += 1
        if self._kind == HASH and count & 1:
            raise FormatError("a field without a value", doing="decoding a hash")

    def _scored(self, c: Cursor) -> None:
        """Members and scores in turn."""
        v = self.visitor
        while c.next():
            if c.kind == ELEMENT_STRING:
                v.text(c.data, c.start, c.start + c.size)
            else:
                v.integer(c.number)
            if not c.next():
                raise FormatError("a member without a score", doing="decoding a sorted set")
            if c.kind == ELEMENT_STRING:
                v.score_text(c.data, c.start, c.start + c.size)
            else:
                v.score_integer(c.number)

    def _expiring(self, c: Cursor) -> None:
        """Field, value and expiry in turn; an expiry of 0 is none."""
        v = self.visitor
        while c.next():
            field = c.item()
            if not c.next():
                raise FormatError("a field without a value", doing="decoding a hash")
            value = c.item()
            expiry = c.integer()
            if expiry != 0:
                v.expiry(expiry)
            v.text(field, 0, len(field))
            v.text(value, 0, len(value))

    def _strings(self) -> None:
        """A count, then strings."""
        count = read_count(self._window, 1)
        while count > 0:
            self._string()
            count -= 1

    def _string_pairs(self) -> None:
        """A count, then pairs of strings."""
        count = read_count(self._window, 2)
        while count > 0:
            self._string()
            self._string()
            count -= 1

    def _zset(self) -> None:
        """Members with scores as text."""
        w = self._window
        count = read_count(w, 2)
        while count > 0:
            self._string()
            at = w.offset()
            self._score(read_double(w), at)
            count -= 1

    def _zset2(self) -> None:
        """Members with scores of 8 bytes."""
        w = self._window
        count = read_count(w, 9)
        while count > 0:
            self._string()
            at = w.offset()
            self._score(read_binary_double(w), at)
            count -= 1

    def _score(self, x: float, at: i64) -> None:
        if x <= _INFINITY:
            self.visitor.score(x)
        else:
            self._damaged(FormatError("a score that is not a number"), at)

    def _quicklist(self) -> None:
        """Nodes that are ziplists."""
        count = read_count(self._window, 1)
        while count > 0:
            self._packed(_ZIPLIST)
            count -= 1

    def _quicklist2(self) -> None:
        """Nodes that are listpacks or single elements."""
        w = self._window
        count = read_count(w, 2)
        while count > 0:
            at = w.offset()
            container = read_length(w)
            if container == PACKED:
                self._packed(_LISTPACK)
            else:
                if container != PLAIN:
                    self._damaged(FormatError("a quicklist node that is neither plain nor packed"), at)
                self._string()
            count -= 1

    def _metadata(self, relative: bool) -> None:
        """Per field an expiry, the field, the value; 0 is none, others count from the least (less one)."""
        w = self._window
        v = self.visitor
        least = read_ms(w) if relative else 0
        count = read_count(w, 3)
        while count > 0:
            expiry = read_u64(w)
            if expiry != 0:
                at = least + expiry - 1 if relative else expiry
                if at > 0x7FFF_FFFF_FFFF_FFFF:
                    self._damaged(FormatError("an expiry beyond all time"), w.offset())
                else:
                    v.expiry(at)
            self._string()
            self._string()
            count -= 1

    def _hash2(self) -> None:
        """Per field the field, its value, its expiry; -1 is none."""
        w = self._window
        v = self.visitor
        count = read_count(w, 10)
        while count > 0:
            field = read_string(w)
            value = read_string(w)
            expiry = read_ms(w)
            if expiry != -1:
                v.expiry(expiry)
            v.text(field, 0, len(field))
            v.text(value, 0, len(value))
            count -= 1

    def _module(self) -> None:
        """A module's id, then its values as they are."""
        w = self._window
        module_id = read_u64(w)
        w.pin = w.pos
        try:
            skip_module_values(w)
        except RdbToolError:
            w.pin = -1
            raise
        self.visitor.module(module_name(module_id), module_id & 1023, w.unpin())

    def _stream(self, version: i64) -> None:
        """Listpacks of entries, counters, groups."""
        w = self._window
        v = self.visitor
        count = read_count(w, 2)
        told = 0
        while count > 0:
            master = read_string(w)
            data = self._node()
            if data is not None:
                try:
                    told += tell_entries(v, master, data)
                except FormatError as e:
                    self._damaged(e, self._at)
            count -= 1
        at = w.offset()
        length = read_u64(w)
        if length != told:
            self._damaged(FormatError(f"{told} entries in a stream of {length}", doing="reading a stream"), at)
        last = (read_u64(w), read_u64(w))
        deleted = (0, 0)
        added = length
        if version >= 2:
            read_u64(w)  # the first id is that of the first entry
            read_u64(w)
            deleted = (read_u64(w), read_u64(w))
            added = read_u64(w)
        v.counters(last, deleted, added)
        groups = read_count(w, 5)
        while groups > 0:
            self._group(version)
            groups -= 1
        if version >= 4:
            at_state = w.offset()
            raw = take_idempotence(w)
            if raw != NO_PRODUCERS:
                try:
                    Idempotence(raw)
                except FormatError as e:
                    self._damaged(e, at_state)
            v.idempotence(raw)

    def _group(self, version: i64) -> None:
        w = self._window
        v = self.visitor
        name = read_string(w)
        last = (read_u64(w), read_u64(w))
        entries_read = -1
        if version >= 2:
            entries_read = signed(read_u64(w))
        v.group(name, last, entries_read)
        count = read_count(w, 25)
        while count > 0:
            raw = w.take(16)
            delivered = read_ms(w)
            v.pending(int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big"), delivered, read_u64(w))
            count -= 1
        consumers = read_count(w, 10)
        while consumers > 0:
            name = read_string(w)
            seen = read_ms(w)
            v.consumer(name, seen, read_ms(w) if version >= 3 else -1)
            count = read_count(w, 16)
            while count > 0:
                raw = w.take(16)
                v.consumer_pending(int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big"))
                count -= 1
            consumers -= 1
        if version >= 5:
            at = w.offset()
            released = read_count(w, 16)
            w.skip(released * 16)
            if released:
                self._damaged(released_error(released), at)
