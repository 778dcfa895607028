"""What is there: a backup, looked at once, with everything that expectations can be about."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from rdbtool.aof.check import BROKEN
from rdbtool.aof.config import LogConfig
from rdbtool.aof.names import STOCK, CommandNames
from rdbtool.errors import RdbToolError
from rdbtool.findings import Findings
from rdbtool.inputs import detect
from rdbtool.inputs.detect import BASE, DIRECTORY, LOG, MANIFEST, UPDATE, Opened, Progress, kind_at, open_detected
from rdbtool.inputs.replaying import replay
from rdbtool.inputs.server import Server
from rdbtool.io.window import Window
from rdbtool.rdb.check import RdbFacts
from rdbtool.servers.limits import DATABASES
from rdbtool.tasks.check_aof import CheckAofReport, check_aof
from rdbtool.tasks.check_rdb import check_rdb_in

from .expectations import NOTHING, Expectations
from .server_config import ServerConfig
from .tally import Counts, Onlooker, Tally

SNAPSHOT: Final = "snapshot"
LOG_FILE: Final = "log"
LOG_SET: Final = "log set"
_BEGINNING: Final = re.compile(rb"\*[0-9]+\r\n|#TS:")
"""How a log begins."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How the server is set up that is to load a backup: ``databases`` it has, ``names`` of its commands, ``modules``.

    ``databases``: None for 16, or as many as a log's snapshot has.
    """

    databases: int | None = None
    names: CommandNames = STOCK
    modules: tuple[str, ...] = ()

    def configured(self, config: ServerConfig | None) -> Setup:
        """The same, and what ``config`` says where this does not."""
        if config is None:
            return self
        names = config.names() if self.names.empty else self.names
        return Setup(self.databases or config.databases, names, self.modules)

    def of_log(self) -> LogConfig:
        """What the check of a log has to know of it."""
        return LogConfig(self.names, databases=self.databases or DATABASES)


STOCK_SETUP: Final = Setup()


@dataclass(slots=True)
class Loading:
    """Whether a release loads it, None where that cannot be told, and ``why`` not."""

    release: str
    loads: bool | None
    why: str


@dataclass(slots=True)
class Found:
    """What a backup is.

    ``size``: bytes as servers read them, uncompressed; ``made_s``: when it was made, a Unix time, and ``made_by``: how
    that is known; ``newest_s``: when the last of it was written; ``counts``: of its keys, None where they were not
    counted, for which ``uncounted`` says why, and ``unsupported`` that it is not for damage, but because this program
    cannot; ``modules`` that it needs; ``writer``: the server that wrote it, as far as it says; ``empty``: it is a log
    that holds nothing.
    """

    path: str
    kind: str
    findings: Findings
    size: int = 0
    made_s: int | None = None
    made_by: str = ""
    newest_s: int | None = None
    counts: Counts | None = None
    uncounted: str = ""
    unsupported: bool = False
    releases: list[Loading] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    writer: str = ""
    empty: bool = False

    def date(self, changed_s: int | None) -> None:
        """Take the time of the file where nothing in it says when it was made."""
        if self.made_s is None and changed_s is not None:
            self.made_s, self.made_by = changed_s, "by the time of the file, as nothing in it says"
        if self.newest_s is None:
            self.newest_s = self.made_s

    def take(self, facts: RdbFacts) -> None:
        """Take over what the snapshot in it says."""
        self.writer = facts.writer or self.writer
        self.functions += facts.functions
        self.modules += [name for name in (*facts.modules, *facts.module_data) if name not in self.modules]
        made = facts.aux.get("ctime", "")
        if made.isdigit() and len(made) < 12:
            self.made_s, self.made_by = int(made), "as the snapshot says"


def backup_kind(w: Window, name: str) -> str:
    """`SNAPSHOT` or `LOG_FILE` for what is one by its name or its first bytes, at the window's position; else "".

    A comment does not make a log: configurations begin with one, too.
    """
    bare = name.removesuffix(".gz").removesuffix(".zst")
    kind = kind_at(w)
    begins_log = kind == LOG and _BEGINNING.match(w.data, int(w.pos)) is not None
    if kind == BASE or begins_log or bare.endswith(".aof"):
        return LOG_FILE
    return SNAPSHOT if kind == detect.SNAPSHOT or bare.endswith(".rdb") else ""


def look(
    path: str,
    wanted: Expectations = NOTHING,
    *,
    setup: Setup = STOCK_SETUP,
    now_ms: int | None = None,
    progress: Progress | None = None,
    beside: Onlooker | None = None,
    opened: Opened | None = None,
) -> Found:
    """Check what is at ``path``: an RDB, a log, a manifest, or the directory of a set; find what ``wanted`` is about.

    ``beside`` is shown the keys. Those of a log are counted only where somebody wants to know: it is replayed, in
    memory. ``opened``: ``path``, where it is open already. Raises `InputError` where it cannot be read, `UsageError`
    where ``path`` is ambiguous.
    """
    with opened or open_detected(path, progress) as source:
        if source.kind in {DIRECTORY, MANIFEST, BASE, LOG} or path.endswith(".aof"):
            window = None if source.kind in {DIRECTORY, MANIFEST} else source.window
            found = look_at_log(window, path, wanted, setup=setup, now_ms=now_ms, progress=progress, beside=beside)
        else:
            found = look_at_snapshot(source.window, path, wanted, setup=setup, now_ms=now_ms, beside=beside)
    if UPDATE in found.findings.counts and os.path.isfile(path) and (wanted.counts_keys or beside is not None):
        _count_replayed(found, path, Tally(wanted, now_ms, beside), setup)
    found.date(changed_s([path]))
    return found


def look_at_log(
    w: Window | None,
    path: str,
    wanted: Expectations = NOTHING,
    *,
    setup: Setup = STOCK_SETUP,
    now_ms: int | None = None,
    progress: Progress | None = None,
    beside: Onlooker | None = None,
) -> Found:
    """The same for a log that is open at its first byte, or for the set at ``path``."""
    report = check_aof(
        path,
        databases=setup.databases or DATABASES,
        names=setup.names,
        releases=wanted.releases,
        progress=progress,
        window=w,
    )
    return look_at_checked_log(report, wanted, setup=setup, now_ms=now_ms, beside=beside)


def look_at_checked_log(
    report: CheckAofReport,
    wanted: Expectations = NOTHING,
    *,
    setup: Setup = STOCK_SETUP,
    now_ms: int | None = None,
    beside: Onlooker | None = None,
) -> Found:
    """The same for a log that was checked; at the report's path it is read again where its keys are counted."""
    found = found_in_log(report)
    if wanted.counts_keys or beside is not None:
        _count_log(found, report, Tally(wanted, now_ms, beside), setup)
    return found


