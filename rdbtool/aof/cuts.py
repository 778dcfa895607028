"""The cuts of a repair, however many there are."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Final, final

from mypy_extensions import i64

from rdbtool.findings import KEPT_PER_CODE

UNDONE: Final = "undone"
"""Code of a cut that loses nothing: of damage, in whose place is put what was there."""
NUMBERS: Final = 6
"""Of each cut beyond the first."""
MOST_REASONS: Final = 1000
"""Different messages that are kept."""
BY_SERVER: Final = 1
BLIND_SELECT: Final = 2


@final
class Cut:
    """Bytes ``start`` to ``end`` that a repair drops, and why.

    ``commands`` and ``transactions`` of them could be read; ``keys`` are those of the first commands.
    ``insert`` takes their place: a SELECT where the database would otherwise change.
    """

    def __init__(self, start: i64, end: i64, code: str, message: str) -> None:
        self.start: i64 = start
        self.end: i64 = end
        self.code = code
        self.message = message
        self.commands: i64 = 0
        self.transactions: i64 = 0
        self.keys: tuple[bytes, ...] = ()
        self.insert = b""
        self.by_server = False
        """A server cuts this by itself, and no command behind the damage could be kept."""
        self.blind_select = False
        """It seems to hold a damaged SELECT: commands behind it may run in the wrong database."""


@final
class Cuts:
    """Cuts in a row. Of all but the first ``kept`` the names of keys are not kept, and not every different message.

    What is got from it may be a copy: a change of it counts when it is put back.
    """

    def __init__(self, cuts: Iterable[Cut] = (), *, kept: int = KEPT_PER_CODE) -> None:
        self.kept = kept
        self._first: list[Cut] = []
        self._numbers = array("q")
        self._reasons: list[tuple[str, str]] = []
        self._known: dict[tuple[str, str], int] = {}
        self._inserts: dict[bytes, int] = {b"": 0}
        self._inserted: list[bytes] = [b""]
        for cut in cuts:
            self.append(cut)

    def __len__(self) -> int:
        return len(self._first) + len(self._numbers) // NUMBERS

    def __iter__(self) -> Iterator[Cut]:
        for i in range(len(self)):
            yield self[i]

    def __getitem__(self, i: int) -> Cut:
        if i < 0:
            i += len(self)
        if i < len(self._first):
            return self._first[i]
        at = (i - len(self._first)) * NUMBERS
        start, end, commands, transactions, reason, more = self._numbers[at : at + NUMBERS]
        code, message = self._reasons[reason]
        cut = Cut(start, end, code, message)
        cut.commands = commands
        cut.transactions = transactions
        cut.by_server = more & BY_SERVER != 0
        cut.blind_select = more & BLIND_SELECT != 0
        cut.insert = self._inserted[more >> 2]
        return cut

    def __setitem__(self, i: int, cut: Cut) -> None:
        if i < 0:
            i += len(self)
        if i < len(self._first):
            self._first[i] = cut
            return
        at = (i - len(self._first)) * NUMBERS
        self._numbers[at : at + NUMBERS] = array("q", self._packed(cut))

    def append(self, cut: Cut) -> None:
        """Add one behind all others."""
        if len(self._first) < self.kept:
            self._first.append(cut)
        else:
            self._numbers.extend(self._packed(cut))

    def clear(self) -> None:
        """Remove all."""
        self._first.clear()
        del self._numbers[:]

    def first(self, count: int) -> list[Cut]:
        """The first of them, ``count`` at most."""
        return [self[i] for i in range(min(count, len(self)))]

    def _packed(self, cut: Cut) -> list[int]:
        reason = (cut.code, cut.message)
        number = self._known.get(reason, -1)
        if number < 0 and len(self._reasons) >= MOST_REASONS:
            reason = (cut.code, f"as others before: {cut.code}")
            number = self._known.get(reason, -1)
        if number < 0:
            number = self._known[reason] = len(self._reasons)
            self._reasons.append(reason)
        insert = self._inserts.get(cut.insert, -1)
        if insert < 0:
            insert = self._inserts[cut.insert] = len(self._inserted)
            self._inserted.append(cut.insert)
        more = insert << 2 | (BY_SERVER if cut.by_server else 0) | (BLIND_SELECT if cut.blind_select else 0)
        return [int(cut.start), int(cut.end), int(cut.commands), int(cut.transactions), number, more]
