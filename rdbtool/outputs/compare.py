"""Keys held against those of a live server, by what DEBUG DIGEST-VALUE says of them."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64, mypyc_attr

from rdbtool.engine.digest import Digester
from rdbtool.errors import FormatError, RdbToolError
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import Output
from rdbtool.model import Entry, type_name
from rdbtool.rdb.encode import encode
from rdbtool.rdb.events import Event, ModuleAux, SlotImport
from rdbtool.rdb.frame import Frame, frame_of
from rdbtool.rdb.layout.facts import ALL, Losses
from rdbtool.rdb.targets import Target
from rdbtool.servers.slots import hash_slot

from .exporter import Exporter


@mypyc_attr(allow_interpreted_subclasses=True)
class Comparer:
    """Asks a live server, or the masters of a cluster, for the digests of keys; somebody who has connections overrides
    the calls. ``target``, ``prefix`` and ``slots`` are those of `outputs.restore.Receiver`.
    """

    def __init__(self, target: Target, prefix: bytes) -> None:
        self.target = target
        self.prefix = prefix
        self.slots: list[int] = []

    def write(self, data: bytes, /) -> None:
        """Nothing is written."""

    def select(self, db: int) -> bool:
        """Go on in database ``db``; whether there is one."""
        raise NotImplementedError

    def expect(self, lane: int, key: bytes, digest: str, expire_at_ms: int) -> None:
        """The key is to have this digest."""
        raise NotImplementedError


@final
class Compare(Exporter):
    """Tells the `Comparer` that is the sink of ``output`` what the server is to have. Module values, whose digest only
    their modules know, and types that the server does not have are passed over; ``passed`` counts them.
    """

    def __init__(self, output: Output, loaded_ms: int) -> None:
        super().__init__(output, Losses("a comparison", ALL))
        comparer = output.sink
        assert isinstance(comparer, Comparer)
        self.comparer = comparer
        self.passed: i64 = 0
        self._digester = Digester(comparer.target.release, loaded_ms=loaded_ms)
        self._db: i64 = -1
        self._takes_db = False

    def begin(self, facts: Facts) -> None:
        """Keys follow."""

    def function(self, code: bytes) -> None:
        """Only keys are compared."""

    def module_aux(self, aux: ModuleAux) -> None:
        """Only keys are compared."""

    def slot_import(self, event: SlotImport) -> None:
        """Only keys are compared."""

    def hint(self, event: Event) -> None:
        """Only keys are compared."""

    def frame(self, frame: Frame) -> RdbToolError | None:
        target = self.comparer.target
        if frame.type.redis_type == "module" or frame.type.redis_type in target.unknown_types:
            self.passed += 1
            return None
        if not target.loads(frame.type):  # what the server has is what could be encoded for it
            try:
                value = frame.value()
            except FormatError as e:
                return e
            self.entry(Entry(frame.db, frame.key, value, frame.expire_at_ms))
            return None
        if frame.db != self._db:
            self._db = frame.db
            self._takes_db = self.comparer.select(frame.db)
        if not self._takes_db:
            self.passed += 1
            return None
        name = self.comparer.prefix + frame.key
        slots = self.comparer.slots
        lane: i64 = slots[hash_slot(name)] if slots else 0
        digest = self._digester.frame_digest(frame, frame.expire_at_ms)
        self.comparer.expect(lane, name, digest, frame.expire_at_ms)
        return None

    def entry(self, entry: Entry) -> None:
        if type_name(entry.value) in self.comparer.target.unknown_types:
            self.passed += 1
            return
        row, raw = encode(entry.value, self.comparer.target)
        frame = frame_of(entry.db, entry.key, row, raw)
        frame.expire_at_ms = entry.expire_at_ms
        self.frame(frame)
