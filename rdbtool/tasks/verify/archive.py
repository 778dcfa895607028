"""Judge what is in a tar archive: snapshots and logs, as they come by; to disk goes only what has to be read twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from rdbtool.aof.check import FileVerdict, verify_log_in
from rdbtool.aof.layout import DEFAULT_NAME, MANIFEST_LIMIT, PART_NAME, LogFile, set_in_archive
from rdbtool.errors import FormatError, InputError
from rdbtool.findings import Findings, finding_of
from rdbtool.io.archive import Member, Rest, members
from rdbtool.io.copying import write_all
from rdbtool.io.source import open_stream
from rdbtool.io.temporary import Temporary
from rdbtool.io.window import Window
from rdbtool.tasks.check_aof import CheckAofReport, join_checks
from rdbtool.tasks.judgement import Judgement

from .copy import make_private
from .expectations import Expectations
from .found import LOG_FILE, Found, Setup, backup_kind, found_in_log, look_at_log, look_at_snapshot
from .judge import judge
from .previous import previous

MANIFEST: Final = ".manifest"


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """How members are judged. ``wanted``: what is expected of a path; a member's is that of a file in a directory.

    ``judge_file`` judges what was unpacked into a private directory in ``room``, and is told what it is called. That is
    all, where ``boots``; else only logs whose keys have to be counted, which are read twice for that.
    """

    wanted: Callable[[str], Expectations]
    judge_file: Callable[[str, Expectations, str], Judgement]
    setup: Setup
    now_s: int | None
    room: str
    boots: bool


def verify_archive(window: Window, path: str, options: ArchiveOptions) -> Iterator[Judgement]:
    """Judge each snapshot, log and set of logs in the archive at the window's position, which is called ``path``.

    Raises `InputError` where the archive is damaged, `OutputError` where something cannot be unpacked.
    """
    job = _Job(path, options)
    try:
        count = 0
        for member in members(window):
            judged = job.take(member)
            if judged is not None:
                count += 1
                yield judged
        for one in job.sets.values():
            count += 1
            yield job.judge_set(one)
        if not count:
            nothing = Judgement(subject=path, kind="archive")
            nothing.expect("present", "a snapshot or a log", "none in the archive", met=False)
            yield nothing
    finally:
        job.close()


@dataclass(slots=True)
class _Set:
    """The parts of a set that came by, in the ``directory`` of the archive: the manifest's name and bytes, and what was
    found in each part, or where they were unpacked.
    """

    directory: str
    names: list[str] = field(default_factory=list)
    manifest: str = ""
    data: bytes = b""
    checked: dict[str, tuple[FileVerdict, Findings]] = field(default_factory=dict)
    unpacked: str = ""


class _Job:
    """An archive that is being judged."""

    def __init__(self, path: str, options: ArchiveOptions) -> None:
        self.path = path
        self.options = options
        self.sets: dict[str, _Set] = {}
        self.config = options.setup.of_log()
        self._private: Temporary | None = None
        self._directories = 0

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._private is not None:
            self._private.remove()

    def take(self, member: Member) -> Judgement | None:
        """Judge a member; a part of a set is kept for `judge_set`, and what is no backup is passed over."""
        directory, name = os.path.split(member.name)
        is_manifest = name.endswith(MANIFEST) and not name.startswith("temp-")
        if not is_manifest and PART_NAME.search(name) is None:
            return None if name.startswith(".") else self._single(member)
        one = self.sets.setdefault(directory, _Set(directory))
        if is_manifest:
            one.manifest, one.data = name, self._all(member)
        elif self._goes_to_disk(self._expected(directory)):
            one.unpacked = one.unpacked or self._directory()
            write_all(member.stream, self._called(member.name), os.path.join(one.unpacked, name))
        else:
            findings = Findings()
            w = Window(member.stream, path=self._called(member.name), size=member.size)
            file = LogFile(w.path, "base" if ".base." in name else "incr")
            one.checked[name] = (verify_log_in(w, file, findings, last=None, config=self.config), findings)
        if not is_manifest:
            one.names.append(name)
        return None

    def judge_set(self, one: _Set) -> Judgement:
        """Judge a set when all its parts have come by."""
        subject = self._called(one.directory)
        wanted = self._expected(one.directory)
        if one.unpacked:
            if one.manifest:
                with open(os.path.join(one.unpacked, one.manifest), "wb") as stream:
                    stream.write(one.data)
            return self._judge_unpacked(one.unpacked, subject, wanted)
        report = CheckAofReport(path=subject, asked=bool(wanted.releases), config=self.config)
        place = os.path.join(subject, one.manifest or DEFAULT_NAME + MANIFEST)
        try:
            layout = set_in_archive(place, one.data if one.manifest else None, one.names)
        except FormatError as e:
            report.findings.add(finding_of(e)._replace(code="bad-manifest"))
            layout = set_in_archive(place, None, one.names)
            layout.findings.clear()  # that there is no manifest
        report.layout = layout
        join_checks(report, one.checked, wanted.releases)
        return self._judge(found_in_log(report), wanted)

    def _single(self, member: Member) -> Judgement | None:
        """Judge a file that is no part of a set, if it is a snapshot or a log."""
        subject = self._called(member.name)
        opened = open_stream(member.stream, subject)
        w = opened.window()
        kind = backup_kind(w, member.name)
        if not kind:
            return None
        is_log = kind == LOG_FILE
        wanted = self._expected(member.name)
        if self._goes_to_disk(wanted, is_log=is_log):
            place = os.path.join(self._directory(), "x.aof" if is_log else "x.rdb")
            write_all(Rest(w), subject, place)
            judged = self._judge_unpacked(place, subject, wanted)
            os.unlink(place)
            return judged
        look = look_at_log if is_log else look_at_snapshot
        now_ms = None if self.options.now_s is None else self.options.now_s * 1000
        found = look(w, subject, wanted, setup=self.options.setup, now_ms=now_ms)
        found.date(member.changed_s)
        return self._judge(found, wanted)

    def _all(self, member: Member) -> bytes:
        """The bytes of a manifest."""
        if member.size > MANIFEST_LIMIT:
            raise InputError(f"a manifest of {member.size:,} bytes", path=self._called(member.name))
        return Window(member.stream, path=self._called(member.name), size=member.size).take(member.size)

    def _judge(self, found: Found, wanted: Expectations) -> Judgement:
        before = previous(found.path, wanted, self.options.setup)
        return judge(found, wanted, now_s=self.options.now_s, before=before)

    def _judge_unpacked(self, place: str, subject: str, wanted: Expectations) -> Judgement:
        judged = self.options.judge_file(place, wanted, subject)
        judged.subject = subject
        findings = judged.findings
        findings.items = [f._replace(path=subject + f.path.removeprefix(place)) for f in findings.items]
        return judged

    def _goes_to_disk(self, wanted: Expectations, *, is_log: bool = True) -> bool:
        return self.options.boots or (is_log and wanted.counts_keys)

    def _directory(self) -> str:
        """A new directory for what is unpacked."""
        if self._private is None:
            self._private = make_private(self.options.room)
        self._directories += 1
        place = os.path.join(self._private.path, str(self._directories))
        os.mkdir(place)
        return place

    def _called(self, name: str) -> str:
        return os.path.join(self.path, name) if name else self.path

    def _expected(self, name: str) -> Expectations:
        return self.options.wanted(self._called(name)).over(self.options.wanted(self.path))
