"""Check a whole RDB: its records, every value in it, its checksum, and what its keys are to each other."""

from __future__ import annotations

import re
from typing import Any, final

from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from rdbtool.errors import OutputError, RdbToolError, TruncatedError, printable
from rdbtool.findings import Findings, Severity, add_counts, finding_of, plural
from rdbtool.io.window import Window
from rdbtool.rdb import opcodes
from rdbtool.rdb.events import (
    Aux,
    End,
    Foreign,
    Function,
    FunctionPreGa,
    HashTemplate,
    Header,
    ModuleAux,
    SelectDb,
    SlotImport,
    SlotInfo,
    Update,
)
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.types import TABLE
from rdbtool.servers.features import BUILT_IN_MODULES
from rdbtool.servers.limits import DATABASES
from rdbtool.servers.releases import oldest_with

from .foreign import MEMBER_EXPIRIES
from .functions import check_library
from .layout.duplicates import Duplicates
from .layout.inspection import Inspection
from .layout.modules import metadata_classes
from .libraries import needs_server_table


@final
class RdbFacts:
    """What an RDB holds. Nothing here is a judgement.

    ``offset``: where it begins; ``end``: the offset behind it, or behind what could be read; ``complete``: whether it
    was read to its end; ``good_to``: the offset up to which records were read in step; ``encodings``: keys by name of
    the type in the file; ``functions``: names of libraries; ``libraries``: offset and code of each; ``databases``:
    keys by number; ``modules``: keys by module; ``valkey_functions``: libraries that need Valkey's name for the
    server; ``module_data``: modules with data beside the keys; ``expired``: keys whose time had come at ``now_ms``;
    ``slot_counts``: opcodes that count the keys of slots; ``checksum``: as `End.checksum`, or ``unread``.
    """

    def __init__(self, offset: i64) -> None:
        self.offset: i64 = offset
        self.slot_counts: i64 = 0
        self.end: i64 = offset
        self.good_to: i64 = offset
        self.complete = False
        self.dialect = ""
        self.version: i64 = 0
        self.aux: dict[str, str] = {}
        self.keys: i64 = 0
        self.expires: i64 = 0
        self.expired: i64 = 0
        self.subexpires: i64 = 0
        self.empty: i64 = 0
        self.types: dict[str, int] = {}
        self.encodings: dict[str, int] = {}
        self.databases: dict[int, int] = {}
        self.functions: list[str] = []
        self.libraries: list[tuple[int, bytes]] = []
        self.valkey_functions: list[str] = []
        self.modules: dict[str, int] = {}
        self.module_data: list[str] = []
        self.checksum = "unread"

    def __reduce__(self) -> tuple[object, ...]:
        return RdbFacts, (0,), self.__getstate__()

    def add(self, part: RdbFacts) -> None:
        """Take in what was found out about the part behind."""
        self.end = part.end
        self.good_to = max(self.good_to, part.good_to)
        self.complete = part.complete
        for name, value in part.aux.items():
            self.aux.setdefault(name, value)
        self.slot_counts += part.slot_counts
        self.keys += part.keys
        self.expires += part.expires
        self.expired += part.expired
        self.subexpires += part.subexpires
        self.empty += part.empty
        add_counts(self.types, part.types)
        add_counts(self.encodings, part.encodings)
        add_counts(self.databases, part.databases)
        add_counts(self.modules, part.modules)
        self.functions += part.functions
        self.libraries += part.libraries
        self.valkey_functions += part.valkey_functions
        self.module_data += [name for name in part.module_data if name not in self.module_data]
        rows = TABLE[opcodes.DIALECT_NAMES.index(self.dialect)] if self.dialect else []
        order = [row for row in rows if row is not None]
        self.encodings = {row.name: self.encodings[row.name] for row in order if row.name in self.encodings}
        self.types = {row.redis_type: self.types[row.redis_type] for row in order if row.name in self.encodings}

    @property
    def writer(self) -> str:
        """The server that wrote it, as far as it says: ``redis 7.0.15``, ``valkey 9.1.2``, or ""."""
        if "valkey-ver" in self.aux:
            return f"valkey {self.aux['valkey-ver']}"
        if "redis-ver" in self.aux:
            return f"redis {self.aux['redis-ver']}"
        return ""

    def as_json(self) -> dict[str, Any]:
        """The facts as data."""
        return {
            "dialect": self.dialect,
            "version": int(self.version),
            "writer": self.writer,
            "aux": self.aux,
            "offset": int(self.offset),
            "size": int(self.end - self.offset),
            "complete": self.complete,
            "good_to": int(self.good_to),
            "checksum": self.checksum,
            "keys": int(self.keys),
            "expires": int(self.expires),
            "expired": int(self.expired),
            "subexpires": int(self.subexpires),
            "empty": int(self.empty),
            "types": self.types,
            "encodings": self.encodings,
            "databases": {str(db): n for db, n in self.databases.items()},
            "functions": self.functions,
            "modules": self.modules,
            "module_data": self.module_data,
        }


