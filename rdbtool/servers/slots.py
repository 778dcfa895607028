"""The hash slots of a cluster (cluster.c, keyHashSlot)."""

from __future__ import annotations

from binascii import crc_hqx
from typing import Final

SLOTS: Final = 16384
"""Hash slots of a cluster."""


def hash_slot(key: bytes) -> int:
    """The slot of ``key``: of what stands between the first ``{`` and the next ``}``, if anything does."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) & (SLOTS - 1)
