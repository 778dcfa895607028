"""Keys that are changed on their way: another database, another expiry, none of modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, final

from mypy_extensions import i64

from rdbtool.errors import FormatError, RdbToolError, UsageError
from rdbtool.inputs.keys import Facts
from rdbtool.model import MAX_FIELD_EXPIRY, NO_EXPIRY, Entry, Hash, Module
from rdbtool.rdb.events import Event, ModuleAux, SlotImport
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.facts import ALL, KEY_META, MODULE_AUX, MODULE_VALUES, Losses, all_but

from .exporter import Exporter

LATEST: Final = (1 << 63) - 1


class Changes(NamedTuple):
    """What to change: ``dbs``: number of a database -> its new one; ``drop_expiry``: nothing expires;
    ``shift_ms``: what is added to the time of every expiry; ``drop_modules``: leave out what modules own.
    """

    dbs: Mapping[int, int] = {}
    drop_expiry: bool = False
    shift_ms: int = 0
    drop_modules: bool = False

    @property
    def any(self) -> bool:
        """Whether there is something to change."""
        return bool(self.dbs or self.drop_expiry or self.shift_ms or self.drop_modules)

    def new_db(self, db: int) -> int:
        """The new number of a database."""
        return self.dbs.get(db, db)

    def new_expiry(self, ms: int, latest: int = LATEST) -> int:
        """The new time of an expiry that there is, `NO_EXPIRY` for none; never before 1970 nor after ``latest``."""
        return NO_EXPIRY if self.drop_expiry else min(max(ms + self.shift_ms, 1), max(latest, ms))


@final
class Changing(Exporter):
    """Gives keys to ``exporter`` as ``changes`` say. A hash whose fields expire is decoded where that changes.

    Raises `UsageError` where two databases of one input become one, and both have a key.
    """

    def __init__(self, exporter: Exporter, changes: Changes) -> None:
        lost = (MODULE_VALUES, MODULE_AUX, KEY_META) if changes.drop_modules else (KEY_META,)
        super().__init__(exporter.output, Losses("the changed keys", ALL & all_but(*lost)))
        self.exporter = exporter
        self.changes = changes
        self._expiries = changes.drop_expiry or changes.shift_ms != 0
        self._path = ""
        self._shared = set(changes.dbs.values())
        self._from: dict[int, dict[bytes, int]] = {}

    def next_input(self, path: str) -> None:
        """Another input begins."""
        self._path = path
        self._from = {}

    def begin(self, facts: Facts) -> None:
        self.exporter.begin(facts)

    def function(self, code: bytes) -> None:
        self.exporter.function(code)

    def module_aux(self, aux: ModuleAux) -> None:
        if self.changes.drop_modules:
            super().module_aux(aux)
        else:
            self.exporter.module_aux(aux)

    def slot_import(self, event: SlotImport) -> None:
        self.exporter.slot_import(event)

    def hint(self, event: Event) -> None:
        """Sizes are those of the databases as they were."""

    def _new_db(self, db: int, key: bytes) -> int:
        new = self.changes.new_db(db)
        if new in self._shared:
            origin = self._from.setdefault(new, {}).setdefault(key, db)
            if origin != db:
                raise UsageError(
                    f"databases {origin} and {db} both have it, and would become one:", path=self._path, key=key
                )
        return new

    def frame(self, frame: Frame) -> RdbToolError | None:
        changes = self.changes
        if changes.drop_modules:
            if frame.type.redis_type == "module":
                self.left_out(MODULE_VALUES)
                return None
            if frame.meta:
                frame.meta = b""
                self.left_out(KEY_META)
        if changes.dbs:
            frame.db = self._new_db(int(frame.db), frame.key)
        if self._expiries:
            if frame.type.redis_type == "hash" and frame.type.expires(frame.peek()):
                return self._decoded(frame)
            if frame.expire_at_ms != NO_EXPIRY:
                frame.expire_at_ms = changes.new_expiry(int(frame.expire_at_ms))
        return self.exporter.frame(frame)

    def _decoded(self, frame: Frame) -> RdbToolError | None:
        """Change the expiries in a hash."""
        entry, damage = decoded(frame)
        if entry is None:
            return damage
        if frame.meta:
            self.left_out(KEY_META)
        self._change_expiries(entry)
        self.exporter.entry(entry)
        return None

    def entry(self, entry: Entry) -> None:
        changes = self.changes
        if changes.drop_modules and isinstance(entry.value, Module):
            self.left_out(MODULE_VALUES)
            return
        if changes.dbs:
            entry.db = self._new_db(entry.db, entry.key)
        if self._expiries:
            self._change_expiries(entry)
        self.exporter.entry(entry)

    def _change_expiries(self, entry: Entry) -> None:
        changes = self.changes
        if entry.expire_at_ms != NO_EXPIRY:
            entry.expire_at_ms = changes.new_expiry(int(entry.expire_at_ms))
        value = entry.value
        if isinstance(value, Hash) and value.expiries:
            times = {name: changes.new_expiry(ms, MAX_FIELD_EXPIRY) for name, ms in value.expiries.items()}
            entry.value = Hash(value.fields, None if changes.drop_expiry else times)

    def left_out(self, fact: str, count: i64 = 1) -> None:
        """Count what is not handed on."""
        self.losses.add(fact, count)

    def end(self) -> None:
        self.exporter.end()


def decoded(frame: Frame) -> tuple[Entry | None, RdbToolError | None]:
    """A key of a file with its value decoded, or what is wrong with its bytes. Raises what passing them raises."""
    frame.raw()
    try:
        value = frame.value()
    except FormatError as e:
        e.key = frame.key
        if e.offset < 0:
            e.offset = int(frame.value_offset)
        return None, e
    entry = Entry(int(frame.db), frame.key, value, int(frame.expire_at_ms), int(frame.idle_s), int(frame.freq))
    return entry, None
