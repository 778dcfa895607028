"""Cuts beyond the first, which are kept as numbers."""

from __future__ import annotations

import pytest

from rdbtool.aof.cuts import MOST_REASONS, Cut, Cuts


def cut(n: int) -> Cut:
    made = Cut(10 * n, 10 * n + 5, "malformed", f"message {n % 7}")
    made.commands = n
    made.transactions = n % 2
    made.keys = (b"SET key",)
    made.insert = b"SELECT %d" % (n % 3) if n % 3 else b""
    made.by_server = n % 2 == 0
    made.blind_select = n % 5 == 0
    return made


def facts(one: Cut) -> tuple[object, ...]:
    numbers = (int(one.start), int(one.end), int(one.commands), int(one.transactions))
    return *numbers, one.code, one.message, one.insert, one.by_server, one.blind_select


@pytest.mark.parametrize("kept", [0, 10, 200])
def test_all_of_a_cut_but_its_keys_is_kept_however_many_there_are(kept: int) -> None:
    cuts = Cuts((cut(n) for n in range(100)), kept=kept)
    assert len(cuts) == 100
    assert [facts(one) for one in cuts] == [facts(cut(n)) for n in range(100)]
    assert [bool(one.keys) for one in cuts] == [n < kept for n in range(100)]
    assert facts(cuts[-1]) == facts(cut(99))
    assert [facts(one) for one in cuts.first(20)] == [facts(cut(n)) for n in range(20)]
    for n in (3, 50, -1):
        changed = cuts[n]
        changed.end += 1
        changed.insert = b"another"
        cuts[n] = changed
        assert facts(cuts[n]) == facts(changed)
    assert facts(cuts[51]) == facts(cut(51))
    cuts.clear()
    assert not list(cuts)


def test_of_very_many_messages_not_all_are_kept() -> None:
    cuts = Cuts((Cut(n, n + 1, "malformed", f"message {n}") for n in range(2 * MOST_REASONS)), kept=0)
    assert cuts[MOST_REASONS - 1].message == f"message {MOST_REASONS - 1}"
    assert cuts[-1].message == "as others before: malformed"
    assert cuts[-1].start == 2 * MOST_REASONS - 1
