"""What stands in the snapshots of other products: Redis Enterprise's opcodes, KeyDB's cron jobs and member expiries.

A byte that means something to such a product only is far more often damage, such as a letter of a text that is read
as a type. It is taken for what it may be only where what follows can be read, too.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.errors import FormatError, RdbToolError, TruncatedError
from rdbtool.io.window import Window, window_over

from . import opcodes
from .layout.primitives import read_count, read_string, skip_string
from .types import TypeRow

CRON: Final[i64] = 64
"""KeyDB's type of a cron job (rdb.h: RDB_TYPE_CRON)."""
ENTERPRISE: Final[dict[i64, str]] = {
    101: "compare-and-set data",
    102: "flags",
    107: "RAM LRU",
    121: "slot number",
}
"""Opcodes of Redis Enterprise, each followed by one number in length form (librdb skips them so)."""
MEMBER_EXPIRY: Final = b"keydb-subexpire-when"
"""The auxiliary field in which KeyDB says, behind a key, when one of its members expires."""

MEMBER_EXPIRIES: Final = "expiries of members (KeyDB)"
CRON_JOBS: Final = "cron jobs (KeyDB)"
"""What is lost of such files, by kind."""

AHEAD: Final[i64] = 1 << 16
"""Bytes that are looked at to tell what a byte means."""


def skip_cron(w: Window) -> None:
    """Pass the payload of a cron job: a script, a start and an interval, names of keys, arguments (rdb.cpp of KeyDB:
    rdbLoadObject).
    """
    skip_string(w)
    w.skip(16)
    for _ in range(2):
        count = read_count(w, 1)
        while count > 0:
            skip_string(w)
            count -= 1


def ahead_of(w: Window) -> Window:
    """A window over the bytes that come next; the position of ``w`` stays."""
    return window_over(next_bytes(w, AHEAD))


def next_bytes(w: Window, want: i64) -> bytes:
    """The ``want`` bytes that come next, or those that are left; the position of ``w`` stays."""
    if w.size >= 0:
        want = min(want, w.size - w.offset())
    w.need(want)
    return w.data[w.pos : min(w.pos + want, w.end)]


def begins_cron(w: Window, table: list[TypeRow | None]) -> bool:
    """Whether a key and a cron job stand at the window's position, and a record behind them."""
    ahead = ahead_of(w)
    try:
        read_string(ahead)
        skip_cron(ahead)
        byte = ahead.u8()
    except RdbToolError:
        return False
    return byte >= opcodes.LOWEST or byte == CRON or table[byte] is not None


def begins_enterprise(w: Window, table: list[TypeRow | None]) -> bool:
    """Whether the number of an opcode of Redis Enterprise stands at the window's position, and a record behind it."""
    ahead = ahead_of(w)
    whole = ahead.end < AHEAD
    in_value = False
    try:
        skip_enterprise(ahead)
        byte = ahead.u8()
        while byte in ENTERPRISE:
            skip_enterprise(ahead)
            byte = ahead.u8()
        if byte >= opcodes.LOWEST:
            return True
        row = table[byte]
        if row is None:
            return False
        read_string(ahead)
        in_value = True
        row.skip(ahead)
        byte = ahead.u8()
    except TruncatedError:
        return in_value and not whole
    except RdbToolError:
        return False
    return byte >= opcodes.LOWEST or byte in ENTERPRISE or table[byte] is not None


def skip_enterprise(w: Window) -> None:
    """Pass what follows an opcode of Redis Enterprise: a number in length form."""
    first = w.u8()
    if first >= 192:
        raise FormatError("a string encoding where a number should be", path=w.path, offset=w.offset() - 1)
    if first >= 128:
        w.skip(4 if first == 0x80 else 8)
    elif first >= 64:
        w.skip(1)


def zero_run(w: Window, before: i64) -> i64:
    """How many zero bytes there are, with the ``before`` that were passed: 0 if they can be a key without a name.

    Such a key stands in a file once. Where zeros go on for a second one, or to the end of the input, a file system or
    a disk has lost what was there. The window then stands behind them.
    """
    ahead = next_bytes(w, 4)
    if ahead.strip(b"\0") or not ahead:
        return 0
    run = before
    while w.need(1):
        rest = w.data[w.pos :]
        zeros: i64 = len(rest) - len(rest.lstrip(b"\0"))
        run += zeros
        w.skip(zeros)
        if zeros < len(rest):
            break
    return run
