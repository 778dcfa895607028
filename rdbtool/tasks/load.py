"""Load what a snapshot or a log holds into a live server."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from typing import Any

from rdbtool.aof.layout import locate
from rdbtool.aof.names import uncarried
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.errors import FormatError, RdbToolError, UsageError
from rdbtool.findings import Finding, Report, Severity, add_counts, finding_of
from rdbtool.inputs.detect import Progress
from rdbtool.inputs.opening import open_keys
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.io.output import Output
from rdbtool.live.address import ANONYMOUS, Access, is_url, shown_url
from rdbtool.live.load import LOADED, Loading, LoadOptions, StoppedError, open_loading
from rdbtool.live.pipelining import LostError
from rdbtool.live.verify import Comparing
from rdbtool.outputs.changing import Changes, Changing
from rdbtool.outputs.compare import Compare
from rdbtool.outputs.exporter import Exporter
from rdbtool.outputs.losses import loss_findings
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.outputs.pipeline import Pipeline
from rdbtool.outputs.registry import make_exporter
from rdbtool.outputs.restore import Restore


@dataclass(slots=True, kw_only=True)
class LoadReport(Report):
    """``server``: its URL, without the password; ``release``: of the server; ``keys``: seen in the input; ``loaded``:
    into the server, with ``dry_run`` those that would be; ``conflicts``: left out because the server has them;
    ``failed_keys``: refused; ``damaged``: left out because their bytes are damaged; ``functions``: libraries;
    ``sent_bytes``: of requests; ``as_they_stand``, ``encoded``, ``commands``: keys by how they were sent;
    ``verified``: keys that were asked of the server again, None where that was not wanted; ``missing``: keys that were
    named and are not there; ``losses``: what the server cannot keep, by kind.
    """

    path: str
    server: str = ""
    release: str = ""
    dry_run: bool = False
    keys: int = 0
    loaded: int = 0
    conflicts: int = 0
    failed_keys: int = 0
    damaged: int = 0
    functions: int = 0
    sent_bytes: int = 0
    as_they_stand: int = 0
    encoded: int = 0
    commands: int = 0
    verified: dict[str, int] | None = None
    missing: list[bytes] = field(default_factory=list)
    losses: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        return {
            "source": self.path,
            "server": self.server,
            "release": self.release,
            "dry_run": self.dry_run,
            "keys": self.keys,
            "loaded": self.loaded,
            "conflicts": self.conflicts,
            "failed": self.failed_keys,
            "damaged": self.damaged,
            "functions": self.functions,
            "bytes": self.sent_bytes,
            "as_they_stand": self.as_they_stand,
            "encoded": self.encoded,
            "commands": self.commands,
            **({} if self.verified is None else {"verified": self.verified}),
            "losses": self.losses,
            "loss": self.loss,
            "findings": [finding.as_json() for finding in self.findings.items],
        }


def load(
    source: str | os.PathLike[str],
    url: str,
    options: LoadOptions = LOADED,
    selection: Selection | None = None,
    *,
    verify: bool = False,
    access: Access = ANONYMOUS,
    changes: Changes | None = None,
    keep_going: bool = False,
    point: PointInTime = WHOLE,
    unknown: str = "stop",
    commands: bool = False,
    progress: Progress | None = None,
    server: Server = STOCK_SERVER,
) -> LoadReport:
    """Load the keys of ``source`` that ``selection`` wants into the server at ``url``.

    Functions go along where nothing is left out. What the server refuses of a key is a finding and ``loss``, and the
    rest goes on. Damage of the input is a finding, after what stands before it; with ``keep_going``, damaged keys are
    left out. ``verify``: read the source once more, and compare digests key by key; ``access``: to the server;
    ``changes``: of keys on their way; the others as for `inputs.opening.open_keys`.

    Raises `live.load.StoppedError` where the connection is lost, which says how to go on, `InputError`, `UsageError`
    and `UnsupportedError`.
    """
    path = os.fspath(source)
    if verify and not options.dry_run:
        refuse_to_read_twice(path)
    if options.start_at and is_url(path):
        raise UsageError(
            "a server gives its keys in another order each time: load all of them again", path=shown_url(path)
        )
    if not (commands or is_url(path)):
        locate(path)  # what is not there is told before a server is asked
    selection = Selection() if selection is None else selection
    report = LoadReport(path=path, dry_run=options.dry_run)
    with open_loading(url, options, access) as loading:
        report.server = loading.name
        report.release = loading.release.name
        run = _Run(path, selection, changes, report, keep_going=keep_going)
        run.opening = {
            "point": point,
            "unknown": uncarried(unknown),
            "commands": commands,
            "to": loading.target,
            "server": server,
            "keep_going": keep_going,
            "name": selection.one_name,
        }
        exporter = make_exporter(
            Output(loading), OutputOptions("server", rdb=RdbOptions(loading.target), verify=keep_going)
        )
        assert isinstance(exporter, Restore)
        ordered = not is_url(path)
        try:
            pipeline = run.move(exporter, progress)
            loading.finish()
        except RdbToolError as e:
            if not (isinstance(e, LostError) or exporter.seen):
                raise
            raise loading.stopped(e, int(exporter.seen), ordered=ordered) from e
        except BaseException as e:  # a signal
            e.add_note(loading.way_on(ordered=ordered))
            raise
        _count(report, loading, exporter, pipeline)
        if verify and not options.dry_run:
            run.compare(loading)
    for finding in loss_findings(report.losses, report.server):
        report.findings.add(finding)
    report.loss = report.loss or bool(report.losses) or report.failed_keys > 0
    report.missing = selection.missing
    for key in report.missing:
        report.findings.add(Finding(Severity.ERROR, "no-such-key", "there is no such key", path, key=key))
    return report


@dataclass
class _Run:
    """What holds each time that the source is read; ``opening``: how."""

    path: str
    selection: Selection
    changes: Changes | None
    report: LoadReport
    keep_going: bool = field(kw_only=True)
    opening: dict[str, Any] = field(default_factory=dict)

    def move(self, exporter: Exporter, progress: Progress | None) -> Pipeline:
        """Move the keys to ``exporter``, and tell the report what is to be said of the source and of losses."""
        report = self.report
        changing = Changing(exporter, self.changes) if self.changes is not None and self.changes.any else None
        if changing is not None:
            changing.next_input(self.path)
        stage = changing or exporter
        beside = self.selection.everything
        pipeline = Pipeline(self.selection, stage, report.findings, beside=beside, keep_going=self.keep_going)
        lost: dict[str, int] = {}
        try:
            with open_keys(self.path, progress=progress, aside=pipeline, **self.opening) as opened:
                for finding in opened.findings:
                    report.findings.add(finding)
                report.loss = opened.loss
                report.mended = opened.mended
                report.damaged = opened.skipped
                exporter.losses.untold |= opened.source.made
                try:
                    pipeline.run(opened.source)
                finally:
                    lost = opened.source.lost
        except FormatError as e:
            report.findings.add(finding_of(e, Severity.WARNING if self.keep_going else Severity.ERROR))
            report.loss = report.loss or self.keep_going
        stage.end()
        report.loss = report.loss or pipeline.loss
        for counts in (exporter.losses.counts, lost, {} if changing is None else changing.losses.counts):
            add_counts(report.losses, counts)
        return pipeline

    def compare(self, loading: Loading) -> None:
        """Ask the server for all keys again."""
        told, comparing = self.report, Comparing(loading)
        self.report = LoadReport(path=self.path)  # the second time tells the same
        self.selection.kept = 0
        try:
            self.move(Compare(Output(comparing), int(time.time() * 1000)), None)
            comparing.finish()
        except RdbToolError as e:
            raise StoppedError(e, told.keys, f"the keys are loaded, {comparing.way()}") from e
        except BaseException as e:  # a signal
            e.add_note(f"the keys are loaded, {comparing.way()}")
            raise
        self.report = told
        told.findings.add_all(comparing.findings)
        told.verified = {
            "compared": comparing.compared,
            "different": comparing.different,
            "missing": comparing.missing,
        }
        told.loss = told.loss or bool(comparing.different or comparing.missing)


def refuse_to_read_twice(path: str) -> None:
    """Raise `UsageError` for a source that cannot be read twice."""
    if path == "-" or is_url(path) or (os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode)):
        raise UsageError("cannot be read twice, which comparing needs", path=shown_url(path))


def _count(report: LoadReport, loading: Loading, exporter: Restore, pipeline: Pipeline) -> None:
    counts = loading.counts
    report.findings.add_all(loading.findings)
    report.keys = int(pipeline.keys) + report.damaged
    report.damaged += int(pipeline.skipped)
    report.loaded = counts.loaded
    report.conflicts = counts.skipped
    report.failed_keys = counts.failed
    report.functions = counts.functions
    report.sent_bytes = counts.bytes
    report.as_they_stand = int(exporter.as_they_stand)
    report.encoded = int(exporter.encoded)
    report.commands = int(exporter.commanded)
