"""A sequence that is cheap at both ends, in native lists: smaller than a deque for the many short ones."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64, mypyc_attr

SHORT: Final = 64
"""Elements up to which shifting them all is cheaper than a second list."""


@final
@mypyc_attr(acyclic=True)
class Deque:
    """Elements in order: those of ``front`` from its end to its start, then those of ``back``."""

    __slots__ = ("back", "front")

    def __init__(self, elements: list[bytes]) -> None:
        self.front: list[bytes] | None = None
        self.back = elements

    def __len__(self) -> int:
        front = self.front
        return len(self.back) if front is None else len(front) + len(self.back)

    def push(self, element: bytes, head: bool) -> None:
        """Add at an end."""
        if not head:
            self.back.append(element)
            return
        front = self.front
        if front is not None:
            front.append(element)
        elif len(self.back) < SHORT:
            self.back.insert(0, element)
        else:
            self.front = [element]

    def pop(self, head: bool) -> bytes:
        """Remove and return the element at an end; there must be one."""
        front = self.front
        back = self.back
        if not head:
            if back:
                return back.pop()
            assert front is not None
            if len(front) <= SHORT:
                return front.pop(0)
            half = (len(front) + 1) // 2
            back = front[:half]
            back.reverse()
            self.back = back
            self.front = front[half:]
            return back.pop()
        if front:
            return front.pop()
        if len(back) <= SHORT:
            return back.pop(0)
        half = (len(back) + 1) // 2
        front = back[:half]
        front.reverse()
        self.front = front
        self.back = back[half:]
        return front.pop()

    def get(self, index: i64) -> bytes:
        """The element at ``index``, from 0 on."""
        front = self.front
        if front is None:
            return self.back[index]
        n: i64 = len(front)
        return front[n - 1 - index] if index < n else self.back[index - n]

    def set(self, index: i64, element: bytes) -> None:
        """Replace the element at ``index``."""
        front = self.front
        if front is None:
            self.back[index] = element
            return
        n: i64 = len(front)
        if index < n:
            front[n - 1 - index] = element
        else:
            self.back[index - n] = element

    def all(self) -> list[bytes]:
        """The elements in order, in one list, which is the deque's own from now on."""
        front = self.front
        if front is not None:
            front.reverse()
            front += self.back
            self.back = front
            self.front = None
        return self.back
