"""Partitions of a log's keys, replayed and written as an RDB each, which become one output."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.errors import OutputError, reason
from rdbtool.findings import add_counts
from rdbtool.inputs.dataset import facts_of_replayed
from rdbtool.inputs.detect import JSON_LINES, SNAPSHOT, open_detected
from rdbtool.inputs.keys import Facts, facts_of
from rdbtool.inputs.opening import OpenedKeys, open_keys, opened_of
from rdbtool.inputs.partition_source import PartitionSource
from rdbtool.inputs.partitioned import How, PartDone, Partitioned, Share, part_done, present_ms
from rdbtool.inputs.pruning import keep_only
from rdbtool.inputs.replaying import Replayed, layout_of
from rdbtool.inputs.selection import Selection
from rdbtool.io.temporary import make_temporary, sweep
from rdbtool.outputs.options import RdbOptions
from rdbtool.outputs.rdb import RdbOut
from rdbtool.outputs.saving import expiring, save_apart, save_rdb
from rdbtool.rdb.layout.facts import MADE_BY_REPLAY, NOTHING
from rdbtool.rdb.targets import Target
from rdbtool.servers.features import FIELD_EXPIRIES
from rdbtool.servers.limits import Limits
from rdbtool.servers.releases import NEWEST, RELEASES, Release, oldest_with

from .partitions import of_partitions
from .sharing import Sharing, cannot_share, shared

UNPACKED: Final = Limits(hash_entries=0, zset_entries=0, set_intset_entries=0, set_entries=0)
"""What is packed has another order of elements, and no negative zeros."""


@dataclass(frozen=True, slots=True)
class _Options:
    """``directory``: where the RDBs go; ``facts``: dialect, version and auxiliary fields of the snapshot in front;
    ``apart``: keys whose values a command has touched go into a second RDB.
    """

    how: How
    selection: Selection
    directory: str
    rdb: RdbOptions
    facts: tuple[int, int, dict[bytes, bytes]]
    untold: frozenset[str]
    apart: bool


@dataclass(slots=True)
class _Saved:
    """The RDB of a partition, and the second one or ""; ``sizes``: keys, and those with an expiry, by database."""

    part: PartDone
    file: str
    second: str
    keys: int
    sizes: dict[int, tuple[int, int]]
    losses: dict[str, int]
    left_out: int
    kept: int


@dataclass(slots=True)
class SavedPartitions:
    """The ``files`` of all partitions, those of them with ``touched`` keys, and what there is to say of all of them."""

    replayed: Replayed
    files: list[str]
    touched: list[str]
    keys: int
    sizes: dict[int, tuple[int, int]]
    losses: dict[str, int]
    left_out: int


@contextlib.contextmanager
def saved_partitions(
    found: Partitioned,
    sharing: Sharing,
    selection: Selection,
    rdb: RdbOptions,
    beside: str,
    *,
    untold: frozenset[str] = NOTHING,
    apart: bool = False,
) -> Iterator[SavedPartitions]:
    """The keys that ``selection`` wants, in files in a directory beside the path ``beside``, or for "" in that for
    temporary files, which is gone with the context. ``rdb``: how they are written; ``untold``: what is no loss;
    ``apart``: keys that a command has touched go into files of their own.

    Raises what replaying and writing raise.
    """
    if not beside:
        from tempfile import gettempdir  # most outputs have a place

        beside = os.path.join(gettempdir(), "partitions")
    sweep(os.path.dirname(beside))
    try:
        made = make_temporary(beside, directory=True)
    except OSError as e:
        raise OutputError(f"cannot create a temporary directory: {reason(e)}", path=os.path.dirname(beside)) from e
    try:
        oldest = oldest_with(FIELD_EXPIRIES) if found.survey.field_expiries else None
        while True:
            facts = _facts_of(found, oldest)
            told = int(facts.dialect), int(facts.version), facts.aux
            options = _Options(found.how, selection, made.path, rdb, told, untold, apart)
            saved = of_partitions(found, _save, options, sharing)
            replayed = found.joined([part.part for part in saved])
            if facts_of_replayed(replayed).version == facts.version or rdb.to is not None:
                break
            oldest = replayed.oldest  # for another server then
        sizes: dict[int, tuple[int, int]] = {}
        losses: dict[str, int] = {}
        for part in saved:
            for db, (keys, expiring) in part.sizes.items():
                before = sizes.get(db, (0, 0))
                sizes[db] = before[0] + keys, before[1] + expiring
            add_counts(losses, part.losses)
        selection.kept = sum(part.kept for part in saved)
        yield SavedPartitions(
            replayed,
            [file for part in saved for file in (part.file, part.second) if file],
            [part.second for part in saved if part.second],
            sum(part.keys for part in saved),
            sizes,
            losses,
            sum(part.left_out for part in saved),
        )
    finally:
        made.remove()


@contextlib.contextmanager
def open_partitions(
    path: str, sharing: Sharing, beside: str, opening: dict[str, Any], rdb: RdbOptions | None = None
) -> Iterator[OpenedKeys]:
    """`sharing.open_shared`, where several partitions are wanted."""
    found: Partitioned | None = None
    point: PointInTime = opening.get("point", WHOLE)
    one = point.asked or opening.get("keep_going") or opening.get("commands")
    if not one and _may_be_log(path):
        to: Target | None = opening.get("to")
        layout = opening.get("layout") or layout_of(path)
        likely = None if to is None else to.release
        how = How(path, layout, opening["unknown"], "auto", None, likely, present_ms(), opening["server"])
        found = shared(how, sharing, opening.get("progress"))
        if found is not None and not found.whole:
            with _keys_of_partitions(found, sharing, beside, rdb) as parted:
                if parted is not None:
                    yield parted
                    return
    with open_keys(path, **opening) as opened:
        if found is not None and sharing.is_asked:
            opened.findings.append(cannot_share(found))
        yield opened


@contextlib.contextmanager
def _keys_of_partitions(
    found: Partitioned, sharing: Sharing, beside: str, rdb: RdbOptions | None
) -> Iterator[OpenedKeys | None]:
    """All keys of a log, as `open_keys` gives them but for their order in each database; None where some cannot be
    written meanwhile. Raises what replaying and writing raise.
    """
    options = rdb or _for_all(found)
    untold = MADE_BY_REPLAY if found.head is None else NOTHING
    with saved_partitions(found, sharing, Selection(), options, beside, untold=untold, apart=rdb is None) as saved:
        if saved.losses:
            found.whole = f"meanwhile, {', '.join(sorted(saved.losses))} could not be kept"
            yield None
            return
        replayed = saved.replayed
        facts = facts_of_replayed(replayed)
        functions = list(replayed.dataset.functions.values())
        path = found.how.path
        with PartitionSource(path, facts, functions, replayed.module_aux, saved.files, saved.touched) as source:
            yield opened_of(source, replayed)


def _for_all(found: Partitioned) -> RdbOptions:
    """How to write an RDB that keeps all that a log can hold, in the order that it has in a dataset."""
    dialect = found.how.likely.dialect if found.how.likely is not None else NEWEST.dialect
    if found.head is not None:
        dialect = found.head.dialect
    newest = [release for release in RELEASES if release.is_written and release.dialect == dialect][-1]
    return RdbOptions(Target(newest.name, newest), compress=False, checksum=False, limits=UNPACKED)


def _may_be_log(path: str) -> bool:
    """Whether what is at a path may hold commands; what can be read only once has to be read at once."""
    if not os.path.isfile(path):
        return os.path.isdir(path)
    with open_detected(path) as opened:
        return opened.kind not in {SNAPSHOT, JSON_LINES}


def _facts_of(found: Partitioned, oldest: Release | None) -> Facts:
    """What `facts_of_replayed` will say, if ``oldest`` is the oldest release that has what the keys hold."""
    facts = facts_of(found.head)
    if found.head is None and oldest is not None:
        facts = Facts(oldest.dialect, oldest.rdb_version)
    facts.aux = dict(found.aux)
    return facts


def _save(_: str, share: Share, options: _Options) -> _Saved:
    replayed, memory = options.how.replay(share)
    dataset = replayed.dataset
    part = part_done(replayed, memory)
    dataset.functions = {}  # they are told once
    options.selection.kept = 0
    left_out = keep_only(dataset, options.selection)
    dialect, version, aux = options.facts
    facts = Facts(dialect, version)
    facts.aux = aux
    path = os.path.join(options.directory, f"{share.number}.rdb")
    second = os.path.join(options.directory, f"{share.number}-touched.rdb") if options.apart else ""
    losses: dict[str, int] = {}
    try:
        with contextlib.ExitStack() as stack:
            writers = []
            for name in (path, second) if second else (path,):
                out = RdbOut(stack.enter_context(open(name, "wb")), options.rdb)
                out.losses.untold |= options.untold
                out.begin(facts)
                writers.append(out.ready())
            keys = save_apart(dataset, *writers) if second else save_rdb(dataset, *writers)
            for writer in writers:
                writer.close()
                add_counts(losses, writer.losses.counts)
    except OSError as e:
        raise OutputError(f"cannot write: {reason(e)}", path=path) from e
    sizes = {db: (len(cells), int(expiring(cells))) for db, cells in dataset.dbs.items() if len(cells)}
    return _Saved(part, path, second, keys, sizes, losses, left_out, int(options.selection.kept))
