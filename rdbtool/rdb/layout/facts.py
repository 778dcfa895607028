"""What a snapshot or a log can hold besides plain keys and elements, as facts with names; and the count of those lost.

Which facts a format keeps is in the table of `outputs.registry`, and what a server's release keeps in
`rdb.targets.kept_by`. Whoever meets a fact that is not kept counts it in `Losses`, under its name here.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import UnsupportedError

FIELD_EXPIRIES: Final = "field expiries"
STREAMS: Final = "streams"
EMPTY_STREAMS: Final = "empty streams"
STREAM_COUNTERS: Final = "stream counters"
GROUPS: Final = "stream groups"
CONSUMERS: Final = "consumers"
SEEN_TIMES: Final = "consumer seen times"
ACTIVE_TIMES: Final = "consumer active times"
PENDING: Final = "pending entries"
PENDING_OWNERS: Final = "owners of pending entries"
RELEASED: Final = "released entries"
DELETED_PENDING: Final = "pending entries of deleted messages"
IDEMPOTENCE: Final = "idempotent producers"
MODULE_VALUES: Final = "module values"
MODULE_VERSIONS: Final = "versions of module values"
MODULE_AUX: Final = "module auxiliary data"
FUNCTIONS: Final = "functions"
ACCESS_TIMES: Final = "idle times and access frequencies"
KEY_META: Final = "module metadata of keys"
ARRAYS: Final = "arrays"
ARRAY_CURSORS: Final = "insert positions of arrays"
PATH_HASHES: Final = "path hashes"
EMPTY_PATH_HASHES: Final = "empty path hashes"
SLOT_IMPORTS: Final = "slot migrations"
AUX: Final = "auxiliary fields"

NOTHING: Final[frozenset[str]] = frozenset()
ALL: Final[frozenset[str]] = frozenset(
    {
        FIELD_EXPIRIES,
        STREAMS,
        EMPTY_STREAMS,
        STREAM_COUNTERS,
        GROUPS,
        CONSUMERS,
        SEEN_TIMES,
        ACTIVE_TIMES,
        PENDING,
        PENDING_OWNERS,
        RELEASED,
        DELETED_PENDING,
        IDEMPOTENCE,
        MODULE_VALUES,
        MODULE_VERSIONS,
        MODULE_AUX,
        FUNCTIONS,
        ACCESS_TIMES,
        KEY_META,
        ARRAYS,
        ARRAY_CURSORS,
        PATH_HASHES,
        EMPTY_PATH_HASHES,
        SLOT_IMPORTS,
        AUX,
    }
)

PART_OF: Final[dict[str, str]] = {
    EMPTY_STREAMS: STREAMS,
    STREAM_COUNTERS: STREAMS,
    GROUPS: STREAMS,
    IDEMPOTENCE: STREAMS,
    CONSUMERS: GROUPS,
    SEEN_TIMES: CONSUMERS,
    ACTIVE_TIMES: CONSUMERS,
    PENDING: GROUPS,
    PENDING_OWNERS: PENDING,
    RELEASED: PENDING,
    DELETED_PENDING: PENDING,
    MODULE_VERSIONS: MODULE_VALUES,
    ARRAY_CURSORS: ARRAYS,
    EMPTY_PATH_HASHES: PATH_HASHES,
}
"""A fact that is lost with another one, and is then not counted by itself."""

OF_TYPE: Final[dict[str, str]] = {"stream": STREAMS, "array": ARRAYS, "path-hash": PATH_HASHES}
"""Types that older servers do not have: a key of one is lost as a whole, under this name."""

ABOUT_THE_FILE: Final[frozenset[str]] = frozenset({AUX})
"""Facts about a file and not about its dataset: each server writes its own, so their loss is not counted."""
MADE_BY_REPLAY: Final[frozenset[str]] = frozenset({SEEN_TIMES, ACTIVE_TIMES})
"""Facts that a replay takes from its own clock: a log does not hold them, so it cannot lose them."""


def all_but(*lost: str) -> frozenset[str]:
    """All facts without these and their parts."""
    kept = set(ALL)
    for fact in ALL:
        whole: str | None = fact
        while whole is not None:
            if whole in lost:
                kept.discard(fact)
            whole = PART_OF.get(whole)
    return frozenset(kept)


@final
class Losses:
    """What was met and could not be kept: how many, by fact.

    ``where``: what cannot keep it, for messages; ``keeps``: the facts that it keeps; ``untold``: facts that are not
    counted; ``lossless``: raise `UnsupportedError` instead of counting. ``key``: the key at hand, for that error.
    """

    def __init__(
        self,
        where: str,
        keeps: frozenset[str] = NOTHING,
        *,
        untold: frozenset[str] = ABOUT_THE_FILE,
        lossless: bool = False,
    ) -> None:
        self.where = where
        self.keeps = keeps
        self.untold = untold
        self.lossless = lossless
        self.counts: dict[str, int] = {}
        self.key: bytes | None = None

    def left_out(self, fact: str) -> None:
        """A fact was met that nobody writes.

        It is counted, unless it goes with another one that is lost. Raises `NotImplementedError` if the fact is said
        to be kept.
        """
        if fact in self.keeps:
            raise NotImplementedError(f"{self.where} is said to keep {fact}, but does not write it")
        whole = PART_OF.get(fact)
        if (whole is None or whole in self.keeps) and fact not in self.untold:
            self.add(fact)

    def add(self, fact: str, count: i64 = 1) -> None:
        """Count something that could not be kept, or refuse it."""
        if self.lossless:
            raise UnsupportedError(f"{self.where} cannot keep {fact}", doing="writing an RDB", key=self.key)
        self.counts[fact] = self.counts.get(fact, 0) + count
