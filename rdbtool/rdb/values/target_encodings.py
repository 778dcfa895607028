"""How values are written: the encodings a target knows, its limits, and what does not fit into them."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.rdb.layout.facts import Losses
from rdbtool.servers.limits import Limits

NO_FIELD_EXPIRY: Final[i64] = 0
METADATA: Final[i64] = 1
HASH2: Final[i64] = 2
"""How a target keeps the expiries of fields: not at all, as Redis, as Valkey."""


@final
class TargetEncodings:
    """The encodings of a target.

    ``listpacks``: instead of ziplists; ``set_listpacks``: sets can be listpacks; ``plain_nodes_from``: bytes
    from which on an element of a list has a node of its own; ``streams``: version of the stream format, 0
    for none; ``idempotence``: it has the fourth version too; ``released``: and the fifth; ``field_expiry``:
    NO_FIELD_EXPIRY, METADATA or HASH2; ``digits17``: scores in packed values have 17 digits; ``compress``: LZF.
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
        released: bool,
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
        self.released = released
        self.field_expiry: i64 = field_expiry
        self.digits17 = digits17
        self.compress = compress

    def stream_version(self, *, producers: bool, released: bool = False) -> int:
        """The version of the format for a stream; ``producers``: it has the state of idempotent producers;
        ``released``: it has pending entries that nobody has.
        """
        if released and self.released:
            return 5
        return 4 if producers and self.idempotence else self.streams
