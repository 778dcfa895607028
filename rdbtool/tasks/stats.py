"""What a log is made of: commands by name, their bytes and errors, the hottest keys, all over time."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from rdbtool.analysis.traffic import Traffic, count_log, replay_counted
from rdbtool.aof.names import STOP, uncarried
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.aof.resp import CommandReader
from rdbtool.engine.replay.replay import Replay
from rdbtool.errors import InputError, TruncatedError, UsageError, printable
from rdbtool.findings import Report, Severity, finding_of
from rdbtool.inputs.replaying import Commands, Feed, Source, commands_behind, layout_of, replay
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.io.progress import Meter, Progress
from rdbtool.io.source import open_input
from rdbtool.io.window import Metered

SHOWN = 20
"""Keys in the report."""


@dataclass(slots=True, kw_only=True)
class StatsReport(Report):
    """``traffic`` has the counts; ``keys``: in the dataset at the end, None where nothing was replayed."""

    path: str
    traffic: Traffic = field(default_factory=Traffic)
    keys: int | None = None
    stopped: str = ""

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        t = self.traffic
        names = sorted(t.names.items(), key=lambda item: (-item[1].count, item[0]))
        facts: dict[str, Any] = {
            "path": self.path,
            "commands": t.commands,
            "bytes": t.bytes,
            "by_name": [
                {
                    "name": printable(name),
                    "count": tally.count,
                    "bytes": tally.bytes,
                    "largest": tally.largest,
                    **({} if self.keys is None else {"errors": tally.errors}),
                }
                for name, tally in names
            ],
            "hottest": [
                {"db": db, "key": printable(key, 1024), "commands": count} for db, key, count in t.hottest.top(SHOWN)
            ],
            "hottest_slack": t.hottest.slack,
        }
        if t.first_s >= 0:
            width = t.timeline.width
            facts["first_time_s"] = t.first_s
            facts["last_time_s"] = t.last_s
            facts["interval_s"] = width
            facts["over_time"] = [
                {"time_s": slot * width, "commands": count} for slot, count in sorted(t.timeline.counts.items())
            ]
        if self.keys is not None:
            facts["keys"] = self.keys
        if self.stopped:
            facts["stopped"] = self.stopped
        return {**facts, "findings": [f.as_json() for f in self.findings.items]}


def stats(
    path: str | os.PathLike[str],
    *,
    point: PointInTime = WHOLE,
    unknown: str = STOP,
    source: Source = "auto",
    replaying: bool = True,
    server: Server = STOCK_SERVER,
    progress: Progress | None = None,
) -> StatsReport:
    """Count what is in the log at ``path``.

    ``replaying``: carry the commands out too, which is what tells errors; without it memory is small, and a point
    in time cannot be asked for. Raises as `replaying.replay` does.
    """
    path = os.fspath(path)
    if replaying:
        feed = _Counting()
        replayed = replay(
            path, point=point, unknown=uncarried(unknown), source=source, feed=feed, server=server, progress=progress
        )
        report = StatsReport(path=path, findings=replayed.findings, loss=replayed.loss, traffic=feed.traffic)
        report.keys = sum(len(keys) for keys in replayed.dataset.dbs.values())
        report.stopped = replayed.stopped
    else:
        if point.asked:
            raise UsageError("a point in time needs the replay")
        report = StatsReport(path=path)
        _only_count(report, source, progress)
    report.traffic.flush_time()
    return report


class _Counting(Feed):
    """Counts what is replayed."""

    def __init__(self) -> None:
        self.traffic = Traffic()

    def log(self, replay: Replay, commands: Commands) -> bool:
        replay.observer = self.traffic
        self.traffic.begin_file()
        if isinstance(commands, CommandReader):
            return replay_counted(replay, commands, self.traffic)
        while (command := commands.next()) is not None:
            if not replay.apply(command.offset, command.args):
                return False
            self.traffic.note(command.args)
        return True


def _only_count(report: StatsReport, source: Source, progress: Progress | None) -> None:
    layout = layout_of(report.path, source)
    meter = Meter([file.path for file in layout.files], progress)
    for finding in layout.findings:
        report.findings.add(finding)
    for file in layout.files:
        if file.missing:
            raise InputError("the file is not there, and the manifest names it", path=file.path)
        with open_input(file.path) as stream:
            told = meter.of(file.path)
            if told is not None:
                stream.stream = Metered(stream.stream, stream.size, told)
            w = stream.window()
            report.traffic.begin_file()
            commands = commands_behind(w, file, source)
            if not isinstance(commands, CommandReader):
                while (command := commands.next()) is not None:
                    report.traffic.note(command.args)
                continue
            try:
                count_log(commands, report.traffic)
            except TruncatedError as e:
                report.findings.add(finding_of(e, Severity.WARNING))
