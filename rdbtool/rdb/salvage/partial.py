"""What can be read of a damaged collection, as a record of its own."""

from __future__ import annotations

from rdbtool.io.random_access import Pages
from rdbtool.rdb.reader import Frame


def partial_record(pages: Pages, frame: Frame, at: int, end: int, version: int) -> tuple[bytes, int]:
    """A record with the elements of ``frame`` that can be read, and how many they are."""
    return b"", 0
