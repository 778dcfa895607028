"""What is read in parts: the snapshots of the fixtures, and damaged ones."""

from __future__ import annotations

import random
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
SNAPSHOTS = sorted(path for path in FIXTURES.glob("**/*") if path.suffix in {".rdb", ".dfs"} and path.is_file())


def damaged(data: bytes, rng: random.Random) -> bytes:
    """``data`` cut off, or with a run of bytes taken out, doubled, or made random."""
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice([1, 1, 2, 9, 40]))
    kind = rng.randrange(5)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[end:]
    if kind == 2:
        return data[:at] + data[at:end] * 2 + data[end:]
    return data[:at] + rng.randbytes(end - at) + data[end:]
