"""THE table of what the check of an RDB can find: a code, how bad it is, and who minds."""

from __future__ import annotations

from typing import Final, final

from rdbtool.findings import Severity

ANY: Final = 0
"""Every server minds, however it is configured."""
SANITIZING: Final = 1
"""Only a server with ``sanitize-dump-payload yes`` looks, and Valkey from 9.1 on; others load it, and may crash on
it later."""
VALKEY_9_1: Final = 2
"""Only Valkey from 9.1 on looks."""


@final
class Code:
    """``severity`` is for a current server that sanitizes; ``minds``: ANY, SANITIZING or VALKEY_9_1."""

    def __init__(self, severity: Severity, minds: int = ANY) -> None:
        self.severity = severity
        self.minds = minds


CODES: Final[dict[str, Code]] = {
    # The file
    "empty-file": Code(Severity.ERROR),
    "checksum": Code(Severity.ERROR),
    "no-checksum": Code(Severity.NOTE),
    "trailing-bytes": Code(Severity.WARNING),
    "database-number": Code(Severity.ERROR),
    "duplicate-key": Code(Severity.ERROR),
    "expired-keys": Code(Severity.NOTE),
    "module-value": Code(Severity.NOTE),
    "module-data": Code(Severity.NOTE),
    "slot-import": Code(Severity.NOTE),
    "function-library": Code(Severity.ERROR),
    "function-pre-release": Code(Severity.ERROR),
    "function-engine": Code(Severity.NOTE),
    # Values
    "empty-collection": Code(Severity.WARNING),
    "lzf": Code(Severity.ERROR),
    "duplicate-member": Code(Severity.ERROR),
    "duplicate-field": Code(Severity.ERROR),
    "duplicate-field-small": Code(Severity.ERROR, SANITIZING),
    "nan-score": Code(Severity.ERROR),
    "score": Code(Severity.ERROR),
    "field-expiry": Code(Severity.ERROR),
    # Packed values
    "listpack-header": Code(Severity.ERROR),
    "listpack": Code(Severity.ERROR, SANITIZING),
    "listpack-duplicate": Code(Severity.ERROR, SANITIZING),
    "listpack-expiry": Code(Severity.ERROR, SANITIZING),
    "packed-nan-score": Code(Severity.ERROR, VALKEY_9_1),
    "packed-score": Code(Severity.WARNING),
    "ziplist-header": Code(Severity.ERROR),
    "ziplist": Code(Severity.ERROR),
    "ziplist-duplicate": Code(Severity.ERROR),
    "zipmap": Code(Severity.ERROR),
    "intset": Code(Severity.ERROR),
    "intset-order": Code(Severity.ERROR, SANITIZING),
    "quicklist-node": Code(Severity.ERROR),
    # Streams
    "stream-node": Code(Severity.ERROR),
    "stream-node-count": Code(Severity.ERROR, VALKEY_9_1),
    "stream-entry": Code(Severity.ERROR, SANITIZING),
    "stream-order": Code(Severity.WARNING),
    "stream-length": Code(Severity.ERROR),
    "stream-count": Code(Severity.ERROR, VALKEY_9_1),
    "duplicate-group": Code(Severity.ERROR),
    "duplicate-consumer": Code(Severity.ERROR),
    "duplicate-pending": Code(Severity.ERROR),
    "unknown-pending": Code(Severity.ERROR),
    "orphan-pending": Code(Severity.ERROR, SANITIZING),
    "producer-settings": Code(Severity.ERROR),
    "duplicate-producer": Code(Severity.ERROR),
}
"""Errors that end the reading (`malformed`, `truncated`, `unsupported`, `unreadable`) are not here."""
