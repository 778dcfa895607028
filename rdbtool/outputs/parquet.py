"""Parquet, for DuckDB, pandas, Spark and the like: one row per key with what is known of it, or one per element.

Bytes are there twice: as text, as the mode of the output says, and, under a name that ends in ``_bytes``, as they are.
What is not known or does not exist is null; times are Unix time in ms, as in all formats.

One row per key: ``db, key, key_bytes, type, encoding`` (what OBJECT ENCODING answers), ``bytes`` (of the value in the
file), ``memory`` (bytes on the server that wrote it), ``elements`` (bytes of a string), ``expire_at_ms``,
``expiring_fields`` (fields of a hash that expire), ``idle_s, freq, slot`` and ``prefix`` (what the name begins with, up
to the first colon).

One row per element: ``db, key, key_bytes, type, expire_at_ms``; ``index`` (of a list's or array's element),
``entry_id`` (of a stream's), ``path``; ``field, field_bytes`` (of a hash, path or stream entry, or a sorted set's
member); ``value, value_bytes``; ``score``; ``field_expire_at_ms``.
"""

from __future__ import annotations

from typing import Any, Final, final

from mypy_extensions import i64

from rdbtool.analysis.collecting import release_of, saved, saver
from rdbtool.analysis.costs import Costs
from rdbtool.analysis.encodings import ENCODINGS
from rdbtool.analysis.measure import Measure
from rdbtool.basics.text import AUTO, BASE64, to_text
from rdbtool.errors import RdbToolError, UnsupportedError
from rdbtool.extras import how_to_install
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import Output, Writable
from rdbtool.model import NO_EXPIRY, Entry
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.facts import MODULE_VERSIONS, Losses
from rdbtool.rdb.layout.visitor import ARRAY, HASH, LIST, PATH_HASH, STREAM, ZSET
from rdbtool.rdb.targets import Target
from rdbtool.servers.memory import JEMALLOC
from rdbtool.servers.releases import writer_of
from rdbtool.servers.slots import hash_slot

from .columns import Column, Doubles, Integers, Repeated, Strings
from .exporter import MISCOUNTED, Exporter, KeyFacts, ValueExporter
from .rows import RowVisitor

SCHEMA: Final = 1
ROWS: Final[i64] = 122_880
"""Rows of a row group, at most: what DuckDB takes at a time."""
BYTES: Final[i64] = 16 << 20
"""Bytes of strings of a row group, as nearly as its rows allow."""
COLON: Final = b":"
NO_PYARROW: Final = f"Parquet needs pyarrow: {how_to_install('parquet')}"


