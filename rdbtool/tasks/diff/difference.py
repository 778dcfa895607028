"""One difference between two snapshots."""

from __future__ import annotations

from typing import Final, final

from rdbtool.errors import RdbToolError
from rdbtool.model import Value
from rdbtool.rdb.compare import Kept
from rdbtool.rdb.fingerprint import Fingerprint, fingerprint
from rdbtool.rdb.reader import Frame

from .snapshot import Snapshot

ADDED: Final = "added"
REMOVED: Final = "removed"
CHANGED: Final = "changed"
EXPIRY: Final = "expiry"
EVICTION: Final = "eviction"
ENCODING: Final = "encoding"
SAME: Final = "same"

KINDS: Final = (ADDED, REMOVED, CHANGED, EXPIRY, EVICTION, ENCODING)
"""What a difference is: by the value if that differs, else by the first of the others that does."""

FUNCTION: Final = "function"
MODULE_AUX: Final = "module-aux"
"""In place of a type: a function library, by its name; data of a module beside the keys, by the module's."""


@final
class Side:
    """A key as one of the snapshots has it. Facts are those of `Frame`; ``size`` is the payload's."""

    def __init__(self, snapshot: Snapshot, db: int, key: bytes, kept: Kept) -> None:
        self.type: str = kept.type.redis_type
        self.encoding: str = kept.type.name
        self.expire_at_ms: int = kept.expire_at_ms
        self.idle_s: int = kept.idle_s
        self.freq: int = kept.freq
        self.size: int = kept.size
        self.meta: bytes = kept.meta
        self._snapshot = snapshot
        self._db = db
        self._key = key
        self._kept = kept
        self._value: Value | None = None

    def frame(self) -> Frame:
        """The key, its value unread. A new one on each call."""
        return self._snapshot.frame(self._db, self._key, self._kept)

    def value(self) -> Value:
        """The decoded value, decoded once. Raises what reading raises."""
        value = self._value
        if value is None:
            try:
                value = self.frame().value()
            except RdbToolError as e:
                raise self._located(e) from None
            self._value = value
        return value

    def fingerprint(self, of: Fingerprint) -> bytes:
        """What ``of`` makes of the value, which is not held as a whole. Raises what reading raises."""
        try:
            return fingerprint(self.frame(), of)
        except RdbToolError as e:
            raise self._located(e) from None

    def _located(self, error: RdbToolError) -> RdbToolError:
        error.path = error.path or self._snapshot.name
        error.key = self._key
        return error


@final
class Difference:
    """A key, or function library, that differs. ``kind`` is one of `KINDS`; the side that lacks it is None.

    ``differs``: all that differs of a key both have: ``value``, ``expiry``, ``eviction``, ``encoding``.
    For what is no key ``db`` is -1, ``key`` a name, ``other`` its `FUNCTION` or `MODULE_AUX`, and ``codes`` the
    library's code, or the module's data, on both sides, b"" for none. ``large``: the values are not to be decoded
    as a whole, for want of memory.
    """

    def __init__(
        self, kind: str, db: int, key: bytes, left: Side | None, right: Side | None, differs: tuple[str, ...] = ()
    ) -> None:
        self.kind = kind
        self.db = db
        self.key = key
        self.left = left
        self.right = right
        self.differs = differs
        self.other = ""
        self.large = False
        self.codes = (b"", b"")

    @property
    def type(self) -> str:
        """The key's type, on the right side if it is there."""
        side = self.right or self.left
        return self.other if side is None else side.type
