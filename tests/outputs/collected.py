"""What the tests of exporters share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rdbtool.basics.text import AUTO
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import Output
from rdbtool.io.source import open_input
from rdbtool.io.window import Window
from rdbtool.model import Entry
from rdbtool.outputs.exporter import Exporter
from rdbtool.outputs.options import OutputOptions
from rdbtool.outputs.registry import make_exporter
from rdbtool.rdb.events import Function, ModuleAux
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader


class Collected:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.parts.append(data)

    def getvalue(self) -> bytes:
        return b"".join(self.parts)


class Pieces:
    """A source that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data = data
        self.size = size

    def read(self, n: int, /) -> bytes:
        out, self.data = self.data[: min(n, self.size)], self.data[min(n, self.size) :]
        return out


Make = Callable[[Output], Exporter]


def exporter(name: str, output: Output, mode: int = AUTO, **options: Any) -> Exporter:
    """The exporter of a format, without a header."""
    return make_exporter(output, OutputOptions(name, mode=mode, **{"header": False, **options}))


def from_window(w: Window, make: Make) -> bytes:
    """All keys of an RDB, from its bytes."""
    sink = Collected()
    exporter = make(Output(sink))
    exporter.begin(Facts())
    for event in RdbReader(w):
        if isinstance(event, Frame):
            damage = exporter.frame(event)
            if damage is not None:
                raise damage
        elif isinstance(event, Function):
            exporter.function(event.code)
        elif isinstance(event, ModuleAux):
            exporter.module_aux(event)
    exporter.end()
    return sink.getvalue()


def from_bytes(path: Path, make: Make) -> bytes:
    """All keys of a file, from its bytes."""
    with open_input(str(path)) as stream:
        return from_window(stream.window(), make)


def from_values(path: Path, make: Make) -> bytes:
    """All keys of a file, by way of decoded values."""
    sink = Collected()
    exporter = make(Output(sink))
    exporter.begin(Facts())
    with open_input(str(path)) as stream:
        for event in RdbReader(stream.window()):
            if isinstance(event, Frame):
                exporter.entry(entry_of(event))
            elif isinstance(event, Function):
                exporter.function(event.code)
            elif isinstance(event, ModuleAux):
                exporter.module_aux(event)
    exporter.end()
    return sink.getvalue()


def entry_of(frame: Frame) -> Entry:
    """A frame, decoded."""
    return Entry(frame.db, frame.key, frame.value(), frame.expire_at_ms, frame.idle_s, frame.freq)


def entries_of(path: Path) -> Iterator[Entry]:
    """The keys of a file, decoded."""
    with open_input(str(path)) as stream:
        for event in RdbReader(stream.window()):
            if isinstance(event, Frame):
                yield entry_of(event)
