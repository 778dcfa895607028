"""The opcodes of an RDB: everything between the header and the end that is not a key."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

# An opcode means something in a dialect only: whoever needs opcodes finds the dialects here too.
from rdbtool.servers.releases import DIALECT_NAMES as DIALECT_NAMES  # noqa: PLC0414 - named again to be exported
from rdbtool.servers.releases import REDIS as REDIS  # noqa: PLC0414 - likewise
from rdbtool.servers.releases import VALKEY as VALKEY  # noqa: PLC0414 - likewise

MAGICS: Final = (b"REDIS", b"VALKEY")
"""What a file begins with, by dialect; digits of the version follow."""

HASH_TEMPLATE_OR_UPDATE: Final[i64] = 242
KEY_META_OR_SLOT_IMPORT: Final[i64] = 243
SLOT_INFO: Final[i64] = 244
FUNCTION: Final[i64] = 245
FUNCTION_PRE_GA: Final[i64] = 246
MODULE_AUX: Final[i64] = 247
IDLE: Final[i64] = 248
FREQ: Final[i64] = 249
AUX: Final[i64] = 250
RESIZE_DB: Final[i64] = 251
RESIZE_DB_SINCE: Final[i64] = 7
"""The first RDB version with the sizes of databases (Redis 3.2)."""
EXPIRE_MS: Final[i64] = 252
EXPIRE_S: Final[i64] = 253
SELECT_DB: Final[i64] = 254
EOF: Final[i64] = 255

LOWEST: Final[i64] = 242
"""Smaller bytes are types."""

UNREAD_SINCE: Final = (16, 81)
"""By dialect, the first RDB version that may hold types and opcodes that are not read. In older ones such a byte is
damage.
"""
