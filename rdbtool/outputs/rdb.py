"""Keys into an RDB."""

from __future__ import annotations

from typing import final

from rdbtool.errors import FormatError, RdbToolError, UnsupportedError
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import Output, Writable
from rdbtool.model import Entry
from rdbtool.rdb.events import Event, ModuleAux, SlotImport
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.facts import Losses
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.targets import Target, target_for_version
from rdbtool.rdb.writer import RdbWriter
from rdbtool.servers.releases import SHARED, Release, writer_of

from .exporter import MISCOUNTED, Exporter, Written
from .options import RdbOptions


def target_of(facts: Facts, otherwise: Release = SHARED) -> Target:
    """The server that wrote the input, or the nearest that is written for; ``otherwise`` where it does not say."""
    if facts.version == 0:
        return Target(otherwise.name, otherwise)
    nearest = target_for_version(facts.dialect, facts.version)
    writer = writer_of(facts.aux)
    if writer is None or not writer.is_written or writer.dialect != facts.dialect:
        return nearest
    return Target(writer.name, writer) if writer.rdb_version == nearest.rdb_version else nearest


@final
class RdbOut(Exporter):
    """Writes an RDB. Frames whose type the target knows are copied as they are.

    ``aof``: it is the base or the preamble of an append-only file.
    """

    def __init__(self, sink: Writable, options: RdbOptions, *, aof: bool = False) -> None:
        super().__init__(Output(sink), Losses("an RDB"))
        self.sink = sink
        self.aof = aof
        self.options = options
        self.writer: RdbWriter | None = None

    def begin(self, facts: Facts) -> None:
        self._open(facts)

    def _open(self, facts: Facts) -> RdbWriter:
        options = self.options
        writer = open_rdb_writer(
            self.sink,
            options.to or target_of(facts, options.otherwise),
            compress=options.compress and not options.envelope,
            checksum=options.checksum and not options.envelope,
            lossless=options.lossless,
            drop_modules=options.drop_modules,
            limits=options.limits,
            aof=self.aof,
        )
        self.writer = writer
        writer.losses.untold = self.losses.untold
        self.losses = writer.losses
        return writer

    def ready(self) -> RdbWriter:
        """The writer, once there was a `begin`."""
        writer = self.writer
        assert writer is not None, "begin comes first"
        return writer

    def resume(self, facts: Facts) -> None:
        self._open(facts).resume()

    @property
    def db(self) -> int:
        return self.ready().db

    @property
    def sizes(self) -> dict[int, tuple[int, int]]:
        return self.ready().sizes

    def append(self, written: Written) -> None:
        self.ready().append(written.head, written.rest, written.size, written.crc, written.db, written.sizes)

    @property
    def target_name(self) -> str:
        """The release that is written for; known after `begin`."""
        return self.ready().target.name

    def function(self, code: bytes) -> None:
        self.ready().function(code)

    def module_aux(self, aux: ModuleAux) -> None:
        self.ready().event(aux)

    def slot_import(self, event: SlotImport) -> None:
        self.ready().event(event)

    def hint(self, event: Event) -> None:
        self.ready().event(event)

    def frame(self, frame: Frame) -> RdbToolError | None:
        if self.verify:
            frame.raw()
            damage = self.verifier.flaw_of(frame)
            if damage is not None:
                if damage.code != MISCOUNTED:
                    return damage
                return self._rebuilt(frame)
        writer = self.ready()
        try:
            writer.frame(frame)
        except UnsupportedError as e:
            if not self.verify or writer.broken:
                raise
            return e
        return None

    def _rebuilt(self, frame: Frame) -> RdbToolError | None:
        """Write the value anew, which is right but for the number of entries that it says."""
        try:
            value = frame.value()
        except FormatError as e:
            return e
        self.ready().entry(Entry(frame.db, frame.key, value, frame.expire_at_ms, frame.idle_s, frame.freq))
        return None

    def entry(self, entry: Entry) -> None:
        self.ready().entry(entry)

    def end(self) -> None:
        self.ready().close()
