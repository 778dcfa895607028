"""Replay any input into a dataset: an RDB, a log with or without a preamble, a set of files, a text of commands."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from rdbtool.aof.command_text import TextReader
from rdbtool.aof.layout import Layout, LogFile, locate, refuse_rewritten
from rdbtool.aof.names import CARRY, STOP
from rdbtool.aof.point_in_time import LAST, WHOLE, Place, PointInTime
from rdbtool.aof.resp import CommandReader
from rdbtool.basics.collector import collector_off
from rdbtool.basics.numbers import natural
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.functions import load_library
from rdbtool.engine.partition.budget import Budget
from rdbtool.engine.partition.sieve import Sieve
from rdbtool.engine.replay.feed import count_commands, load_rdb, names_all, replay_log
from rdbtool.engine.replay.passthrough import Passthrough
from rdbtool.engine.replay.replay import Ending, Replay
from rdbtool.engine.replies import CommandError
from rdbtool.engine.table import find
from rdbtool.errors import (
    FormatError,
    IncompleteError,
    InputError,
    RdbToolError,
    TruncatedError,
    UnsupportedError,
    UsageError,
    printable_text,
)
from rdbtool.findings import Finding, Findings, Report, Severity, finding_of, plural
from rdbtool.io.progress import Meter, Progress
from rdbtool.io.source import Input, open_input
from rdbtool.io.window import Metered, Window
from rdbtool.rdb.events import ModuleAux
from rdbtool.rdb.head import Aside, RdbHead
from rdbtool.rdb.magic import what_else
from rdbtool.rdb.reader import RdbReader
from rdbtool.servers.commands import COMMANDS, CONTAINER, UNSUPPORTED
from rdbtool.servers.releases import NEWEST, Release, release_of, writer_of

from .detect import JSON_LINES, LOG, OTHER, TEXT, UPDATE, has_commands, is_rdb, kind_at
from .server import STOCK_SERVER, Server

Source: TypeAlias = Literal["auto", "commands"]
"""What the input is: told by its bytes, or a text of commands."""

Commands: TypeAlias = CommandReader | TextReader


class Feed:
    """Brings a log into the dataset. A subclass can look at the commands, or at the dataset in between."""

    def loaded(self, dataset: Dataset, path: str) -> None:
        """Called when the RDB ``path``, or the snapshot at the beginning of the log ``path``, is in the dataset."""

    def log(self, replay: Replay, commands: Commands) -> bool:
        """Apply commands to the end; False where the replay stopped before."""
        if isinstance(commands, CommandReader):
            return replay_log(replay, commands)
        while (command := commands.next()) is not None:
            if not replay.apply(command.offset, command.args):
                return False
        return True


class SnapshotOnly(Feed):
    """Leaves a log where it is."""

    def log(self, replay: Replay, commands: Commands) -> bool:
        """Apply none."""
        return True


@dataclass(slots=True, kw_only=True)
class Replayed(Report):
    """A dataset, and how it came about.

    ``replay`` counts the commands; ``head``: of the RDB in front of the log, where there is one, with its ``aux``
    fields; ``module_aux``: what modules keep there beside keys; ``base_keys``: keys that came with it; ``size``:
    bytes of all files read; ``stopped``: why the replay ended early, or ""; ``has_log``: it is not only an RDB;
    ``passed``: keys of the base that are not in the dataset, because they were passed on, or written already; ``lost``:
    commands that
    failed, as on every server that loads the log, though the one that logged them carried them out; ``partial``:
    something of the files could not be read; ``proven``: checksums show that no snapshot in them is damaged. Of the
    replay of one partition ``ending`` is to be told, which `Replay.tell` does elsewhere; of what those of all amount to
    ``oldest`` is the oldest release that has what the keys hold, which are not in the dataset; None for any.
    """

    dataset: Dataset
    replay: Replay
    layout: Layout
    head: RdbHead | None = None
    aux: dict[bytes, bytes] = field(default_factory=dict)
    module_aux: list[ModuleAux] = field(default_factory=list)
    base_keys: int = 0
    size: int = 0
    stopped: str = ""
    has_log: bool = False
    passed: int = 0
    lost: int = 0
    partial: bool = False
    proven: bool = True
    is_logged: bool = True
    """Whether a server wrote the commands, and not a person."""
    ending: Ending | None = None
    oldest: Release | None = None


def replay(
    path: str | os.PathLike[str],
    *,
    point: PointInTime = WHOLE,
    unknown: str = STOP,
    source: Source = "auto",
    release: str | Release | None = None,
    likely: str | Release | None = None,
    now_ms: int | None = None,
    feed: Feed | None = None,
    first: Window | None = None,
    aside: Aside | None = None,
    server: Server = STOCK_SERVER,
    layout: Layout | None = None,
    keep_going: bool = False,
    progress: Progress | None = None,
    sieve: Sieve | None = None,
    budget: Budget | None = None,
) -> Replayed:
    """Bring what is at ``path`` into a dataset, as a server that loads it does.

    ``point``: how far; ``unknown``: what to do about commands that no server has (`engine.replay`); ``release``: the
    server that is to load it, else it is the one that wrote the file, and ``likely`` where it does not say; ``now_ms``:
    what relative expiries count from; ``feed``: how a log is brought in; ``first``: the first file, where it is open;
    ``aside``: takes what a base holds that a short log does not reach, before the log is replayed; ``server``: how the
    server was set up; ``layout``: the files, where they are not those that `layout_of` finds; ``keep_going``: of what
    is damaged, take what can be read before the damage, with a finding and ``loss``. A log is not applied to a base
    that was not read to its end: its commands build on what is lost; ``progress`` is told the bytes read of all files
    that are opened here, and their size or -1; ``sieve``: bring only one partition of the keys
    (`inputs.partitioned`), within a ``budget`` of memory.

    A log that ends within a command is taken up to there, as the server takes it, with a finding and
    ``loss``. Raises `FormatError`
    where the server refuses the file, `IncompleteError` where a command is unknown or could not be carried out here,
    unless ``unknown`` says what to do about them, `InputError`, `UsageError`.
    """
    layout = layout or layout_of(os.fspath(path), source)
    follow = None if release is None else release_of(release)
    else_follow = None if likely is None else release_of(likely)
    loader = Loader(layout, point, unknown, source, follow, else_follow, now_ms, feed or Feed(), first, server)
    loader.keep_going = keep_going
    loader.progress = progress
    loader.sieve = sieve
    loader.budget = budget
    if aside is not None and not point.asked and server.names.empty and not keep_going:
        names = names_in(layout)
        loader.passthrough = None if names is None else Passthrough(names, aside)
    with collector_off():
        return loader.run()


def layout_of(path: str, source: Source = "auto") -> Layout:
    """The files at ``path``; of parts without a manifest those that one would name. Raises as `aof.layout.locate` and
    `aof.rebuilding.rebuild` do.
    """
    if source == "commands":
        return Layout(path, [LogFile(path, "aof")])
    layout = locate(path)
    if any(finding.code == "no-manifest" for finding in layout.findings):
        from rdbtool.aof.rebuilding import rebuild

        rebuilt = rebuild(layout.path)
        by_name = {os.path.basename(file.path): file for file in layout.files}
        layout.files = [by_name[part.name] for part in rebuilt.parts]
        for name, why in rebuilt.left_out:
            layout.note(Severity.WARNING, "left-out", f"{printable_text(name)} is not taken: {why}", layout.path)
    return layout


SHORT: Final = 8
"""A log is short if its base has this many times its bytes: then reading it twice costs little."""


def names_in(layout: Layout) -> set[bytes] | None:
    """The keys that the log of a set names; None where that is not worth knowing: where the log is not short, or
    reaches keys that it does not name, or cannot be read, of which its replay will tell, or where the base has commands
    in it.
    """
    logs = layout.files[1:]
    if not logs or layout.files[0].role != "base":
        return None
    base = layout.files[0]
    names: set[bytes] = set()
    try:
        if SHORT * sum(os.path.getsize(log.path) for log in logs) > os.path.getsize(base.path):
            return None
        for log in logs:
            with open_input(log.path) as stream:
                if not names_all(CommandReader(stream.window()), names):
                    return None
        with open_input(base.path) as stream:
            if has_commands(stream.window()):
                return None
    except (OSError, RdbToolError):
        return None
    return names


def commands_of(w: Window, file: LogFile, source: Source) -> Commands:
    """The commands of ``file`` from the window's position on: of a log, or of a text if it begins with a command.

    Raises `FormatError` for a single file that is nothing of the kind, and `UnsupportedError` for JSON lines.
    """
    if source == "commands":
        return TextReader(w)
    if file.role == "aof" and w.offset() == 0 and not w.at_end():
        kind = kind_at(w)
        if kind == TEXT:
            return TextReader(w)
        if kind == JSON_LINES:
            raise UnsupportedError(
                "JSON lines, which are taken here only after convert has made an RDB of them", path=w.path
            )
        if kind != LOG:
            other = what_else(w)
            log = "a log ('*' and a number come first)"
            message = f"neither an RDB, nor JSON lines, nor {log}, nor a text that begins with a command"
            raise FormatError(
                f"{message}; {other}" if other else message,
                path=w.path,
                offset=0,
                doing="telling what the file is",
            )
    return CommandReader(w)


def commands_behind(w: Window, file: LogFile, source: Source) -> Commands:
    """The commands of ``file``, from its start on; a snapshot in front of them is passed. Raises as `commands_of`."""
    if source == "auto" and is_rdb(w):
        for _ in RdbReader(w, checksum=False):
            pass
    return commands_of(w, file, source)


def _not_run(result: Replayed) -> IncompleteError:
    """The error for a replay that lacks what some commands did."""
    first = next(finding for finding in result.findings.items if finding.code == IncompleteError.code)
    count = result.replay.not_run
    more = "" if count == 1 else f", and {plural(count - 1, 'command')} more"
    return IncompleteError(
        f"{first.message}{more}: a replay without it is not what the server has; --unknown skip goes on all the same",
        path=first.path,
        offset=first.offset,
        doing="replaying",
        key=first.key,
    )


class Loader:
    """One replay under way. The dataset is made when the first file has told which server wrote it."""

    def __init__(
        self,
        layout: Layout,
        point: PointInTime,
        unknown: str,
        source: Source,
        release: Release | None,
        likely: Release | None,
        now_ms: int | None,
        feed: Feed,
        first: Window | None,
        server: Server,
    ) -> None:
        self.server = server
        self.layout = layout
        self.point = point
        self.unknown = unknown
        self.source = source
        self.release = release
        self.likely = likely
        self.now_ms = now_ms
        self.feed = feed
        self.first = first
        self.findings = Findings()
        self.result: Replayed | None = None
        self.passthrough: Passthrough | None = None
        self.sieve: Sieve | None = None
        self.budget: Budget | None = None
        self.keep_going = False
        self.progress: Progress | None = None
        self.lossy = False
        self.mended = False
        self.open = contextlib.ExitStack()

    def run(self) -> Replayed:
        with self.open:
            result = self._run()
        result.loss = result.loss or self.lossy
        result.mended = self.mended
        result.partial = result.partial or self.lossy
        return result

    def _run(self) -> Replayed:
        for finding in self.layout.findings:
            self.findings.add(finding)
        for file in self.layout.files:
            if file.missing:
                raise InputError("the file is not there, and the manifest names it", path=file.path)
        nth = self._nth()
        stops = self._by_file([self.point.offset] if self.point.offset else [])
        omitted = self._by_file(self.point.without)
        files = self.layout.files
        meter = Meter([file.path for file in files], self.progress)
        for i, file in enumerate(files):
            stop = stops.get(file.path)
            point = self.point.in_log(nth, stop[0] if stop else None, omitted.get(file.path, ()))
            last = i == len(files) - 1
            if self.first is not None and i == 0:
                meter.of(file.path)  # whoever opened it tells of it
                going = self._file(self.first, file, point, last=last)
            else:
                with self._open(file) as stream:
                    told = meter.of(file.path)
                    if told is not None:
                        stream.stream = Metered(stream.stream, stream.size, told)
                    try:
                        going = self._file(stream.window(), file, point, last=last)
                    except FormatError as e:
                        stream.refuse_change(e, may_grow=last)
                        raise
                    stream.refuse_change(may_grow=last)
            if not going:
                break
        result = self.result_of({})
        if self.sieve is not None:
            result.ending = result.replay.end()
            return result
        result.replay.finish()
        self.judge(result)
        return result

    def _open(self, file: LogFile) -> Input:
        try:
            return open_input(file.path)
        except InputError as e:
            refuse_rewritten(self.layout, e)
            raise

    def result_of(self, aux: dict[bytes, bytes]) -> Replayed:
        """The result under construction; ``aux`` of the first file tell which server to follow."""
        if self.result is None:
            release = self.release or writer_of(aux) or self.likely or NEWEST
            dataset = Dataset(release, now_ms=self.now_ms, databases=self.server.databases)
            dataset.memory_limit = self.server.memory_limit
            self.open.callback(dataset.close)
            # What is no command's of a partition's keys, only the first partition tells.
            echoes = self.sieve is not None and not self.sieve.first
            findings = Findings() if echoes else self.findings
            replay = Replay(
                dataset,
                findings=findings,
                unknown=self.unknown,
                names=self.server.names,
                strict=self.release is not None,
            )
            replay.is_echo = echoes
            self.result = Replayed(dataset=dataset, replay=replay, layout=self.layout, findings=findings)
        return self.result

    def _file(self, w: Window, file: LogFile, point: PointInTime, *, last: bool) -> bool:
        """Take one file; False where the replay stopped."""
        if self.keep_going and self.source == "auto" and file.role in {"aof", "base"}:
            w = self._salvaged(w, file)
        if self.source == "auto" and is_rdb(w):
            if not self._rdb(w, self.passthrough if file.role == "base" else None):
                return False
            if w.at_end():
                self.result_of({}).size += w.offset()
                return True
        result = self.result_of({})
        replay = result.replay
        replay.begin_file(w.path)
        replay.stop_at(point)
        result.has_log = True
        commands = commands_of(w, file, self.source)
        result.is_logged = result.is_logged and isinstance(commands, CommandReader)
        try:
            if self.sieve is not None and isinstance(commands, CommandReader):
                self.sieve.begin_file(w.path)
                going = replay_log(replay, commands, self.sieve, self.budget)
            else:
                going = self.feed.log(replay, commands)
        except TruncatedError as e:
            if not last:
                raise self._not_last(e.message, w.path, e.offset) from None
            going = True
            result.loss = True
            result.partial = True
            message = f"{e.message}: it is not applied, as a server with aof-load-truncated would have it"
            self.findings.add(Finding(Severity.WARNING, e.code, message, w.path, e.offset, doing=e.doing))
        except FormatError as e:
            if not self.keep_going:
                raise
            e.path = e.path or w.path
            e.message = f"{e.message}; what comes before it was taken, and check-aof says what can be saved behind it"
            self._damaged([e])
            going = False
        result.size += w.offset()
        if going and replay.in_transaction:
            if not last:
                raise self._not_last("MULTI without EXEC", w.path, replay.opened_at)
            result.loss = True
        if replay.stopped:
            result.stopped = replay.stopped
            if self.unknown == STOP and "unknown-command" in self.findings.counts:
                raise IncompleteError(
                    f"{replay.stopped} after {plural(replay.count - 1, 'command')}: {replay.stopped_why}; --unknown "
                    "skip leaves such commands out, and carry keeps them in an append-only file",
                    path=w.path,
                    offset=replay.stopped_at,
                    doing="replaying",
                )
            if file.role == "base":
                raise UsageError(
                    f"the point in time lies before the rewrite that made this base ({replay.stopped}), and what was "
                    "before is not in it",
                    path=w.path,
                )
        return going

    def _salvaged(self, w: Window, file: LogFile) -> Window:
        """A window at the same file without what cannot be read of the snapshot that it begins with; or ``w``."""
        if not is_rdb(w) and kind_at(w) != OTHER:
            return w
        from rdbtool.aof.salvage_base import BUILT_ON_LOSS, is_worth_mending

        from .salvaging import open_salvaged

        salvaged = self.open.enter_context(open_salvaged(file.path, first=w))
        result = salvaged.result
        if (result.whole and os.path.isfile(file.path)) or not is_worth_mending(result, file.role):
            return w
        if not result.whole:
            for finding in salvaged.findings():
                self.findings.add(finding)
            self.lossy = self.lossy or result.lossy
            self.mended = self.mended or result.mended
            last = self.layout.files[-1]
            if result.lacking and (last.path != file.path or result.tail >= 0):
                message = f"the log is applied to what came back of the snapshot: {BUILT_ON_LOSS}"
                self.findings.add(Finding(Severity.WARNING, "gap", message, last.path))
        return salvaged.window()

    def _damaged(self, errors: Sequence[RdbToolError]) -> None:
        """Tell damage that did not end the job."""
        for error in errors:
            self.findings.add(finding_of(error, Severity.WARNING))
            self.result_of({}).loss = True
            self.result_of({}).partial = True

    def _rdb(self, w: Window, passthrough: Passthrough | None) -> bool:
        """Take a snapshot; False where it was not read to its end."""
        if self.result is not None and self.result.replay.carried:
            raise UnsupportedError(
                "a snapshot follows commands that are kept, and it cannot stand behind them", path=w.path
            )
        is_first = self.sieve is None or self.sieve.first
        head = RdbHead(RdbReader(w, checksum=is_first))
        result = self.result_of(head.aux)
        made = head.aux.get(b"ctime", b"")
        if self.point.time_s is not None and natural(made) > self.point.time_s:
            raise UsageError(
                f"the snapshot in front of the log is of {int(made)}, later than {self.point.time_s}: what was before "
                "is not in it",
                path=w.path,
            )
        rest = load_rdb(
            result.dataset, head, passthrough, keep_going=self.keep_going, sieve=self.sieve, budget=self.budget
        )
        self._damaged(rest.damage)
        result.proven = result.proven and rest.checksum == "ok"
        for kind, count in rest.lost.items():
            message = f"{kind}: {count}; neither Redis nor Valkey have such"
            self.findings.add(Finding(Severity.WARNING, "loss", message, w.path))
            result.loss = True
        if rest.updates:
            message = "commands inside the snapshot were applied: it was replayed in memory"
            self.findings.add(Finding(Severity.NOTE, UPDATE, message, w.path))
        for code in rest.functions if is_first else ():
            try:
                load_library(result.dataset, code)
            except CommandError as e:
                if not self.keep_going:
                    raise FormatError(e.text, path=w.path, doing="loading a function library") from None
                self._damaged([FormatError(e.text, path=w.path, doing="loading a function library")])
        if passthrough is not None:
            result.passed = passthrough.passed
            result.base_keys += passthrough.passed
            result.dataset.functions.clear()  # they were passed on too
        result.head = result.head or head
        result.aux.update(head.aux)
        result.module_aux += rest.module_aux
        result.base_keys += rest.keys
        self.feed.loaded(result.dataset, w.path)
        if rest.broken:
            files = self.layout.files
            more = files[-1].path != w.path or not w.at_end()
            if more:
                message = "the log behind the damaged snapshot is not applied: its commands build on what is lost"
                self.findings.add(Finding(Severity.WARNING, "not-applied", message, files[-1].path))
        return not rest.broken

    def _not_last(self, message: str, path: str, offset: int) -> FormatError:
        return FormatError(
            f"{message}, and more files follow: a server cuts this file, and refuses to start; check-aof --fix repairs "
            "it",
            path=path,
            offset=offset,
            doing="replaying",
        )

    def judge(self, result: Replayed) -> None:
        """Look at what the replay did as a whole."""
        replay = result.replay
        point = self.point
        if replay.not_run:
            if self.unknown == STOP:
                raise _not_run(result)
            result.loss = True
        if replay.dropped and not replay.stopped:
            result.loss = True
        lost = result.dataset.metadata_lost
        if lost:
            result.loss = True
            message = f"{plural(lost, 'key')} with metadata of modules were changed, and lose it"
            self.findings.add(Finding(Severity.WARNING, "loss", message, self.layout.path))
        if replay.skipped and self.unknown != CARRY:
            result.loss = True
        if result.is_logged and not point.without:
            result.lost = replay.lost
        if point.asked and not result.has_log:
            raise UsageError("a snapshot holds one point in time only", path=self.layout.path)
        if point.time_s is not None and not replay.annotations and not replay.stopped:
            raise UsageError(
                "the log has no timestamp annotations (aof-timestamp-enabled), so it does not tell when commands ran",
                path=self.layout.path,
            )
        if replay.omitted != len(set(point.without)):
            raise UsageError(
                f"of {len(set(point.without))} offsets to leave out, {replay.omitted} are those of commands before the "
                "end of the replay",
                path=self.layout.path,
            )
        if point.before and not replay.stopped:
            raise UsageError(f"the log has no {point.before.upper()} number {point.nth}", path=self.layout.path)

    def _nth(self) -> int:
        """Which of the commands of that name to stop before, from 1 on."""
        name = self.point.row_name
        if name and (name not in COMMANDS or COMMANDS[name].flags & (CONTAINER | UNSUPPORTED)):
            raise UsageError(f"no command that a log can hold: {self.point.before!r}")
        if self.point.nth != LAST:
            return self.point.nth
        count = 0
        for file in self.layout.files:
            if file.path == "-":
                raise UsageError("the last command of a name is known only at the end: give a file instead of a pipe")
            with open_input(file.path) as stream:
                count += self._count(stream.window(), file, name)
        if not count:
            raise UsageError(f"the log has no {self.point.before.upper()}", path=self.layout.path)
        return count

    def _count(self, w: Window, file: LogFile, name: bytes) -> int:
        """How many commands ``name`` a file has."""
        commands = commands_behind(w, file, self.source)
        if isinstance(commands, CommandReader):
            return count_commands(commands, name)
        count = 0
        while (command := commands.next()) is not None:
            row = find(command.args)
            count += row is not None and row.name == name
        return count

    def _by_file(self, places: Sequence[Place]) -> dict[str, list[int]]:
        """Offsets by the path of the file they are in."""
        found: dict[str, list[int]] = {}
        for place in places:
            files = self.layout.files
            if place.file:
                files = [f for f in files if place.file in {f.path, os.path.basename(f.path)}]
            elif len(files) > 1:
                files = [f for f in files if f.role != "base"]
            if len(files) != 1:
                names = ", ".join(printable_text(os.path.basename(f.path)) for f in self.layout.files)
                raise UsageError(f"say in which file offset {place.offset} is: FILE:{place.offset}, of {names}")
            found.setdefault(files[0].path, []).append(place.offset)
        return found
