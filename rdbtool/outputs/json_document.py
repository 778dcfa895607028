"""One JSON document: an array of the records that JSON lines have."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.inputs.keys import Facts
from rdbtool.io.output import Output
from rdbtool.rdb.events import ModuleAux
from rdbtool.rdb.layout.facts import Losses

from .exporter import KeyFacts, ValueExporter
from .jsonl import JsonValues, write_function, write_head, write_module_aux


@final
class JsonDocument(ValueExporter):
    """An array, one record per line."""

    def __init__(self, output: Output, losses: Losses, mode: i64) -> None:
        super().__init__(output, losses, JsonValues(output, mode))
        self.mode: i64 = mode
        self._any = False

    def begin(self, facts: Facts) -> None:
        self.output.buffer.append(91)

    def _separate(self) -> None:
        self.output.buffer.write(b",\n" if self._any else b"\n")

    def head(self, k: KeyFacts) -> None:
        self._separate()
        write_head(self.output, k, self.mode, numbered=not self._any)
        self.output.buffer.write(b',"value":')

    def tail(self, k: KeyFacts) -> None:
        self.output.buffer.append(125)
        self._any = True

    def broken(self) -> None:
        self._any = True

    def function(self, code: bytes) -> None:
        self._separate()
        write_function(self.output, code, self.mode, numbered=not self._any)
        self._any = True
        self.output.room()

    def module_aux(self, aux: ModuleAux) -> None:
        self._separate()
        write_module_aux(self.output, aux, numbered=not self._any)
        self._any = True
        self.output.room()

    def end(self) -> None:
        self.output.buffer.write(b"\n]\n")
        self.output.flush()
