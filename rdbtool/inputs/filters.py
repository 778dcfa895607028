"""Filters as people write them, to a `Selection`."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from typing import Final

from rdbtool.basics.numbers import natural
from rdbtool.basics.text import AUTO, from_people, from_text
from rdbtool.errors import UsageError
from rdbtool.rdb.layout.visitor import KIND_NAMES
from rdbtool.servers.limits import Limits
from rdbtool.servers.slots import SLOTS

from .selection import TTL_ANY, TTL_NONE, Selection

UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
NEVER: Final = 1 << 62

LIMITS: Final = (
    "hash_entries",
    "hash_value",
    "zset_entries",
    "zset_value",
    "set_intset_entries",
    "set_entries",
    "set_value",
    "list_node",
    "stream_node_bytes",
    "stream_node_entries",
)

_DURATION: Final = re.compile(r"([0-9]{1,30})([smhdw]?)")
_SIZE: Final = re.compile(r"([0-9]{1,30})(?:([kmgt])(?:i?b)?|b)?", re.IGNORECASE)
_SIZES: Final = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_REGEX: Final = re.compile(rb"\.[*+?]|^\^|\$$|\\[bdswBDSW.]|\||\(|[\])][+*]|\+$|\{\d+,?\d*\}")
"""What a pattern hardly holds that is meant as a glob."""
BIGGEST: Final[int] = (1 << 63) - 1


def select(
    *,
    dbs: Sequence[int] = (),
    not_dbs: Sequence[int] = (),
    keys: Sequence[str] = (),
    regexes: Sequence[str] = (),
    not_keys: Sequence[str] = (),
    types: Sequence[str] = (),
    not_types: Sequence[str] = (),
    ttl: Sequence[str] = (),
    expired: bool | None = None,
    now: str = "",
    slots: Sequence[str] = (),
    min_size: int = 0,
    limit: int | None = None,
    sample: str = "",
    exact: Sequence[str] = (),
) -> Selection:
    """The keys that all of these want; within one of them, any.

    ``keys``, ``not_keys``: globs as of KEYS; ``regexes``: Python's, searched for; ``ttl``: ``none``, ``any``, or
    what is left, ``MIN-MAX`` in seconds or with a unit; ``now``: Unix time or ISO 8601, else the present;
    ``slots``: ``0-5460``, also several with commas; ``min_size``: bytes; ``sample``: a part, ``0.01`` or ``1%``;
    ``exact``: whole keys, as `exactly` takes them. Raises `UsageError`.
    """
    selection = Selection()
    selection.dbs = list(dbs)
    selection.not_dbs = list(not_dbs)
    selection.keys = [os.fsencode(pattern) for pattern in keys]
    selection.not_keys = [os.fsencode(pattern) for pattern in not_keys]
    selection.regexes = [_regex(text) for text in regexes]
    selection.types = [_type(name) for names in types for name in names.split(",")]
    selection.not_types = [_type(name) for names in not_types for name in names.split(",")]
    selection.ttl = [_span(text) for text in ttl]
    selection.expired = expired
    selection.now_ms = time_ms(now)
    if slots:
        selection.slots = slot_map(slots)
    if min_size > BIGGEST:
        raise UsageError(f"not the size of a value: {min_size}")
    selection.min_size = min_size
    if limit is not None:
        selection.limit = limit
    if sample:
        selection.sample = _part(sample)
    if exact:
        name_keys(selection, exact)
    return selection


def name_keys(selection: Selection, names: Sequence[str]) -> None:
    """Let ``selection`` want only the keys of these names. Raises `UsageError`.

    A name is what the table prints, escapes and all, the bytes of the key, or what stands for them behind ``base64:``.
    """
    exact: dict[bytes, bool] = {}
    for text in names:
        key = key_of(text)
        exact[key] = False
        if not text.startswith("base64:") and os.fsencode(text) != key:
            selection.spelled[key] = os.fsencode(text)
    for spelled in selection.spelled.values():
        exact.setdefault(spelled, False)
    selection.exact = exact


def key_of(text: str) -> bytes:
    """The key that an argument names: what `basics.text.to_people` shows so, or ``base64:`` so."""
    if not text.startswith("base64:"):
        return from_people(os.fsencode(text))
    try:
        return from_text(text, AUTO)
    except ValueError as e:
        raise UsageError(f"not base64: {text!r} ({e})") from None


def looks_like_regex(pattern: bytes) -> bool:
    """Whether a glob reads as if a regular expression was meant."""
    return _REGEX.search(pattern) is not None


def database_numbers(texts: Sequence[str]) -> list[int]:
    """``0,3`` and the like as numbers. Raises `UsageError`."""
    numbers = []
    for part in (part.strip() for text in texts for part in text.split(",")):
        if not (part.isascii() and part.isdigit() and len(part) < 19):
            raise UsageError(f"not a database: {part!r} (as in 0, or 0,3)")
        numbers.append(int(part))
    return numbers


def database_map(texts: Sequence[str]) -> dict[int, int]:
    """``0=3,1=4`` and the like as old number -> new one. Raises `UsageError`."""
    numbers: dict[int, int] = {}
    for part in (part for text in texts for part in text.split(",")):
        old, equals, new = part.partition("=")
        if not equals:
            raise UsageError(f"not a pair of databases: {part!r} (as in 0=3)")
        (source,) = database_numbers([old])
        if source in numbers:
            raise UsageError(f"database {source} cannot become two")
        (numbers[source],) = database_numbers([new])
    return numbers


def parse_size(text: str) -> int:
    """Bytes, from a number with or without a unit of 1024s: ``512MiB``, ``64MB``, ``2g``. Raises `UsageError`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"not a size: {text!r} (as in 4096, 64MB or 512MiB)")
    return int(found.group(1)) << _SIZES[(found.group(2) or "").lower()]


