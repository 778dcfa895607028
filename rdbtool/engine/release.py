"""Server lines: what differs between releases in how a dataset is kept and shown.

The numbers are the defaults of the servers' configuration, from their config.c (redis.c before 3.2).
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import UsageError

NEWEST: Final = "redis-8.6"


@final
class Line:
    """A release line such as ``redis-7.4`` or ``valkey-9.1``, by the facts that replay depends on.

    ``version`` is major * 100 + minor.
    """

    def __init__(self, name: str = NEWEST) -> None:
        brand, _, release = name.partition("-")
        numbers = release.split(".")
        if brand not in {"redis", "valkey"} or not 1 <= len(numbers) <= 3 or not all(map(_is_number, numbers)):
            raise UsageError(f"no such server line: {name!r} (as in redis-7.4, valkey-9.1)")
        self.name = name
        self.valkey = brand == "valkey"
        version = int(numbers[0]) * 100 + (int(numbers[1]) if len(numbers) > 1 else 0)
        self.version: i64 = version
        self.set_intset_entries: i64 = 512 if version >= 202 else 0
        self.set_listpack_entries: i64 = 128 if version >= 702 else 0
        self.hash_entries: i64 = 512 if version >= 202 else 64 if version >= 200 or version == 103 else 0
        self.hash_value: i64 = 64 if version >= 202 else 512
        self.zset_entries: i64 = 128 if version >= 204 else 0
        self.packed_value: i64 = 64
        """Bytes of the longest element that a listpack or ziplist takes, for all types but hashes."""
        self.field_expiry = version >= (900 if self.valkey else 704)
        self.score_17g = version < 702
        """Whether scores are printed with 17 digits, and not in the shortest form that reads back the same."""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 5


def line_of_version(version: str, *, valkey: bool = False) -> Line:
    """The line of the server that an AUX field ``redis-ver`` or ``valkey-ver`` names."""
    numbers = version.split(".")
    major, minor = numbers[0], numbers[1] if len(numbers) > 1 else "0"
    if not _is_number(major) or not _is_number(minor):
        return Line()
    if major == "255":  # a development build: newer than every release of its time
        return Line()
    return Line(f"{'valkey' if valkey else 'redis'}-{major}.{minor}")
