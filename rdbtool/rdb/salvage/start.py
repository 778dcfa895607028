"""Where an RDB begins in a file, what it is, and where it ends."""

from __future__ import annotations

import re
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import InputError, RdbToolError
from rdbtool.io.random_access import PAGE, Pages
from rdbtool.rdb import opcodes
from rdbtool.rdb.events import Header
from rdbtool.rdb.magic import CAPTURE_HEAD, capture_in
from rdbtool.rdb.reader import RdbReader
from rdbtool.servers.releases import MAX_RDB_VERSION, writer_of

WRITER: Final = re.compile(rb"\xfa[\x09\x0a]((?:redis|valkey)-ver)[\x01-\x0c]([0-9.]+)")
MAGIC: Final = re.compile(rb"REDIS00(?:0[1-9]|1[0-9])|VALKEY0[89][0-9]")
LONGEST_MAGIC: Final[i64] = 9
SEARCHED: Final[i64] = 1 << 16
"""Bytes in which a field is looked for that tells the server, where the header is lost."""


@final
class Start:
    """``at``: where the header is expected, or found; ``is_sound``: whether there is one; ``dialect`` and ``version``;
    ``version`` is 0 where nothing tells it.
    """

    def __init__(self, at: i64) -> None:
        self.at: i64 = at
        self.is_sound = False
        self.dialect: i64 = opcodes.REDIS
        self.version: i64 = 0

    @property
    def highest(self) -> i64:
        """The version to read records by."""
        return self.version or MAX_RDB_VERSION[self.dialect]


def expected(pages: Pages) -> Start:
    """What stands where a header should: at the beginning of the file, or behind that of a capture."""
    capture = capture_in(pages.take(0, min(pages.size, CAPTURE_HEAD)))
    start = header_at(pages, 0 if capture is None else capture[0])
    if not start.is_sound:
        _guess(pages, start)
    return start


def header_at(pages: Pages, at: i64) -> Start:
    """The header at ``at``, if it is one."""
    start = Start(at)
    reader = RdbReader(pages.window(at, pages.size), checksum=False)
    try:
        event = reader.next()
    except InputError:
        raise
    except RdbToolError:
        return start
    if isinstance(event, Header):
        start.is_sound = True
        start.dialect = event.dialect
        start.version = event.version
    return start


def find_magic(pages: Pages, at: i64) -> i64:
    """Where the first header from ``at`` on stands; -1 for none."""
    while at < pages.size:
        page = pages.take(at, min(PAGE, pages.size - at))
        found = MAGIC.search(page)
        if found is not None:
            return at + found.start()
        if at + len(page) >= pages.size:
            return -1
        at += len(page) - LONGEST_MAGIC
    return -1


def consists_of_nuls(pages: Pages) -> bool:
    """Whether there is nothing else in a file that is not empty, as where a file system lost what was to be written."""
    at: i64 = 0
    while at < pages.size:
        page = pages.take(at, min(PAGE, pages.size - at))
        if page.strip(b"\0"):
            return False
        at += len(page)
    return at > 0


def ends_at(pages: Pages, at: i64) -> bool:
    """Whether an RDB whose last byte is before ``at`` may be the file's, and not part of a value."""
    rest = pages.size - at
    if rest == 0:
        return True
    head = pages.take(at, min(rest, 1 << 12))
    if head[:1] == b"*" and head[1:2].isdigit() and b"\r\n$" in head[:32]:
        return True  # the log behind a snapshot
    if head.startswith(b"#TS:"):
        return True
    return not head.strip(b"\0\r\n\x1a") or (rest == 40 and head.isalnum())


def _guess(pages: Pages, start: Start) -> None:
    """Tell from the first fields, or from what is left of the header, what wrote the file."""
    head = pages.take(start.at, min(pages.size - start.at, SEARCHED))
    found = WRITER.search(head)
    release = None if found is None else writer_of({found.group(1): found.group(2)})
    if release is not None:
        start.dialect = release.dialect
        start.version = release.rdb_version
        return
    if head[:5] == b"VALKE" or head[1:6] == b"ALKEY":
        start.dialect = opcodes.VALKEY
    digits = head[6:9] if start.dialect == opcodes.VALKEY else head[5:9]
    if digits.isdigit() and 0 < int(digits) <= MAX_RDB_VERSION[start.dialect]:
        start.version = int(digits)
