"""Snapshots out: keys, as frames or as entries, into an RDB that the target's server loads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from rdbtool.basics.crc64 import crc64_of_both
from rdbtool.basics.writing import write_part
from rdbtool.errors import FormatError, RdbToolError
from rdbtool.findings import plural
from rdbtool.io.output import File, Output, Writable
from rdbtool.io.window import Window, window_over
from rdbtool.model import Array, Entry, Module, PathHash, Stream, type_name
from rdbtool.rdb.layout import facts
from rdbtool.rdb.layout.facts import Losses
from rdbtool.rdb.layout.quicklist import Quicklist
from rdbtool.rdb.layout.stream import STREAM_VERSIONS
from rdbtool.rdb.layout.templates import (
    OF_REFERENCE,
    PACKED_REFERENCE,
    REFERENCE_TO,
    flaw_of,
    id_and_count,
    names_in_front,
    read_fields,
    with_id,
)
from rdbtool.rdb.layout.visitor import HASH, STREAM
from rdbtool.servers.limits import Limits, refuse_database

from . import opcodes, transcode
from .encode import encode_value
from .events import Event, Function, FunctionPreGa, HashTemplate, ModuleAux, ResizeDb, SelectDb, SlotImport, SlotInfo
from .frame import Frame
from .layout.encoders import put_length, put_ms, put_string, put_u64
from .layout.primitives import read_length, read_string, read_u64
from .libraries import needs_server_table
from .repack import Repacker
from .sinks import ChecksummedSink, Tap
from .targets import Target
from .types import TypeRow
from .values import hashes, lists

VALKEY_FUNCTIONS: Final = "functions that call 'server', as only Valkey does"
ANY_DB: Final[i64] = -1


@final
class RdbWriter:
    """An RDB under construction: `open_rdb_writer` makes it, `close` ends it. Use it as a context manager.

    ``losses.counts``: what the target could not keep, how many by kind. ``keys``: how many were written. ``file``: what
    appears when it is closed, and not at all where the context is left by an exception; None where the sink is not its
    own.
    """

    def __init__(
        self,
        sink: Writable,
        target: Target,
        *,
        limits: Limits | None,
        losses: Losses,
        compress: bool,
        checksum: bool,
        drop_modules: bool,
    ) -> None:
        self.target = target
        self.losses = losses
        self.keys = 0
        self.broken = False
        self.file: File | None = None
        self.closed = False
        self.drop_modules = drop_modules
        self._sink = ChecksummedSink(sink, checksum=checksum)
        self._output = Output(self._sink)
        self._form = target.form(limits, losses, compress=compress)
        self._unknown = target.unknown_types
        self._scratch = BytesWriter()
        self._repacker = Repacker()
        self._db: i64 = ANY_DB
        self._read_db: i64 = 0
        self._sizes: dict[int, tuple[int, int]] = {}
        self._selected: set[int] = set()
        self._tap: Tap | None = None
        self._resumed = False
        self._templates: dict[bytes, int] = {}
        """Ids of the templates that were written, by their names as they stand in front of values."""
        self._template_ids: set[int] = set()
        self._told_ids: dict[bytes, int] = {}
        """The ids that templates have in what is read: kept where no other template has them yet."""
        magic = (
            f"VALKEY{target.rdb_version:03d}" if target.dialect == opcodes.VALKEY else f"REDIS{target.rdb_version:04d}"
        )
        self._output.buffer.write(magic.encode())

    def __enter__(self) -> RdbWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        elif self.file is not None:
            self.file.abort()

    def __repr__(self) -> str:
        return f"<RdbWriter for {self.target.name} with {plural(self.keys, 'key')}>"

    def resume(self) -> None:
        """Go on where others have written all up to some key: nothing of what stands before it is written, nor the end,
        nor has it a checksum.
        """
        self._output.buffer.truncate(0)
        self._sink.checksum = False
        self._resumed = True

    @property
    def db(self) -> int:
        """The database that the last key went to; -1 for none."""
        return self._db

    @property
    def sizes(self) -> dict[int, tuple[int, int]]:
        """What was said of databases: number -> keys, keys that expire."""
        return self._sizes

    def append(
        self,
        head: bytes,
        rest: Callable[[Writable], None],
        size: int,
        crc: int,
        db: int,
        sizes: dict[int, tuple[int, int]],
    ) -> None:
        """Write what one wrote that had resumed, and is in ``db`` now, and was told of these ``sizes``: ``head``, which
        has all of the first choice of a database, and what ``rest`` writes, of that size and with that checksum.
        """
        for number, known in sizes.items():
            self.resize(number, *known)
        if head and head[0] == opcodes.SELECT_DB:
            w = window_over(head)
            w.skip(1)
            first = read_length(w)
            if w.need(1) and w.data[w.pos] == opcodes.RESIZE_DB:
                w.skip(1)
                read_u64(w)
                read_u64(w)
            self._select(first)
            head = head[w.pos :]
        self._output.buffer.write(head)
        self._output.flush()
        if db != ANY_DB:
            self._db = db
            self._selected.add(db)
        sink = self._sink
        rest(sink.sink)
        sink.written += size
        if sink.checksum:
            sink.crc = crc64_of_both(sink.crc, crc, size)

    def aux(self, name: bytes, value: bytes) -> None:
        """Write a fact about the file."""
        out = self._output.buffer
        out.append(u8(opcodes.AUX))
        put_string(out, name, self._form.compress)
        put_string(out, value, self._form.compress)

    def resize(self, db: int, keys: int, expires: int) -> None:
        """Tell how many keys, and keys with an expiry, the database will have; only the first time counts."""
        self._sizes.setdefault(db, (keys, expires))

    def event(self, event: Event) -> None:
        """Pass on what a reader gave. The header, auxiliary fields and the end are the writer's own."""
        if isinstance(event, Frame):
            self.frame(event)
        elif isinstance(event, Function):
            self.function(event.code)
        elif isinstance(event, FunctionPreGa):
            self.function(event.upgraded())
        elif isinstance(event, SelectDb):
            self._read_db = event.db
        elif isinstance(event, ResizeDb):
            self.resize(self._read_db, event.keys, event.expires)
        elif isinstance(event, SlotInfo):
            self._slot_info(event)
        elif isinstance(event, ModuleAux):
            self._module_aux(event)
        elif isinstance(event, SlotImport):
            self._slot_import(event)
        elif isinstance(event, HashTemplate):
            self._told_ids.setdefault(names_in_front(event.names), event.template_id)

    def function(self, code: bytes) -> None:
        """Write the source code of a function library."""
        self.losses.key = None
        if not self.target.functions:
            self.losses.add(facts.FUNCTIONS)
            return
        if not self.target.server_table and needs_server_table(code):
            self.losses.add(VALKEY_FUNCTIONS)
            return
        self._output.buffer.append(u8(opcodes.FUNCTION))
        put_string(self._output.buffer, code, self._form.compress)

    def entry(self, entry: Entry) -> None:
        """Write a key with its value."""
        value = entry.value
        self.losses.key = entry.key
        if isinstance(value, (Stream, Module, Array, PathHash)) and not self._is_wanted(type_name(value)):
            return
        self._select(entry.db)
        output = self._output
        output.begin()
        try:
            at = self._head(entry.key, 0, entry.expire_at_ms, entry.idle_s, entry.freq, b"")
            name = encode_value(value, self._form, output.buffer)
        except RdbToolError:
            output.take_back()
            raise
        output.buffer[at] = u8(self.target.row(name).byte)  # known now
        output.finish()
        self.keys += 1

    def frame(self, frame: Frame) -> None:
        """Write a key as it was read: its payload unopened where the target knows its type.

        Raises what reading raises. Nothing of the key is written then, unless ``broken`` says so.
        """
        row = frame.type
        self.losses.key = frame.key
        if row.kind >= STREAM and not self._is_wanted(row.redis_type):
            return
        self._select(frame.db)
        self._output.begin()
        try:
            if self.target.loads(row):
                if row.kind == HASH and row.byte in REFERENCE_TO:
                    self._templated(frame, row)
                    self._output.finish()
                    self.keys += 1
                    return
                self._frame_head(frame, row)
                if frame.size >= 0:
                    self._copy_measured(frame.window(), frame.size)
                else:
                    self._copy(frame.window(), row)
            else:
                self._transcode(frame, row)
        except RdbToolError as e:
            self.broken = not self._output.take_back() or self.broken
            if e.offset < 0:
                e.offset = frame.value_offset
            e.key = frame.key
            e.doing = e.doing or "copying a value"
            raise
        finally:
            tap = self._tap
            if tap is not None:
                tap.copying = False
        self._output.finish()
        self.keys += 1

    def close(self) -> int:
        """Write the end and the checksum, once; answers the length of the whole in bytes. A sink that is not the
        writer's own stays open.
        """
        if self.closed:
            return self._sink.written
        self.closed = True
        if self._resumed:
            self._output.flush()
            return self._sink.written
        self._output.buffer.append(u8(opcodes.EOF))
        self._output.flush()
        sink = self._sink
        sink.sink.write(sink.crc.to_bytes(8, "little") if sink.checksum else b"\0" * 8)
        sink.written += 8
        if self.file is not None:
            self.file.commit()
        return sink.written

    def _is_wanted(self, redis_type: str) -> bool:
        if redis_type in self._unknown:
            self.losses.add(facts.OF_TYPE[redis_type])
            return False
        if redis_type == "module" and self.drop_modules:
            self.losses.add(facts.MODULE_VALUES)
            return False
        return True

    def _frame_head(self, frame: Frame, row: TypeRow) -> None:
        self._head(frame.key, row.byte, frame.expire_at_ms, frame.idle_s, frame.freq, frame.meta)

    def _head(self, key: bytes, byte: i64, expire_at_ms: i64, idle_s: i64, freq: i64, meta: bytes) -> i64:
        """Write all that stands before the payload; where in the buffer the type's byte is."""
        out = self._output.buffer
        if expire_at_ms != -1:
            out.append(u8(opcodes.EXPIRE_MS))
            put_ms(out, expire_at_ms)
        if idle_s >= 0 or freq >= 0:
            if not self.target.access_times:
                self.losses.add(facts.ACCESS_TIMES)
            elif freq >= 0:
                out.append(u8(opcodes.FREQ))
                out.append(u8(freq))
            else:
                out.append(u8(opcodes.IDLE))
                put_length(out, idle_s)
        if meta:
            if self.target.key_meta and not self.drop_modules:
                out.append(u8(opcodes.KEY_META_OR_SLOT_IMPORT))
                out.write(meta)
            else:
                self.losses.add(facts.KEY_META)
        at: i64 = len(out)
        out.append(u8(byte))
        put_string(out, key, self._form.compress)
        return at

    def _select(self, db: i64) -> None:
        """Go on in database ``db``."""
        if db == self._db:
            return
        refuse_database(db)
        out = self._output.buffer
        self._db = db
        out.append(u8(opcodes.SELECT_DB))
        put_length(out, db)
        size = self._sizes.get(db)
        if size is not None and db not in self._selected:
            out.append(u8(opcodes.RESIZE_DB))
            put_u64(out, size[0])
            put_u64(out, size[1])
        self._selected.add(db)

    def _copy(self, w: Window, row: TypeRow) -> None:
        """Copy a payload. Where the window slides meanwhile, a tap on it has taken what is gone."""
        tap = self._tap
        if w.source is not None:
            if tap is None or tap.window is not w:
                tap = Tap(w, self._output)
                self._tap = tap
            tap.ahead = w.pos - w.observed
            tap.copying = True
        base = w.base
        start = w.pos
        row.skip(w)
        if w.base != base:
            start = w.observed
        write_part(self._output.buffer, w.data, start, w.pos)

    def _copy_measured(self, w: Window, size: i64) -> None:
        """Copy a payload whose length is known: nobody needs to walk it."""
        output = self._output
        while size > w.end - w.pos:
            size -= w.end - w.pos
            output.buffer.write(w.data[w.pos : w.end])
            output.room()
            w.pos = w.end
            if not w.need(1):
                raise w.truncated(size)
        output.buffer.write(w.data[w.pos : w.pos + size])
        w.pos += size

    def _templated(self, frame: Frame, row: TypeRow) -> None:
        """Write a hash with its template's id in place of the names, and the template before it where it is new."""
        w = window_over(frame.raw())
        names = read_fields(w)
        flaw = flaw_of(names)
        if flaw:
            raise FormatError(flaw)
        packed = names_in_front(names)
        rest = w.data[w.pos :]
        listpack = read_string(w) if row.byte == OF_REFERENCE[PACKED_REFERENCE] else b""
        wanted = id_and_count(listpack)[0] if listpack else -1
        number = self._templates.get(packed, -1)
        is_new = number < 0
        if is_new:
            number = self._told_ids.get(packed, wanted)
            if number < 0 or number in self._template_ids:
                number = len(self._template_ids)
            while number in self._template_ids:
                number += 1
        if listpack and number != wanted:
            listpack = with_id(listpack, number)
        if is_new:
            self._templates[packed] = number
            self._template_ids.add(number)
            out = self._output.buffer
            out.append(u8(opcodes.HASH_TEMPLATE_OR_UPDATE))
            put_u64(out, number)
            put_length(out, len(names))
            for name in names:
                put_string(out, name, self._form.compress)
        self._head(frame.key, REFERENCE_TO[row.byte], frame.expire_at_ms, frame.idle_s, frame.freq, frame.meta)
        out = self._output.buffer
        if not listpack:
            put_u64(out, number)
            out.write(rest)
        elif number == wanted:
            out.write(rest)
        else:
            put_string(out, listpack, self._form.compress)

    def _transcode(self, frame: Frame, row: TypeRow) -> None:
        """Write a frame of a type that the target does not know."""
        form = self._form
        output = self._output
        if row.stream_version:
            version = row.stream_version
            # from the fourth version on there is the state of producers, be it that of none
            newest = form.stream_version(producers=version >= 4)
            self._frame_head(frame, self.target.row(STREAM_VERSIONS[newest]))
            transcode.transcoded_stream(frame.window(), version, form, output)
            return
        scratch = self._scratch
        scratch.truncate(0)
        name = ""
        if transcode.can_repack(row, form):
            name = transcode.repacked(self._repacker, frame.raw(), row, form, scratch)
        if not name and row.redis_type == "list" and row.elements is not None:
            nodes = row.elements(frame.window())
            if isinstance(nodes, Quicklist):
                self._frame_head(frame, self.target.row("list-quicklist"))
                transcode.transcoded_list(nodes, self._repacker, form, output)
                return
            name = lists.encode(lists.decode(nodes), form, scratch)
        elif not name and row.redis_type == "hash" and row.elements is not None:
            cursor, elements = transcode.large_hash(frame.window(), row, form)
            if cursor is not None:
                self._frame_head(frame, self.target.row(transcode.hash_type(form)))
                transcode.transcoded_hash(cursor, form, output)
                return
            name = hashes.encode(hashes.decode(elements), form, scratch)
        elif not name:
            name = encode_value(frame.value(), form, scratch)
        self._frame_head(frame, self.target.row(name))
        output.buffer.write(scratch.getvalue())

    def _slot_info(self, event: SlotInfo) -> None:
        """A hint: where the target does not know it, nothing is lost."""
        if self.target.slot_info:
            out = self._output.buffer
            self._select(self._read_db)
            out.append(u8(opcodes.SLOT_INFO))
            put_u64(out, event.slot)
            put_u64(out, event.keys)
            put_u64(out, event.expires)

    def _slot_import(self, event: SlotImport) -> None:
        self.losses.key = None
        if not self.target.slot_imports:
            self.losses.add(facts.SLOT_IMPORTS)
            return
        out = self._output.buffer
        out.append(u8(opcodes.KEY_META_OR_SLOT_IMPORT))
        put_string(out, event.job, False)
        put_length(out, len(event.ranges))
        for first, last in event.ranges:
            put_u64(out, first)
            put_u64(out, last)

    def _module_aux(self, event: ModuleAux) -> None:
        self.losses.key = None
        if self.drop_modules or not self.target.module_aux:
            self.losses.add(facts.MODULE_AUX)
            return
        self._output.buffer.append(u8(opcodes.MODULE_AUX))
        self._output.buffer.write(event.raw)
