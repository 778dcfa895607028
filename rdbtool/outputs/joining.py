"""One key out of those of the same name that several inputs have."""

from __future__ import annotations

from typing import final

from rdbtool.errors import RdbToolError, UsageError
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import Output, Writable
from rdbtool.model import NO_EXPIRY, Entry, Hash, SortedSet, Value, type_name
from rdbtool.rdb.events import Event, ModuleAux, SlotImport
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.facts import ALL, KEY_META, Losses

from .changing import decoded
from .exporter import Exporter


@final
class _Nothing:
    def write(self, data: bytes) -> None:
        pass


def _nowhere() -> Writable:
    return _Nothing()


@final
class Repeated(Exporter):
    """Counts how often keys come, by database, and writes nothing: the first of two passes.

    ``keys``: those that come more than once, and how often.
    """

    def __init__(self) -> None:
        super().__init__(Output(_nowhere()), Losses("a count", ALL))
        self._seen: dict[int, set[bytes]] = {}
        self.keys: dict[int, dict[bytes, int]] = {}

    def function(self, code: bytes) -> None:
        pass

    def module_aux(self, aux: ModuleAux) -> None:
        pass

    def slot_import(self, event: SlotImport) -> None:
        pass

    def _note(self, db: int, key: bytes) -> None:
        seen = self._seen.setdefault(db, set())
        if key in seen:
            counts = self.keys.setdefault(db, {})
            counts[key] = counts.get(key, 1) + 1
        else:
            seen.add(key)

    def frame(self, frame: Frame) -> RdbToolError | None:
        self._note(int(frame.db), frame.key)
        return None

    def entry(self, entry: Entry) -> None:
        self._note(entry.db, entry.key)


@final
class Join(Exporter):
    """Joins the keys that ``repeated`` names: hashes, sets and sorted sets become one that has the elements of all.

    Where inputs differ on the value of a field or the score of a member, the last one counts. The key lives as long
    as the one that lives longest. They are written behind all other keys. ``joined``: keys that went into another
    one. Raises `UsageError` for values of other types that differ.
    """

    def __init__(self, exporter: Exporter, repeated: dict[int, dict[bytes, int]]) -> None:
        super().__init__(exporter.output, Losses("joined keys", ALL - {KEY_META}))
        self.exporter = exporter
        self.joined = 0
        self._repeated = repeated
        self._held: dict[int, dict[bytes, Entry]] = {}
        self._path = ""

    def next_input(self, path: str) -> None:
        """Another input begins."""
        self._path = path

    def begin(self, facts: Facts) -> None:
        self.exporter.begin(facts)

    def function(self, code: bytes) -> None:
        self.exporter.function(code)

    def module_aux(self, aux: ModuleAux) -> None:
        self.exporter.module_aux(aux)

    def slot_import(self, event: SlotImport) -> None:
        self.exporter.slot_import(event)

    def hint(self, event: Event) -> None:
        """Sizes are those of one input: they say nothing about all."""

    def frame(self, frame: Frame) -> RdbToolError | None:
        repeated = self._repeated.get(int(frame.db))
        if repeated is None or frame.key not in repeated:
            return self.exporter.frame(frame)
        entry, damage = decoded(frame)
        if entry is not None:
            if frame.meta:
                self.losses.add(KEY_META)
            self._take(entry)
        return damage

    def entry(self, entry: Entry) -> None:
        repeated = self._repeated.get(entry.db)
        if repeated is None or entry.key not in repeated:
            self.exporter.entry(entry)
        else:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        held = self._held.setdefault(entry.db, {})
        first = held.get(entry.key)
        if first is None:
            held[entry.key] = entry
            return
        self.joined += 1
        value = _joined(first.value, entry.value)
        if value is None:
            kinds = {type_name(first.value), type_name(entry.value)}
            what = " and a ".join(sorted(kinds))
            raise UsageError(
                f"several inputs have it, and differ: a {what} (only hashes, sets and sorted sets are merged):",
                path=self._path,
                key=entry.key,
            )
        first.value = value
        first.expire_at_ms = (
            NO_EXPIRY
            if NO_EXPIRY in {first.expire_at_ms, entry.expire_at_ms}
            else max(first.expire_at_ms, entry.expire_at_ms)
        )
        first.idle_s = min(first.idle_s, entry.idle_s)
        first.freq = max(first.freq, entry.freq)

    def end(self) -> None:
        for db in sorted(self._held):
            for entry in self._held[db].values():
                self.exporter.entry(entry)
        self.exporter.end()


def _joined(first: Value, second: Value) -> Value | None:
    """The value with the elements of both, or None where there is none."""
    if isinstance(first, Hash) and isinstance(second, Hash):
        expiries = {field: ms for field, ms in (first.expiries or {}).items() if field not in second.fields}
        expiries |= second.expiries or {}
        return Hash(first.fields | second.fields, expiries or None)
    if isinstance(first, SortedSet) and isinstance(second, SortedSet):
        return SortedSet(first.scores | second.scores)
    if isinstance(first, dict) and isinstance(second, dict):
        return first | second
    return first if type_name(first) in {"string", "list"} and first == second else None
