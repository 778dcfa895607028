"""Write the keys of one RDB with several workers: each encodes a part of it, and this process puts them in order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from rdbtool.basics.crc64 import combines, crc64_of_both
from rdbtool.errors import RdbToolError
from rdbtool.findings import Finding, Findings, add_counts
from rdbtool.inputs.keys import Facts, RdbSource
from rdbtool.inputs.selection import Selection
from rdbtool.io.output import Output
from rdbtool.io.window import Window
from rdbtool.outputs.options import OutputOptions
from rdbtool.outputs.pipeline import Pipeline
from rdbtool.outputs.registry import make_exporter, row_of
from rdbtool.outputs.resp import Resp
from rdbtool.rdb.cutting import Cutter, RdbPart
from rdbtool.rdb.events import End, Header

from .handing import Handed, can_hand, hand, numbers
from .parts import FileState, is_huge, part_size
from .units import Unit, in_order

LEAST: Final = 64
"""Bytes that tell how a part follows the one before."""


@dataclass(frozen=True, slots=True)
class _Options:
    state: FileState
    selection: Selection
    output: OutputOptions
    facts: Facts
    ahead: int
    """0: what is written goes along with the answer."""
    number: int


@dataclass(slots=True)
class _Written:
    """What a worker wrote of a part, and what it met. ``handed``: the rest of ``data``, where the worker has kept it;
    ``damage``: what ended it; ``end``: what the end of the file says
    of it: its offset, and the stored checksum; ``crc``: of the ``size`` bytes that it read.
    """

    data: bytes = b""
    handed: Handed | None = None
    db: int = -1
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


class _Collected:
    """Takes what is written, in memory."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.parts.append(data)


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
    where that is no plain file.

    ``options``: what the pipeline's exporter was made with. Raises what it raises, and `LostWorkerError`.
    """
    w = source.reader.window
    state = FileState.of(w)
    if state is None:
        return False
    cutter = Cutter(w)
    exporter = pipeline.exporter
    output = exporter.output
    pipeline.enter(source)
    ahead = 2 * workers
    kept = ahead if can_hand(executor) else 0
    units = _units(cutter, portion or part_size(state.size, workers), state, pipeline.selection, options, kept)
    crc = 0
    with closing(in_order(executor, units, ahead)) as results:
        for unit, done in results:
            if unit.part.first:
                source.facts = unit.options.facts
                pipeline.start(source.facts)
            if isinstance(done, RdbToolError):
                raise done
            if done is None:
                done = _write_here(pipeline, unit.part, state)
            if done.data:
                front, skipped = exporter.follow(done.data[:LEAST], done.db)
                output.buffer.write(front)
                output.flush()
                output.sink.write(done.data[skipped:])
                for chunk in () if done.handed is None else done.handed.read(state.path):
                    output.sink.write(chunk)
            _count(pipeline, source, done)
            if done.damage is not None:
                raise done.damage
            crc = crc64_of_both(crc, done.crc, done.size)
            if done.end is not None:
                pipeline.take(End(done.end[0], done.end[1], crc))
    return True


def _write_here(pipeline: Pipeline, part: RdbPart, state: FileState) -> _Written:
    """Write a part that is too large to be handed over. Raises what the pipeline raises."""
    done = _Written()
    with state.window(part.start) as w:
        source = RdbSource(w, part=part)
        pipeline.run(source)
        _note_end(done, source, part, w)
    done.lost, done.empty = source.lost, int(source.empty)
    return done


def _note_end(done: _Written, source: RdbSource, part: RdbPart, w: Window) -> None:
    """Note what is known of a part when it was read."""
    w.report()
    done.crc = source.reader.crc
    done.size = int(w.offset() - part.start)
    if source.end is not None:
        done.end = int(source.end.offset), source.end.stored
        done.size = done.end[0] + 1 - int(part.start)


def _count(pipeline: Pipeline, source: RdbSource, done: _Written) -> None:
    """Add up what a worker met."""
    exporter = pipeline.exporter
    pipeline.keys += done.keys
    pipeline.written += done.written
    for finding in done.items:
        pipeline.findings.add(finding)
    add_counts(exporter.losses.counts, done.losses)
    add_counts(source.lost, done.lost)
    source.empty += done.empty
    exporter.miscounted_elsewhere += done.miscounted
    if isinstance(exporter, Resp):
        exporter.commands.longest = max(exporter.commands.longest, done.longest)


def _units(
    cutter: Cutter, size: int, state: FileState, selection: Selection, output: OutputOptions, ahead: int
) -> Iterator[Unit[_Written | None]]:
    while (part := cutter.next(size)) is not None:
        yield Unit(_write, state.path, part, _Options(state, selection, output, _facts(cutter), ahead, next(numbers)))


def _facts(cutter: Cutter) -> Facts:
    """What the file says of itself before the first key."""
    facts = Facts()
    for event in cutter.head:
        if isinstance(event, Header):
            facts.dialect, facts.version = event.dialect, event.version
        else:
            facts.aux[event.name] = event.value
    return facts


def _write(_: str, part: RdbPart, options: _Options) -> _Written | None:
    """Encode a part; None for one that is too large."""
    if is_huge(part, options.state.size):
        return None
    sink = _Collected()
    exporter = make_exporter(Output(sink), options.output)
    findings = Findings()
    selection = options.selection
    pipeline = Pipeline(selection, exporter, findings, beside=selection.everything)
    done = _Written()
    with options.state.window(part.start) as w:
        source = RdbSource(w, part=part)
        pipeline.begun = True  # what stands before the keys is not ours to write
        exporter.resume(options.facts)
        try:
            pipeline.run(source)
        except RdbToolError as e:
            done.damage = e
        finally:
            exporter.end()
        _note_end(done, source, part, w)
    if options.ahead and sink.parts:
        done.data = sink.parts[0][:LEAST]
        done.handed = hand([memoryview(sink.parts[0])[LEAST:], *sink.parts[1:]], options.number, options.ahead)
    else:
        done.data = b"".join(sink.parts)
    done.db = exporter.db
    done.keys, done.written = int(pipeline.keys), int(pipeline.written)
    done.losses, done.lost = exporter.losses.counts, source.lost
    done.items = findings.items
    done.miscounted = exporter.miscounted
    done.empty = int(source.empty)
    if isinstance(exporter, Resp):
        done.longest = int(exporter.commands.longest)
    return done
