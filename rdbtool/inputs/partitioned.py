"""Replay a log by partitions of its keys: one pass that tells which keys have to stay together, then a replay of each.

A partition's replay can take place in another process. All of them together tell what one replay of all keys tells.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from rdbtool.aof.layout import Layout, LogFile
from rdbtool.aof.names import SKIP
from rdbtool.aof.point_in_time import WHOLE
from rdbtool.aof.resp import CommandReader
from rdbtool.engine.partition.buckets import Buckets, buckets_for
from rdbtool.engine.partition.budget import Budget
from rdbtool.engine.partition.sieve import Sieve
from rdbtool.engine.partition.survey import Survey
from rdbtool.engine.replay.replay import Ending
from rdbtool.errors import ChangedError
from rdbtool.findings import Finding, Findings, Severity
from rdbtool.io.progress import Meter, Progress
from rdbtool.io.source import open_input
from rdbtool.io.window import Metered, Window
from rdbtool.rdb.head import RdbHead
from rdbtool.rdb.reader import RdbReader
from rdbtool.servers.releases import Release

from .dataset import newest_of, oldest_for
from .detect import is_rdb
from .replaying import Feed, Loader, Replayed, Source, commands_of, replay
from .server import Server

COUNTERS: Final = ("count", "applied", "failed", "not_run", "lost", "skipped")
"""What a `Replay` counts of the commands of a partition."""
SEED: Final = 0x5EED
"""Of the hash: the same each time, so that the same is written each time."""


class Share(NamedTuple):
    """A partition of the keys, by its ``number``, and how many bytes of ``memory`` its replay may take, -1 for any.
    ``note``: is told how far its replay is, as a `Progress`; it can be pickled.
    """

    number: int
    sieve: Sieve
    memory: int = -1
    note: Progress | None = None


class How(NamedTuple):
    """How to replay: see `replaying.replay`. All of it can be pickled."""

    path: str
    layout: Layout
    unknown: str
    source: Source
    release: Release | None
    likely: Release | None
    now_ms: int
    server: Server

    def replay(self, share: Share) -> tuple[Replayed, int]:
        """The keys of one partition, and how many bytes of memory they take. Raises as `replaying.replay` does, and
        `OverMemoryError`.
        """
        budget = Budget(share.memory)
        replayed = replay(
            self.path,
            unknown=self.unknown,
            source=self.source,
            release=self.release,
            likely=self.likely,
            now_ms=self.now_ms,
            server=self.server,
            layout=self.layout,
            sieve=share.sieve,
            budget=budget,
            progress=share.note,
        )
        budget.look()
        return replayed, int(budget.peak)


@dataclass(slots=True)
class PartDone:
    """What a partition's replay tells besides its keys."""

    findings: Findings
    ending: Ending
    counters: dict[str, int]
    loss: bool
    partial: bool
    proven: bool
    has_log: bool
    is_logged: bool
    size: int
    base_keys: int
    annotations: int
    time_s: int
    metadata_lost: int
    oldest: Release | None
    counts_streams: bool
    functions: dict[bytes, bytes]
    memory: int


def part_done(replayed: Replayed, memory: int) -> PartDone:
    """What to tell of a partition's replay, which took so much ``memory``."""
    counted, dataset = replayed.replay, replayed.dataset
    assert replayed.ending is not None
    return PartDone(
        findings=replayed.findings,
        ending=replayed.ending,
        counters={name: int(getattr(counted, name)) for name in COUNTERS},
        loss=replayed.loss,
        partial=replayed.partial,
        proven=replayed.proven,
        has_log=replayed.has_log,
        is_logged=replayed.is_logged,
        size=replayed.size,
        base_keys=replayed.base_keys,
        annotations=int(counted.annotations),
        time_s=int(counted.time_s),
        metadata_lost=int(dataset.metadata_lost),
        oldest=oldest_for(dataset),
        counts_streams=dataset.counts_streams,
        functions=dataset.functions,
        memory=memory,
    )