@mypyc_attr(allow_interpreted_subclasses=True)
class KeyObserver:
    """Is shown the keys of an RDB while it is checked."""

    def begin(self, facts: RdbFacts) -> None:
        """What the check finds out, before it has: at the first key the header and the auxiliary fields are there."""
        raise NotImplementedError

    def see(self, frame: Frame) -> None:
        """A key, good until the next one. Raises what reading raises."""
        raise NotImplementedError


def verify_rdb(
    w: Window,
    findings: Findings,
    *,
    databases: int = DATABASES,
    now_ms: int = 0,
    keep_expired: bool = False,
    values: bool = True,
    observer: KeyObserver | None = None,
) -> RdbFacts:
    """Read an RDB from its first byte to behind its checksum, and report all that is wrong with it.

    After damage that breaks the step of the stream, reading ends there with a finding, and ``complete``
    is False; else the window stands at the first byte behind the RDB. ``keep_expired``: it is the base
    or preamble of an AOF, whose expired keys a server keeps. ``values``: look into values; else their
    frames only. ``observer`` is shown the keys. Raises `InputError` where the input cannot be read, `OutputError` where
    temporary data cannot be written.
    """
    check = RdbCheck(w, findings, databases, now_ms, keep_expired, values, observer)
    if observer is not None:
        observer.begin(check.facts)
    check.read()
    check.conclude()
    return check.facts


