"""Keys to one of several outputs, by hash slot."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import RdbToolError, UsageError
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import Output
from rdbtool.model import Entry
from rdbtool.rdb.events import Event, ModuleAux, SlotImport
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.facts import ALL, Losses
from rdbtool.servers.slots import SLOTS, hash_slot

from .exporter import Exporter

NOWHERE: Final = 255
"""In place of the number of an output."""
NO_OUTPUT: Final = "keys in slots of no output"


@final
class _Nothing:
    def write(self, data: bytes) -> None:
        pass


@final
class BySlot(Exporter):
    """Gives each key to the exporter of its slot; what is not a key, to all.

    ``ranges``: per exporter, its first and last slots. Keys of no range are counted in ``losses`` as `NO_OUTPUT`.
    """

    def __init__(self, exporters: list[Exporter], ranges: list[tuple[int, int]]) -> None:
        super().__init__(Output(_Nothing()), Losses("a split", ALL))
        self.exporters = exporters
        self.elsewhere = 0
        """Keys that are not in database 0."""
        route = [NOWHERE] * SLOTS
        if len(exporters) >= NOWHERE:
            raise UsageError(f"at most {NOWHERE - 1} outputs")
        for i, (first, last) in enumerate(ranges):
            if route[first : last + 1].count(NOWHERE) != last + 1 - first:
                raise UsageError(f"slots {first} to {last} overlap with those of another output")
            route[first : last + 1] = [i] * (last + 1 - first)
        self.route = bytes(route)

    def begin(self, facts: Facts) -> None:
        for exporter in self.exporters:
            exporter.begin(facts)

    def function(self, code: bytes) -> None:
        for exporter in self.exporters:
            exporter.function(code)

    def module_aux(self, aux: ModuleAux) -> None:
        for exporter in self.exporters:
            exporter.module_aux(aux)

    def slot_import(self, event: SlotImport) -> None:
        for exporter in self.exporters:
            exporter.slot_import(event)

    def hint(self, event: Event) -> None:
        """Sizes are those of all keys together: they say nothing about one output."""

    def _to(self, db: i64, key: bytes) -> Exporter | None:
        if db != 0:
            self.elsewhere += 1
        i = self.route[hash_slot(key)]
        if i == NOWHERE:
            self.losses.add(NO_OUTPUT)
            return None
        return self.exporters[i]

    def frame(self, frame: Frame) -> RdbToolError | None:
        exporter = self._to(frame.db, frame.key)
        return None if exporter is None else exporter.frame(frame)

    def entry(self, entry: Entry) -> None:
        exporter = self._to(entry.db, entry.key)
        if exporter is not None:
            exporter.entry(entry)

    def end(self) -> None:
        for exporter in self.exporters:
            exporter.end()
