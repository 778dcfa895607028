"""Check one RDB with several workers, each of them a part of it."""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import closing
from typing import NamedTuple

from rdbtool.basics.hashing import new_seed
from rdbtool.errors import ChangedError, RdbToolError
from rdbtool.findings import Findings
from rdbtool.io.progress import Progress
from rdbtool.io.window import Window
from rdbtool.rdb.check import RdbFacts
from rdbtool.rdb.check_parts import PartOfCheck, PartsOfCheck, check_part
from rdbtool.rdb.cutting import RdbPart

from .parts import FileState, Portions, cutter_of, is_whole, parts_in_order
from .units import Unit


class CheckOptions(NamedTuple):
    """What a check depends on: see `check_rdb.check_rdb`. ``kept``: findings of a code."""

    databases: int
    now_ms: int
    kept: int
    seed: int
    state: FileState


def check_in_parts(
    w: Window,
    state: FileState,
    findings: Findings,
    executor: Executor,
    *,
    databases: int,
    now_ms: int,
    workers: int,
    portion: int,
    progress: Progress | None,
) -> RdbFacts | None:
    """What `rdb.check.verify_rdb` tells of the RDB that ``w`` stands at, found by ``workers`` of the executor; None
    where it could tell something else, and has to be asked then.

    Raises `LostWorkerError`, `InputError`, `OutputError`.
    """
    seed = new_seed()
    cutter = cutter_of(w)
    options = CheckOptions(databases, now_ms, findings.kept, seed, state)
    parts = PartsOfCheck(cutter, findings, seed, databases, now_ms)
    portions = Portions(state.size, workers, portion)
    first = cutter.next(portions.at(int(w.offset())))
    if first is None or is_whole(first, state.size):
        return None

    def unit_of(part: RdbPart) -> Unit[PartOfCheck]:
        return Unit(_check, state.path, part, options)

    with closing(parts_in_order(executor, cutter, first, portions, unit_of, 2 * workers)) as results:
        for unit, result in results:
            if isinstance(result, ChangedError):
                return None
            if isinstance(result, RdbToolError):
                raise result
            if not parts.add(unit.part, result) or parts.differs:
                break
            if progress is not None:
                progress(unit.part.end, state.size)
    facts = parts.conclude()
    if parts.differs:
        return None
    return facts


def _check(_: str, part: RdbPart, options: CheckOptions) -> PartOfCheck:
    findings = Findings(kept=options.kept)
    with options.state.window(part.start) as w:
        return check_part(w, part, findings, options.seed, options.databases, options.now_ms)
