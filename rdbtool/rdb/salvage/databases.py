"""Which database keys behind damage belong to, where the number may be among what is lost."""

from __future__ import annotations

import re
from typing import Final

from mypy_extensions import i64

from rdbtool.io.random_access import Pages
from rdbtool.rdb import opcodes

from .evidence import one_bit_apart
from .salvaged import IN_A_ROW, Lost, Run

SELECT: Final = re.compile(rb"\xfe([\x00-\x3f])\xfb[\x00-\xbf]")
"""The number of a database, and how many keys it has, which servers write behind it."""
LEAST: Final = 5
"""Bytes that a key with its value has at least."""
LOOKED_AT: Final[i64] = 1 << 20
"""Bytes at the end of a gap in which that is looked for."""


def database_in(pages: Pages, runs: list[Run], lost: Lost, run: Run, chosen: bool) -> None:
    """Find the number of the database that ``run`` begins in, where a SELECTDB stands in what is ``lost`` behind
    ``runs``; ``chosen``: whether one was read in those.
    """
    part = run.parts[0]
    near = pages.take(max(lost.start, run.start - 2), 2)
    if pages.byte(run.start) == opcodes.RESIZE_DB:
        last = runs[-1].parts[-1]
        if last.start >= 0 and last.keys == 0 and last.said < 0 and chosen:
            return  # the SELECTDB that it belongs to was read
        run.sure_of_db = len(near) == 2 and one_bit_apart(near[0], opcodes.SELECT_DB) and near[1] < 64
        if run.sure_of_db:
            run.db = near[1]
        elif chosen:
            run.db += 1
        part.db = run.db
        return
    first = max(lost.start, lost.end - LOOKED_AT)
    for found in SELECT.finditer(pages.take(first, lost.end - first)):
        db = found.group(1)[0]
        if db > run.db or not chosen:
            run.db = part.db = db


def doubtful(runs: list[Run]) -> list[Run]:
    """Runs that were found in the middle of a file, and whose keys are too many: without them, those in front and
    behind are as many as their database is said to have, or fewer. They stand in a value.
    """
    found: list[Run] = []
    counts: dict[int, int] = {}
    said: dict[int, int] = {}
    for number, run in enumerate(runs):
        db = int(run.db)
        left = said.get(db, -1) - counts.get(db, 0)
        if run.sure == IN_A_ROW and number + 1 < len(runs) and db in said and run.parts[0].keys > left:
            behind = runs[number + 1]
            if len(run.parts) == 1 and behind.db == run.db and behind.parts[0].keys <= left:
                found.append(run)
                continue
        for part in run.parts:
            counts[int(part.db)] = counts.get(int(part.db), 0) + int(part.keys)
            if part.said >= 0:
                said[int(part.db)] = int(part.said)
    return found


def with_all_expiries(runs: list[Run]) -> set[int]:
    """The databases that have as many keys with an expiry as they are said to: then no key has lost its own."""
    left: dict[int, int] = {}
    said: dict[int, int] = {}
    for run in runs:
        for part in run.parts:
            db = int(part.db)
            left[db] = left.get(db, 0) - int(part.expires) + max(0, int(part.said_expires))
            said[db] = said.get(db, 0) + (part.said_expires >= 0)
    return {db for db, count in said.items() if count == 1 and left[db] == 0}


def settle(runs: list[Run], doubts: i64) -> None:
    """Settle in which database runs begin whose SELECTDB may be lost.

    A database says how many keys it has. Where a run has more than are left of it, it belongs to another; where more
    are left than the gap can hold, it does not. ``doubts``: how many records that were counted may be none.
    """
    counts: dict[int, int] = {}
    said: dict[int, int] = {}
    before: i64 = 0
    end: i64 = 0
    selected = _selected_next(runs)
    for number, run in enumerate(runs):
        part = run.parts[0]
        if run.is_guessed and run.db <= before and part.keys:
            left = said.get(int(before), -1)
            if left >= 0:
                left -= counts.get(int(before), 0)
            fits = left >= part.keys and left * LEAST > run.start - end
            run.sure_of_db = fits or selected[number] == before + 1
            if left >= 0 and left + doubts < part.keys:
                run.db = part.db = before + 1
                run.sure_of_db = False
        for part in run.parts:
            counts[int(part.db)] = counts.get(int(part.db), 0) + int(part.keys)
            if part.said >= 0:
                said[int(part.db)] = int(part.said)
            before = part.db
        end = run.end


def _selected_next(runs: list[Run]) -> list[int]:
    """For each run, the next database that is chosen within or behind it; -1 for none."""
    found: list[int] = []
    selected = -1
    for run in reversed(runs):
        if len(run.parts) > 1:
            selected = int(run.parts[1].db)
        found.append(selected)
    found.reverse()
    return found
