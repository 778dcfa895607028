"""How values are written: the encodings a target knows, its limits, and what does not fit into them."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import UnsupportedError
from rdbtool.servers.limits import Limits

FIELD_EXPIRIES: Final = "field expiries"
STREAMS: Final = "streams"
STREAM_COUNTERS: Final = "stream counters"
ACTIVE_TIMES: Final = "consumer active times"
IDEMPOTENCE: Final = "idempotent producers"
MODULE_VALUES: Final = "module values"
MODULE_AUX: Final = "module auxiliary data"
FUNCTIONS: Final = "functions"
ACCESS_TIMES: Final = "idle times and access frequencies"
KEY_META: Final = "module metadata of keys"
SLOT_IMPORTS: Final = "slot migrations"
"""Kinds of what a target may not be able to keep."""


@final
class Losses:
    """What could not be kept: how many, by kind. ``lossless``: raise `UnsupportedError` instead of counting."""

    def __init__(self, target: str, *, lossless: bool = False) -> None:
        self.target = target
        self.lossless = lossless
        self.counts: dict[str, int] = {}
        self.key: bytes | None = None

    def add(self, kind: str, count: i64 = 1) -> None:
        """Count a loss, or refuse it."""
        if self.lossless:
            raise UnsupportedError(f"{self.target} cannot keep {kind}", doing="writing an RDB", key=self.key)
        self.counts[kind] = self.counts.get(kind, 0) + count


NO_FIELD_EXPIRY: Final[i64] = 0
METADATA: Final[i64] = 1
HASH2: Final[i64] = 2
"""How a target keeps the expiries of fields: not at all, as Redis, as Valkey."""


@final
class TargetEncodings:
    """The encodings of a target.

    ``listpacks``: instead of ziplists; ``set_listpacks``: sets can be listpacks; ``plain_nodes_from``: bytes
    from which on an element of a list has a node of its own; ``streams``: version of the stream format, 0
    for none; ``idempotence``: it has the fourth version too; ``field_expiry``: NO_FIELD_EXPIRY, METADATA or
    HASH2; ``digits17``: scores in packed values have 17 digits; ``compress``: LZF.
    """

    def __init__(
        self,
        limits: Limits,
        losses: Losses,
        *,
        listpacks: bool,
        set_listpacks: bool,
        plain_nodes_from: i64,
        streams: i64,
        idempotence: bool,
        field_expiry: i64,
        digits17: bool,
        compress: bool,
    ) -> None:
        self.limits = limits
        self.losses = losses
        self.listpacks = listpacks
        self.set_listpacks = set_listpacks
        self.plain_nodes_from: i64 = plain_nodes_from
        self.streams: i64 = streams
        self.idempotence = idempotence
        self.field_expiry: i64 = field_expiry
        self.digits17 = digits17
        self.compress = compress

    def stream_version(self, *, producers: bool) -> int:
        """The version of the format for a stream; ``producers``: it has the state of idempotent producers."""
        return 4 if producers and self.idempotence else self.streams
