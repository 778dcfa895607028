"""Open a damaged snapshot for what can be read of it."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from typing import IO, Final, final

from rdbtool.errors import FormatError, InputError, OutputError, RdbToolError, reason
from rdbtool.findings import Finding, Severity, plural
from rdbtool.io.random_access import Pages
from rdbtool.io.source import is_plain, open_input
from rdbtool.io.window import CHUNK, Metered, Window
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.salvage.salvaged import Salvaged
from rdbtool.rdb.salvage.salvager import Salvager
from rdbtool.servers.limits import DATABASES

from .detect import Progress, has_commands

LINE_ENDS: Final = 4
"""CR LFs that a file must have, and no LF alone, to be taken for one whose LFs something has turned into them."""


@final
class SalvagedFile:
    """An RDB that is open for what can be read of it: ``result`` says what that is. Use it as a context manager, or
    call ``close``.
    """

    def __init__(self, path: str, result: Salvaged, pages: Pages, stack: contextlib.ExitStack) -> None:
        self.path = path
        self.result = result
        self.pages = pages
        self.cut: RdbToolError | None = None
        """What kept it from being unpacked to its end."""
        self._stack = stack

    def __enter__(self) -> SalvagedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def window(self) -> Window:
        """A window over a sound RDB with what can be read, and what follows the damaged one."""
        return self.result.window(self.pages)

    @property
    def has_commands(self) -> bool:
        """Whether there are commands among what can be read, so that it has to be replayed."""
        return has_commands(self.window())

    def close(self) -> None:
        """Close the file, and remove copies that were made."""
        self._stack.close()

    def behind(self, path: str, last: int) -> Behind:
        """Which of its records whoever read ``path`` in step did not come to; the last one that it did is at the offset
        ``last``.
        """
        return Behind(path, self.result, last)

    def findings(self) -> list[Finding]:
        """What is to be said of it."""
        found = salvage_findings(self.result, self.path)
        if self.cut is not None:
            message = f"what follows could not be unpacked: {self.cut.message}"
            found.append(Finding(Severity.WARNING, "packed", message, self.path, int(self.result.size)))
        return found

    def located(self, finding: Finding) -> Finding:
        """The same finding, about something in that sound RDB, with the offset in the file."""
        if finding.path != self.path or finding.offset < 0:
            return finding
        return finding._replace(offset=self.result.offset_in_file(finding.offset))


def open_salvaged(
    path: str,
    *,
    partial: bool = False,
    progress: Progress | None = None,
    first: Window | None = None,
    undo: bool = True,
) -> SalvagedFile:
    """Open the RDB at ``path``, ``-`` for standard input, compressed or not, for what can be read of it.

    What is no plain file is first copied to a temporary one. ``partial``: keep what can be read of damaged
    collections; ``first``: a window at its beginning, where it is open already and cannot be opened again; ``undo``:
    damage that the checksum gives away, so that records stand elsewhere than in the file. Raises `InputError`,
    `OutputError`.
    """
    stack = contextlib.ExitStack()
    try:
        pages, cut = _pages(path, progress, first, stack)
        stack.enter_context(pages)
        result = Salvager(pages, partial=partial, undo=undo).run()
        if result.lossy and result.checksum != "bad":
            turned = _turned_back(pages)
            if turned is not None:
                copy = stack.enter_context(turned)
                other_pages = stack.enter_context(_open(copy, path))
                other = Salvager(other_pages, partial=partial, undo=undo).run()
                if other.lost_bytes < result.lost_bytes:
                    other.line_ends = True
                    result, pages = other, other_pages
        file = SalvagedFile(path, result, pages, stack)
        file.cut = cut
        return file
    except BaseException:
        stack.close()
        raise


def _pages(
    path: str, progress: Progress | None, first: Window | None, stack: contextlib.ExitStack
) -> tuple[Pages, RdbToolError | None]:
    """The file, open for reading anywhere, and what kept it from being unpacked to its end."""
    if os.path.isfile(path):
        if is_plain(path):
            return Pages(path), None
        first = None  # whoever has it open goes on with that where all is well
    elif path != "-" and _is_device(path):
        raise InputError("is a device, which may have no end: copy what is to be saved to a file first", path=path)
    if first is None:
        source = stack.enter_context(open_input(path))
        first = source.window()
        if progress is not None:
            first.source = Metered(source.stream, source.size, progress)
    copy, cut = _copied(first)
    return _open(stack.enter_context(copy), path), cut


def _is_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def _open(copy: IO[bytes], path: str) -> Pages:
    pages = Pages(copy.name)
    pages.path = pages.file.path = path
    return pages


def _copied(w: Window) -> tuple[IO[bytes], RdbToolError | None]:
    """What is left in a window, in a temporary file; where it is packed and damaged, what was unpacked before that, and
    the damage. Raises `InputError` where that is nothing.
    """
    copy = _temporary()
    cut: RdbToolError | None = None
    try:
        while not w.at_end():
            _write(copy, w.take(w.end - w.pos))
    except (InputError, FormatError) as e:
        if copy.tell() == 0:
            copy.close()
            raise InputError(f"nothing of it can be unpacked: {e.message}", path=e.path, offset=e.offset) from e
        cut = e
    copy.flush()
    return copy, cut


def _temporary() -> IO[bytes]:
    try:
        return tempfile.NamedTemporaryFile(prefix="rdbtool-")
    except OSError as e:
        raise OutputError(f"cannot create a temporary file: {reason(e)}", path=tempfile.gettempdir()) from e


def _write(copy: IO[bytes], data: bytes) -> None:
    try:
        copy.write(data)
    except OSError as e:
        raise OutputError(f"cannot write a temporary file: {reason(e)}", path=copy.name) from e


def _turned_back(pages: Pages) -> IO[bytes] | None:
    """A copy in which each CR LF is an LF again; None where something else was done to the file, if anything."""
    pairs = 0
    at = 0
    last = b""
    while at < pages.size:
        data = pages.file.read(min(CHUNK, pages.size - at), at, True)
        ends = data.count(b"\n")
        both = data.count(b"\r\n") + (last == b"\r" and data[:1] == b"\n")
        if ends != both:
            return None
        pairs += both
        last = data[-1:]
        at += len(data)
    if pairs < LINE_ENDS:
        return None
    copy = _temporary()
    at = 0
    held = b""
    while at < pages.size:
        data = held + pages.file.read(min(CHUNK, pages.size - at), at, True)
        at += len(data) - len(held)
        held = b"\r" if data.endswith(b"\r") and at < pages.size else b""
        _write(copy, data[: len(data) - len(held)].replace(b"\r\n", b"\n"))
    copy.flush()
    return copy


class Behind:
    """Tells records of a salvaged file from those that were come to before, by reading it in step up to where that
    breaks. Use it as a context manager.
    """

    def __init__(self, path: str, result: Salvaged, last: int) -> None:
        self._last = last
        self._stream = open_input(path)
        self._reader = RdbReader(self._stream.window(), checksum=False)
        self._at = -1
        self._pieces = result.pieces()
        self._begin = 0
        """Of the first of those pieces, in what they make up."""
        self._done = last < 0

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def is_new(self, offset: int) -> bool:
        """Whether the record at ``offset`` of the sound RDB was not come to. Asked in the order of records."""
        if self._done:
            return True
        pieces = self._pieces
        while len(pieces) > 1 and offset >= self._begin + pieces[0].size:
            self._begin += int(pieces.pop(0).size)
        at = int(pieces[0].start if pieces[0].end < 0 else pieces[0].start + offset - self._begin)
        self._done = at > self._last
        try:
            while self._at < at and not self._done:
                event = self._reader.next()
                if event is None:
                    break
                if isinstance(event, Frame):
                    self._at = int(event.offset)
        except RdbToolError:
            self._done = True
        return self._done or self._at != at


def salvage_findings(result: Salvaged, path: str) -> list[Finding]:
    """What is to be said of a file of which not all can be read."""
    found: list[Finding] = []

    def note(code: str, message: str, offset: int = -1, key: bytes | None = None) -> None:
        found.append(Finding(Severity.WARNING, code, message, path, offset, key))

    if result.line_ends:
        note("line-ends", "LF had become CR LF all over, as in a copy made as text: it is turned back")
    undone = result.undone
    if undone is not None:
        note("undone", str(undone), int(undone.start))
    for lost in result.lost:
        size = plural(int(lost.end - lost.start), "byte")
        kept = f"; {plural(int(lost.elements), 'element')} of it kept" if lost.put else ""
        note(lost.code, f"{size} left out: {lost.message}{kept}", int(lost.start), lost.keys[0] if lost.keys else None)
    if result.zeroed:
        return found
    for run in result.runs:
        if not run.sure_of_db and run.keys:
            note(
                "database-uncertain",
                f"{plural(int(run.keys), 'key')} from here on are taken for keys of database {run.db}: whether another "
                "was chosen in what is lost before them cannot be told",
                int(run.start),
            )
    highest = max((int(part.db) for run in result.runs for part in run.parts if part.keys), default=0)
    if highest >= DATABASES:
        note("database-number", f"keys of database {highest}: only a server with 'databases {highest + 1}' loads them")
    if not result.complete:
        note("no-end", "the end mark is not there: what stood behind the last record is lost", int(result.size))
    if result.checksum == "bad":
        note("checksum", result.doubt)
    if result.headless:
        version = f"{('Redis', 'Valkey')[result.dialect]} RDB version {result.version}"
        note("header", f"the header is lost: what is there was read as {version}", 0)
    return found
