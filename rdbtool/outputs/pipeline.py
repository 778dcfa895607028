"""The way of every export: keys that are wanted, to an exporter."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.findings import Finding, Findings, Severity, finding_of
from rdbtool.inputs.keys import EntryEvent, Facts, KeySource, facts_of
from rdbtool.inputs.selection import Selection
from rdbtool.model import Entry
from rdbtool.rdb.events import End, Event, Function, FunctionPreGa, ModuleAux, SlotImport
from rdbtool.rdb.head import Aside, RdbHead
from rdbtool.rdb.reader import Frame

from .exporter import Exporter


@final
class Pipeline(Aside):
    """Moves keys that ``selection`` wants to ``exporter``: those that are passed to it, and those of a source.

    ``beside``: whether functions and data of modules go along. With ``keep_going``, a key whose bytes are
    framed but damaged is left out, and becomes one of ``findings``; ``skipped`` counts them. ``keys``: seen;
    ``written``: exported; ``begun``: the exporter has begun.
    """

    def __init__(
        self,
        selection: Selection,
        exporter: Exporter,
        findings: Findings,
        *,
        beside: bool = True,
        keep_going: bool = False,
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
        self._path = ""

    def run(self, source: KeySource) -> None:
        """Move all keys of ``source``. Raises what reading or writing raises, and without ``keep_going`` the first
        damage.
        """
        self._path = source.path
        while not self.selection.full:
            event = source.next()
            self.start(source.facts)
            if event is None:
                return
            self._event(event)
        self.start(source.facts)

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

    def _frame(self, frame: Frame) -> None:
        damage = self.exporter.frame(frame)
        if damage is None:
            self.written += 1
            return
        damage.path = damage.path or self._path
        if not self.keep_going:
            raise damage
        self.skipped += 1
        self.findings.add(finding_of(damage, Severity.WARNING, frame.db))

    def _other(self, event: Event) -> None:
        if isinstance(event, EntryEvent):
            self.keys += 1
            entry: Entry = event.entry
            if self.selection.keeps_entry(entry):
                self.exporter.entry(entry)
                self.written += 1
        elif isinstance(event, Function):
            if self.beside:
                self.exporter.function(event.code)
        elif isinstance(event, FunctionPreGa):
            if self.beside:
                self.exporter.function(event.upgraded())
        elif isinstance(event, ModuleAux):
            if self.beside:
                self.exporter.module_aux(event)
        elif isinstance(event, End) and event.checksum == "bad":
            message = "the checksum is wrong: some byte of the file has changed since it was written"
            if not self.keep_going:
                raise FormatError(message, path=self._path, offset=event.offset, doing="reading the checksum")
            self.findings.add(Finding(Severity.WARNING, "checksum", message, self._path, event.offset))
        elif isinstance(event, SlotImport):
            if self.beside:
                self.exporter.slot_import(event)
        elif self.selection.everything:
            self.exporter.hint(event)
