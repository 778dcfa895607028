"""Take a backup of a live server or of a server's directory, and give it its name only if it is good."""

from __future__ import annotations

import os
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import IO, Any, Final, cast

from rdbtool import __version__
from rdbtool.errors import InputError, OutputError, RdbToolError, UnsupportedError, UsageError, reason
from rdbtool.findings import plural
from rdbtool.inputs.detect import Progress
from rdbtool.io.copying import Tee
from rdbtool.io.destination import find
from rdbtool.io.sink import CompressedSink, DirectorySink, Pending, PendingFile, Sink, commit_all, open_sink
from rdbtool.io.source import Input, open_stream
from rdbtool.io.window import CHUNK, Metered, Readable
from rdbtool.live.address import ANONYMOUS, Access, Scan, is_url, shown_url
from rdbtool.live.replication import OnWait, Snapshot
from rdbtool.live.source import open_live
from rdbtool.tasks.check_aof import CheckAofReport, join_checks
from rdbtool.tasks.judgement import MET, Judgement
from rdbtool.tasks.verify.directory import is_set, server_directory
from rdbtool.tasks.verify.expectations import NOTHING, Expectations
from rdbtool.tasks.verify.found import Found, changed_s, look_at_checked_log, look_at_snapshot
from rdbtool.tasks.verify.judge import judge
from rdbtool.tasks.verify.previous import previous
from rdbtool.tasks.verify.run import PLAIN, VerifyOptions, verify

from .keeping import Keep, remove_others
from .logs import copy_log
from .naming import ENDINGS, RECORD, Naming, naming
from .record import Made, made_at, made_in, record_text

ALL: Final = Keep()
ANY_DIGEST: Final = "0" * 40
"""Stands for one where none is expected, so that it is made."""
SNAPSHOT_NAME: Final = "dump-{time}.rdb"
LOG_NAME: Final = "appendonlydir-{time}"
ARCHIVES: Final = {kind: f".tar{ending}" for kind, ending in ENDINGS.items()}
"""How archives of logs end that are compressed so."""
NOT_WRITTEN: Final = "nothing was written, and no older backup removed"


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """How a backup is taken.

    ``access``: to a live server; ``verify``: how it is judged; ``compress``: `naming.GZIP`, `naming.ZSTD` or "";
    ``keep``: which older ones stay; ``overwrite``: what has the name already, although we did not make it; ``on_wait``:
    is told how many seconds a live server has been making the snapshot; ``scan``, ``on_note`` and ``cluster``: as for
    `live.source.register`.
    """

    access: Access = ANONYMOUS
    verify: VerifyOptions = PLAIN
    compress: str = ""
    keep: Keep = ALL
    overwrite: bool = False
    on_wait: OnWait | None = None
    scan: Scan | None = None
    on_note: Callable[[str], object] | None = None
    cluster: bool = False


TAKEN: Final = BackupOptions()


def backup(
    source: str,
    destination: str,
    wanted: Expectations = NOTHING,
    options: BackupOptions = TAKEN,
    *,
    progress: Progress | None = None,
) -> Judgement:
    """Back up ``source``: the URL of a server, an RDB, a log, or a server's directory, of which what it loads is taken.

    ``destination``: a directory, or a name, in which ``{time}``, ``{keys}`` and ``{digest}`` stand for what they say. A
    snapshot becomes a file, a log a directory, or a tar archive where it is compressed; beside it comes a record, in
    JSON. It is there only if the judgement's verdict is `MET`; then older ones are removed as ``options.keep`` says.
    What the source does wrong is the judgement's ``error``. Raises `OutputError` and `UsageError`.
    """
    run = _Run(source, destination, wanted, options, progress)
    try:
        return run.of_log() if run.find() else run.of_snapshot()
    except (OutputError, UsageError):
        raise
    except RdbToolError as e:
        return Judgement(subject=run.name, error=e, notes=[NOT_WRITTEN])


