"""Which of several inputs a key is taken from."""

from __future__ import annotations

from typing import final

from rdbtool.errors import RdbToolError, UsageError, printable_text
from rdbtool.inputs.keys import Facts
from rdbtool.model import Entry
from rdbtool.rdb.events import Event, ModuleAux, SlotImport
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.facts import ALL, MODULE_AUX, Losses
from rdbtool.rdb.libraries import library_name

from .exporter import Exporter


@final
class Merge(Exporter):
    """Takes a key from the first input that has it.

    ``refuse``: raise `UsageError` for a key that a second input has. ``input`` is the path of the present one;
    ``dropped``: keys that were left out, ``repeated`` those of them that came before in the same input. Function
    libraries count by name.
    """

    def __init__(self, exporter: Exporter, *, refuse: bool) -> None:
        super().__init__(exporter.output, Losses("several inputs", ALL - {MODULE_AUX}))
        self.exporter = exporter
        self.refuse = refuse
        self.input = ""
        self.dropped = 0
        self.repeated = 0
        self._again: dict[int, dict[bytes, int]] = {}
        self._begun = False
        self._inputs: list[str] = []
        self._keys: dict[int, dict[bytes, int]] = {}
        self._functions: dict[bytes, bytes] = {}

    def next_input(self, path: str, again: dict[int, dict[bytes, int]] | None = None) -> None:
        """Another input begins. ``again``: by database, keys that it has more than once, and how often: their last one
        is taken, and without it the first.
        """
        self.input = path
        self._again = again or {}
        self._inputs.append(path)

    def begin(self, facts: Facts) -> None:
        if not self._begun:
            self._begun = True
            self.exporter.begin(facts)

    def function(self, code: bytes) -> None:
        name = library_name(code)
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
            super().module_aux(aux)

    def slot_import(self, event: SlotImport) -> None:
        self.exporter.slot_import(event)

    def hint(self, event: Event) -> None:
        """Sizes are those of one input: they say nothing about all."""

    def _is_new(self, db: int, key: bytes) -> bool:
        keys = self._keys.get(db)
        if keys is None:
            keys = {}
            self._keys[db] = keys
        if self._again and self._comes_again(db, key):
            self.dropped += 1
            self.repeated += 1
            return False
        number = len(self._inputs) - 1
        before = len(keys)
        first = keys.setdefault(key, number)
        if len(keys) > before:
            return True
        if first == number:
            self.dropped += 1
            self.repeated += 1
            return False
        if self.refuse:
            other = printable_text(self._inputs[first])
            raise UsageError(
                f"{other} has it too, and which counts is not said (on conflict: first or last):",
                path=self.input,
                key=key,
            )
        self.dropped += 1
        return False

    def _comes_again(self, db: int, key: bytes) -> bool:
        """Whether the input will have the key once more."""
        left = self._again.get(db)
        if left is None or key not in left:
            return False
        left[key] -= 1
        return left[key] > 0

    def frame(self, frame: Frame) -> RdbToolError | None:
        return self.exporter.frame(frame) if self._is_new(frame.db, frame.key) else None

    def entry(self, entry: Entry) -> None:
        if self._is_new(entry.db, entry.key):
            self.exporter.entry(entry)

    def end(self) -> None:
        self.exporter.end()
