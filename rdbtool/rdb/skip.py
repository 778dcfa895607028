"""Pass a value without decoding it: one function per shape of payload."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.errors import FormatError, RdbToolError, UnsupportedError
from rdbtool.io.window import Window

from .layout.primitives import read_count, read_length, read_u64, skip_double, skip_string

MODULE_EOF: Final[i64] = 0
MODULE_SINT: Final[i64] = 1
MODULE_UINT: Final[i64] = 2
MODULE_FLOAT: Final[i64] = 3
MODULE_DOUBLE: Final[i64] = 4
MODULE_STRING: Final[i64] = 5


def skip_strings(w: Window) -> None:
    """A count, then that many strings: list, set, quicklist."""
    count = read_count(w, 1)
    while count > 0:
        skip_string(w)
        count -= 1


def skip_string_pairs(w: Window) -> None:
    """A count, then that many pairs of strings: hash."""
    count = read_count(w, 2)
    while count > 0:
        skip_string(w)
        skip_string(w)
        count -= 1


def skip_zset(w: Window) -> None:
    """A count, then members with scores as text."""
    count = read_count(w, 2)
    while count > 0:
        skip_string(w)
        skip_double(w)
        count -= 1


def skip_zset2(w: Window) -> None:
    """A count, then members with scores of 8 bytes."""
    count = read_count(w, 9)
    while count > 0:
        skip_string(w)
        w.skip(8)
        count -= 1


def skip_quicklist2(w: Window) -> None:
    """A count, then nodes: a container kind and a string."""
    count = read_count(w, 2)
    while count > 0:
        read_length(w)
        skip_string(w)
        count -= 1


def skip_hash_metadata(w: Window) -> None:
    """The least expiry (8 bytes), a count, then per field: expiry relative to it, field, value."""
    w.skip(8)
    skip_hash_metadata_pre_ga(w)


def skip_hash_metadata_pre_ga(w: Window) -> None:
    """A count, then per field: absolute expiry, field, value."""
    count = read_count(w, 3)
    while count > 0:
        read_u64(w)
        skip_string(w)
        skip_string(w)
        count -= 1


def skip_hash2(w: Window) -> None:
    """A count, then per field: field, value, absolute expiry (8 bytes). Valkey 9."""
    count = read_count(w, 10)
    while count > 0:
        skip_string(w)
        skip_string(w)
        w.skip(8)
        count -= 1


def skip_hash_listpack_ex(w: Window) -> None:
    """The least expiry (8 bytes), then a listpack."""
    w.skip(8)
    skip_string(w)


def skip_module(w: Window) -> None:
    """A module's id, then values with opcodes up to the end mark."""
    read_u64(w)
    skip_module_values(w)


def skip_module_values(w: Window) -> None:
    """Values with opcodes, up to and with the end mark."""
    while True:
        at = w.offset()
        opcode = read_length(w)
        if opcode == MODULE_EOF:
            return
        if opcode == MODULE_STRING:
            skip_string(w)
        elif opcode in (MODULE_SINT, MODULE_UINT):
            read_u64(w)
        elif opcode == MODULE_FLOAT:
            w.skip(4)
        elif opcode == MODULE_DOUBLE:
            w.skip(8)
        else:
            raise FormatError(
                f"unknown opcode {opcode} in module data", path=w.path, offset=at, doing="reading module data"
            )


def skip_module_pre_ga(w: Window) -> None:
    """Module data of a pre-release of Redis 4.0: it does not tell its length."""
    raise UnsupportedError(
        "module data of a pre-release of Redis 4.0, which does not tell its length", path=w.path, offset=w.offset()
    )


def skip_stream(w: Window) -> None:
    """Stream, first version (Redis 5.0)."""
    _skip_stream(w, 1)


def skip_stream2(w: Window) -> None:
    """Stream, second version (Redis 7.0): with counters."""
    _skip_stream(w, 2)


def skip_stream3(w: Window) -> None:
    """Stream, third version (Redis 7.2): consumers have an active time."""
    _skip_stream(w, 3)


def skip_stream4(w: Window) -> None:
    """Stream, fourth version (Redis 8.6): with the state of idempotent producers."""
    _skip_stream(w, 4)


def skip_stream5(w: Window) -> None:
    """Stream, fifth version (Redis 8.8): groups name pending entries that consumers have released (XNACK)."""
    _skip_stream(w, 5)


def _skip_stream(w: Window, version: i64) -> None:
    skip_string_pairs(w)  # listpacks by their first id
    read_u64(w)  # length
    _skip_id(w)  # last id
    if version >= 2:
        _skip_id(w)  # first id
        _skip_id(w)  # greatest deleted id
        read_u64(w)  # entries added
    groups = read_count(w, 5)
    while groups > 0:
        skip_string(w)
        _skip_id(w)
        if version >= 2:
            read_u64(w)  # entries read
        pending = read_count(w, 25)
        while pending > 0:
            w.skip(24)  # id and delivery time
            read_u64(w)  # deliveries
            pending -= 1
        consumers = read_count(w, 10)
        while consumers > 0:
            skip_string(w)
            w.skip(16 if version >= 3 else 8)  # seen and active time
            w.skip(read_count(w, 16) * 16)
            consumers -= 1
        if version >= 5:
            w.skip(read_count(w, 16) * 16)
        groups -= 1
    if version >= 4:
        skip_idempotence(w)


def _skip_id(w: Window) -> None:
    read_u64(w)
    read_u64(w)


def read_nothing_released(w: Window) -> None:
    """Pass the ids of a group's pending entries that consumers have released, if there are none.

    Raises `UnsupportedError` if there are some: no other version of the format can say it.
    """
    at = w.offset()
    count = read_count(w, 16)
    if count:
        error = released_error(count)
        error.path = w.path
        error.offset = at
        raise error


def released_error(count: int) -> UnsupportedError:
    """The error for a group with that many of them."""
    return UnsupportedError(f"a consumer group with released entries (XNACK, Redis 8.8): {count}")


def skip_idempotence(w: Window) -> None:
    """Duration in s, greatest number of messages, producers with the messages that are remembered of each, messages
    added, duplicates seen.
    """
    read_u64(w)
    read_u64(w)
    producers = read_count(w, 2)
    while producers > 0:
        skip_string(w)
        messages = read_count(w, 3)
        while messages > 0:
            skip_string(w)
            _skip_id(w)  # of the entry that was added for it
            messages -= 1
        producers -= 1
    read_u64(w)
    read_u64(w)


def take_idempotence(w: Window) -> bytes:
    """The bytes of that state, passed."""
    w.pin = w.pos
    try:
        skip_idempotence(w)
    except RdbToolError:
        w.pin = -1
        raise
    return w.unpin()
