"""Damage a snapshot at random places, salvage it, and count what comes back."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rdbtool.io.random_access import Pages
from rdbtool.io.window import Window, window_over
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.salvage.salvager import Salvager

KINDS = ("flip", "insert", "delete", "zeros", "cut")
SECTOR = 512
Name = tuple[int, bytes]
Facts = tuple[int, int, int, int, int, bytes]
"""Type, hash of the payload, expiry, idle time, frequency, metadata."""


@dataclass
class Outcome:
    """Of all trials of one kind. ``intact``: keys outside the damage, ``back``: those of them that come back as they
    were; ``beside``: keys whose records end, or begin, exactly where the damage begins, or ends, and ``beside_back``:
    often nothing tells of such a record that its last byte, or its first, is its own; ``changed``: damaged records that
    stayed in form; ``in_form``: keys that are wrong where all
    of the file is still in form, so that only its checksum tells; ``told``: keys in the wrong database, and told to be
    uncertain; ``wrong``: all others that are not as they were.
    """

    trials: int = 0
    intact: int = 0
    back: int = 0
    beside: int = 0
    beside_back: int = 0
    changed: int = 0
    in_form: int = 0
    told: int = 0
    wrong: int = 0

    @property
    def share(self) -> float:
        return self.back / max(self.intact, 1)


@dataclass
class Whole:
    """A snapshot: its bytes, and where each key's record begins and ends."""

    data: bytes
    places: dict[Name, tuple[int, int]]
    facts: dict[Name, Facts]


def keys_in(w: Window) -> tuple[dict[Name, Facts], dict[Name, tuple[int, int]]]:
    facts: dict[Name, Facts] = {}
    places: dict[Name, tuple[int, int]] = {}
    reader = RdbReader(w, checksum=False)
    for event in reader:
        if isinstance(event, Frame):
            raw = event.raw()
            name = (int(event.db), event.key)
            if name not in facts:
                times = (int(event.expire_at_ms), int(event.idle_s), int(event.freq))
                facts[name] = (int(event.type.byte), hash(raw), *times, event.meta)
                places[name] = (int(event.offset), int(event.value_offset) + len(raw))
    return facts, places


def whole_of(path: Path) -> Whole:
    data = path.read_bytes()
    facts, places = keys_in(window_over(data))
    return Whole(data, places, facts)


def harmed(rng: random.Random, data: bytes, kind: str) -> tuple[int, int, bytes]:
    """Where the damage is, how many of the old bytes it touches, and the damaged bytes."""
    at = rng.randrange(9, len(data) - 9)
    if kind == "flip":
        return at, 1, data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]
    if kind == "insert":
        return at, 0, data[:at] + rng.randbytes(rng.randint(1, 9)) + data[at:]
    size = rng.randint(1, 9)
    if kind == "delete":
        return at, size, data[:at] + data[at + size :]
    if kind == "zeros":
        size = min(SECTOR, len(data) // 8)
        return at, size, data[:at] + bytes(size) + data[at + size :]
    return at, len(data) - at, data[:at]


def harm(rng: random.Random, whole: Whole, kind: str, work: Path, outcome: Outcome) -> str:
    """One trial. Returns what is worth looking at, "" where all is as it should be."""
    at, size, data = harmed(rng, whole.data, kind)
    seen = count(whole, at, size, data, work, outcome)
    return f"{kind} at {at}: {seen}" if seen else ""


def count(whole: Whole, at: int, size: int, data: bytes, work: Path, outcome: Outcome, *, undo: bool = True) -> str:
    """Count what comes back of ``data``: of ``whole``, ``size`` bytes from ``at`` on are damaged. Returns what is worth
    looking at. ``undo``: as the checksum tells.
    """
    path = work / "harmed.rdb"
    path.write_bytes(data)
    with Pages(str(path)) as pages:
        result = Salvager(pages, undo=undo).run()
        got, got_at = keys_in(result.window(pages))
    guessed = any(run.is_guessed for run in result.runs)
    uncertain = {int(run.db) for run in result.runs if not run.sure_of_db}
    names: dict[bytes, list[Facts]] = defaultdict(list)
    for (_, key), facts in whole.facts.items():
        names[key].append(facts)
    outcome.trials += 1
    lost: list[Name] = []
    touched: set[Name] = set()
    for name, (start, end) in whole.places.items():
        if start < at + size and end > at if size else start < at < end:
            touched.add(name)
            continue
        is_back = got.get(name) == whole.facts[name]
        if end == at or start == at + size:
            outcome.beside += 1
            outcome.beside_back += is_back
        else:
            outcome.intact += 1
            outcome.back += is_back
        if not is_back:
            lost.append(name)
    bad: list[Name] = []
    for name, facts in got.items():
        if whole.facts.get(name) == facts:
            continue
        if name in touched:
            outcome.changed += 1
        elif name[0] in uncertain and facts in names[name[1]]:
            outcome.told += 1
        elif not guessed:
            outcome.in_form += 1
        else:
            bad.append(name)
    starts = {start for start, _ in whole.places.values()}
    for name in list(bad):
        start = result.offset_in_file(got_at[name][0])
        if name not in whole.facts and (start if start <= at else start + len(whole.data) - len(data)) in starts:
            bad.remove(name)  # the damage is in its name
            outcome.changed += 1
    outcome.wrong += len(bad)
    return f"lost {lost[:3]}, wrong {bad[:3]}" if lost or bad else ""


def table(outcomes: dict[str, Outcome]) -> Iterable[str]:
    """The rows of the table in the README."""
    yield "| damage | trials | keys outside | share that came back | right beside it | came back | wrong by a guess |"
    yield "|---|---|---|---|---|---|---|"
    for kind, o in outcomes.items():
        row = f"{o.trials:,} | {o.intact:,} | {100 * o.share:.4f} % | {o.beside} | {o.beside_back} | {o.wrong}"
        yield f"| {kind} | {row} |"
