"""Write the keys of one RDB with several workers: each encodes a part of it, and this process puts them in order."""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, final

from rdbtool.basics.crc64 import combines, crc64, crc64_of_both
from rdbtool.errors import RdbToolError
from rdbtool.findings import Finding, Findings, add_counts
from rdbtool.inputs.keys import Facts, RdbSource
from rdbtool.inputs.selection import Selection
from rdbtool.io.output import Output
from rdbtool.io.window import Window
from rdbtool.outputs.exporter import Written
from rdbtool.outputs.options import OutputOptions
from rdbtool.outputs.pipeline import Pipeline
from rdbtool.outputs.registry import make_exporter, row_of
from rdbtool.outputs.resp import Resp
from rdbtool.rdb.cutting import Cutter, RdbPart
from rdbtool.rdb.events import End, Header, SelectDb
from rdbtool.rdb.layout.duplicates import Duplicates

from .handing import Handed, Handing, held_ahead, numbers, write_rest
from .parts import HELD, FileState, Portions, cutter_of, is_huge, parts_in_order
from .units import Unit

LEAST: Final = 64
"""Bytes that tell how a part follows the one before."""


class _Options(NamedTuple):
    state: FileState
    selection: Selection
    output: OutputOptions
    facts: Facts
    ahead: int
    """0: what is written goes along with the answer."""
    number: int
    seed: int
    """Of the hashes of keys, where somebody asks for them; else -1."""
    beside: bool


@dataclass(slots=True)
class _Written:
    """What a worker wrote of a part, and what it met. ``data``: all that was written, or the beginning where the worker
    keeps the rest (``handed``), whose checksum is ``sum``; ``damage``: what ended it; ``end``: what the end of the
    file says of it: its offset, and the stored checksum; ``crc``: of the ``size`` bytes that it read; ``too_large``: it
    is not done; ``stop``, ``stop_db``: see `parts.Read`.
    """

    data: bytes = b""
    handed: Handed | None = None
    sum: int = 0
    db: int = -1
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    hashes: bytes = b""
    keys: int = 0
    written: int = 0
    losses: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    items: list[Finding] = field(default_factory=list)
    miscounted: int = 0
    longest: int = 0
    empty: int = 0
    damage: RdbToolError | None = None
    end: tuple[int, int] | None = None
    crc: int = 0
    size: int = 0
    too_large: bool = False
    stop: int = -1
    stop_db: int = 0

    def written_of(self, executor: Executor, path: str) -> Written:
        """What a worker of the executor wrote of the input at ``path``."""
        size = 0 if self.handed is None else self.handed.size
        rest = partial(write_rest, self.handed, executor, path)
        return Written(self.data, rest, db=self.db, size=size, crc=self.sum, sizes=self.sizes)


@final
class _Kept:
    """Takes what a worker writes: the beginning, and the rest, which the worker keeps (``handing``)."""

    def __init__(self, handing: Handing | None, *, checksum: bool) -> None:
        self.head = b""
        self.parts: list[bytes] = []
        self.handing = handing
        self.checksum = checksum
        self.crc = 0

    def write(self, data: bytes) -> None:
        missing = LEAST - len(self.head)
        rest = data
        if missing > 0:
            self.head += data[:missing]
            rest = data[missing:]
        if self.checksum:
            self.crc = crc64(rest, self.crc)
        if self.handing is None:
            self.parts.append(rest)
        else:
            self.handing.write(rest)


def can_be_parted(selection: Selection, output: OutputOptions) -> bool:
    """Whether parts of a file can be written by themselves: no key decides what becomes of another one."""
    parted = row_of(output.format).parted and output.values
    return parted and selection.limit < 0 and selection.exact is None and combines()