@final
class RdbCheck:
    """A check of an RDB, or of a part of one (`check_parts`): `read`, and when all is read, `conclude`."""

    def __init__(
        self,
        w: Window,
        findings: Findings,
        databases: int,
        now_ms: int,
        keep_expired: bool,
        values: bool,
        observer: KeyObserver | None,
    ) -> None:
        self.window = w
        self.findings = findings
        self.limit: i64 = databases
        self.now_ms: i64 = now_ms
        self.keep_expired = keep_expired
        self.values = values
        self.observer = observer
        self.reader = RdbReader(w)
        self.inspection = Inspection(findings, w.path)
        self.facts = RdbFacts(w.offset())
        self.seen = Duplicates()
        self.db: i64 = 0
        self.db_keys: i64 = 0
        self.by_byte = vec[i64]([0] * 256)
        self.has_updates = False
        self.modules: set[str] = set()
        self.libraries: set[bytes] = set()
        self.lost = self.reader.lost
        self.is_enterprise = False
        self.ended: End | None = None

    def read(self) -> None:
        """Read on to the end, or to damage that breaks the step of the stream. Raises `OutputError`."""
        facts = self.facts
        w = self.window
        try:
            while True:
                event = self.reader.next()
                if event is None:
                    if self.ended is not None:
                        facts.good_to = w.offset()
                        facts.complete = True
                    break
                facts.good_to = event.offset
                if isinstance(event, Frame):
                    self._key(event)
                elif isinstance(event, Header):
                    facts.dialect = opcodes.DIALECT_NAMES[event.dialect]
                    facts.version = event.version
                else:
                    self._special(event)
        except OutputError:  # of temporary data: it says nothing about the file
            raise
        except RdbToolError as e:
            self._broken(e)
        facts.end = w.offset()
        self.is_enterprise = self.reader.is_enterprise
        self._count()

    def conclude(self) -> None:
        """Tell what is known when all is read. Raises `OutputError`."""
        facts = self.facts
        if self.ended is not None:
            self._end(self.ended)
        self._late_duplicates()
        self._other_products()
        if facts.expired and not self.keep_expired:
            self._report(
                "expired-keys",
                f"expired: {plural(facts.expired, 'key')}; a master drops what has expired when it loads the file",
            )

    def _other_products(self) -> None:
        """Tell what only another product can read, or no server."""
        members = self.lost.get(MEMBER_EXPIRIES, 0)
        if members:
            message = f"{plural(members, 'member')} of KeyDB with an expiry: Redis and Valkey keep them for good"
            self._report("keydb-member-expiry", message)
        if self.reader.is_capture:
            message = "the RDB stands in what a master sent: servers refuse the file, and convert makes one of it"
            self._report("capture", message, self.facts.offset)
        if self.is_enterprise:
            self._report("enterprise", "opcodes of Redis Enterprise were skipped; Redis and Valkey refuse the file")

    def _broken(self, error: RdbToolError) -> None:
        """Tell the error that ended the reading."""
        facts = self.facts
        if isinstance(error, TruncatedError) and facts.good_to == facts.offset and facts.dialect == "":
            if self.window.size >= 0 and self.window.size <= facts.offset:
                self._report("empty-file", "the input is empty", facts.offset)
                return
        self.findings.add(finding_of(error, Severity.ERROR, int(self.db) if error.key is not None else -1))

    def _report(self, code: str, message: str, offset: int = -1, key: bytes | None = None) -> None:
        ins = self.inspection
        ins.begin(self.db if key is not None else -1, key)
        ins.report(code, message, offset)

    def _special(self, event: object) -> None:
        facts = self.facts
        if isinstance(event, Aux):
            facts.aux.setdefault(printable(event.name), printable(event.value))
            if event.name.lower() == b"slot-info" and not _tells_slot(event.value):
                message = f"no three numbers are in the field slot-info: '{printable(event.value)}'"
                self._report("slot-info", message, event.offset)
        elif isinstance(event, SelectDb):
            self._count_db()
            self.db = event.db
            if event.db >= self.limit:
                self._report(
                    "database-number",
                    f"database {event.db}: a server with {self.limit} databases refuses the file",
                    event.offset,
                )
        elif isinstance(event, Function):
            name = check_library(event, self.libraries, self.inspection)
            facts.functions.append(name)
            if name:
                facts.libraries.append((int(event.offset), event.code))
            if needs_server_table(event.code):
                facts.valkey_functions.append(name)
        elif isinstance(event, FunctionPreGa):
            facts.functions.append(printable(event.name))
            message = "a function library of a pre-release of Redis 7.0: only Redis 7.0 loads the file"
            self._report("function-pre-release", message, event.offset)
        elif isinstance(event, ModuleAux):
            if event.module not in self.modules:
                self.modules.add(event.module)
                name = printable(event.module.encode())
                facts.module_data.append(name)
                self._report(
                    "module-data", f"data of module type '{name}': the server needs {_needs(name)}", event.offset
                )
        elif isinstance(event, HashTemplate):
            if event.flaw:
                self._report("hash-template", event.flaw, event.offset)
        elif isinstance(event, Update):
            if not self.has_updates:
                self.has_updates = True
                message = (
                    "commands inside the snapshot, as a master that saves without a fork sends them: keys are counted "
                )
                message += "as they stand, before the commands"
                self._report("update", message, event.offset)
        elif isinstance(event, SlotInfo):
            facts.slot_counts += 1
        elif isinstance(event, SlotImport):
            self._report("slot-import", "a slot migration was under way when the file was written", event.offset)
        elif isinstance(event, Foreign):
            message = "a cron job of KeyDB: neither Redis nor Valkey load the file"
            self._report("keydb-cron", message, event.offset, event.key)
        elif isinstance(event, End):
            self.ended = event

    def _end(self, event: End) -> None:
        facts = self.facts
        facts.checksum = event.checksum
        if facts.checksum == "bad":
            message = f"wrong checksum: the file says {event.stored:016x}, its bytes give {event.computed:016x}"
            self._report("checksum", message, facts.end - 8)
        elif facts.checksum == "off":
            self._report("no-checksum", "saved without a checksum: damage inside values can go unseen", event.offset)

    def _key(self, frame: Frame) -> None:
        facts = self.facts
        ins = self.inspection
        row = frame.type
        facts.keys += 1
        self.db_keys += 1
        self.by_byte[row.byte] += 1
        expired = False
        if frame.expire_at_ms != -1:
            facts.expires += 1
            if frame.expire_at_ms < self.now_ms:
                facts.expired += 1
                expired = not self.keep_expired
        if len(frame.meta) > 0:
            self._metadata(frame)
        ins.begin(self.db, frame.key)
        if self.observer is not None:
            self.observer.see(frame)
        if self.values:
            try:
                row.verify(frame.window(), ins)
            except OutputError:
                raise
            except RdbToolError as e:
                raise self.reader.located(e) from None
            if ins.empty:
                facts.empty += 1
                message = f"an empty {row.redis_type}: servers since Redis 6.2 skip the key"
                ins.report("empty-collection", message, frame.offset)
            facts.subexpires += ins.subexpires
            if ins.module:
                self._module(frame, ins.module)
        if not expired and not ins.empty:
            at = self.reader.key_offset
            if self.seen.add(frame.key, at, self.db):
                self._duplicate(frame.key, self.seen.first(frame.key, self.db), at, self.db)

    def _module(self, frame: Frame, name: str) -> None:
        modules = self.facts.modules
        name = printable(name.encode())
        if name not in modules:
            modules[name] = 0
            message = f"a value of module type '{name}': the server needs {_needs(name)}"
            self._report("module-value", message, frame.offset, frame.key)
        modules[name] += 1

    def _metadata(self, frame: Frame) -> None:
        for name in metadata_classes(frame.meta):
            if name not in self.facts.module_data:
                self.facts.module_data.append(name)
                message = f"metadata of class '{name}' at keys: the server needs the module that has it"
                self._report("module-data", message, frame.offset, frame.key)

    def _duplicate(self, key: bytes | None, earlier: int, later: int, db: int) -> None:
        ins = self.inspection
        ins.begin(db, key)
        ins.report(
            "duplicate-key", f"the key is there twice, first at offset {earlier}: servers refuse the file", later
        )

    def _late_duplicates(self) -> None:
        """Tell the duplicate keys that were found by hash."""
        seen = self.seen
        if seen.kept is not None:
            return
        seen.finish()
        for earlier, later, key in seen.confirmed(self.window.path):
            self._duplicate(key, earlier, later, -1)
        if seen.more:
            self._report("duplicate-key", f"{seen.more} further keys are there twice")

    def _count_db(self) -> None:
        if self.db_keys:
            number = int(self.db)
            self.facts.databases[number] = self.facts.databases.get(number, 0) + self.db_keys
        self.db_keys = 0

    def _count(self) -> None:
        """Turn counts by type byte into counts by name."""
        self._count_db()
        facts = self.facts
        for row in TABLE[self.reader.dialect]:
            if row is not None:
                found = self.by_byte[row.byte]
                if found:
                    facts.encodings[row.name] = found
                    facts.types[row.redis_type] = facts.types.get(row.redis_type, 0) + found


def _tells_slot(value: bytes) -> bool:
    """Whether C's ``sscanf(value, "%i,%lu,%lu")`` finds three numbers: a slot, its keys, and those with an expiry."""
    number = rb"[+-]?[0-9]+"
    slot = rb"[+-]?(0[xX][0-9a-fA-F]*|0[0-7]*|[1-9][0-9]*)"
    return re.match(rb"\s*" + slot + rb",\s*" + number + rb",\s*" + number, value) is not None


def _needs(module: str) -> str:
    feature = BUILT_IN_MODULES.get(module)
    return "that module" if feature is None else f"to be {oldest_with(feature).title} or later"
