"""Which keys are wanted. Decided from a key's facts, before its value is looked at."""

from __future__ import annotations

import re
import zlib
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import RdbToolError
from rdbtool.io.window import Window
from rdbtool.model import NO_EXPIRY, Entry, type_name
from rdbtool.rdb.frame import Frame
from rdbtool.servers.slots import hash_slot

STAR: Final = 42
QUESTION: Final = 63
BRACKET: Final = 91
BACKSLASH: Final = 92

TTL_NONE: Final = (-2, -2)
TTL_ANY: Final = (-1, -1)
"""In a list of ranges of ms: no expiry, any expiry."""


def matches_glob(pattern: bytes, text: bytes) -> bool:
    r"""Whether all of ``text`` matches, as the server's KEYS does: ``*``, ``?``, ``[a-c]``, ``[^a]``, ``\``."""
    p: i64 = 0
    s: i64 = 0
    m: i64 = len(pattern)
    n: i64 = len(text)
    star: i64 = -1
    mark: i64 = 0
    while s < n:
        after: i64 = -1
        if p < m:
            wanted: i64 = pattern[p]
            if wanted == STAR:
                star = p
                mark = s
                p += 1
                continue
            char: i64 = text[s]
            if QUESTION <= wanted <= BACKSLASH:  # what means something else, and capitals
                after = _match_one(pattern, p, m, char)
            elif wanted == char:
                after = p + 1
        if after >= 0:
            p = after
            s += 1
        elif star >= 0:
            # let the last star take one more
            mark += 1
            s = mark
            p = star + 1
        else:
            return False
    while p < m and pattern[p] == STAR:
        p += 1
    return p == m


def _match_one(pattern: bytes, p: i64, m: i64, c: i64) -> i64:
    """Where the pattern goes on if what stands at ``p`` matches byte ``c``, else -1 (util.c, stringmatchlen)."""
    first: i64 = pattern[p]
    if first == QUESTION:
        return p + 1
    if first == BRACKET:
        return _match_class(pattern, p + 1, m, c)
    if first == BACKSLASH and m - p >= 2:
        p += 1
        first = pattern[p]
    return p + 1 if first == c else -1


def _match_class(pattern: bytes, p: i64, m: i64, c: i64) -> i64:
    """`_match_one` for what follows a ``[``. Without its ``]``, a class goes to the end of the pattern."""
    inverted = p < m and pattern[p] == 94
    if inverted:
        p += 1
    found = False
    while p < m and pattern[p] != 93:
        first: i64 = pattern[p]
        if first == BACKSLASH and m - p >= 2:
            p += 1
            found = found or pattern[p] == c
        elif m - p >= 3 and pattern[p + 1] == 45:
            last: i64 = pattern[p + 2]
            p += 2
            found = found or min(first, last) <= c <= max(first, last)
        else:
            found = found or first == c
        p += 1
    if found == inverted:
        return -1
    return p + 1 if p < m else m


