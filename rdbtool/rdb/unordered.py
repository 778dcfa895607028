"""Whether two payloads differ in the order of their elements only: servers write large sets and hashes in the
order of their tables, which is another one after every restart.
"""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.io.window import Window, window_over

from .layout.primitives import read_count, skip_string
from .types import TypeRow


def is_unordered(row: TypeRow) -> bool:
    """Whether `same_elements` can tell of payloads of that type."""
    return row.element_strings > 0


def same_elements(row: TypeRow, left: bytes, right: bytes) -> bool:
    """Whether two payloads of one type hold the same elements, to the byte, in whatever order.

    They may have the same meaning where this is False: an element can be encoded in several ways. Raises
    what reading raises.
    """
    if len(left) != len(right):
        return False
    strings = row.element_strings
    behind = row.element_bytes
    w = window_over(left)
    count = read_count(w, 1)
    left_over = count
    elements: set[bytes] = set()
    while left_over > 0:
        start = w.pos
        _skip_element(w, strings, behind)
        elements.add(left[start : w.pos])
        left_over -= 1
    if len(elements) != count:
        return False
    w = window_over(right)
    if read_count(w, 1) != count:
        return False
    while count > 0:
        start = w.pos
        _skip_element(w, strings, behind)
        element = right[start : w.pos]
        if element not in elements:
            return False
        elements.remove(element)
        count -= 1
    return True


def _skip_element(w: Window, strings: i64, behind: i64) -> None:
    skip_string(w)
    if strings > 1:
        skip_string(w)
    if behind > 0:
        w.skip(behind)
