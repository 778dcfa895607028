"""The cell of a stream."""

from __future__ import annotations

from copy import deepcopy
from typing import final

from mypy_extensions import i64, mypyc_attr

from rdbtool.model import NO_EXPIRY, Stream, Value

from .cells import Cell


@final
@mypyc_attr(acyclic=True)
class StreamCell(Cell):
    """A stream. It may be empty: a stream without entries keeps its key."""

    __slots__ = ("stream",)

    def __init__(self, stream: Stream | None = None) -> None:
        self.expire_at_ms: i64 = NO_EXPIRY
        self.stream = Stream() if stream is None else stream

    def value(self) -> Value:
        return self.stream

    def copy(self) -> Cell:
        cell = StreamCell(deepcopy(self.stream))
        cell.expire_at_ms = self.expire_at_ms
        return cell
