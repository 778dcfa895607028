"""An RDB as a stream of events: header, auxiliary fields, functions, keys, end.

The reader pulls bytes through a `Window` and never looks back. A key arrives as a `Frame`: its facts are
read, its value is still in the window. Whoever gets the frame may take the raw payload, walk it in the
window, keep it for later, or leave it: the next event skips what is left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, final

from mypy_extensions import i64

from rdbtool.basics.crc64 import crc64
from rdbtool.errors import FormatError, RdbToolError, UnsupportedError, printable
from rdbtool.io.window import Window, passed, window_over
from rdbtool.servers.releases import (
    CHECKSUM_SINCE,
    FIRST_OF_VALKEY,
    HASH_TEMPLATES_SINCE,
    KEY_METADATA_SINCE,
    MAX_RDB_VERSION,
    UPDATES_SINCE,
)

from . import opcodes
from .events import (
    Aux,
    End,
    Event,
    Foreign,
    Function,
    FunctionPreGa,
    HashTemplate,
    Header,
    ModuleAux,
    ResizeDb,
    SelectDb,
    SlotImport,
    SlotInfo,
    Update,
)
from .foreign import (
    CRON,
    CRON_JOBS,
    ENTERPRISE,
    MEMBER_EXPIRIES,
    MEMBER_EXPIRY,
    begins_cron,
    begins_enterprise,
    skip_cron,
    skip_enterprise,
    zero_run,
)
from .frame import Frame, Unread
from .layout import templates
from .layout.modules import UINT, module_name, skip_key_meta, skip_module_values
from .layout.primitives import (
    read_count,
    read_length,
    read_ms,
    read_seconds,
    read_string,
    read_u64,
    skip_string,
)
from .layout.updates import read_command
from .magic import CAPTURE_HEAD, capture_in, head_of, what_else
from .types import TABLE, TypeRow

NOWHERE: Final[i64] = 1 << 62
"""An offset that no record has."""


@final
class FactsAhead:
    """What belongs to the next key, and was read before something else that stands in front of it."""

    def __init__(self, expire_at_ms: i64, idle_s: i64, freq: i64, meta: bytes) -> None:
        self.expire_at_ms: i64 = expire_at_ms
        self.idle_s: i64 = idle_s
        self.freq: i64 = freq
        self.meta = meta


@final
class RdbReader:
    """Events of one RDB, from a window at its first byte.

    ``checksum``: whether to compute it (`End.computed`). Reading ends before the record that begins at ``until``.
    ``key_offset`` is that of the last key's string. ``lost``
    counts what the file of another product holds and no server of these has, by kind. After `End` the window stands at
    the first byte behind the RDB: the tail of an AOF with a preamble, or trailing bytes.
    """

    def __init__(self, window: Window, *, checksum: bool = True) -> None:
        self.window = window
        self.start: i64 = window.offset()
        self.dialect: i64 = opcodes.REDIS
        self.version: i64 = 0
        self.db: i64 = 0
        self.key_offset: i64 = -1
        self.until: i64 = NOWHERE
        self._unread = Unread(window)
        self.ended = False
        self.doing = "reading the header"
        self.key: bytes | None = None
        self.crc = 0
        self.lost: dict[str, int] = {}
        self._enterprise = False
        self._dragonfly = False
        self._captured = False
        self._mark = b""
        self._started = False
        self._ahead: FactsAhead | None = None
        self._has_templates = False
        self._resumed = False
        self.templates: dict[bytes, templates.Template] = {}
        """By id, in 8 bytes: the hash of bytes has a seed."""
        self._table = TABLE[0]
        self._checksum = checksum

    def __repr__(self) -> str:
        return f"<RdbReader of {opcodes.DIALECT_NAMES[self.dialect]} {self.version} at {self.window.offset()}>"

    def resume(self, dialect: i64, version: i64, db: i64, templates: dict[bytes, templates.Template]) -> None:
        """Take the window's position for the beginning of a record in database ``db``, without a header. ``templates``:
        those of hashes that are known, by id in 8 bytes; more are added.
        """
        self._started = True
        self.templates = templates
        self._resumed = True
        self.dialect = dialect
        self.version = version
        self.db = db
        self._table = TABLE[dialect]
        self._has_templates = dialect == opcodes.REDIS and version >= HASH_TEMPLATES_SINCE

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self.next()
            if event is None:
                return
            yield event

    def next(self) -> Event | None:
        """The next event, or None after `End`.

        Raises `FormatError`, `TruncatedError`, `UnsupportedError` or `InputError`; the stream is then out
        of step, and cannot be read on.
        """
        if self.ended:
            return None
        try:
            if not self._started:
                return self._header()
            unread = self._unread
            row = unread.row
            if row is not None:
                unread.row = None
                row.skip(self.window)
            if self.window.base + self.window.pos >= self.until:
                self.ended = True
                return None
            return self._record()
        except RdbToolError as e:
            raise self.located(e) from None

    def located(self, error: RdbToolError) -> RdbToolError:
        """Add to an error what the reader knows of the place."""
        if not error.path:
            error.path = self.window.path
        if error.key is None:
            error.key = self.key
        error.doing = f"{self.doing}: {error.doing}" if error.doing else self.doing
        return error

    def frame_here(self, db: i64, key: bytes, type_row: TypeRow) -> Frame:
        """A frame of the payload that the window stands at."""
        return self._unread.frame_here(db, key, type_row)

    def observe(self) -> None:
        """Compute the checksum of what is read from here on: ``crc``."""
        self.window.observe(self._update_crc)

    def _update_crc(self, data: bytes) -> None:
        self.crc = crc64(data, self.crc)

    def _header(self) -> Header:
        w = self.window
        self._started = True
        if w.need(1) and w.data[w.pos] in b"$\n":
            capture = capture_in(head_of(w, CAPTURE_HEAD))
            if capture is not None:
                w.skip(capture[0])
                self._mark = capture[1]
                self._captured = True
        if self._checksum:
            self.observe()
        if not w.need(9):
            raise w.truncated(9)
        magic = w.data[w.pos : w.pos + 9]
        if magic[:5] == b"REDIS":
            digits = magic[5:]
        elif magic[:6] == b"VALKEY":
            self.dialect = opcodes.VALKEY
            digits = magic[6:]
        else:
            hint = ", but it begins like an AOF" if magic[:1] in (b"*", b"#") else ""
            other = "" if hint else what_else(w)
            hint = f"; {other}" if other else hint
            raise FormatError(f"wrong magic: not an RDB{hint}", offset=self.start)
        w.skip(9)
        name = opcodes.DIALECT_NAMES[self.dialect]
        if not digits.isdigit() or int(digits) == 0:
            raise FormatError(f"wrong version: '{printable(digits)}'", offset=self.start)
        self.version = int(digits)
        if self.version > MAX_RDB_VERSION[self.dialect]:
            raise UnsupportedError(
                f"RDB version {self.version} of {name.capitalize()} is newer than this program knows "
                f"({MAX_RDB_VERSION[self.dialect]})",
                offset=self.start,
            )
        if self.dialect == opcodes.VALKEY and self.version < FIRST_OF_VALKEY:
            raise FormatError(f"wrong version: {self.version} cannot be of Valkey", offset=self.start)
        self._table = TABLE[self.dialect]
        self._has_templates = self.dialect == opcodes.REDIS and self.version >= HASH_TEMPLATES_SINCE
        return Header(self.start, self.dialect, self.version)

    def _record(self) -> Event:
        w = self.window
        offset: i64 = -1
        expire_at_ms: i64 = -1
        idle_s: i64 = -1
        freq: i64 = -1
        meta = b""
        ahead = self._ahead
        if ahead is not None:
            self._ahead = None
            expire_at_ms = ahead.expire_at_ms
            idle_s = ahead.idle_s
            freq = ahead.freq
            meta = ahead.meta
        while True:
            self.doing = "reading a type"
            self.key = None
            at = w.offset()
            if offset < 0:
                offset = at
            byte = w.u8()
            if byte < opcodes.LOWEST:
                row = self._table[byte]
                if row is None:
                    if byte in ENTERPRISE and self._is_enterprise():
                        self.doing = "reading an opcode of Redis Enterprise"
                        skip_enterprise(w)
                        continue
                    if byte == CRON and self.dialect == opcodes.REDIS and begins_cron(w, self._table):
                        return self._cron(at)
                    if self._has_templates and byte in templates.OF_REFERENCE:
                        row = self._table[templates.OF_REFERENCE[byte]]
                    if row is None:
                        error = self._unknown_type(byte, at)
                        self._name_key()
                        raise error
                self.doing = "reading a key"
                self.key_offset = w.offset()
                key = read_string(w)
                if byte == 0 and len(key) == 0:
                    self._see_zeros(at)
                self.key = key
                self.doing = "reading a value"
                if byte == row.byte:
                    frame = self.frame_here(self.db, key, row)
                else:
                    frame = self._templated(byte, key, row)
                frame.offset = offset
                frame.expire_at_ms = expire_at_ms
                frame.idle_s = idle_s
                frame.freq = freq
                frame.meta = meta
                return frame
            if byte == opcodes.EXPIRE_MS:
                self.doing = "reading an expiry"
                expire_at_ms = read_ms(w)
            elif byte == opcodes.EXPIRE_S:
                self.doing = "reading an expiry"
                expire_at_ms = read_seconds(w) * 1000
            elif byte == opcodes.IDLE:
                self.doing = "reading an idle time"
                idle_s = read_length(w)
            elif byte == opcodes.FREQ:
                self.doing = "reading an access frequency"
                freq = w.u8()
            elif (
                byte == opcodes.KEY_META_OR_SLOT_IMPORT
                and self.dialect == opcodes.REDIS
                and self.version >= KEY_METADATA_SINCE
            ):
                self.doing = "reading a key's metadata"
                meta = passed(w, skip_key_meta)
            else:
                if expire_at_ms != -1 or idle_s >= 0 or freq >= 0 or meta:
                    # to a server, what stands between is no end of what belongs to the next key (KeyDB writes so)
                    self._ahead = FactsAhead(expire_at_ms, idle_s, freq, meta)
                return self._special(byte, at)

    def _special(self, byte: i64, at: i64) -> Event:
        w = self.window
        if byte == opcodes.AUX:
            self.doing = "reading an auxiliary field"
            name = read_string(w)
            if name == MEMBER_EXPIRY:
                self.lost[MEMBER_EXPIRIES] = self.lost.get(MEMBER_EXPIRIES, 0) + 1
            value = read_string(w)
            if name == b"redis-ver" and value.startswith(b"df-"):
                self._dragonfly = True
            return Aux(at, name, value)
        if byte == opcodes.SELECT_DB:
            self.doing = "reading a database number"
            self.db = read_length(w)
            return SelectDb(at, self.db)
        if byte == opcodes.RESIZE_DB:
            self.doing = "reading a size hint"
            keys = read_u64(w)
            return ResizeDb(at, keys, read_u64(w))
        if byte == opcodes.SLOT_INFO:
            self.doing = "reading slot information"
            slot = read_u64(w)
            keys = read_u64(w)
            return SlotInfo(at, slot, keys, read_u64(w))
        if byte == opcodes.FUNCTION:
            self.doing = "reading a function library"
            return Function(at, read_string(w))
        if byte == opcodes.FUNCTION_PRE_GA:
            self.doing = "reading a function library"
            name = read_string(w)
            engine = read_string(w)
            description = read_string(w) if read_length(w) else None
            return FunctionPreGa(at, name, engine, description, read_string(w))
        if byte == opcodes.HASH_TEMPLATE_OR_UPDATE and self._has_templates:
            self.doing = "reading a template of hashes"
            return self._template(at)
        if byte == opcodes.HASH_TEMPLATE_OR_UPDATE and self.version >= UPDATES_SINCE and self.dialect == opcodes.VALKEY:
            self.doing = "reading a command inside a snapshot"
            return Update(at, self.db, read_command(w))
        if byte == opcodes.MODULE_AUX:
            self.doing = "reading a module's auxiliary data"
            return self._module_aux(at)
        if byte == opcodes.EOF:
            return self._end(at)
        if byte == opcodes.KEY_META_OR_SLOT_IMPORT and self.dialect == opcodes.VALKEY:
            self.doing = "reading a slot migration"
            job = read_string(w)
            count = read_count(w, 2)
            ranges = []
            while count > 0:
                first = read_u64(w)
                ranges.append((first, read_u64(w)))
                count -= 1
            return SlotImport(at, job, ranges)
        raise self._unknown_type(byte, at)

    def _unknown_type(self, byte: i64, at: i64) -> RdbToolError:
        kind = "opcode" if byte >= opcodes.LOWEST else "type"
        version = f"{opcodes.DIALECT_NAMES[self.dialect]} RDB version {self.version}"
        message = f"unknown {kind} {byte} in {version}"
        if self._dragonfly:
            return UnsupportedError(
                f"{message}: Dragonfly wrote the file, in a form of its own; its command SAVE RDB writes another",
                offset=at,
            )
        if self.version < opcodes.UNREAD_SINCE[self.dialect]:
            return FormatError(f"{message}, which has none such: the bytes are damaged here or before", offset=at)
        return UnsupportedError(message, offset=at)

    def _is_enterprise(self) -> bool:
        """Whether the opcode of Redis Enterprise that was just passed is one."""
        if not self._enterprise:
            self._enterprise = begins_enterprise(self.window, self._table)
        return self._enterprise

    @property
    def is_capture(self) -> bool:
        """Whether the RDB stands in what a master sent, and not in a file of its own."""
        return self._captured

    @property
    def is_enterprise(self) -> bool:
        """Whether opcodes of Redis Enterprise were met, and passed over."""
        return self._enterprise

    def _cron(self, at: i64) -> Foreign:
        """Pass a cron job of KeyDB."""
        w = self.window
        self.doing = "reading a cron job"
        self.key = read_string(w)
        skip_cron(w)
        self.lost[CRON_JOBS] = self.lost.get(CRON_JOBS, 0) + 1
        return Foreign(at, self.key)

    def _see_zeros(self, at: i64) -> None:
        """Raise `FormatError` if zeros go on behind the type and the name of a key."""
        w = self.window
        run = zero_run(w, w.offset() - at)
        if run:
            where = "to the end of the input" if w.at_end() else "where a key should be"
            lost = "what was there is lost, and perhaps the end of what stands in front"
            raise FormatError(f"{run} zero bytes {where}: {lost}", offset=at)

    def _name_key(self) -> None:
        """Read the key behind an unknown type, so that the error can name it; unless it is long, or none."""
        w = self.window
        if w.need(1) and w.data[w.pos] < 0x80:
            with contextlib.suppress(RdbToolError):
                self.key = read_string(w)

    def _template(self, at: i64) -> HashTemplate:
        w = self.window
        number = read_u64(w)
        names = templates.read_names(w)
        key = number.to_bytes(8, "little")
        flaw = templates.flaw_of(names) or (
            "two templates with one id" if key in self.templates and not self._resumed else ""
        )
        self.templates[key] = templates.Template(names)
        return HashTemplate(at, number, names, flaw)

    def _templated(self, byte: i64, key: bytes, row: TypeRow) -> Frame:
        """A frame of a hash that names its template: it has the names in front of its payload."""
        w = self.window
        at = w.offset()
        value_at = at
        if byte == templates.PACKED_REFERENCE:
            raw = passed(w, skip_string)
            template = self._template_of(raw)
        else:
            number = read_u64(w)
            template = self.templates.get(number.to_bytes(8, "little"))
            if template is None:
                raise FormatError(f"no template has the id {number}", offset=at)
            value_at = w.offset()
            raw = passed(w, template.skip_values)
        names = templates.NO_NAMES if template is None else template.packed
        frame = Frame(names + raw, at, value_at, self.db, key, row)
        frame.size = len(raw)
        return frame

    def _template_of(self, raw: bytes) -> templates.Template | None:
        """The template of a hash whose values are this listpack, unless they are not as many as it has names."""
        try:
            number, count = templates.id_and_count(read_string(window_over(raw)))
        except FormatError:
            return None  # the values cannot be decompressed: whoever looks at them finds it
        template = self.templates.get(int(number).to_bytes(8, "little")) if number >= 0 else None
        return template if template is not None and count in {-1, template.count} else None

    def _module_aux(self, at: i64) -> ModuleAux:
        raw = passed(self.window, _skip_module_aux)
        head = window_over(raw, base=at)
        module = module_name(read_u64(head))
        read_length(head)
        return ModuleAux(at, module, read_u64(head), raw)

    def _end(self, at: i64) -> End:
        w = self.window
        self.doing = "reading the checksum"
        self.ended = True
        w.report()
        w.observe(None)
        stored = -1 if self.version < CHECKSUM_SINCE else int.from_bytes(w.take(8), "little")
        if w.envelope is not None:
            stored = 0  # servers do not look at it
            self.doing = "reading the end of the envelope"
            if not w.envelope.leave(w):
                raise FormatError("bytes behind the snapshot inside its envelope", offset=w.offset())
        if self._captured:
            self._end_capture()
        return End(at, stored, self.crc)

    def _end_capture(self) -> None:
        """Pass what a master sends behind a snapshot: its mark, and line ends that keep the connection alive."""
        w = self.window
        size = len(self._mark)
        if size and w.need(size) and w.data[w.pos : w.pos + size] == self._mark:
            w.skip(size)
        while w.need(1) and w.data[w.pos] == 10:
            w.skip(1)


def _skip_module_aux(w: Window) -> None:
    read_u64(w)
    if read_length(w) != UINT:
        raise FormatError("the time of loading is not a number", offset=w.offset())
    read_u64(w)
    skip_module_values(w)
