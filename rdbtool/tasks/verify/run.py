"""Judge backups: files, sets, directories of backups, directories of servers."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdbtool.errors import RdbToolError, UsageError
from rdbtool.findings import Severity, plural
from rdbtool.inputs.detect import Opened, Progress, open_detected
from rdbtool.io.archive import is_tar
from rdbtool.io.window import Window
from rdbtool.tasks.judgement import Judgement

from .expectations import NOTHING, Config, Expectations, Table
from .found import STOCK_SETUP, Found, Setup, changed_s, look
from .judge import LOADS, judge, span

if TYPE_CHECKING:
    from .boot import BootOptions
    from .directory import ServerDirectory
    from .server_config import ServerConfig


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How backups are judged.

    ``setup``: of the server that is to load them; ``now_s``: a Unix time, the present if None; ``boot``: start a real
    server on a copy, and compare what it holds; ``config``: of the server whose directory is judged.
    """

    setup: Setup = STOCK_SETUP
    now_s: int | None = None
    boot: BootOptions | None = None
    config: ServerConfig | None = None

    def setup_of_server(self) -> Setup:
        """The setup, with what configurations say."""
        boot = None if self.boot is None else self.boot.config
        return self.setup.configured(self.config).configured(boot)


PLAIN = VerifyOptions()


def verify(
    path: str | os.PathLike[str],
    wanted: Expectations = NOTHING,
    options: VerifyOptions = PLAIN,
    *,
    progress: Progress | None = None,
) -> Judgement:
    """Judge one backup, or the directory of a server: whether it is sound, and meets what is expected.

    What cannot be looked at is the judgement's ``error``. Raises `UsageError` for a directory or archive that holds
    several.
    """
    path = os.fspath(path)
    found = list(verify_all(path, lambda _: wanted, options, progress=progress))
    if len(found) > 1:
        raise UsageError("holds several backups: verify_all judges each of them", path=path)
    return found[0]


def verify_all(
    path: str,
    wanted: Callable[[str], Expectations],
    options: VerifyOptions = PLAIN,
    *,
    progress: Progress | None = None,
) -> Iterator[Judgement]:
    """Judge each backup at ``path``, one after the other: several where that is a directory in which they stand side by
    side. ``wanted``: what is expected of a path.
    """
    from .directory import backups_in, is_set, server_directory

    try:
        if options.config is not None and not os.path.isdir(path):
            raise UsageError("a configuration is about a server's directory", path=path)
        if not os.path.isdir(path):
            yield from _verify_one(path, wanted, options, progress)
            return
        if options.config is None and is_set(path):
            yield _verify_file(path, wanted(path), options, progress)[0]
            return
        backups = None if options.config is not None else backups_in(path)
        if backups is None:
            directory = server_directory(path, options.config)
            of_file = wanted(directory.loaded) if directory.loaded else NOTHING
            yield _verify_server(directory, of_file.over(wanted(path)), options, progress)
            return
    except RdbToolError as e:
        yield Judgement(subject=path, error=e)
        return
    for backup in backups:
        try:
            yield from _verify_one(backup, wanted, options, progress)
        except RdbToolError as e:
            yield Judgement(subject=backup, error=e)


def _verify_one(
    path: str, wanted: Callable[[str], Expectations], options: VerifyOptions, progress: Progress | None
) -> Iterator[Judgement]:
    """Judge a file, what is in a tar archive, or the directory of a set."""
    if os.path.isdir(path):
        yield _verify_file(path, wanted(path), options, progress)[0]
        return
    with open_detected(path, progress) as opened:
        if is_tar(opened.window):
            yield from _verify_archive(opened.window, path, wanted, options)
        else:
            yield _verify_file(path, wanted(path), options, progress, opened)[0]


def verify_each(
    path: str, wanted: Expectations, config: Config | None, options: VerifyOptions, progress: Progress | None = None
) -> tuple[list[Judgement], list[str]]:
    """`verify_all` as a unit of work: the judgements, and the patterns of ``config`` that matched.

    ``wanted``: what is expected of every path, on top of what ``config`` expects of some.
    """

    def of_path(one: str) -> Expectations:
        return wanted if config is None else wanted.over(config.of(one))

    judged = list(verify_all(path, of_path, options, progress=progress))
    return judged, [table.pattern for table in config.tables if table.used] if config is not None else []


def absent(table: Table) -> Judgement:
    """The judgement on a table of expectations that no path matched: the backup it is about is not there."""
    judged = Judgement(subject=table.pattern, kind="pattern")
    judged.expect("present", "a path that matches", "none", met=False)
    return judged


def _verify_archive(
    window: Window, path: str, wanted: Callable[[str], Expectations], options: VerifyOptions
) -> Iterator[Judgement]:
    """Judge what is in a tar archive."""
    from .archive import ArchiveOptions, verify_archive

    room = "" if options.boot is None else options.boot.directory
    in_archive = ArchiveOptions(
        wanted,
        lambda place, of_member, called: _verify_file(place, of_member, options, None, called=called)[0],
        options.setup_of_server(),
        options.now_s,
        room or tempfile.gettempdir(),
        options.boot is not None,
    )
    yield from verify_archive(window, path, in_archive)


