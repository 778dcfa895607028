"""The way of every export: keys that are wanted, to an exporter."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.errors import FormatError, printable_text
from rdbtool.findings import Finding, Findings, Severity, finding_of
from rdbtool.inputs.keys import EntryEvent, Facts, KeySource, RdbSource, facts_of
from rdbtool.inputs.selection import Selection
from rdbtool.model import Entry
from rdbtool.rdb.events import End, Event, Function, FunctionPreGa, ModuleAux, SlotImport
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.head import Aside, RdbHead
from rdbtool.rdb.layout.duplicates import Duplicates
from rdbtool.rdb.libraries import library_header
from rdbtool.rdb.reader import RdbReader

from .exporter import Exporter


@final
class Pipeline(Aside):
    """Moves keys that ``selection`` wants to ``exporter``: those that are passed to it, and those of a source.

    ``beside``: whether functions and data of modules go along. With ``keep_going``, a key whose bytes are framed
    but damaged is left out, and becomes one of ``findings``; ``skipped`` counts them. ``distinct``: a key that
    comes twice in a source is damage, as it is to servers; ``seen`` takes their hashes for somebody else to find
    that out. ``keys``: seen; ``written``: exported; ``begun``: the exporter has begun; ``loss``: what is written is
    not all that the input held.
    """

    def __init__(
        self,
        selection: Selection,
        exporter: Exporter,
        findings: Findings,
        *,
        beside: bool = True,
        keep_going: bool = False,
        distinct: bool = False,
        seen: Duplicates | None = None,
    ) -> None:
        self.selection = selection
        self.exporter = exporter
        self.findings = findings
        self.beside = beside
        self.keep_going = keep_going
        self.keys: i64 = 0
        self.written: i64 = 0
        self.skipped: i64 = 0
        self.begun = False
        self.loss = False
        self._path = ""
        self._seen = seen
        self._tells = seen is None and distinct
        if self._tells:
            self._seen = Duplicates()
        self._looks = False
        """Whether keys are looked up in ``_seen``: those of a log's dataset are distinct."""
        self._reader: RdbReader | None = None
        self._libraries: set[bytes] = set()

    def run(self, source: KeySource) -> None:
        """Move all keys of ``source``. Raises what reading or writing raises, and without ``keep_going`` the first
        damage.
        """
        self.move(source)
        self.conclude()

    def move(self, source: KeySource) -> None:
        """The same, with `conclude` still to come."""
        self.enter(source)
        while not self.selection.full:
            event = source.next()
            self.start(source.facts)
            if event is None:
                break
            self._event(event)
        self.start(source.facts)

    def expect(self) -> Duplicates | None:
        """What takes the hashes of keys that others move for this one, before it has moved any; None where nobody asks
        for them.
        """
        if self._looks:
            self._seen = Duplicates(keep=False)
        return self._seen if self._looks else None

    def enter(self, source: KeySource) -> None:
        """Turn to another source: what is passed next is of it."""
        self._path = source.path
        if isinstance(source, RdbSource):
            self._reader = source.reader
        self._looks = self._seen is not None and not source.distinct

    def begin(self, head: RdbHead) -> None:
        self.start(facts_of(head))

    def take(self, event: Event) -> None:
        if not self.selection.full:
            self._event(event)

    def start(self, facts: Facts) -> None:
        """Let the exporter begin, if it has not."""
        if not self.begun:
            self.begun = True
            self.exporter.begin(facts)

    def _event(self, event: Event) -> None:
        if isinstance(event, Frame):
            self.keys += 1
            if self.selection.keeps(event):
                self._frame(event)
        else:
            self._other(event)

    def _see(self, db: i64, key: bytes) -> None:
        """Look whether the key came before. Raises `FormatError`."""
        seen = self._seen
        assert seen is not None
        reader = self._reader
        offset: i64 = -1  # a conditional expression would make an object of it
        if reader is not None:
            offset = reader.key_offset
        if seen.add(key, offset, db):
            raise self._comes_twice(key)

    def conclude(self) -> None:
        """Raise `FormatError` for a key that came twice, where that is told only by hash."""
        seen = self._seen
        if not (self._looks and self._tells) or seen is None or seen.kept is not None:
            return
        seen.finish()
        if self._reader is not None:
            for _, _, key in seen.confirmed(self._path):
                raise self._comes_twice(key)
        elif seen.pairs:
            raise self._comes_twice(None)

    def _comes_twice(self, key: bytes | None) -> FormatError:
        error = FormatError(
            "the key is there twice: servers refuse such a file; --on-conflict first or last decides which counts",
            path=self._path,
            key=key,
        )
        error.code = "duplicate-key"
        return error

    def _frame(self, frame: Frame) -> None:
        if self._looks:
            self._see(frame.db, frame.key)
        damage = self.exporter.frame(frame)
        if damage is None:
            self.written += 1
            return
        damage.path = damage.path or self._path
        if not self.keep_going:
            raise damage
        self.skipped += 1
        self.loss = True
        self.findings.add(finding_of(damage, Severity.WARNING, frame.db))

    def _function(self, code: bytes, offset: i64) -> None:
        """Pass a library on; with ``keep_going``, one that servers refuse is left out."""
        if self.keep_going:
            wrong = self._wrong_with(code)
            if wrong:
                self.findings.add(Finding(Severity.WARNING, "function-library", wrong, self._path, offset))
                self.loss = True
                return
        self.exporter.function(code)

    def _wrong_with(self, code: bytes) -> str:
        try:
            name = library_header(code)[1]
        except FormatError as e:
            return f"a function library is left out: {e.message}"
        if name in self._libraries:
            return f"function library '{name.decode()}' is there twice: the second is left out"
        self._libraries.add(name)
        from rdbtool.engine.scripting.compiling import compile_error  # only damaged files need the engine

        flaw = compile_error(code)
        if flaw:
            return f"function library '{name.decode()}' is left out, for it does not compile: {printable_text(flaw)}"
        return ""

    def _other(self, event: Event) -> None:
        if isinstance(event, EntryEvent):
            self.keys += 1
            entry: Entry = event.entry
            if self.selection.keeps_entry(entry):
                if self._looks:
                    self._see(entry.db, entry.key)
                self.exporter.entry(entry)
                self.written += 1
        elif isinstance(event, Function):
            if self.beside:
                self._function(event.code, event.offset)
        elif isinstance(event, FunctionPreGa):
            if self.beside:
                self._function(event.upgraded(), event.offset)
        elif isinstance(event, ModuleAux):
            if self.beside:
                self.exporter.module_aux(event)
        elif isinstance(event, End) and event.checksum == "bad":
            message = "the checksum is wrong: some byte of the file has changed since it was written"
            if not self.keep_going:
                raise FormatError(message, path=self._path, offset=event.offset, doing="reading the checksum")
            self.findings.add(Finding(Severity.WARNING, "checksum", message, self._path, event.offset))
            self.loss = True
        elif isinstance(event, SlotImport):
            if self.beside:
                self.exporter.slot_import(event)
        elif self.selection.everything:
            self.exporter.hint(event)
