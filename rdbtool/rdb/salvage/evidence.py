"""How much speaks for it that bytes are a record, and not something in a value that looks like one.

Evidence is counted in bits: what has ``n`` of them comes about in one of ``2**n`` places by chance.
"""

from __future__ import annotations

import re
from typing import Final

from mypy_extensions import i64

from rdbtool.rdb import opcodes
from rdbtool.rdb.events import Aux, Event, Function, FunctionPreGa, ModuleAux, ResizeDb, SelectDb, Update
from rdbtool.rdb.frame import Frame

from .lengths import PACKED

START: Final = re.compile(
    # a type and the key's first bytes; or LZF, or an integer
    rb"[\x00-\x05\x07\x09-\x20](?:[\x01-\x3f][^\x00-\x08\x7f]|[\x40-\x7f].[^\x00-\x08\x7f]|[\xc0-\xc3]|[\x01-\x3f].)"
    rb"|\xfc.{5}[\x00-\x3f]\x00\x00|\xfd.{4}[\x00-\x20]"
    rb"|\xfe(?:[\x00-\x3f]|[\x40-\x7f].)[\xf4\xfb\xfc\xfd\xf8\xf9\x00-\x20]|\xfb[\x00-\xbf]"
    rb"|[\xf5-\xf7\xfa][\x00-\xc3]|\xf9.[\x00-\x20\xf3\xfc\xfd]|\xf8[\x00-\x81]|[\xf3\xf4].|\xff|\xf2\*[1-9]",
    re.DOTALL,
)
"""What a record may begin with. It leaves most places out, cheaply."""

ENOUGH: Final[i64] = 64
"""Evidence for which a run of records is believed wherever it ends."""
ENOUGH_TO_END: Final[i64] = 16
"""Evidence for which one is believed that ends where the file does, with the end mark."""
FIRST: Final[i64] = 8
"""Evidence that the first record of a run must have by itself."""
LEAST: Final[i64] = 4
"""Evidence that what stands in front of the first key of a run must have by itself."""
NUMBER: Final[i64] = 2
"""Evidence in a name that is a number: such stand in many values, too."""
LONGEST_FIELD: Final[i64] = 64
"""Bytes of the name of an auxiliary field."""
IN_FRONT: Final[i64] = 8
"""Evidence in an opcode of those that stand in front of a key."""
TYPE_LOST: Final = bytes(8)
"""Zeros among which a type may be lost."""
CHECKED: Final[i64] = 24
"""Evidence in a value that says how long it is, and is as long, in more than one place: LZF, listpacks, ziplists."""

_PACKED: Final = frozenset(
    {
        *("hash-zipmap", "list-ziplist", "set-intset", "zset-ziplist", "hash-ziplist", "list-quicklist"),
        *("hash-listpack", "zset-listpack", "list-quicklist2", "set-listpack"),
        *("hash-listpack-ex", "hash-listpack-ex-pre-ga"),
        *("stream-listpacks", "stream-listpacks2", "stream-listpacks3", "stream-listpacks4", "stream-listpacks5"),
    }
)
_PRINTABLE: Final = re.compile(rb"[ -~]+\Z")
_TEXT: Final = re.compile(rb"[^\x00-\x1f\x7f]+\Z")


def of_key(key: bytes) -> i64:
    """Evidence in the name of a key."""
    size: i64 = len(key)
    if size == 0:
        return 0
    if is_printable(key):
        return min(2 + 3 * size, 24)
    if _TEXT.match(key) and _is_utf8(key):
        return min(size, 12)
    return min(size // 2, 4)


def _is_utf8(text: bytes) -> bool:
    # Unlike that of `basics.text`, this takes no longer for long names where the code is not compiled.
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_printable(text: bytes) -> bool:
    """Whether it is ASCII that is shown as it is."""
    return _PRINTABLE.match(text) is not None


def of_name(key: bytes, coded: i64) -> i64:
    """Evidence in the name of a key, whose string begins with the byte ``coded``."""
    return of_coded(of_key(key), coded)


def of_coded(bits: i64, coded: i64) -> i64:
    """Evidence in a name that, written in full, has so many ``bits``."""
    if coded < 0xC0:
        return bits
    return min(bits, 16) if coded == PACKED else NUMBER


def of_value(frame: Frame, first: i64, size: i64) -> i64:
    """Evidence in a value without flaws, whose payload of ``size`` bytes begins with the byte ``first``."""
    if size < 6:
        return 2 if frame.type.byte == 0 and first >= 192 else 0
    if frame.type.name == "module2":
        return CHECKED if first == 0x81 else 0  # the names of modules' types are long numbers
    if frame.type.name in _PACKED:
        return CHECKED
    return CHECKED if frame.type.byte == 0 and first == PACKED and size >= 12 else 0


def of_lead(frame: Frame, has_access: bool) -> i64:
    """Evidence in what stands in front of a key: in an expiry in this century, and, where other keys have such, in when
    it was used.
    """
    bits: i64 = 0
    if has_access and (frame.freq >= 0 or frame.idle_s >= 0):
        bits += IN_FRONT
    return bits + IN_FRONT if 1 << 40 <= frame.expire_at_ms < 8 << 40 else bits


def of_event(event: Event) -> i64:
    """Evidence in what is no key."""
    if isinstance(event, Aux):
        bits = of_key(event.name)
        return bits if bits >= FIRST and len(event.name) < LONGEST_FIELD else 0
    if isinstance(event, SelectDb):
        return 4 if event.db < 16 else 0
    if isinstance(event, ResizeDb):
        return 4 if event.expires <= event.keys < 1 << 32 else 0
    if isinstance(event, Update):
        return CHECKED
    if isinstance(event, Function):
        return CHECKED if event.code.startswith(b"#!") else 0
    if isinstance(event, (FunctionPreGa, ModuleAux)):
        return 8
    return 0


def one_bit_apart(a: i64, b: i64) -> bool:
    """Whether the two bytes differ in one bit."""
    x = a ^ b
    return x != 0 and x & (x - 1) == 0


def is_time(raw: bytes) -> bool:
    """Whether 8 bytes are a time in ms of this century."""
    return len(raw) == 8 and raw[6:] == b"\0\0" and 0 < raw[5] < 8


OPCODES: Final = bytes((opcodes.EXPIRE_MS, opcodes.EXPIRE_S, opcodes.IDLE, opcodes.FREQ))
"""Of what belongs to the next key."""


def is_opcode_of_key(byte: i64) -> bool:
    """Whether the byte begins something that belongs to the next key."""
    return byte in OPCODES