@dataclass(slots=True)
class _Run:
    """One backup on its way. ``source``: what is copied of ``given``; ``name``: of that, to be shown; ``log``: the path
    of the log that is copied, if one is.
    """

    given: str
    destination: str
    wanted: Expectations
    options: BackupOptions
    progress: Progress | None
    taken_s: int = field(default_factory=lambda: int(time.time()))
    source: str = ""
    log: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return shown_url(self.given)

    def find(self) -> bool:
        """Find out what there is to copy; whether that is a log."""
        self.source = self.given
        if is_url(self.source):
            return False
        try:
            os.stat(self.source)
        except OSError as e:
            raise InputError(f"cannot open: {reason(e)}", path=self.source) from e
        config = self.options.verify.config
        if os.path.isdir(self.source):
            if config is None and is_set(self.source):
                names = [one for one in os.listdir(self.source) if one.endswith(".manifest") and one[:5] != "temp-"]
                if len(names) != 1:
                    raise UsageError("no single manifest says what belongs to the log", path=self.source)
                self.log = os.path.join(self.source, names[0])
                return True
            directory = server_directory(self.source, config)
            if not directory.loaded:
                raise UsageError("holds nothing that a server loads", path=self.source)
            self.source = directory.loaded
            if directory.logged:
                self.log = directory.loaded
            return directory.logged
        if config is not None:
            raise UsageError("a configuration is about a server's directory", path=self.source)
        if self.source.endswith((".manifest", ".aof")):
            self.log = self.source
        return bool(self.log)

    def of_snapshot(self) -> Judgement:
        """Copy a snapshot byte by byte, and look at it on the way."""
        names = naming(self.destination, SNAPSHOT_NAME, self.options.compress)
        self.refuse_taken(names)
        sink = open_sink(names.unfilled, inputs=() if is_url(self.source) else (self.source,))
        try:
            if not sink.temporary:
                raise UsageError("a backup goes to a file or into a directory", path=self.destination)
            out: PendingFile = CompressedSink(sink, ENDINGS[names.compress]) if names.compress else sink
            with self.open() as raw:
                found = self.look_while_copying(raw, out)
                if isinstance(raw.stream, Snapshot):
                    self.facts["replication"] = {"id": raw.stream.replication_id, "offset": raw.stream.offset}
            judged = self.judge(names, found)
            if self.options.verify.boot is not None and judged.verdict == MET:
                out.sync()
                judged = self.rehearse(sink.temporary, judged)
            return self.publish(names, judged, found, out, sink)
        finally:
            sink.abort()

    def of_log(self) -> Judgement:
        """Copy a log into a directory, and look at it on the way."""
        names = naming(self.destination, LOG_NAME, self.options.compress, ARCHIVES.get(self.options.compress, ""))
        self.refuse_taken(names)
        made = DirectorySink(names.unfilled, inputs=(self.log,))
        try:
            copy = os.path.join(made.temporary, os.path.basename(self.log))
            wanted = _digested(self.wanted) if names.told_by_content else self.wanted
            setup = self.options.verify.setup_of_server()
            config = setup.of_log()
            report = CheckAofReport(path=copy, asked=bool(wanted.releases), config=config)
            report.layout, checked = copy_log(self.log, made.temporary, config, self.progress)
            join_checks(report, checked, wanted.releases)
            found = look_at_checked_log(report, wanted, setup=setup, now_ms=self.now_ms)
            found.date(changed_s([self.log]))
            found.path = self.name
            found.findings.items = [f._replace(path=os.path.basename(f.path)) for f in found.findings.items]
            judged = self.judge(names, found)
            if self.options.verify.boot is not None and judged.verdict == MET:
                judged = self.rehearse(copy, judged)
            if judged.verdict == MET:
                _sync_files(made.temporary)
            if not names.compress:
                return self.publish(names, judged, found, made, made)
            sink = open_sink(names.unfilled, inputs=(self.log,))
            try:
                out = CompressedSink(sink, ENDINGS[names.compress])
                if judged.verdict == MET:
                    _archive(made.temporary, os.path.basename(self.path_of(names, found)).partition(".tar")[0], out)
                return self.publish(names, judged, found, out, sink)
            finally:
                sink.abort()
        finally:
            made.abort()

    @property
    def now_ms(self) -> int | None:
        now_s = self.options.verify.now_s
        return None if now_s is None else now_s * 1000

    def open(self) -> Input:
        if is_url(self.source):
            how = self.options
            return open_live(self.source, how.access, how.on_wait, how.scan, how.on_note, cluster=how.cluster)
        return open_raw(self.source)

    def look_while_copying(self, raw: Input, out: PendingFile) -> Found:
        """Look at a snapshot while its bytes are copied, those behind it too."""
        tee = Tee(raw.stream, out)
        source: Readable = tee if self.progress is None else Metered(tee, raw.size, self.progress)
        opened = open_stream(source, self.name, raw.size)
        setup = self.options.verify.setup_of_server()
        found = look_at_snapshot(opened.window(), self.name, _digested(self.wanted), setup=setup, now_ms=self.now_ms)
        if found.counts is not None:
            while tee.read(CHUNK):
                pass
        found.date(self.taken_s if is_url(self.source) else changed_s([self.source]))
        return found

    def judge(self, names: Naming, found: Found) -> Judgement:
        """Hold what was found against what is expected, the backup before included."""
        wanted, note = self.wanted, ""
        if wanted.max_shrink is not None and not wanted.against:
            last = max(self.earlier(names), key=lambda made: made.taken_s, default=None)
            wanted = replace(wanted, against=last.path) if last is not None else replace(wanted, max_shrink=None)
            note = "" if last is not None else "there is no earlier backup to compare with"
        before = previous(self.name, wanted, self.options.verify.setup_of_server())
        judged = judge(found, wanted, now_s=self.options.verify.now_s, before=before)
        if note:
            judged.notes.append(note)
        return judged

    def rehearse(self, path: str, judged: Judgement) -> Judgement:
        """Start a server on what was copied, and add what that shows."""
        rehearsed = verify(path, NOTHING, self.options.verify, progress=self.progress)
        known = {check.name for check in judged.checks}
        judged.checks += [check for check in rehearsed.checks if check.name not in known or check.verdict != MET]
        judged.measures += [one for one in rehearsed.measures if one.name not in {m.name for m in judged.measures}]
        judged.notes += [note for note in rehearsed.notes[1:] if note not in judged.notes]
        judged.details |= rehearsed.details
        judged.error = rehearsed.error
        if judged.error is not None:
            judged.error.path = self.name  # not that of the copy
        return judged

    def earlier(self, names: Naming) -> list[Made]:
        """The backups of the same source under such names."""
        return [
            made
            for made in made_in(names.directory)
            if made.source == self.name and names.is_name(os.path.basename(made.path)) and os.path.lexists(made.path)
        ]

    def refuse_taken(self, names: Naming) -> None:
        """Raise where the name is known, and is taken."""
        if not names.told_by_content:
            self.refuse(names.filled(taken_s=self.taken_s, keys=0, digest=""))

    def refuse(self, path: str) -> None:
        """Raise `OutputError` for a name that something has which we did not make."""
        if self.options.overwrite or made_at(path) is not None:
            return
        for place in (path, path + RECORD):
            if os.path.lexists(place):
                raise OutputError("exists, and is no backup that this command made: --force overwrites it", path=place)

    def path_of(self, names: Naming, found: Found) -> str:
        """The name of a backup that holds this. Raises `UnsupportedError` where that cannot be told."""
        keys = None if found.counts is None else found.counts.keys
        digest = "" if found.counts is None else found.counts.digest
        if names.told_by_content and (keys is None or ("{digest}" in names.name and not digest)):
            raise UnsupportedError(f"no name for the backup: {found.uncounted or _undigested(found)}", path=self.name)
        return names.filled(taken_s=self.taken_s, keys=keys or 0, digest=digest)

    def publish(
        self, names: Naming, judged: Judgement, found: Found, out: Pending, named: Sink | DirectorySink
    ) -> Judgement:
        """Give the backup its name, and a record beside it, if it is good. ``named``: what has the name."""
        if judged.verdict != MET:
            judged.notes.append(NOT_WRITTEN)
            return judged
        counts = found.counts
        keys = None if counts is None else counts.keys
        digest = "" if counts is None else counts.digest
        path = self.path_of(names, found)
        self.refuse(path)
        named.name, named.path = path, find(path).path
        taken = f"{datetime.fromtimestamp(self.taken_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
        facts = {
            "file": os.path.basename(path),
            "source": self.name,
            "kind": found.kind,
            "server": found.writer,
            "taken": taken,
            "taken_s": self.taken_s,
            "keys": keys,
            "digest": digest or None,
            "size": found.size,
            "compression": names.compress or None,
            **self.facts,
        }
        told = judged.as_json()
        record = open_sink(path + RECORD)
        try:
            record.write(
                record_text(
                    {
                        **facts,
                        "rdbtool": __version__,
                        "verdict": judged.verdict,
                        **{name: told[name] for name in ("checks", "findings", "counts")},
                    }
                )
            )
            out.sync()
            stored = _stored(named.temporary)
            commit_all([out, record])
        finally:
            record.abort()
        judged.notes.append(f"written to {path}, {plural(stored, 'byte')}")
        removed: list[str] = []
        judged.details["backup"] = {"path": path, **facts, "removed": removed}
        remove_others(names, Made(path, self.name, self.taken_s), self.options.keep, removed.append)
        judged.notes += [f"removed {old}" for old in removed]
        return judged


