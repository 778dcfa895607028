"""The memory of a radix tree of keys that have one length and come in order: stream nodes, pending entries (rax.c)."""

from __future__ import annotations

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from rdbtool.servers.memory import Allocator

KEY: Final[i64] = 16


@final
class Rax:
    """Give it the keys of a tree with `add`, in order; then `finish`, and ``nodes`` and ``bytes`` are the tree's.

    A run of bytes in which no two keys differ is one node, a byte in which they do is one with so many children, and
    each key ends in a node without any. A tree of other keys than these is not known.
    """

    def __init__(self, allocator: Allocator) -> None:
        self.keys: i64 = 0
        self.nodes: i64 = 0
        self.bytes: i64 = 0
        self._last = b""
        self._depth: vec[i64] = vec[i64]([0] * (KEY + 2))
        self._children: vec[i64] = vec[i64]([0] * (KEY + 2))
        self._top: i64 = -1
        """Of the stack of bytes in which keys differ, on the way to the last key."""
        self._leaf: i64 = allocator.size(16)
        self._run: vec[i64] = vec[i64]([0] + [int(allocator.size(_padded(n) + 8)) for n in range(1, KEY + 1)])
        self._branch: vec[i64] = vec[i64]([int(allocator.size(_padded(n) + 8 * n)) for n in range(257)])
        self._empty: i64 = allocator.size(8)

    def begin(self) -> None:
        """Begin another tree."""
        self.keys = 0
        self.nodes = 0
        self.bytes = 0
        self._top = -1

    def add(self, key: bytes) -> None:
        """The next key, 16 bytes."""
        if self.keys > 0:
            self._close(_common(self._last, key))
        self.keys += 1
        self._last = key

    def finish(self) -> None:
        """All keys were added."""
        if self.keys == 0:
            self.nodes = 1
            self.bytes = self._empty
            return
        self._end(self._depth[self._top] if self._top >= 0 else -1, KEY)
        self._leave()
        while self._top >= 0:
            self._pop(-1 if self._top == 0 else self._depth[self._top - 1])

    def _close(self, depth: i64) -> None:
        """The last key, which has ``depth`` bytes in common with the next one, is complete."""
        above = self._depth[self._top] if self._top >= 0 else -1
        self._end(max(above, depth), KEY)
        self._leave()
        while self._top >= 0 and self._depth[self._top] > depth:
            above = self._depth[self._top - 1] if self._top > 0 else -1
            self._pop(max(above, depth))
        if self._top < 0 or self._depth[self._top] < depth:
            self._top += 1
            self._depth[self._top] = depth
            self._children[self._top] = 1
        self._children[self._top] += 1

    def _leave(self) -> None:
        self.nodes += 1
        self.bytes += self._leaf

    def _end(self, above: i64, depth: i64) -> None:
        """A run of bytes ends that began behind the byte ``above``."""
        run = depth - above - 1
        if run > 0:
            self.nodes += 1
            self.bytes += self._run[run]

    def _pop(self, above: i64) -> None:
        self._end(above, self._depth[self._top])
        self.nodes += 1
        # Of ids that are there more than once, as no server writes them, there are more than bytes have values.
        self.bytes += self._branch[min(self._children[self._top], 256)]
        self._top -= 1


def _padded(n: int) -> int:
    """A node's header and ``n`` bytes, up to where pointers may stand."""
    return (4 + n + 7) // 8 * 8


def _common(a: bytes, b: bytes) -> i64:
    """How many bytes two keys have in common at their beginning."""
    n: i64 = 0
    end: i64 = min(len(a), len(b), KEY - 1)
    while n < end and a[n] == b[n]:
        n += 1
    return n