@dataclass(slots=True)
class Partitioned:
    """A log that was looked at: ``buckets`` of its keys, to be dealt out; ``head`` and ``aux`` of the snapshots in it.
    ``whole``: why there can be only one partition, or ""; ``over``: partitions of keys that have to stay together, and
    take more memory than they may; ``progress`` of the replays.
    """

    how: How
    buckets: Buckets
    survey: Survey
    whole: str = ""
    head: RdbHead | None = None
    aux: dict[bytes, bytes] = field(default_factory=dict)
    stamps: list[tuple[int, int]] = field(default_factory=list)
    over: int = 0
    progress: Progress | None = None

    def look(self, w: Window, file: LogFile) -> None:
        """Look at a file, from its start on. Raises what reading raises."""
        survey, source = self.survey, self.how.source
        if source == "auto" and is_rdb(w):
            head = RdbHead(RdbReader(w, checksum=False))
            self.head = self.head or head
            self.aux.update(head.aux)
            survey.rdb(head)
            if w.at_end():
                return
        commands = commands_of(w, file, source)
        if isinstance(commands, CommandReader):
            survey.log(commands)
        else:
            survey.whole = "it is a text of commands"

    def sieve(self, partition: int, *, first: bool) -> Sieve:
        """What a partition's replay needs; ``first``: it is the one that takes note of what changes no key."""
        buckets = self.buckets
        bits = buckets.bits(partition)
        return Sieve(bits, int(buckets.count), int(buckets.seed), first=first, until=self.survey.until)

    def refuse_change(self) -> None:
        """Raise `ChangedError` where a file is not what was looked at; what a server appended meanwhile is passed."""
        files = self.how.layout.files
        for i, (file, before, now) in enumerate(zip(files, self.stamps, self.how.layout.stamps(), strict=True)):
            may_grow = i == len(files) - 1 and file.path in self.survey.until
            if now != before and not (may_grow and now[0] > before[0]):
                raise ChangedError("the file changed while it was read: ask again", path=file.path)

    def joined(self, parts: Sequence[PartDone]) -> Replayed:
        """What the replay of all keys tells, from those of the partitions, the first of them first; the dataset is
        empty but for its functions. Raises what `replaying.replay` raises at the end.
        """
        how, survey = self.how, self.survey
        first = parts[0]
        loader = Loader(
            how.layout, WHOLE, how.unknown, how.source, how.release, how.likely, how.now_ms, Feed(), None, how.server
        )
        order = {file.path: i for i, file in enumerate(how.layout.files)}
        loader.findings.add_parts([part.findings for part in parts], lambda f: (order.get(f.path, -1), f.offset))
        result = loader.result_of(self.aux)
        result.head = self.head
        result.aux = dict(self.aux)
        result.module_aux = list(survey.module_aux)
        counted, dataset = result.replay, result.dataset
        for name in COUNTERS:
            setattr(counted, name, sum(part.counters[name] for part in parts))
        counted.count = survey.commands
        counted.annotations = first.annotations
        counted.time_s = first.time_s
        counted.path = how.layout.files[-1].path
        dataset.functions.update(first.functions)
        dataset.metadata_lost = sum(part.metadata_lost for part in parts)
        dataset.counts_streams = any(part.counts_streams for part in parts)
        result.oldest = newest_of([part.oldest for part in parts if part.oldest is not None])
        result.base_keys = sum(part.base_keys for part in parts)
        result.size = first.size
        result.has_log = first.has_log
        result.is_logged = all(part.is_logged for part in parts)
        result.loss = any(part.loss for part in parts)
        result.partial = any(part.partial for part in parts)
        result.proven = first.proven
        ending = replace(
            first.ending,
            imports=[
                (slots, sum(part.ending.imports[i][1] for part in parts))
                for i, (slots, _) in enumerate(first.ending.imports)
            ],
            relative=sum(part.ending.relative for part in parts),
            random=sum(part.ending.random for part in parts),
        )
        if ending.open >= 0:
            ending.open = int(survey.open)
        counted.dropped = ending.dropped
        counted.tell(ending)
        loader.judge(result)
        if self.over:
            message = "keys that commands name together take more memory than --memory-limit says: they had to stay so"
            result.findings.add(Finding(Severity.NOTE, "memory-limit", message, how.path))
        return result


def partitioned(how: How, progress: Progress | None = None) -> Partitioned:
    """Look at a log, for which keys can be replayed without others. Raises `RdbToolError` where it cannot be read: a
    replay tells more of that.
    """
    layout = how.layout
    size = 0
    for file in layout.files:
        if file.missing or not os.path.isfile(file.path):
            return not_partitioned(how, "what is not a plain file can be read only once")
        size += os.path.getsize(file.path)
    if not how.server.names.empty:
        return not_partitioned(how, "commands that only this server has are among them (--rename, --allow)")
    buckets = Buckets(buckets_for(size), SEED)
    survey = Survey(buckets)
    found = Partitioned(how, buckets, survey, stamps=layout.stamps(), progress=progress)
    meter = Meter([file.path for file in layout.files], progress)
    for file in layout.files:
        with open_input(file.path) as stream:
            told = meter.of(file.path)
            if told is not None:
                stream.stream = Metered(stream.stream, stream.size, told)
            found.look(stream.window(), file)
        if survey.whole:
            return not_partitioned(how, survey.whole)
    if survey.unknown and how.unknown != SKIP:
        return not_partitioned(how, "some commands are none that can be carried out here")
    survey.end()
    return found


def not_partitioned(how: How, why: str) -> Partitioned:
    """A log whose keys are to be replayed together."""
    buckets = Buckets(8, 0)
    return Partitioned(how, buckets, Survey(buckets), why)


def present_ms() -> int:
    """What relative expiries count from, in all partitions, where nobody says otherwise."""
    return time.time_ns() // 1_000_000
