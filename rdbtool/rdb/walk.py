"""Tell the values of frames to a visitor, from the bytes of the file (`layout.visit`)."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.errors import RdbToolError

from .frame import Frame
from .layout.visit import Visit
from .layout.visitor import Visitor


@final
class Walker:
    """Tells values to ``visitor``.

    Damage inside a string or packed node does not put the stream out of step: it is told once, when the
    rest of the payload has been passed. ``size`` is then the payload's, in bytes.
    """

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.size: i64 = 0
        self._visit = Visit(visitor)

    @property
    def miscounted(self) -> i64:
        """Streams that hold another number of entries than they say, of all that were told."""
        return self._visit.miscounted

    def walk(self, frame: Frame) -> RdbToolError | None:
        """Tell the value of ``frame`` and pass its payload; what is wrong inside it is returned.

        Raises what reading raises; the stream is then out of step.
        """
        w = frame.window()
        row = frame.type
        visit = self._visit
        visit.begin(w)
        v = self.visitor
        v.begin(row.kind, row.expires(w))
        try:
            row.visit(visit)
        except RdbToolError as e:
            _locate(e, w.path, frame)
            raise
        v.end()
        self.size = w.offset() - frame.value_offset
        damage = visit.damage
        if damage is not None:
            _locate(damage, w.path, frame)
        return damage


def _locate(error: RdbToolError, path: str, frame: Frame) -> None:
    error.path = error.path or path
    error.key = frame.key
    error.doing = error.doing or "reading a value"
    if error.offset < 0:
        error.offset = frame.value_offset