def duration_ms(text: str) -> int:
    """Milliseconds from ``90``, ``90s``, ``5m``, ``2h``, ``1d``, ``1w``. Raises `UsageError`."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise UsageError(f"not a duration: {text!r} (as in 90, 90s, 5m, 2h, 1d, 1w)")
    return min(int(found.group(1)) * UNITS[found.group(2)] * 1000, NEVER)


def shift_ms(text: str) -> int:
    """Milliseconds from a duration with a sign: ``+30d``, ``-1h``; without one it is later. Raises `UsageError`."""
    return -duration_ms(text[1:]) if text.startswith("-") else duration_ms(text.removeprefix("+"))


def slot_ranges(text: str) -> list[tuple[int, int]]:
    """``0-5460,6000`` as pairs of first and last. Raises `UsageError`."""
    ranges = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        low, high = natural(first), natural(last if dash else first)
        if low < 0 or high < 0:
            raise UsageError(f"not a slot or a range of slots: {part!r} (as in 0-5460)")
        if low > high or high >= SLOTS:
            raise UsageError(f"not a range of slots: {part!r}; they go from 0 to {SLOTS - 1}")
        ranges.append((low, high))
    return ranges


def slot_map(texts: Sequence[str]) -> bytes:
    """One byte per slot, 1 for those in any of the ranges."""
    wanted = bytearray(SLOTS)
    for text in texts:
        for low, high in slot_ranges(text):
            wanted[low : high + 1] = b"\x01" * (high + 1 - low)
    return bytes(wanted)


def parse_limits(texts: Sequence[str]) -> Limits | None:
    """Limits from ``hash-entries=128`` and the like; None for none. Raises `UsageError`."""
    if not texts:
        return None
    known = LIMITS
    wanted: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        field = name.strip().replace("-", "_")
        if field not in known or not (number.isascii() and number.isdigit() and len(number) < 19):
            names = ", ".join(one.replace("_", "-") for one in known)
            raise UsageError(f"not a limit: {text!r} (as in hash-entries=128; there are {names})")
        wanted[field] = int(number)
    return Limits(**wanted)


def _regex(text: str) -> re.Pattern[bytes]:
    try:
        return re.compile(os.fsencode(text))
    except re.error as e:
        raise UsageError(f"not a regular expression: {text!r} ({e})") from None


def _type(name: str) -> str:
    if name.strip() not in KIND_NAMES:
        raise UsageError(f"unknown type {name!r}; known are {', '.join(KIND_NAMES)}")
    return name.strip()


def _span(text: str) -> tuple[int, int]:
    if text == "none":
        return TTL_NONE
    if text == "any":
        return TTL_ANY
    low, dash, high = text.partition("-")
    if not dash or not (low or high):
        raise UsageError(f"not an expiry: {text!r} (none, any, or as in 0-1h, 1d-)")
    return (duration_ms(low) if low else 0, duration_ms(high) if high else NEVER)


def time_ms(text: str) -> int:
    """A time as an option gives it, in ms; the present for ``""`` and ``now``. Raises `UsageError`."""
    if text in {"", "now"}:
        return time.time_ns() // 1_000_000
    from rdbtool.aof.point_in_time import parse_time

    return parse_time(text) * 1000


def _part(text: str) -> float:
    try:
        part = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        part = -1.0
    if not 0 < part <= 1:
        raise UsageError(f"not a part of the keys: {text!r} (as in 0.01 or 1%)")
    return part