def move_in_parts(
    pipeline: Pipeline,
    source: RdbSource,
    options: OutputOptions,
    executor: Executor,
    workers: int,
    portion: int,
) -> bool:
    """What ``pipeline.run(source)`` does with the keys of a source that has not begun; False, and nothing is done,
    where that is no plain file. A key that comes twice is found when all else is done.

    ``options``: what the pipeline's exporter was made with. Raises what it raises, and `LostWorkerError`.
    """
    w = source.reader.window
    state = FileState.of(w)
    if state is None:
        return False
    cutter = cutter_of(w)
    exporter = pipeline.exporter
    pipeline.enter(source)
    seen = pipeline.expect()
    ahead = 2 * workers
    kept = held_ahead(executor, ahead)
    seed = -1 if seen is None else int(seen.seed)
    portions = Portions(state.size, workers, portion, HELD)
    how = _Options(state, pipeline.selection, options, Facts(), kept, 0, seed, pipeline.beside)
    crc = 0
    first = cutter.next(portions.at(int(w.offset())))
    if first is None:
        return False

    def unit_of(part: RdbPart) -> Unit[_Written]:
        return Unit(_write, state.path, part, how._replace(facts=_facts(cutter), number=next(numbers)))

    with closing(parts_in_order(executor, cutter, first, portions, unit_of, ahead)) as results:
        for unit, done in results:
            if unit.part.first:
                source.facts = unit.options.facts
                pipeline.start(source.facts)
            if isinstance(done, RdbToolError):
                raise done
            if done.too_large:
                _write_here(pipeline, unit.part, state, done)
            if done.data or done.sizes:
                exporter.append(done.written_of(executor, state.path))
            if seen is not None:
                seen.add_records(done.hashes)
            _count(pipeline, source, done)
            if done.damage is not None:
                raise done.damage
            crc = crc64_of_both(crc, done.crc, done.size)
            if done.end is not None:
                end = End(done.end[0], done.end[1], crc)
                source.checksum = end.checksum
                pipeline.take(end)
    pipeline.conclude()
    return True


def _write_here(pipeline: Pipeline, part: RdbPart, state: FileState, done: _Written) -> None:
    """Write a part that is too large to be handed over. Raises what the pipeline raises."""
    with state.window(part.start) as w:
        source = RdbSource(w, part=part)
        pipeline.move(source)
        _note_end(done, source, part, w)
    done.lost, done.empty = source.lost, int(source.empty)


def _note_end(done: _Written, source: RdbSource, part: RdbPart, w: Window) -> None:
    """Note what is known of a part when it was read."""
    w.report()
    done.crc = source.reader.crc
    done.size = int(w.offset() - part.start)
    if source.end is None and source.reader.ended:
        done.stop, done.stop_db = int(w.offset()), int(source.reader.db)
    if source.end is not None:
        done.end = int(source.end.offset), source.end.stored
        done.size = done.end[0] + 1 - int(part.start)


def _count(pipeline: Pipeline, source: RdbSource, done: _Written) -> None:
    """Add up what a worker met."""
    exporter = pipeline.exporter
    pipeline.keys += done.keys
    pipeline.written += done.written
    pipeline.selection.kept = max(pipeline.selection.kept, int(pipeline.written))
    for finding in done.items:
        pipeline.findings.add(finding)
    add_counts(exporter.losses.counts, done.losses)
    add_counts(source.lost, done.lost)
    source.empty += done.empty
    exporter.miscounted_elsewhere += done.miscounted
    if isinstance(exporter, Resp):
        exporter.commands.longest = max(exporter.commands.longest, done.longest)


def _facts(cutter: Cutter) -> Facts:
    """What the file says of itself before the first key."""
    facts = Facts()
    for event in cutter.head:
        if isinstance(event, Header):
            facts.dialect, facts.version = event.dialect, event.version
        else:
            facts.aux[event.name] = event.value
    return facts


def _write(_: str, part: RdbPart, options: _Options) -> _Written:
    """Encode a part, unless it is too large."""
    if is_huge(part, options.state.size):
        return _Written(too_large=True)
    handing = Handing(options.number, options.ahead) if options.ahead else None
    has_checksum = options.output.format == "rdb" and options.output.rdb.checksum
    sink = _Kept(handing, checksum=has_checksum and handing is not None)
    exporter = make_exporter(Output(sink), options.output)
    findings = Findings()
    selection = options.selection
    seen = Duplicates(keep=False, seed=options.seed, collect=True) if options.seed >= 0 else None
    pipeline = Pipeline(selection, exporter, findings, beside=options.beside, seen=seen)
    done = _Written()
    with options.state.window(part.start) as w:
        source = RdbSource(w, part=part)
        pipeline.begun = True  # what stands before the keys is not ours to write
        exporter.resume(options.facts)
        if selection.everything:
            exporter.hint(SelectDb(-1, part.db))
        try:
            pipeline.run(source)
        except RdbToolError as e:
            done.damage = e
        finally:
            exporter.end()
        _note_end(done, source, part, w)
    done.data = sink.head + b"".join(sink.parts)
    done.handed = None if handing is None else handing.done()
    done.sum = sink.crc
    done.db, done.sizes = exporter.db, exporter.sizes
    done.hashes = b"" if seen is None else seen.records.getvalue()
    done.keys, done.written = int(pipeline.keys), int(pipeline.written)
    done.losses, done.lost = exporter.losses.counts, source.lost
    done.items = findings.items
    done.miscounted = exporter.miscounted
    done.empty = int(source.empty)
    if isinstance(exporter, Resp):
        done.longest = int(exporter.commands.longest)
    return done
