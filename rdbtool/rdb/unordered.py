"""Whether two payloads differ in the order of their elements only: servers write large sets and hashes in the
order of their tables, which is another one after every restart.
"""

from __future__ import annotations

from rdbtool.io.window import window_over

from .layout.primitives import read_count
from .types import TypeRow


def is_unordered(row: TypeRow) -> bool:
    """Whether `same_elements` can tell of payloads of that type."""
    return row.skip_element is not None


def same_elements(row: TypeRow, left: bytes, right: bytes) -> bool:
    """Whether two payloads of one type hold the same elements, to the byte, in whatever order.

    They may have the same meaning where this is False: an element can be encoded in several ways. Raises
    what reading raises.
    """
    if len(left) != len(right):
        return False
    skip_element = row.skip_element
    assert skip_element is not None
    w = window_over(left)
    count = read_count(w, 1)
    left_over = count
    elements: set[bytes] = set()
    while left_over > 0:
        start = w.pos
        skip_element(w)
        elements.add(left[start : w.pos])
        left_over -= 1
    if len(elements) != count:
        return False
    w = window_over(right)
    if read_count(w, 1) != count:
        return False
    while count > 0:
        start = w.pos
        skip_element(w)
        element = right[start : w.pos]
        if element not in elements:
            return False
        elements.remove(element)
        count -= 1
    return True
