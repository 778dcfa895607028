"""The loop of every export: keys from a source, those that are wanted, to an exporter."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.findings import Finding, Findings, Severity, finding_of
from rdbtool.model import Entry
from rdbtool.rdb.events import End, Event, Function, FunctionPreGa, ModuleAux
from rdbtool.rdb.reader import Frame

from .exporter import Exporter
from .keys_in import EntryEvent, KeySource
from .selection import Selection


@final
class Pump:
    """Moves the keys of ``source`` that ``selection`` wants to ``exporter``.

    ``beside``: whether functions and data of modules go along. With ``keep_going``, a key whose bytes are
    framed but damaged is left out, and becomes one of ``findings``; ``skipped`` counts them. ``keys``: seen;
    ``written``: exported.
    """

    def __init__(
        self,
        source: KeySource,
        selection: Selection,
        exporter: Exporter,
        findings: Findings,
        *,
        beside: bool = True,
        keep_going: bool = False,
    ) -> None:
        self.source = source
        self.selection = selection
        self.exporter = exporter
        self.findings = findings
        self.beside = beside
        self.keep_going = keep_going
        self.keys: i64 = 0
        self.written: i64 = 0
        self.skipped: i64 = 0
        self._begun = False

    def run(self) -> None:
        """Move all keys. Raises what reading or writing raises, and without ``keep_going`` the first damage."""
        source = self.source
        selection = self.selection
        while not selection.full:
            event = source.next()
            if not self._begun:
                self.begin()
            if isinstance(event, Frame):
                self.keys += 1
                if selection.keeps(event):
                    self._frame(event)
            elif event is None:
                return
            else:
                self._other(event)

    def begin(self) -> None:
        """Let the exporter begin, if it has not."""
        if not self._begun:
            self._begun = True
            self.exporter.begin(self.source.facts)

    def _frame(self, frame: Frame) -> None:
        damage = self.exporter.frame(frame)
        if damage is None:
            self.written += 1
            return
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
                raise FormatError(message, path=self.source.path, offset=event.offset, doing="reading the checksum")
            self.findings.add(Finding(Severity.WARNING, "checksum", message, self.source.path, event.offset))
        elif self.selection.everything:
            self.exporter.other(event)
