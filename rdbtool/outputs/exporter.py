"""What every output format is: a class that is given keys one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError, RdbToolError
from rdbtool.findings import Findings, Severity
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import Output, Writable
from rdbtool.model import Entry, type_name
from rdbtool.rdb.events import Event, ModuleAux, SlotImport
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.facts import ACCESS_TIMES, FUNCTIONS, KEY_META, MODULE_AUX, SLOT_IMPORTS, Losses
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.visitor import KINDS, STRING, Visitor, visit_value
from rdbtool.rdb.walk import Walker

MISCOUNTED: Final = "stream-count"
"""The code of a stream whose count of entries is wrong: entries can be had all the same."""


@final
class Verifier:
    """Looks into values, one after the other: a table of hashes for each would take more time than all the rest."""

    def __init__(self) -> None:
        self._findings = Findings()
        self._inspection = Inspection(self._findings)

    def flaw_of(self, frame: Frame) -> RdbToolError | None:
        """What is wrong with a value, if servers refuse it for that."""
        inspection = self._inspection
        inspection.rereads = 0
        inspection.begin(frame.db, frame.key)
        frame.type.verify(frame.window(), inspection)
        findings = self._findings
        if not findings.items:
            return None
        self._findings = Findings()
        inspection.findings = self._findings
        if findings.worst is not Severity.ERROR:
            return None
        errors = findings.of(Severity.ERROR)
        worst = next((error for error in errors if error.code != MISCOUNTED), errors[0])
        error = FormatError(
            worst.message, path=worst.path, offset=frame.value_offset, doing="checking a value", key=frame.key
        )
        error.code = worst.code
        return error


@final
class Written:
    """What one that had resumed (`Exporter.resume`) wrote: ``head`` is the beginning, and ``rest`` writes all behind it
    to a sink, ``size`` bytes with the checksum ``crc``, 0 unless the format has one; ``db``: the database that it was
    in at the end; ``sizes``: what was said of databases, number -> keys, keys that expire.
    """

    def __init__(
        self,
        head: bytes,
        rest: Callable[[Writable], None],
        *,
        db: int = -1,
        size: int = 0,
        crc: int = 0,
        sizes: dict[int, tuple[int, int]] | None = None,
    ) -> None:
        self.head = head
        self.rest = rest
        self.db = db
        self.size = size
        self.crc = crc
        self.sizes = sizes or {}


class Exporter:
    """Writes keys, and what stands before them, to ``output``.

    ``losses`` knows what the format keeps, by its row in `outputs.registry`, and counts what was met and is not kept.
    A subclass overrides the calls for what it keeps; those that it leaves as they are count a loss. ``verify``: look
    into each value, and report as damaged what servers refuse, instead of writing it.
    """

    def __init__(self, output: Output, losses: Losses) -> None:
        self.output = output
        self.losses = losses
        self.verify = False
        self.verifier = Verifier()
        self.miscounted_elsewhere = 0
        """`miscounted` of others that write for this one."""

    @property
    def miscounted(self) -> int:
        """Streams that hold another number of entries than they say, of those that were looked into."""
        return self.miscounted_elsewhere

    def begin(self, facts: Facts) -> None:
        """The first call."""

    def resume(self, facts: Facts) -> None:
        """The first call, in place of `begin`, to one that goes on where others have written what stands before."""
        self.begin(facts)

    @property
    def db(self) -> int:
        """The database that what is written last goes to, where that is said once for many keys; else -1."""
        return -1

    @property
    def sizes(self) -> dict[int, tuple[int, int]]:
        """What was said of databases: number -> keys, keys that expire."""
        return {}

    def follow(self, head: bytes, db: int) -> tuple[bytes, int]:
        """How that which begins with ``head``, written by one that had resumed and is in ``db`` now, follows what was
        written by this one: bytes to put in front, and how many of its first ones to leave out.
        """
        return b"", 0

    def append(self, written: Written) -> None:
        """Write what another one wrote for this one."""
        output = self.output
        front, skipped = self.follow(written.head, written.db)
        output.buffer.write(front)
        output.buffer.write(written.head[skipped:])
        output.flush()
        written.rest(output.sink)

    def function(self, code: bytes) -> None:
        """Write a function library."""
        self.losses.left_out(FUNCTIONS)

    def module_aux(self, aux: ModuleAux) -> None:
        """Write data of a module beside the keys."""
        self.losses.left_out(MODULE_AUX)

    def slot_import(self, event: SlotImport) -> None:
        """Write a slot migration that was under way."""
        self.losses.left_out(SLOT_IMPORTS)

    def hint(self, event: Event) -> None:
        """Take note of what only helps a server to load faster: sizes of databases and slots."""

    def frame(self, frame: Frame) -> RdbToolError | None:
        """Write a key from its bytes; nothing is written, and the damage returned, where they are damaged.

        Raises what reading raises.
        """
        raise NotImplementedError

    def entry(self, entry: Entry) -> None:
        """Write a decoded key."""
        raise NotImplementedError

    def end(self) -> None:
        """The last call; it empties the buffer."""
        self.output.flush()


class KeyFacts:
    """A key without its value. ``kind`` is its type as a number; ``encoding`` is the name of the type in the file, ""
    for a decoded key.
    """

    def __init__(self) -> None:
        self.db: i64 = 0
        self.key = b""
        self.type = ""
        self.kind: i64 = STRING
        self.encoding = ""
        self.expire_at_ms: i64 = -1
        self.idle_s: i64 = -1
        self.freq: i64 = -1
        self.meta = b""
        self.size: i64 = -1
        """Bytes of the payload in the file, known when the value has been told; -1 for a decoded key."""


class ValueExporter(Exporter):
    """An exporter that writes values: `head`, what ``visitor`` writes, `tail`."""

    def __init__(self, output: Output, losses: Losses, visitor: Visitor) -> None:
        super().__init__(output, losses)
        self.visitor = visitor
        self._loses = not {ACCESS_TIMES, KEY_META} <= losses.keeps
        self._walker = Walker(visitor)
        self._facts = KeyFacts()

    def flaw(self, frame: Frame) -> RdbToolError | None:
        """Why servers refuse the value, if they do; the frame is kept."""
        frame.raw()
        flaw = self.verifier.flaw_of(frame)
        return None if flaw is None or flaw.code == MISCOUNTED else flaw

    @property
    def miscounted(self) -> int:
        return int(self._walker.miscounted) + self.miscounted_elsewhere

    def head(self, k: KeyFacts) -> None:
        """Write what stands before the value."""

    def tail(self, k: KeyFacts) -> None:
        """Write what stands behind the value."""

    def broken(self) -> None:
        """A record was cut off in the middle after parts of it had gone out."""

    def count_losses(self, idle_s: i64, freq: i64, meta: bytes) -> None:
        """Count what the format does not keep of a key's facts."""
        keeps = self.losses.keeps
        if (idle_s >= 0 or freq >= 0) and ACCESS_TIMES not in keeps:
            self.losses.left_out(ACCESS_TIMES)
        if meta and KEY_META not in keeps:
            self.losses.left_out(KEY_META)

    def frame(self, frame: Frame) -> RdbToolError | None:
        if self.verify:
            flaw = self.flaw(frame)
            if flaw is not None:
                return flaw
        k = self._facts
        k.db = frame.db
        k.key = frame.key
        k.type = frame.type.redis_type
        k.kind = frame.type.kind
        k.encoding = frame.type.name
        k.expire_at_ms = frame.expire_at_ms
        k.idle_s = frame.idle_s
        k.freq = frame.freq
        k.meta = frame.meta
        o = self.output
        o.begin()
        self.head(k)
        try:
            damage = self._walker.walk(frame)
        except RdbToolError:
            if not o.take_back():
                self.broken()
            raise
        if damage is not None:
            if not o.take_back():
                self.broken()
            return damage
        k.size = self._walker.size
        self.tail(k)
        o.finish()
        if self._loses and (k.idle_s >= 0 or k.freq >= 0 or k.meta):
            self.count_losses(k.idle_s, k.freq, k.meta)
        return None

    def entry(self, entry: Entry) -> None:
        k = self._facts
        k.db = entry.db
        k.key = entry.key
        k.type = type_name(entry.value)
        k.kind = KINDS[k.type]
        k.encoding = ""
        k.expire_at_ms = entry.expire_at_ms
        k.idle_s = entry.idle_s
        k.freq = entry.freq
        k.meta = b""
        k.size = -1
        o = self.output
        o.begin()
        self.head(k)
        visit_value(entry.value, self.visitor)
        self.tail(k)
        o.finish()
        if self._loses and (k.idle_s >= 0 or k.freq >= 0):
            self.count_losses(k.idle_s, k.freq, b"")