@final
class _Stream:
    """What pyarrow writes to."""

    def __init__(self, sink: Writable) -> None:
        self.sink = sink
        self.closed = False

    def write(self, data: Any) -> int:  # noqa: ANN401 - bytes, or a buffer of pyarrow
        """Append ``data``."""
        self.sink.write(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Whoever made the sink flushes it."""

    def close(self) -> None:
        """Likewise."""
        self.closed = True


@final
class RowGroups:
    """Rows of ``columns``, written to ``output`` as row groups of a Parquet file, so that few are in memory.

    ``repeating``: the columns whose values come again and again.
    """

    def __init__(self, output: Output, columns: list[Column], repeating: list[str]) -> None:
        self.output = output
        self.columns = columns
        self.repeating = repeating
        self.rows: i64 = 0
        self.held: i64 = 0
        """Bytes of strings in the rows."""
        self._arrow: Any = None
        self._schema: Any = None
        self._writer: Any = None

    def begin(self, facts: Facts) -> None:
        """Write the head of the file. Raises `UnsupportedError` where pyarrow is not there."""
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as e:
            raise UnsupportedError(NO_PYARROW) from e
        said = {"rdbtool.schema": str(SCHEMA)}
        for name, value in facts.aux.items():
            said[f"rdbtool.aux.{to_text(name, AUTO).decode()}"] = to_text(value, AUTO).decode()
        self._arrow = pa
        fields = [pa.field(column.name, column.type(pa)) for column in self.columns]
        self._schema = pa.schema(fields)
        self._writer = parquet.ParquetWriter(
            pa.PythonFile(_Stream(self.output.sink), mode="w"),
            self._schema,
            compression="zstd",
            use_dictionary=self.repeating,
            store_schema=False,  # else what reads it as Arrow gets dictionaries for strings
        )
        self._writer.add_key_value_metadata(said)

    def mark(self) -> None:
        """Remember where a key begins."""
        for column in self.columns:
            column.mark()

    def take_back(self) -> None:
        """Drop the rows of the key, but those that were written meanwhile."""
        for column in self.columns:
            column.take_back()
        self.rows = self.columns[0].rows

    def room(self, size: i64) -> None:
        """Make room for a row with ``size`` bytes of strings, and count it."""
        if self.rows >= ROWS or (self.held + size > BYTES and self.rows > 0):
            self.flush()
        self.rows += 1
        self.held += size

    def flush(self) -> None:
        """Write the rows that there are."""
        arrays = [column.array(self._arrow) for column in self.columns]
        self._writer.write_batch(self._arrow.record_batch(arrays, schema=self._schema))
        self.rows = 0
        self.held = 0

    def end(self) -> None:
        """Write what is left, and the foot of the file."""
        if self._writer is not None:
            if self.rows > 0:
                self.flush()
            self._writer.close()


@final
class ParquetKeys(Exporter):
    """One row per key. What keys take is that of the server that wrote the input."""

    def __init__(self, output: Output, losses: Losses, mode: i64) -> None:
        super().__init__(output, losses)
        self.mode: i64 = mode
        self._db = Integers("db", "int32")
        self._key = Strings("key", text=True)
        self._key_bytes = Strings("key_bytes", text=False)
        self._type = Repeated("type", text=True)
        self._encoding = Repeated("encoding", text=True)
        self._bytes = Integers("bytes")
        self._memory = Integers("memory")
        self._elements = Integers("elements")
        self._expires = Integers("expire_at_ms")
        self._fields = Integers("expiring_fields")
        self._idle = Integers("idle_s")
        self._freq = Integers("freq", "int32")
        self._slot = Integers("slot", "int32")
        self._prefix = Strings("prefix", text=True)
        columns: list[Column] = [
            *(self._db, self._key, self._key_bytes, self._type, self._encoding, self._bytes, self._memory),
            *(self._elements, self._expires, self._fields, self._idle, self._freq, self._slot, self._prefix),
        ]
        repeating = ["db", "type", "encoding", "expiring_fields", "freq", "prefix"]
        self._groups = RowGroups(output, columns, repeating)
        self._types: dict[str, bytes] = {}
        self._measure: Measure | None = None
        self._target: Target | None = None

    def begin(self, facts: Facts) -> None:
        release = release_of(facts)
        self._measure = Measure(Costs(release, JEMALLOC), writer=writer_of(facts.aux))
        self._target = saver(release)
        self._groups.begin(facts)

    def frame(self, frame: Frame) -> RdbToolError | None:
        if self.verify:
            frame.raw()
            flaw = self.verifier.flaw_of(frame)
            if flaw is not None and flaw.code != MISCOUNTED:
                return flaw
        measure = self._measure
        assert measure is not None, "begin comes first"
        measure.measure(frame)
        key = frame.key
        text = to_text(key, self.mode)
        self._groups.room(2 * len(key))
        self._db.add(frame.db)
        self._key.add(text)
        self._key_bytes.add(key)
        self._type.add(self._name(frame.type.redis_type))
        self._encoding.add(self._name(ENCODINGS[measure.encoding]))
        self._bytes.add(measure.size)
        self._memory.add(measure.bytes)
        self._elements.add(measure.elements)
        if frame.expire_at_ms == NO_EXPIRY:
            self._expires.add_none()
        else:
            self._expires.add(frame.expire_at_ms)
        self._fields.add(measure.field_expiries)
        self._idle.add_known(frame.idle_s)
        self._freq.add_known(frame.freq)
        self._slot.add(hash_slot(key))
        colon = key.find(COLON)
        if colon < 0:
            self._prefix.add_none()
        else:
            self._prefix.add(to_text(key[: colon + 1], self.mode))
        return None

    def _name(self, name: str) -> bytes:
        """The same object for the same name."""
        found = self._types.get(name)
        if found is None:
            found = name.encode()
            self._types[name] = found
        return found

    def entry(self, entry: Entry) -> None:
        target = self._target
        assert target is not None, "begin comes first"
        self.frame(saved(entry, target))

    def end(self) -> None:
        self._groups.end()


@final
class ElementRows(RowVisitor):
    """Writes values as rows of ``groups``."""

    def __init__(self, losses: Losses, mode: i64) -> None:
        super().__init__(losses, mode)
        self._db = Integers("db", "int32")
        self._key = Repeated("key", text=True)
        self._key_bytes = Repeated("key_bytes", text=False)
        self._type = Repeated("type", text=True)
        self._expires = Integers("expire_at_ms")
        self._index = Integers("index", "uint64")
        self._entry = Strings("entry_id", text=True)
        self._path = Strings("path", text=True)
        self._field = Strings("field", text=True)
        self._field_bytes = Strings("field_bytes", text=False)
        self._value = Strings("value", text=True)
        self._value_bytes = Strings("value_bytes", text=False)
        self._score = Doubles("score")
        self._field_expires = Integers("field_expire_at_ms")
        self.columns: list[Column] = [
            *(self._db, self._key, self._key_bytes, self._type, self._expires, self._index, self._entry, self._path),
            *(self._field, self._field_bytes, self._value, self._value_bytes, self._score, self._field_expires),
        ]
        self.groups: RowGroups | None = None
        self._k = KeyFacts()
        self._key_text = b""
        self._types: dict[str, bytes] = {}
        self._of_type = b""
        self._at: i64 = 0
        self._name: bytes | None = None
        """The field or member that waits for its value or score."""
        self._expiry: i64 = NO_EXPIRY

    def key(self, k: KeyFacts) -> None:
        """The rows that follow are those of this key."""
        self._k = k
        self._key_text = to_text(k.key, self.mode)
        self._of_type = self._types.setdefault(k.type, k.type.encode())

    def begin(self, kind: i64, expiring: bool) -> None:
        super().begin(kind, expiring)
        self._at = 0
        self._name = None
        self._expiry = NO_EXPIRY

    def _row(self, size: i64) -> None:
        """Write what a row begins with; ``size``: bytes of the strings of its element."""
        groups = self.groups
        assert groups is not None
        k = self._k
        groups.room(2 * (size + len(k.key)))  # each row group repeats it
        self._db.add(k.db)
        self._key.add(self._key_text)
        self._key_bytes.add(k.key)
        self._type.add(self._of_type)
        if k.expire_at_ms == NO_EXPIRY:
            self._expires.add_none()
        else:
            self._expires.add(k.expire_at_ms)
        kind = self._kind
        if kind in (LIST, ARRAY):
            self._index.add(self._at)
            self._at += 1
        else:
            self._index.add_none()
        if kind == STREAM:
            self._entry.add(self._place)
        else:
            self._entry.add_none()
        if kind == PATH_HASH:
            self._path.add(self._place)
        else:
            self._path.add_none()

    def _end_row(self, name: bytes | None, value: bytes | None) -> None:
        """Write the field or member and the value."""
        if name is None:
            self._field.add_none()
            self._field_bytes.add_none()
        else:
            self._field.add(to_text(name, self.mode))
            self._field_bytes.add(name)
        if value is None:
            self._value.add_none()
            self._value_bytes.add_none()
        else:
            self._value.add(to_text(value, self.mode))
            self._value_bytes.add(value)
        if self._expiry == NO_EXPIRY:
            self._field_expires.add_none()
        else:
            self._field_expires.add(self._expiry)
            self._expiry = NO_EXPIRY

    def text(self, data: bytes, start: i64, end: i64) -> None:
        kind = self._kind
        name = self._name
        if name is None and kind in (HASH, ZSET, STREAM, PATH_HASH):
            self._name = data[start:end]
            return
        self._name = None
        size = end - start
        self._row(size if name is None else size + len(name))
        self._score.add_none()
        self._end_row(name, data[start:end])

    def score(self, x: float) -> None:
        name = self._name
        assert name is not None
        self._name = None
        self._row(len(name))
        self._score.add(x)
        self._end_row(name, None)

    def expiry(self, ms: i64) -> None:
        self._expiry = ms

    def index(self, index: int) -> None:
        self._at = index if index < 1 << 63 else index - (1 << 64)

    def path(self, name: bytes) -> None:
        self._entries += 1
        self._place = to_text(name, self.mode)

    def module(self, name: str, version: int, payload: bytes) -> None:
        self._row(len(payload))
        self._score.add_none()
        self._field.add(name.encode())
        self._field_bytes.add(name.encode())
        self._value.add(to_text(payload, BASE64))
        self._value_bytes.add(payload)
        self._field_expires.add_none()
        self.left_out(MODULE_VERSIONS)


@final
class ParquetElements(ValueExporter):
    """One row per element."""

    def __init__(self, output: Output, losses: Losses, mode: i64) -> None:
        rows = ElementRows(losses, mode)
        super().__init__(output, losses, rows)
        self.rows = rows
        repeating = ["db", "key", "key_bytes", "type", "expire_at_ms", "field", "field_bytes"]
        self._groups = RowGroups(output, rows.columns, repeating)
        rows.groups = self._groups

    def begin(self, facts: Facts) -> None:
        self._groups.begin(facts)

    def frame(self, frame: Frame) -> RdbToolError | None:
        self._groups.mark()
        try:
            damage = super().frame(frame)
        except RdbToolError:
            self._groups.take_back()
            raise
        if damage is not None:
            self._groups.take_back()
        return damage

    def head(self, k: KeyFacts) -> None:
        self.rows.key(k)

    def end(self) -> None:
        self._groups.end()
