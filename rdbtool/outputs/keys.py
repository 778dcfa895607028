"""Keys alone, one per line or with a NUL behind each. Values are not looked at."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.basics.text import AUTO, is_marked, is_printable, to_line
from rdbtool.errors import RdbToolError
from rdbtool.io.output import Output
from rdbtool.model import Entry
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.facts import Losses

from .exporter import Exporter


@final
class Keys(Exporter):
    """Writes keys. ``nul``: as they are, with a NUL behind each; otherwise as lines by the rule of ``mode``."""

    def __init__(self, output: Output, losses: Losses, mode: i64, *, nul: bool) -> None:
        super().__init__(output, losses)
        self.mode: i64 = mode
        self.nul = nul

    def _write(self, key: bytes) -> None:
        out = self.output.buffer
        n: i64 = len(key)
        if self.nul:
            out.write(key)
            out.append(0)
        else:
            if self.mode == AUTO and is_printable(key, 0, n) and not is_marked(key, 0, n):
                out.write(key)
            else:
                out.write(to_line(key, self.mode))
            out.append(10)
        self.output.room()

    def frame(self, frame: Frame) -> RdbToolError | None:
        self._write(frame.key)
        return None

    def entry(self, entry: Entry) -> None:
        self._write(entry.key)
