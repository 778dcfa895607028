"""Keys to one of several outputs, by hash slot; and which of several inputs a key is taken from."""

from __future__ import annotations

from typing import final

from rdbtool.errors import RdbToolError, UsageError, printable_text
from rdbtool.model import Entry
from rdbtool.rdb.events import Event, ModuleAux
from rdbtool.rdb.output import Output
from rdbtool.rdb.reader import Frame

from .exporter import Exporter
from .keys_in import Facts
from .selection import SLOTS, hash_slot

NOWHERE = 255


@final
class _Nothing:
    def write(self, data: bytes) -> None:
        pass


@final
class BySlot(Exporter):
    """Gives each key to the exporter of its slot; what is not a key, to all.

    ``ranges``: per exporter, its first and last slots. Keys of no range are counted in ``losses``.
    """

    def __init__(self, exporters: list[Exporter], ranges: list[tuple[int, int]]) -> None:
        super().__init__(Output(_Nothing()))
        self.exporters = exporters
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

    def other(self, event: Event) -> None:
        """Sizes are those of all keys together: nobody's."""

    def _to(self, key: bytes) -> Exporter | None:
        i = self.route[hash_slot(key)]
        if i == NOWHERE:
            self.lose("keys in slots of no output")
            return None
        return self.exporters[i]

    def frame(self, frame: Frame) -> RdbToolError | None:
        exporter = self._to(frame.key)
        return None if exporter is None else exporter.frame(frame)

    def entry(self, entry: Entry) -> None:
        exporter = self._to(entry.key)
        if exporter is not None:
            exporter.entry(entry)

    def end(self) -> None:
        for exporter in self.exporters:
            exporter.end()


@final
class Merge(Exporter):
    """Takes a key from the first input that has it.

    ``refuse``: raise `UsageError` for a key that a second input has. ``input`` is the path of the present one;
    ``dropped``: keys that were left out. Function libraries count by name.
    """

    def __init__(self, exporter: Exporter, *, refuse: bool) -> None:
        super().__init__(exporter.output)
        self.exporter = exporter
        self.refuse = refuse
        self.input = ""
        self.dropped = 0
        self._begun = False
        self._inputs: list[str] = []
        self._keys: dict[int, dict[bytes, int]] = {}
        self._functions: dict[bytes, bytes] = {}

    def next_input(self, path: str) -> None:
        """Another input begins."""
        self.input = path
        self._inputs.append(path)

    def begin(self, facts: Facts) -> None:
        if not self._begun:
            self._begun = True
            self.exporter.begin(facts)

    def function(self, code: bytes) -> None:
        name = code.split(b"\n", 1)[0].strip()
        held = self._functions.get(name)
        if held is None:
            self._functions[name] = code
            self.exporter.function(code)
        elif held != code:
            if self.refuse:
                raise UsageError("a function library differs between inputs: say which counts", path=self.input)
            self.dropped += 1

    def module_aux(self, aux: ModuleAux) -> None:
        if len(self._inputs) == 1:
            self.exporter.module_aux(aux)
        else:
            self.lose("module auxiliary data")

    def _is_new(self, db: int, key: bytes) -> bool:
        keys = self._keys.get(db)
        if keys is None:
            keys = {}
            self._keys[db] = keys
        number = len(self._inputs) - 1
        first = keys.setdefault(key, number)
        if first == number:
            return True
        if self.refuse:
            other = printable_text(self._inputs[first])
            raise UsageError(
                f"{other} has it too, and which counts is not said (on conflict: first or last):",
                path=self.input,
                key=key,
            )
        self.dropped += 1
        return False

    def frame(self, frame: Frame) -> RdbToolError | None:
        return self.exporter.frame(frame) if self._is_new(frame.db, frame.key) else None

    def entry(self, entry: Entry) -> None:
        if self._is_new(entry.db, entry.key):
            self.exporter.entry(entry)

    def end(self) -> None:
        self.exporter.end()
