"""Points in time as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from rdbtool.errors import UsageError

LATEST: Final = (1 << 63) // 1000 - 1
"""The last second whose milliseconds fit the 64 bits that files and servers keep them in."""


def parse_time(text: str) -> int:
    """Unix seconds, from a number or ISO 8601; a time without a zone is UTC. Raises `UsageError`."""
    if text.isascii() and text.isdigit():
        seconds = int(text) if len(text) < 20 else LATEST + 1
    else:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(f"not a time: {text!r} (as in 1767225600, or 2026-01-01T00:00:00Z)") from None
        seconds = int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    if not 0 <= seconds <= LATEST:
        raise UsageError(f"not a time that a file can hold: {text!r}")
    return seconds