def _verify_file(
    path: str,
    wanted: Expectations,
    options: VerifyOptions,
    progress: Progress | None,
    opened: Opened | None = None,
    called: str = "",
) -> tuple[Judgement, Found | None]:
    """Judge a file or a set. ``opened``: it, where it is open already; ``called``: its name, where it was unpacked."""
    from .previous import previous

    setup = options.setup_of_server()
    now_ms = None if options.now_s is None else options.now_s * 1000
    try:
        before = previous(called or path, wanted, setup)
        if options.boot is None:
            found = look(path, wanted, setup=setup, now_ms=now_ms, progress=progress, opened=opened)
            return judge(found, wanted, now_s=options.now_s, before=before), found
        from .boot import booted
        from .rehearse import Survivors, compare

        with booted(path, options.boot, progress) as server:
            survivors = None if server.client is None else Survivors(server)
            found = look(path, wanted, setup=setup, now_ms=now_ms, progress=progress, beside=survivors, opened=opened)
            judged = judge(found, wanted, now_s=options.now_s, before=before)
            compare(judged, server, found, survivors)
            return judged, found
    except RdbToolError as e:
        return Judgement(subject=path, error=e), None


def _verify_server(
    directory: ServerDirectory, wanted: Expectations, options: VerifyOptions, progress: Progress | None
) -> Judgement:
    """Judge what a server loads from its directory, and tell what stands beside it, and how to restore."""
    from .restore import PLACEHOLDER, restore_steps

    loaded = directory.loaded
    if loaded:
        judged, found = _verify_file(loaded, wanted, options, progress)
    else:
        judged, found = Judgement(subject=directory.path), None
    ignored: Found | None = None
    judged.subject, judged.kind = directory.path, "server directory"
    judged.details["server_directory"] = {
        "loads": loaded or None,
        "appendonly": directory.logged,
        "configured": directory.config is not None,
    }
    judged.notes[:0] = [_which(directory)]
    if found is not None and not wanted.releases:
        judged.notes += [f"{answer.release} {LOADS[answer.loads]}" for answer in found.releases]
    setup = options.setup_of_server()
    for path in (directory.snapshot, directory.log):
        if path and path != loaded:
            text, beside = _look_beside(path, found, setup)
            judged.notes.append(f"{path} is not loaded: {text}")
            ignored = beside if directory.logged else None
    for path in directory.others:
        age = _compared(changed_s([path]), found)
        judged.notes.append(f"{path} is not loaded{age}")
    keys = 0 if ignored is None or ignored.counts is None else ignored.counts.keys
    backup = PLACEHOLDER
    if ignored is not None and (found is None or found.empty):
        backup = directory.snapshot  # there is nothing better in the log
    elif directory.logged and found is not None and found.findings.worst is Severity.ERROR:
        judged.notes.append(f"what a repair keeps of the log tells: rdbtool check-aof {shlex.quote(loaded)}")
    if not loaded:
        rest = f", although {directory.snapshot_name} holds {plural(keys, 'key')}" if keys else ""
        judged.expect("loads", "a backup", f"nothing: the server starts empty{rest}", met=False)
    elif found is not None and found.empty and keys:
        rest = f"although {directory.snapshot_name}, which it does not read, holds {plural(keys, 'key')}"
        judged.expect("loads", "a backup", f"an empty log, {rest}", met=False)
    writer = next((one.writer for one in (found, ignored) if one is not None and one.writer), "")
    judged.steps, judged.steps_to = restore_steps(directory, writer, backup), f"to restore into {directory.path}"
    return judged


def _which(directory: ServerDirectory) -> str:
    """Which file the server loads, and why."""
    loaded = directory.loaded or "nothing"
    if directory.config is not None:
        return f"with 'appendonly {'yes' if directory.logged else 'no'}', as configured, the server loads {loaded}"
    if directory.log:
        other = directory.snapshot or "nothing"
        return f"with 'appendonly yes', as there is a log, the server loads {loaded}; with 'appendonly no' {other}"
    return f"with 'appendonly no' the server loads {loaded}; with 'appendonly yes' nothing: it starts empty"


def _look_beside(path: str, loaded: Found | None, setup: Setup) -> tuple[str, Found | None]:
    """What is to be said of a snapshot or log that the server does not load."""
    try:
        found = look(path, setup=setup)
    except RdbToolError as e:
        return e.message, None
    sound = "damaged" if found.findings.worst is Severity.ERROR else "sound"
    keys = f", {plural(found.counts.keys, 'key')}" if found.counts is not None else ""
    return f"{sound}{keys}{_compared(found.newest_s, loaded)}", found


def _compared(newest_s: int | None, loaded: Found | None) -> str:
    """How much newer or older something is than what the server loads."""
    if newest_s is None or loaded is None or loaded.newest_s is None:
        return ""
    ahead = newest_s - loaded.newest_s
    return f", {span(abs(ahead))} {'newer' if ahead > 0 else 'older'}" if ahead else ", of the same time"
