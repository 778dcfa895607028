"""DEBUG DIGEST: a fingerprint of a dataset that does not depend on the order of what has no order.

From debug.c. Digests are SHA-1 values held as integers: elements without order are joined by exclusive or,
ordered ones by hashing what came before with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha1
from typing import Final

from rdbtool.model import NO_EXPIRY, Hash, Module, SortedSet, Stream, Value, type_name

from .dataset import Dataset
from .fpconv import seventeen, shortest
from .line import Line

TYPE_NUMBERS: Final = {"string": 0, "list": 1, "set": 2, "zset": 3, "hash": 4, "module": 5, "stream": 6}


def _hash(data: bytes) -> int:
    return int.from_bytes(sha1(data, usedforsecurity=False).digest())


def _mix(digest: int, data: bytes) -> int:
    return _hash((digest ^ _hash(data)).to_bytes(20))


def digest_of_value(line: Line, value: Value, expire_at_ms: int, digest: int = 0) -> int:
    """DEBUG DIGEST-VALUE of a value: mixed into ``digest``."""
    digest = _mix(digest, TYPE_NUMBERS[type_name(value)].to_bytes(4))
    if isinstance(value, bytes):
        digest = _mix(digest, value)
    elif isinstance(value, Hash):
        digest ^= _fields(value)
    elif isinstance(value, SortedSet):
        digest ^= _scores(line, value)
    elif isinstance(value, dict):
        for member in value:
            digest ^= _hash(member)
    elif isinstance(value, Stream):
        for (ms, seq), fields in value.entries.items():
            digest = _mix(digest, f"{ms}.{seq}".encode())
            for item in fields:
                digest = _mix(digest, item)
    elif isinstance(value, Module):
        # What a module mixes in is its own secret; without a digest callback it is nothing.
        pass
    else:
        for element in value:
            digest = _mix(digest, element)
    if expire_at_ms != NO_EXPIRY:
        digest ^= _hash(b"!!expire!!")
    return digest


def _fields(value: Hash) -> int:
    total = 0
    expiries = value.expiries or {}
    for field, content in value.fields.items():
        element = _mix(_mix(0, field), content)
        if field in expiries:
            element ^= _hash(b"!!hexpire!!")
        total ^= _hash(element.to_bytes(20))
    return total


def _scores(line: Line, value: SortedSet) -> int:
    text = seventeen if line.score_17g else shortest
    total = 0
    for member, score in value.scores.items():
        total ^= _hash(_mix(_mix(0, member), text(score)).to_bytes(20))
    return total


def digest_of(line: Line, keys: Iterable[tuple[int, bytes, int, Value]]) -> str:
    """DEBUG DIGEST, 40 hex digits, of (database, key, expire_at_ms, value); databases in ascending order."""
    total = 0
    last = -1
    for db, key, expire_at_ms, value in keys:
        if db != last:
            total = _mix(total, db.to_bytes(4))
            last = db
        total ^= _hash(digest_of_value(line, value, expire_at_ms, _mix(0, key)).to_bytes(20))
    return f"{total:040x}"


def digest_of_dataset(dataset: Dataset) -> str:
    """DEBUG DIGEST of a dataset, keys whose time has passed included."""
    return digest_of(dataset.line, ((db, key, cell.expire_at_ms, cell.value()) for db, key, cell in dataset.items()))
