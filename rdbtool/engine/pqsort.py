"""The server's partial quicksort (pqsort.c, after Bentley and McIlroy).

Which of several equal elements come first is not left to chance: a server that keeps the first few of them
has kept those that this very sequence of swaps brings to the front.
"""

from __future__ import annotations

from mypy_extensions import i64


def partly_sorted(ranks: list[int], left: i64, right: i64) -> list[int]:
    """Positions in ``ranks``, in an order by rank that holds from ``left`` to ``right``."""
    order = list(range(len(ranks)))
    _sort(order, ranks, 0, len(ranks), left, right)
    return order


def _compare(order: list[int], ranks: list[int], i: i64, j: i64) -> i64:
    return ranks[order[i]] - ranks[order[j]]


def _swap(order: list[int], i: i64, j: i64, count: i64) -> None:
    k: i64 = 0
    while k < count:
        order[i + k], order[j + k] = order[j + k], order[i + k]
        k += 1


def _median(order: list[int], ranks: list[int], a: i64, b: i64, c: i64) -> i64:
    if _compare(order, ranks, a, b) < 0:
        if _compare(order, ranks, b, c) < 0:
            return b
        return c if _compare(order, ranks, a, c) < 0 else a
    if _compare(order, ranks, b, c) > 0:
        return b
    return a if _compare(order, ranks, a, c) < 0 else c


def _sort(order: list[int], ranks: list[int], a: i64, n: i64, left: i64, right: i64) -> None:
    while True:
        if n < 7:
            m = a + 1
            while m < a + n:
                i = m
                while i > a and _compare(order, ranks, i - 1, i) > 0:
                    _swap(order, i, i - 1, 1)
                    i -= 1
                m += 1
            return
        middle = a + n // 2
        if n > 7:
            low = a
            high = a + n - 1
            if n > 40:
                d = n // 8
                low = _median(order, ranks, low, low + d, low + 2 * d)
                middle = _median(order, ranks, middle - d, middle, middle + d)
                high = _median(order, ranks, high - 2 * d, high - d, high)
            middle = _median(order, ranks, low, middle, high)
        _swap(order, a, middle, 1)
        pa = pb = a + 1
        pc = pd = a + n - 1
        while True:
            while pb <= pc:
                result = _compare(order, ranks, pb, a)
                if result > 0:
                    break
                if result == 0:
                    _swap(order, pa, pb, 1)
                    pa += 1
                pb += 1
            while pb <= pc:
                result = _compare(order, ranks, pc, a)
                if result < 0:
                    break
                if result == 0:
                    _swap(order, pc, pd, 1)
                    pd -= 1
                pc -= 1
            if pb > pc:
                break
            _swap(order, pb, pc, 1)
            pb += 1
            pc -= 1
        end = a + n
        r = min(pa - a, pb - pa)
        _swap(order, a, pb - r, r)
        r = min(pd - pc, end - pd - 1)
        _swap(order, pb, end - r, r)
        r = pb - pa
        if r > 1 and left <= a + r - 1 and right >= a:
            _sort(order, ranks, a, r, left, right)
        r = pd - pc
        if r <= 1:
            return
        a = end - r
        n = r
        if left > a + n - 1 or right < a:
            return