def look_at_snapshot(
    w: Window,
    path: str,
    wanted: Expectations = NOTHING,
    *,
    setup: Setup = STOCK_SETUP,
    now_ms: int | None = None,
    beside: Onlooker | None = None,
) -> Found:
    """The same for an RDB that is open, at its first byte. Its keys are counted in the same pass."""
    tally = Tally(wanted, now_ms, beside)
    report = check_rdb_in(
        w,
        path,
        databases=setup.databases or DATABASES,
        releases=wanted.releases,
        modules=setup.modules,
        now_ms=tally.now_ms,
        observer=None if tally.idle else tally,
    )
    found = Found(path, SNAPSHOT, report.findings, report.size)
    found.releases = [Loading(a.release, a.loads, "; ".join((*a.reasons, *a.remarks))) for a in report.releases]
    facts = report.facts
    if facts is not None:
        found.take(facts)
    if facts is not None and facts.complete and UPDATE in report.findings.counts:
        found.uncounted = "the commands inside it change keys: only a replay, of a file, can count them"
        found.unsupported = True
    elif facts is not None and facts.complete:
        found.counts = tally.of_snapshot(facts)
    else:
        found.uncounted = "it cannot be read to its end"
        found.unsupported = "unsupported" in report.findings.counts
    return found


def found_in_log(report: CheckAofReport) -> Found:
    """What the check of a log found; its keys are not counted."""
    is_set = report.layout is not None and report.layout.is_set
    found = Found(report.path, LOG_SET if is_set else LOG_FILE, report.findings)
    found.size = sum(file.size for file in report.files)
    found.releases = [Loading(a.release, a.loads, "; ".join((*a.reasons, *a.remarks))) for a in report.suitability]
    found.empty = all(file.commands == 0 and (file.preamble is None or not file.preamble.keys) for file in report.files)
    times = [file.last_timestamp for file in report.files if file.last_timestamp >= 0]
    for file in report.files:
        if file.preamble is not None:
            found.take(file.preamble)
        found.modules += [
            name for unknown in file.unknown if (name := unknown.name.decode("latin-1")) and "." in name.strip(".")
        ]
    if times and max(times) >= (found.made_s or 0):
        found.made_s, found.made_by = max(times), "by the last timestamp in the log"
        found.newest_s = found.made_s
    elif found.made_s is not None and any(file.commands for file in report.files):
        found.made_by = "as its snapshot says; the log behind that has no timestamps"
    if found.newest_s is None:
        found.newest_s = changed_s(file.path for file in report.files)
    return found


def _count_log(found: Found, report: CheckAofReport, tally: Tally, setup: Setup) -> None:
    """Replay a log, and count the keys."""
    if report.verdict == BROKEN:
        found.uncounted = "a server does not load it"
        return
    if report.path == "-":
        found.uncounted = "a log is read twice to count its keys, which standard input cannot be: give a file"
        found.unsupported = True
        return
    _count_replayed(found, report.path, tally, setup)


def _count_replayed(found: Found, path: str, tally: Tally, setup: Setup) -> None:
    """Replay what is at ``path``, and count the keys."""
    try:
        replayed = replay(path, server=Server(setup.names, setup.databases))
    except RdbToolError as e:
        found.uncounted = str(e)
        found.unsupported = True
        return
    found.counts = tally.of_dataset(replayed.dataset)
    found.functions = [name.decode("utf-8", "replace") for name in replayed.dataset.functions]


def changed_s(paths: Iterable[str]) -> int | None:
    """When the newest of these files was changed, a Unix time; None where that is not known."""
    times = []
    for path in paths:
        with contextlib.suppress(OSError):  # standard input, or gone since
            times.append(int(os.stat(path).st_mtime))
    return max(times, default=None)
