"""The CRC-64 at the end of an RDB and of a DUMP payload (Jones polynomial, reflected, no inversion)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

POLYNOMIAL: Final = 0x1AD93D23594C935A9

Update = Callable[[bytes, int], int]


def crc64_plain() -> Update:
    """The checksum by crcmod: anywhere, at about 0.3 GB/s, or 16 MB/s where no compiler was there to install it."""
    import crcmod

    return cast("Update", crcmod.mkCrcFun(POLYNOMIAL, initCrc=0, rev=True, xorOut=0))


def _fastest() -> Update:
    try:
        import anycrc
    except ImportError:
        return crc64_plain()
    engine = anycrc.Model("CRC64-REDIS")

    def update(data: bytes, crc: int) -> int:
        return cast("int", engine.calc(data, crc))

    return update


_made: Final[list[Update]] = []
"""What computes it, from the first use on: a log without a snapshot has no checksum to wait for."""


def crc64(data: bytes, crc: int = 0) -> int:
    """The checksum of ``data``, continued from ``crc``; unsigned 64-bit."""
    if not _made:
        _made.append(_fastest())
    return _made[0](data, crc)


def combines() -> bool:
    """Whether `crc64_of_both` can be had: anycrc is there."""
    try:
        import anycrc
    except ImportError:
        return False
    return bool(anycrc)


def crc64_of_both(first: int, second: int, size: int) -> int:
    """The checksum of two runs of bytes, one behind the other, from those of each; ``size`` is that of the second.

    Raises `ImportError` unless it `combines`.
    """
    import anycrc

    return cast("int", anycrc.Model("CRC64-REDIS").combine(first, second, size))
