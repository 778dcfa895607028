"""Times of expiry among the arguments of commands."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.servers.features import NEWER_ERRORS

from .dataset import Dataset
from .numbers import I64_MAX, integer
from .replies import CommandError

EX: Final = b"EX"
PX: Final = b"PX"
EXAT: Final = b"EXAT"
PXAT: Final = b"PXAT"


def invalid_expire(dataset: Dataset, name: bytes) -> CommandError:
    """The error for a time that cannot be; ``name`` is the command's, in lower case."""
    if not dataset.release.has(NEWER_ERRORS):
        return CommandError(f"ERR invalid expire time in {name.decode()}")
    return CommandError(f"ERR invalid expire time in '{name.decode()}' command")


def absolute_ms(dataset: Dataset, text: bytes, unit: bytes, name: bytes) -> i64:
    """The absolute time that ``text`` after the option ``unit`` means, for commands that want it positive."""
    when = integer(text)
    if when <= 0:
        raise invalid_expire(dataset, name)
    if unit == PXAT:
        return when
    if unit != PX:
        if when > I64_MAX // 1000:
            raise invalid_expire(dataset, name)
        when *= 1000
    if unit != EXAT:
        if when > I64_MAX - dataset.now_ms:
            raise invalid_expire(dataset, name)
        dataset.relative += 1
        when += dataset.now_ms
    return when


def any_absolute_ms(dataset: Dataset, text: bytes, seconds: bool, relative: bool, name: bytes) -> i64:
    """The absolute time that an argument of the EXPIRE family means; it may lie in the past, and before 1970."""
    when = integer(text)
    if seconds:
        if when > I64_MAX // 1000 or when < -(I64_MAX // 1000):
            raise invalid_expire(dataset, name)
        when *= 1000
    if relative:
        if when > I64_MAX - dataset.now_ms:
            raise invalid_expire(dataset, name)
        dataset.relative += 1
        when += dataset.now_ms
    return when
