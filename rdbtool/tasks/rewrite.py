"""Compact a log, as BGREWRITEAOF does, without a server."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rdbtool.aof.in_place import alone
from rdbtool.aof.layout import DEFAULT_NAME, Layout
from rdbtool.aof.manifest import BASE, HISTORY, INCREMENT, Part, format_part
from rdbtool.aof.names import STOP
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.aof.scan import Scanner
from rdbtool.errors import FormatError, NotSyncedError, OutputError, UnsupportedError, UsageError, reason
from rdbtool.findings import Finding, Findings, Report, Severity, add_counts, finding_of
from rdbtool.inputs.dataset import facts_of_replayed
from rdbtool.inputs.detect import is_vouched_for
from rdbtool.inputs.pruning import keep_only
from rdbtool.inputs.replaying import Replayed, Source, layout_of, replay
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.io.destination import find
from rdbtool.io.output import Output
from rdbtool.io.progress import Progress
from rdbtool.io.signals import held_back
from rdbtool.io.sink import DirectorySink, Sink, commit_all, open_sink
from rdbtool.io.source import open_input
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.outputs.pipeline import Pipeline
from rdbtool.outputs.rdb import RdbOut
from rdbtool.outputs.registry import make_exporter
from rdbtool.outputs.saving import save_carried, save_commands, save_frames, save_rdb
from rdbtool.rdb.layout.facts import ACTIVE_TIMES, MADE_BY_REPLAY, STREAM_COUNTERS
from rdbtool.rdb.targets import Target, target
from rdbtool.servers import features
from rdbtool.servers.features import MULTI_PART_LOGS
from rdbtool.servers.releases import oldest_with

from .sharing import UNSHARED, Sharing, cannot_share, shared

if TYPE_CHECKING:
    from rdbtool.inputs.partitioned import Partitioned
    from rdbtool.rdb.head import Aside

ANYWHERE: Final = oldest_with(MULTI_PART_LOGS)
"""The release that is written for where the input does not tell its server: all that have multi-part sets read it."""
NEWER_FACTS: Final = {STREAM_COUNTERS: features.STREAM_COUNTERS, ACTIVE_TIMES: features.ACTIVE_TIMES}
"""Facts about streams that only newer servers keep, by kind of loss."""
SINGLE: Final = ".aof"
"""An output of this ending is one file; any other is a directory."""


@dataclass(slots=True, kw_only=True)
class RewriteReport(Report):
    """``before_*`` and ``after_*``: bytes, and commands in logs; ``keys``: written; ``left_out``: not wanted;
    ``target``: the release the snapshot is for, "" where none was written; ``files``: made, the manifest last;
    ``history``: old files that are kept; ``removed``: those that are not; ``stopped``: why the replay ended early.
    """

    path: str
    output: str = ""
    before_bytes: int = 0
    before_commands: int = 0
    after_bytes: int = 0
    after_commands: int = 0
    keys: int = 0
    left_out: int = 0
    target: str = ""
    stopped: str = ""
    files: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: object = None
    """The dataset, see `ConvertReport.kept`."""

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        facts: dict[str, Any] = {
            "path": self.path,
            "output": self.output,
            "before": {"bytes": self.before_bytes, "commands": self.before_commands},
            "after": {"bytes": self.after_bytes, "commands": self.after_commands},
            "keys": self.keys,
            "target": self.target,
            "files": self.files,
        }
        if self.left_out:
            facts["left_out"] = self.left_out
        if self.history or self.removed:
            facts["history"] = self.history
            facts["removed"] = self.removed
        if self.stopped:
            facts["stopped"] = self.stopped
        return {**facts, "loss": self.loss, "findings": [f.as_json() for f in self.findings.items]}


@dataclass(frozen=True, slots=True)
class RewriteForm:
    """What to write: ``resp``: commands only, else a snapshot; ``to``: the release it is for, None for that of the
    input.
    """

    resp: bool = False
    to: Target | str | None = None

    @property
    def target(self) -> Target | None:
        """The release it is for. Raises `UsageError` for a name of none."""
        return target(self.to) if isinstance(self.to, str) else self.to


PLAIN: Final = RewriteForm()


def rewrite(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    form: RewriteForm = PLAIN,
    point: PointInTime = WHOLE,
    selection: Selection | None = None,
    unknown: str = STOP,
    source: Source = "auto",
    now_ms: int | None = None,
    server: Server = STOCK_SERVER,
    progress: Progress | None = None,
    keep_going: bool = False,
    sharing: Sharing = UNSHARED,
) -> RewriteReport:
    """Write what the log at ``path`` amounts to, to ``output``.

    A directory (which must be new, or empty) becomes a multi-part set, ready to be a server's appendonlydir; a name
    that ends in ``.aof``, or ``-``, one file: a snapshot in front of an empty log, or commands. ``selection``: with
    these keys only; ``keep_going``: take what can be read of a damaged base; ``sharing``: replay by partitions of the
    keys. The snapshot loses nothing; commands
    cannot say everything, and ``losses`` are findings. Raises as `replaying.replay` does, and `OutputError`, and
    `UnsupportedError` for what ``form.to`` cannot keep.
    """
    path, output = os.fspath(path), os.fspath(output)
    one_file = output == "-" or output.endswith(SINGLE) or find(output).is_stream
    job = _Job(
        path,
        layout_of(path, source),
        form,
        point,
        selection,
        unknown,
        source,
        now_ms,
        server,
        progress,
        keep_going,
        sharing,
    )
    report = RewriteReport(path=path, output=output)
    if one_file:
        with open_sink(output, inputs=job.layout.paths) as sink:
            replayed = _write_snapshot(sink, job, report)
            report.after_commands = _write_tail(sink, replayed)
            report.after_bytes = sink.written
            if form.resp and sink.temporary:
                report.after_commands = _count(sink)
        report.files = [output]
    else:
        _write_set(output, job, report)
    return report


def rewrite_in_place(
    path: str | os.PathLike[str],
    *,
    form: RewriteForm = PLAIN,
    point: PointInTime = WHOLE,
    selection: Selection | None = None,
    unknown: str = STOP,
    purge_history: bool = False,
    force: bool = False,
    now_ms: int | None = None,
    server: Server = STOCK_SERVER,
    progress: Progress | None = None,
    sharing: Sharing = UNSHARED,
) -> RewriteReport:
    """Compact the multi-part set at ``path`` where it stands, as a server does. No server may be writing to it.

    A new base and an empty increment are written beside the old files; then the manifest is replaced, which now
    names them, and the old ones as history, which no server reads and the next one removes.
    ``purge_history``: remove it at once, unless something was lost or left out; ``force``: go on where a process has
    the log open for writing. Whatever happens in between, the directory holds a set that loads, the old one or the
    new one. Raises as `rewrite` does, and as `in_place.alone` where the directory is in use.
    """
    path = os.fspath(path)
    with alone(lambda: _set_at(path), force=force) as (layout, remarks):
        report = RewriteReport(path=path, output=layout.manifest_path)
        job = _Job(path, layout, form, point, selection, unknown, "auto", now_ms, server, progress, False, sharing)
        _rewrite_in_place(job, report, purge_history=purge_history)
        for finding in remarks:
            report.findings.add(finding)
    return report


def _set_at(path: str) -> Layout:
    layout = layout_of(path)
    if layout.manifest is None:
        raise UsageError("only a multi-part set, with its manifest, is rewritten in place: name an output", path=path)
    return layout


def _rewrite_in_place(job: _Job, report: RewriteReport, *, purge_history: bool) -> None:
    layout = job.layout
    assert layout.manifest is not None
    before = layout.stamps()
    directory = os.path.dirname(layout.manifest_path)
    prefix = os.path.basename(layout.manifest_path).removesuffix(".manifest")
    parts = layout.manifest.parts
    base = _new_part(directory, prefix, BASE, [p.seq for p in parts if p.type != INCREMENT], job.form)
    increment = _new_part(directory, prefix, INCREMENT, [p.seq for p in parts if p.type != BASE], job.form)
    old = [Part(p.name, p.seq, HISTORY, 0, p.extra) for p in parts]

    like = next((file.path for file in layout.files if not file.missing), layout.manifest_path)
    sinks = []
    with contextlib.ExitStack() as stack:
        for part in (base, increment):
            name = os.path.join(directory, part.name)
            sinks.append(open_sink(name, inputs=layout.paths, like=like, exclusive=True))
            stack.callback(sinks[-1].abort)  # does nothing after a commit
        replayed = _write_base(sinks[0], job, report)
        _write_increment(sinks[1], replayed, report)
        if layout.stamps() != before:
            raise OutputError("the log changed while it was read: a server is writing to it", path=job.path)
        _switch(layout.manifest_path, sinks, [base, *old, increment], report)
    names = [os.path.join(directory, p.name) for p in old]
    report.history = [name for name in names if os.path.exists(name)]
    if purge_history and (report.loss or report.left_out or report.failed):
        report.findings.add(
            Finding(
                Severity.WARNING, "history-kept", "the old files are kept, because not all of them was used", job.path
            )
        )
    elif purge_history:
        _purge(layout, [base, increment], report)


@dataclass(frozen=True, slots=True)
class _Job:
    """What to replay, and how; see `replaying.replay`."""

    path: str
    layout: Layout
    form: RewriteForm
    point: PointInTime
    selection: Selection | None
    unknown: str
    source: Source
    now_ms: int | None
    server: Server
    progress: Progress | None
    keep_going: bool = False
    sharing: Sharing = UNSHARED

    def partitioned(self) -> Partitioned | None:
        """The log, if its keys are to be shared out."""
        one = self.point.asked or self.keep_going or (self.selection is not None and self.selection.limit >= 0)
        if one or not self.sharing.is_wanted:
            return None
        from rdbtool.inputs.partitioned import How, present_ms

        likely = None if self.form.target is None else self.form.target.release
        now_ms = present_ms() if self.now_ms is None else self.now_ms
        how = How(self.path, self.layout, self.unknown, self.source, None, likely, now_ms, self.server)
        return shared(how, self.sharing, self.progress)

    def replay(self, aside: Aside | None) -> Replayed:
        return replay(
            self.path,
            point=self.point,
            unknown=self.unknown,
            source=self.source,
            likely=None if self.form.target is None else self.form.target.release,
            now_ms=self.now_ms,
            aside=aside,
            server=self.server,
            progress=self.progress,
            keep_going=self.keep_going,
        )


def _write_snapshot(sink: Sink, job: _Job, report: RewriteReport) -> Replayed:
    """Replay, and write the result, or what of it there is before the replay has ended."""
    if job.form.resp:
        return _write_commands(sink, job, report)
    options = RdbOptions(job.form.target, otherwise=ANYWHERE)
    out = RdbOut(sink, options, aof=True)
    out.verify = not all(is_vouched_for(file.path) for file in job.layout.files)
    found = job.partitioned()
    if found is not None and not found.whole:
        return _write_partitions(found, out, options, sink, job, report)
    pipeline = Pipeline(Selection(), out, report.findings)
    # a selection looks at the whole dataset
    everything = job.selection is None or job.selection.everything
    replayed = job.replay(pipeline if everything else None)
    _note(replayed, job, report)
    report.left_out = 0 if job.selection is None else keep_only(replayed.dataset, job.selection)
    pipeline.start(facts_of_replayed(replayed))
    writer = out.ready()
    report.target = writer.target.name
    for aux in replayed.module_aux:
        writer.event(aux)
    report.keys = replayed.passed + save_rdb(replayed.dataset, writer, verify=not replayed.proven)
    writer.close()
    _judge_losses(dict(writer.losses.counts), writer.target, replayed, job.form, report)
    if found is not None and job.sharing.is_asked:
        report.findings.add(cannot_share(found))
    return replayed


def _write_partitions(
    found: Partitioned, out: RdbOut, options: RdbOptions, sink: Sink, job: _Job, report: RewriteReport
) -> Replayed:
    """The same by partitions of the keys, each in a file beside the output first."""
    from rdbtool.inputs.partition_source import PartitionSource

    from .saved_partitions import saved_partitions

    selection = job.selection or Selection()
    with saved_partitions(found, job.sharing, selection, options, sink.path) as saved:
        replayed = saved.replayed
        _note(replayed, job, report)
        report.left_out = saved.left_out
        facts = facts_of_replayed(replayed)
        out.begin(facts)
        writer = out.ready()
        report.target = writer.target.name
        functions = list(replayed.dataset.functions.values())
        for db, (keys, expiring) in saved.sizes.items():
            writer.resize(db, keys, expiring)
        with PartitionSource(job.path, facts, functions, replayed.module_aux, saved.files) as source:
            report.keys = save_frames(source, writer)
        writer.close()
    losses = dict(saved.losses)
    add_counts(losses, writer.losses.counts)
    _judge_losses(losses, writer.target, replayed, job.form, report)
    return replayed


def _write_commands(sink: Sink, job: _Job, report: RewriteReport) -> Replayed:
    """The same as commands."""
    replayed = job.replay(None)
    _note(replayed, job, report)
    report.left_out = 0 if job.selection is None else keep_only(replayed.dataset, job.selection)
    output = Output(sink)
    if replayed.replay.annotations:
        output.buffer.write(b"#TS:%d\r\n" % replayed.replay.time_s)
    exporter = make_exporter(output, OutputOptions("resp", RdbOptions(job.form.target)))
    if replayed.head is None:
        exporter.losses.untold |= MADE_BY_REPLAY
    exporter.begin(facts_of_replayed(replayed))
    for aux in replayed.module_aux:
        exporter.module_aux(aux)
    report.keys = save_commands(replayed.dataset, exporter)
    exporter.end()
    _note_losses(exporter.losses.counts, "commands cannot say it, a snapshot can", report)
    return replayed


def _note(replayed: Replayed, job: _Job, report: RewriteReport) -> None:
    """Report on a replay."""
    report.findings = replayed.findings
    report.loss = replayed.loss or replayed.lost > 0
    report.mended = replayed.mended
    report.before_bytes = replayed.size
    report.before_commands = replayed.replay.count
    report.stopped = replayed.stopped
    report.kept = replayed.dataset
    if replayed.replay.carried and job.selection is not None and not job.selection.everything:
        raise UnsupportedError(
            "which keys the commands touch that are kept (--unknown carry) is not known, so none can be chosen",
            path=job.path,
        )


def _judge_losses(
    counts: dict[str, int], to: Target, replayed: Replayed, form: RewriteForm, report: RewriteReport
) -> None:
    """Raise `UnsupportedError` for what the snapshot does not hold.

    What the target's server never had is no loss unless the input has it: a replay counts it for every server.
    """
    version = 0 if replayed.head is None else replayed.head.version
    for kind, feature in NEWER_FACTS.items():
        if not to.release.has(feature):
            count = counts.pop(kind, 0)
            if count and version >= oldest_with(feature).rdb_version:
                _note_losses({kind: count}, f"{to.name} does not have that", report)
    if counts:
        lost = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        hint = "; name the server that is to load it (--target)" if form.to is None else ""
        raise UnsupportedError(f"{to.name} cannot keep {lost}{hint}", doing="writing an RDB")


def _write_tail(sink: Sink, replayed: Replayed) -> int:
    """Write the commands that are carried; how many that makes."""
    output = Output(sink)
    count = save_carried(replayed.replay.carried, output)
    output.flush()
    return count


def _note_losses(losses: dict[str, int], why: str, report: RewriteReport) -> None:
    for kind, count in sorted(losses.items()):
        report.loss = True
        message = f"{kind}: {count:,}; {why}"
        report.findings.add(Finding(Severity.WARNING, "loss", message, report.path))


def _write_set(output: str, job: _Job, report: RewriteReport) -> None:
    """Write a new directory, which appears when it is whole."""
    manifest = job.layout.manifest_path
    prefix = os.path.basename(manifest).removesuffix(".manifest") if manifest else DEFAULT_NAME
    base = Part(f"{prefix}.1.base.{'aof' if job.form.resp else 'rdb'}", 1, BASE, 0)
    increment = Part(f"{prefix}.1.incr.aof", 1, INCREMENT, 0)
    with DirectorySink(output, inputs=job.layout.paths) as directory:
        with directory.file(base.name) as sink:
            replayed = _write_base(sink, job, report)
        with directory.file(increment.name) as sink:
            _write_increment(sink, replayed, report)
        with directory.file(f"{prefix}.manifest") as sink:
            _write_manifest(sink, [base, increment], report)


def _write_base(sink: Sink, job: _Job, report: RewriteReport) -> Replayed:
    replayed = _write_snapshot(sink, job, report)
    report.files.append(sink.name)
    report.after_bytes += sink.written
    if job.form.resp:
        report.after_commands += _count(sink)
    return replayed


def _write_increment(sink: Sink, replayed: Replayed, report: RewriteReport) -> None:
    report.after_commands += _write_tail(sink, replayed)
    report.files.append(sink.name)
    report.after_bytes += sink.written


def _write_manifest(sink: Sink, parts: list[Part], report: RewriteReport) -> None:
    for part in parts:
        sink.write(format_part(part))
    if sink.name not in report.files:
        report.files.append(sink.name)


def _switch(path: str, made: list[Sink], parts: list[Part], report: RewriteReport) -> None:
    """Give the new files their names, and then the manifest that holds them; or undo both."""
    for sink in made:
        sink.sync()
    with held_back():
        try:
            _commit_parts(made, path)
            with open_sink(path) as sink:
                _write_manifest(sink, parts, report)
        except NotSyncedError as e:
            report.findings.add(finding_of(e))
        except BaseException:
            if not _holds(path, parts):
                for sink in made:
                    sink.withdraw()
            raise


def _holds(manifest: str, parts: list[Part]) -> bool:
    """Whether these parts are what the manifest holds by now."""
    with open(manifest, "rb") as stream:
        return stream.read() == b"".join(format_part(part) for part in parts)


def _commit_parts(made: list[Sink], manifest: str) -> None:
    """The manifest must not become durable before what it holds."""
    try:
        commit_all(made)
    except NotSyncedError as e:
        raise OutputError(f"cannot sync the directory: {e.message}", path=manifest) from e


def _count(sink: Sink) -> int:
    """The commands in the log that was written; reading it back proves that it is one."""
    sink.sync()
    with open_input(sink.temporary) as stream:
        scanner = Scanner(stream.window(), Findings())
        scanner.run()
        if scanner.fault is not None:
            raise FormatError(scanner.fault.message, path=sink.name, offset=scanner.fault.start, doing="reading back")
        return scanner.commands


def _new_part(directory: str, prefix: str, kind: str, taken: list[int], form: RewriteForm) -> Part:
    """The next part of that type, by a name that nothing has yet."""
    ending = "incr.aof" if kind == INCREMENT else "base.aof" if form.resp else "base.rdb"
    seq = max(taken, default=0) + 1
    while os.path.lexists(os.path.join(directory, f"{prefix}.{seq}.{ending}")):
        seq += 1
    return Part(f"{prefix}.{seq}.{ending}", seq, kind, 0)


def _purge(layout: Layout, parts: list[Part], report: RewriteReport) -> None:
    """Remove the history, then its lines: a crash in between leaves lines that a server passes over."""
    for path in report.history:
        try:
            os.unlink(path)
        except OSError as e:
            raise OutputError(f"cannot remove: {reason(e)}; the set is whole", path=path) from e
    with open_sink(layout.manifest_path) as sink:
        _write_manifest(sink, parts, report)
    report.removed = report.history
    report.history = []