@final
class Selection:
    """The keys that are wanted; without any condition, all.

    ``dbs``, ``types``: empty for any; ``not_dbs``, ``not_types``: none of these. ``keys``: globs, ``regexes``: searched
    for; one of them all must match, and no glob of ``not_keys``. ``exact``: only these keys, where it is not None;
    those that were found turn True; ``spelled``: a key of them -> another one that its name may mean as well. ``ttl``:
    ranges of what is left at ``now_ms``, in ms, `TTL_NONE`, `TTL_ANY`; one must match. ``expired``: True for expired
    keys only, False for the others only. ``slots``: one byte per hash slot, 1 for wanted. ``min_size``: bytes of the
    payload in a file. ``sample``: this part of the keys, the same ones every time. ``limit``: so many at most.
    """

    def __init__(self) -> None:
        self.dbs: list[int] = []
        self.not_dbs: list[int] = []
        self.types: list[str] = []
        self.not_types: list[str] = []
        self.keys: list[bytes] = []
        self.regexes: list[re.Pattern[bytes]] = []
        self.not_keys: list[bytes] = []
        self.exact: dict[bytes, bool] | None = None
        self.spelled: dict[bytes, bytes] = {}
        self.ttl: list[tuple[int, int]] = []
        self.expired: bool | None = None
        self.now_ms: i64 = 0
        self.slots = b""
        self.min_size: i64 = 0
        self.sample = 1.0
        self.limit: i64 = -1
        self.kept: i64 = 0
        self._checked = False
        self._facts = False

    def __repr__(self) -> str:
        every = Selection()
        names = ("dbs", "not_dbs", "types", "not_types", "keys", "regexes", "not_keys", "ttl", "expired", "min_size")
        asked = [name for name in (*names, "sample", "limit") if getattr(self, name) != getattr(every, name)]
        asked += ["exact"] if self.exact is not None else []
        asked += ["slots"] if self.slots else []
        return f"<Selection by {', '.join(asked) or 'nothing'}>"

    @property
    def one_name(self) -> bytes | None:
        """The only key that is wanted, where one is named; None for any other choice."""
        names = self.keys or [name for name in self.exact or () if name not in self.spelled.values()]
        if len(names) != 1 or (self.keys and set(names[0]) & set(b"*?[\\")):
            return None
        return names[0]

    @property
    def everything(self) -> bool:
        """Whether there is no condition."""
        self._look()
        return not self._facts and self.min_size == 0 and self.limit < 0

    def _look(self) -> None:
        """Find out whether there is any condition on facts, so that none costs nothing."""
        self._checked = True
        self._facts = bool(
            self.dbs
            or self.not_dbs
            or self.types
            or self.not_types
            or self.keys
            or self.regexes
            or self.not_keys
            or self.exact is not None
            or self.ttl
            or self.expired is not None
            or self.slots
            or self.sample < 1.0
        )

    @property
    def missing(self) -> list[bytes]:
        """The keys of ``exact`` that were not found, neither under their name's one meaning nor the other."""
        exact = self.exact or {}
        others = set(self.spelled.values())
        gone = [key for key, found in exact.items() if not found and key not in others]
        return [key for key in gone if key not in self.spelled or not exact[self.spelled[key]]]

    @property
    def full(self) -> bool:
        """Whether ``limit`` is reached."""
        return 0 <= self.limit <= self.kept

    def keeps(self, frame: Frame) -> bool:
        """Whether a key of a file is wanted; it is counted then."""
        if not self._checked:
            self._look()
        if self._facts and not self.wants(frame.db, frame.key, frame.type.redis_type, frame.expire_at_ms):
            return False
        if self.min_size > 0 and not _is_large(frame, self.min_size):
            return False
        self._keep(frame.key)
        return True

    def _keep(self, key: bytes) -> None:
        self.kept += 1
        exact = self.exact
        if exact is not None:
            exact[key] = True

    def keeps_entry(self, entry: Entry) -> bool:
        """Whether a decoded key is wanted; it is counted then. Its size is not known, and not looked at."""
        return self.keeps_facts(entry.db, entry.key, type_name(entry.value), entry.expire_at_ms)

    def keeps_facts(self, db: i64, key: bytes, redis_type: str, expire_at_ms: i64) -> bool:
        """Whether a key with these facts is wanted; it is counted then."""
        if not self._checked:
            self._look()
        if self._facts and not self.wants(db, key, redis_type, expire_at_ms):
            return False
        self._keep(key)
        return True

    def wants(self, db: i64, key: bytes, redis_type: str, expire_at_ms: i64) -> bool:
        """Whether these facts meet all conditions but those on size and number."""
        if self.dbs and db not in self.dbs:
            return False
        if self.not_dbs and db in self.not_dbs:
            return False
        if self.types and redis_type not in self.types:
            return False
        if self.not_types and redis_type in self.not_types:
            return False
        exact = self.exact
        if exact is not None and key not in exact:
            return False
        if (self.ttl or self.expired is not None) and not self._in_time(expire_at_ms):
            return False
        if (self.keys or self.regexes) and not self._matches(key):
            return False
        for pattern in self.not_keys:
            if matches_glob(pattern, key):
                return False
        if self.slots and self.slots[hash_slot(key)] == 0:
            return False
        return self.sample >= 1.0 or zlib.crc32(key) < self.sample * 4294967296.0

    def _matches(self, key: bytes) -> bool:
        for pattern in self.keys:
            if matches_glob(pattern, key):
                return True
        return any(regex.search(key) for regex in self.regexes)

    def _in_time(self, expire_at_ms: i64) -> bool:
        left = expire_at_ms - self.now_ms
        has_expired = expire_at_ms != NO_EXPIRY and left <= 0
        if self.expired is not None and self.expired != has_expired:
            return False
        if not self.ttl:
            return True
        for span in self.ttl:
            if expire_at_ms == NO_EXPIRY:
                if span == TTL_NONE:
                    return True
            elif span == TTL_ANY or (span[0] >= 0 and span[0] <= left <= span[1]):
                return True
        return False


def _is_large(frame: Frame, size: i64) -> bool:
    """Whether a payload has at least ``size`` bytes, found out without passing it."""
    if frame.size >= 0:
        return frame.size >= size
    w = frame.peek()
    within = size - 1
    ahead: i64 = 1 << 16
    while True:
        want = min(ahead, within)
        if w.size >= 0:
            want = min(want, w.size - w.offset())
        w.need(want)
        room = min(w.end - w.pos, within)
        part = Window(None, path=w.path, size=w.base + w.pos + room, data=w.data, base=w.base)
        part.pos = w.pos
        part.end = w.pos + room
        try:
            frame.type.skip(part)
        except RdbToolError:
            if room == within or room < ahead:
                # It does not fit into one byte less, or it is damaged, which whoever reads it will see.
                return True
            ahead *= 4
        else:
            return False
