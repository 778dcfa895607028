"""What is read in parts: the snapshots of the fixtures, and damaged ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
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


def some_damaged(path: Path, times: int, share: float) -> Iterator[random.Random]:
    """So many times a snapshot stands at ``path``, this ``share`` of them damaged; what draws them draws more."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(times):
        whole = rng.choice(SNAPSHOTS).read_bytes()
        path.write_bytes(damaged(whole, rng) if rng.random() < share else whole)
        yield rng
