"""Differences as JSON: one object each.

``kind``, ``db``, ``key``, ``type``, ``differs``, and ``left`` and ``right`` where the key is there: ``type``,
``encoding``, ``size`` in the file, ``expire_at_ms``, ``idle_s`` and ``freq`` where it has them, and, on request,
``value`` as `outputs.jsonl` writes it (null where it cannot be decoded). On request too, for a changed value that
is not too large for the memory limit, ``changes``: ``part``, ``op`` (added, removed, changed), and ``name``,
``index``, ``left``, ``right`` where they mean something. A function library has ``function``, its name, instead
of db and key, and with values its code; data of a module beside the keys likewise ``module_aux``. Texts follow
`basics.text`.
"""

from __future__ import annotations

import json
from typing import final

from rdbtool.basics.text import AUTO, BASE64
from rdbtool.errors import RdbToolError
from rdbtool.io.output import Output
from rdbtool.model import NO_EXPIRY
from rdbtool.outputs.json_text import write_string
from rdbtool.outputs.jsonl import JsonValues
from rdbtool.rdb.walk import Walker

from .difference import FUNCTION, Difference, Side
from .run import Diff


@final
class RecordsOut:
    """Writes differences of ``diff`` to ``output``; the caller puts what stands between them.

    ``mode``: of texts; ``values``: write both values; ``detail``: write what differs inside;
    ``schema``: the number that each begins with, 0 for none.
    """

    def __init__(
        self,
        diff: Diff,
        output: Output,
        mode: int = AUTO,
        *,
        values: bool = False,
        detail: bool = False,
        schema: int = 0,
    ) -> None:
        self.diff = diff
        self.output = output
        self.mode = mode
        self.values = values
        self.detail = detail
        self.schema = schema
        self._walker = Walker(JsonValues(output, mode))

    def add(self, difference: Difference) -> None:
        """Write one difference."""
        o = self.output
        schema = b'"schema":%d,' % self.schema if self.schema else b""
        o.buffer.write(b'{%b"kind":"%b"' % (schema, difference.kind.encode()))
        if difference.other:
            o.buffer.write(b',"%b":' % (b"function" if difference.other == FUNCTION else b"module_aux"))
            self._text(difference.key)
        else:
            o.buffer.write(b',"db":%d,"key":' % difference.db)
            self._text(difference.key)
            o.buffer.write(b',"type":"%b"' % difference.type.encode())
            o.buffer.write(b',"differs":%b' % json.dumps(difference.differs, separators=(",", ":")).encode())
        for name, side, code in ((b"left", difference.left, 0), (b"right", difference.right, 1)):
            if side is not None:
                o.buffer.write(b',"%b":' % name)
                self._side(side)
            elif self.values and difference.codes[code]:
                o.buffer.write(b',"%b":' % name)
                self._text(difference.codes[code], self.mode if difference.other == FUNCTION else BASE64)
        if self.detail:
            self._changes(difference)
        o.buffer.append(125)
        o.room()

    def _text(self, data: bytes, mode: int = -1) -> None:
        write_string(self.output, data, 0, len(data), self.mode if mode < 0 else mode)

    def _side(self, side: Side) -> None:
        o = self.output
        o.buffer.write(b'{"type":"%b","encoding":"%b"' % (side.type.encode(), side.encoding.encode()))
        o.buffer.write(b',"size":%d' % side.size)
        for name, n in ((b"expire_at_ms", side.expire_at_ms), (b"idle_s", side.idle_s), (b"freq", side.freq)):
            if n != NO_EXPIRY:
                o.buffer.write(b',"%b":%d' % (name, n))
        if self.values:
            o.buffer.write(b',"value":')
            self._value(side)
        o.buffer.append(125)

    def _value(self, side: Side) -> None:
        o = self.output
        o.begin()
        try:
            damage = self._walker.walk(side.frame())
        except RdbToolError as e:
            damage = e
        if damage is None:
            o.finish()
            return
        whole = o.take_back()
        self.diff.damaged(damage)
        if not whole:  # so large that its beginning has gone out: the line cannot be mended
            raise damage
        o.buffer.write(b"null")

    def _changes(self, difference: Difference) -> None:
        if not difference.has_details or difference.large:
            return
        o = self.output
        o.buffer.write(b',"changes":[')
        first = True
        try:
            for change in difference.changes():
                o.buffer.write(
                    b'%b{"part":"%b","op":"%b"' % (b"" if first else b",", change.part.encode(), change.op.encode())
                )
                first = False
                if change.name:
                    o.buffer.write(b',"name":')
                    self._text(change.name)
                if change.index >= 0:
                    o.buffer.write(b',"index":%d' % change.index)
                for name, data in ((b"left", change.left), (b"right", change.right)):
                    if data is not None:
                        o.buffer.write(b',"%b":' % name)
                        self._text(data)
                o.buffer.append(125)
                o.room()
        except RdbToolError as e:  # the damage has been told when the values were compared
            self.diff.damaged(e)
        o.buffer.append(93)
