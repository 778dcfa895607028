"""THE table of what the check of an RDB can find: a code, how bad it is, and who minds."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.findings import Severity
from rdbtool.servers.features import (
    ALWAYS_SANITIZES,
    CHECKS_SLOT_COUNTS,
    CHECKS_STREAM_COUNTERS,
    CHECKS_ZIPLISTS_AND_STREAMS,
    CHECKSUMS,
    LOOKS_INTO_VALUES,
    PRE_RELEASE_FUNCTIONS,
)
from rdbtool.servers.releases import Release

ANY: Final = 0
"""Every server looks, however it is configured."""
SANITIZING: Final = 1
"""Only a server with ``sanitize-dump-payload yes`` looks, one that always sanitizes, and one that has ``since``;
others load it, and may crash on it later."""
ALWAYS: Final = 2
"""Only a server that always sanitizes looks (Valkey 9.1), and one with the feature ``since``."""
SOME: Final = 3
"""Only a server with the feature ``since`` looks, whatever else it sanitizes."""


@final
class Code:
    """``severity`` is for a current server that sanitizes; ``minds``: ANY, SANITIZING, ALWAYS or SOME.

    ``since``: the feature without which a server that does not sanitize never minds; ``until``: the feature with which
    it does not mind.
    """

    def __init__(self, severity: Severity, minds: int = ANY, *, since: i64 = 0, until: i64 = 0) -> None:
        self.severity = severity
        self.minds = minds
        self.since: i64 = since
        self.until: i64 = until

    def is_minded_by(self, release: Release) -> bool:
        """Whether a server of that release, as it comes, refuses a file for this error."""
        if self.minds == SOME:
            return release.has(self.since)
        if release.has(ALWAYS_SANITIZES):
            return True
        if self.minds != ANY and self.since:
            return release.has(self.since)
        return self.minds == ANY and (not self.since or release.has(self.since)) and not release.has(self.until)


CODES: Final[dict[str, Code]] = {
    # The file
    "empty-file": Code(Severity.ERROR),
    "checksum": Code(Severity.ERROR, since=CHECKSUMS),
    "no-checksum": Code(Severity.NOTE),
    "trailing-bytes": Code(Severity.WARNING),
    "database-number": Code(Severity.ERROR),
    "duplicate-key": Code(Severity.ERROR),
    "expired-keys": Code(Severity.NOTE),
    "module-value": Code(Severity.NOTE),
    "module-data": Code(Severity.NOTE),
    "slot-import": Code(Severity.NOTE),
    "update": Code(Severity.NOTE),
    "slot-info": Code(Severity.ERROR, SOME, since=CHECKS_SLOT_COUNTS),
    "keydb-cron": Code(Severity.ERROR),
    "keydb-member-expiry": Code(Severity.WARNING),
    "capture": Code(Severity.ERROR),
    "enterprise": Code(Severity.ERROR),
    "function-library": Code(Severity.ERROR),
    "function-pre-release": Code(Severity.ERROR, until=PRE_RELEASE_FUNCTIONS),
    "function-engine": Code(Severity.NOTE),
    # Values
    "empty-collection": Code(Severity.WARNING),
    "lzf": Code(Severity.ERROR),
    "duplicate-member": Code(Severity.ERROR),
    "duplicate-field": Code(Severity.ERROR),
    "duplicate-field-small": Code(Severity.ERROR, SANITIZING),
    "nan-score": Code(Severity.ERROR),
    "score": Code(Severity.ERROR),
    "hash-template": Code(Severity.ERROR),
    "array": Code(Severity.ERROR),
    "path-hash": Code(Severity.ERROR),
    "field-expiry": Code(Severity.ERROR),
    "field-least-expiry": Code(Severity.ERROR),
    # Packed values
    "listpack-header": Code(Severity.ERROR, since=LOOKS_INTO_VALUES),
    "listpack": Code(Severity.ERROR, SANITIZING),
    "listpack-unpacked": Code(Severity.ERROR, since=LOOKS_INTO_VALUES),
    "listpack-duplicate": Code(Severity.ERROR, SANITIZING),
    "listpack-expiry": Code(Severity.ERROR, SANITIZING),
    "packed-nan-score": Code(Severity.ERROR, ALWAYS),
    "packed-score": Code(Severity.WARNING),
    "ziplist-header": Code(Severity.ERROR, since=LOOKS_INTO_VALUES),
    "ziplist": Code(Severity.ERROR, since=CHECKS_ZIPLISTS_AND_STREAMS),
    "ziplist-duplicate": Code(Severity.ERROR, since=CHECKS_ZIPLISTS_AND_STREAMS),
    "zipmap": Code(Severity.ERROR, since=LOOKS_INTO_VALUES),
    "intset": Code(Severity.ERROR, since=LOOKS_INTO_VALUES),
    "intset-order": Code(Severity.ERROR, SANITIZING),
    "quicklist-node": Code(Severity.ERROR),
    # Streams
    "stream-node": Code(Severity.ERROR),
    "stream-node-count": Code(Severity.ERROR, ALWAYS),
    "stream-first": Code(Severity.ERROR, SANITIZING, since=CHECKS_STREAM_COUNTERS),
    "stream-entry": Code(Severity.ERROR, SANITIZING),
    "stream-order": Code(Severity.WARNING),
    "stream-length": Code(Severity.ERROR, since=CHECKS_ZIPLISTS_AND_STREAMS),
    "stream-count": Code(Severity.ERROR, ALWAYS, since=CHECKS_STREAM_COUNTERS),
    "stream-counters": Code(Severity.WARNING, SOME, since=CHECKS_STREAM_COUNTERS),
    "duplicate-group": Code(Severity.ERROR),
    "duplicate-consumer": Code(Severity.ERROR, since=CHECKS_ZIPLISTS_AND_STREAMS),
    "duplicate-pending": Code(Severity.ERROR),
    "unknown-pending": Code(Severity.ERROR),
    "orphan-pending": Code(Severity.ERROR, SANITIZING),
    "producer-settings": Code(Severity.ERROR),
    "duplicate-producer": Code(Severity.ERROR),
}
"""Errors that end the reading (`malformed`, `truncated`, `unsupported`, `unreadable`) are not here."""