def _digested(wanted: Expectations) -> Expectations:
    """The same, for which keys are counted and a digest is made."""
    return replace(wanted, min_keys=wanted.min_keys or 0, digest=wanted.digest or ANY_DIGEST)


def _undigested(found: Found) -> str:
    return "it has no digest" if found.counts is None else found.counts.undigested


def open_raw(path: str) -> Input:
    """A file as it stands, compressed or not. Raises `InputError`."""
    try:
        stream = open(path, "rb", buffering=0)  # noqa: SIM115 - the Input closes it
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=path) from e
    return Input(path, stream, os.fstat(stream.fileno()).st_size, stream.close)


def _sync_files(directory: str) -> None:
    """Bring the files of a copy to the disk. Raises `OutputError`."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as e:
            raise OutputError(f"cannot write: {reason(e)}", path=path) from e


class _Stream:
    """What tarfile writes to."""

    def __init__(self, out: PendingFile) -> None:
        self.out = out

    def write(self, data: bytes) -> int:
        self.out.write(bytes(data))
        return len(data)


def _archive(directory: str, name: str, out: PendingFile) -> None:
    """Write a directory as a tar archive in which it has this name. Raises `OutputError`."""
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", _Stream(out)), mode="w|") as archive:
            archive.add(directory, arcname=name)
    except OSError as e:
        raise OutputError(f"cannot write: {reason(e)}", path=name) from e


def _stored(path: str) -> int:
    """Bytes of a file, or of the files in a directory."""
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(path, name)) for name in os.listdir(path))
