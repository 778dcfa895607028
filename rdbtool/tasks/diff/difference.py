"""One difference between two snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

from rdbtool.errors import RdbToolError, shortened
from rdbtool.rdb import meaning
from rdbtool.rdb.compare import Kept
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.meaning import Facts, Scope
from rdbtool.rdb.types import TypeRow

from .details import Change, changes
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
    """A key as one of the snapshots has it. What is known of it is as in `Frame`; ``size`` is the payload's."""

    def __init__(self, snapshot: Snapshot, db: int, key: bytes, kept: Kept) -> None:
        self.row: TypeRow = kept.type
        self.type: str = kept.type.redis_type
        self.encoding: str = kept.type.name
        self.expire_at_ms: int = kept.expire_at_ms
        self.idle_s: int = kept.idle_s
        self.freq: int = kept.freq
        self.size: int = kept.size
        self.meta: bytes = kept.meta
        self.db = db
        self._snapshot = snapshot
        self._key = key
        self.kept = kept
        self._facts: Facts | None = None

    def frame(self) -> Frame:
        """The key, its value unread. A new one on each call."""
        return self._snapshot.frame(self.db, self._key, self.kept)

    def facts(self, scope: Scope) -> Facts:
        """What the value means; found once for each scope. Raises what reading raises."""
        found = self._facts
        if found is None or found.scope is not scope:
            try:
                found = meaning.facts(self.frame(), scope)
            except RdbToolError as e:
                raise self._located(e) from None
            self._facts = found
        return found

    def fingerprint(self, scope: Scope) -> bytes:
        """A digest of what the value means, which is not held as a whole. Raises what reading raises."""
        try:
            return meaning.fingerprint(self.frame(), scope)
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
    library's code, or the module's data, on both sides, b"" for none. ``scope``: which facts of the values count,
    where both have the key and are of one type. ``large``: the values are not to be held as a whole, for want of
    memory.
    """

    def __init__(
        self,
        kind: str,
        db: int,
        key: bytes,
        left: Side | None,
        right: Side | None,
        differs: tuple[str, ...] = (),
        scope: Scope | None = None,
    ) -> None:
        self.kind = kind
        self.db = db
        self.key = key
        self.left = left
        self.right = right
        self.differs = differs
        self.scope = scope
        self.other = ""
        self.large = False
        self.codes = (b"", b"")

    def __repr__(self) -> str:
        what = f" ({', '.join(self.differs)})" if self.differs else ""
        return f"<Difference {self.kind} db={self.db} key={shortened(self.key)} {self.type}{what}>"

    @property
    def type(self) -> str:
        """The key's type, on the right side if it is there."""
        side = self.right or self.left
        return self.other if side is None else side.type

    @property
    def has_details(self) -> bool:
        """Whether both sides have a value of one type, and these differ."""
        return self.scope is not None and "value" in self.differs

    def changes(self) -> Iterator[Change]:
        """What differs inside the values, where `has_details` holds. Raises what reading raises."""
        assert self.left is not None
        assert self.right is not None
        assert self.scope is not None
        return changes(self.left.facts(self.scope), self.right.facts(self.scope))
