"""What a server's configuration says about the logs it loads."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.servers.limits import DATABASES

from .names import STOCK, CommandNames
from .resp import LINE, MAX_BULK


@final
class LogConfig:
    """``names``: commands that the server has in addition; ``databases``: how many it has; ``max_bulk``: its
    ``proto-max-bulk-len``; ``line``: the bytes of a header line that it reads at once.
    """

    def __init__(
        self, names: CommandNames = STOCK, *, databases: int = DATABASES, max_bulk: int = MAX_BULK, line: int = LINE
    ) -> None:
        self.names = names
        self.databases: i64 = databases
        self.max_bulk: i64 = max_bulk
        self.line: i64 = line


DEFAULT: Final = LogConfig()
"""That of a server as it comes."""
