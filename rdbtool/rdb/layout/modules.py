"""Modules: the names of their types, and their data, which only they understand but anybody can pass.

A value is the type's id and then values with opcodes up to an end mark (rdb.c: rdbLoadCheckModuleValue).
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.errors import FormatError, UnsupportedError
from rdbtool.io.window import Window, passed, window_over

from .inspection import Inspection
from .primitives import read_count, read_length, read_u64, skip_string
from .visit import Visit

EOF: Final[i64] = 0
SINT: Final[i64] = 1
UINT: Final[i64] = 2
FLOAT: Final[i64] = 3
DOUBLE: Final[i64] = 4
STRING: Final[i64] = 5
"""Opcodes of module data."""

_NAME_CHARS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def module_name(module_id: int) -> str:
    """The name, 9 characters, of a module type by its id; the id's low 10 bits are its encoding version."""
    return "".join(_NAME_CHARS[module_id >> shift & 63] for shift in range(58, 9, -6))


def module_version(module_id: int) -> int:
    """The encoding version of a module type by its id."""
    return module_id & 1023


def module_id(name: str, version: int) -> int:
    """The id of a module type: the inverse of `module_name`."""
    number = 0
    for char in name:
        number = number << 6 | _NAME_CHARS.index(char)
    return number << 10 | version


def skip_module(w: Window) -> None:
    """A module's id, then values with opcodes up to the end mark."""
    read_u64(w)
    skip_module_values(w)


def skip_module_values(w: Window) -> None:
    """Values with opcodes, up to and with the end mark."""
    while True:
        at = w.offset()
        opcode = read_length(w)
        if opcode == EOF:
            return
        if opcode == STRING:
            skip_string(w)
        elif opcode in (SINT, UINT):
            read_u64(w)
        elif opcode == FLOAT:
            w.skip(4)
        elif opcode == DOUBLE:
            w.skip(8)
        else:
            raise FormatError(
                f"unknown opcode {opcode} in module data", path=w.path, offset=at, doing="reading module data"
            )


def skip_key_meta(w: Window) -> None:
    """Pass the metadata of a key: for each class an id, and values of its module."""
    classes = read_count(w, 5)
    while classes > 0:
        w.skip(4)
        skip_module_values(w)
        classes -= 1


def metadata_classes(meta: bytes) -> list[str]:
    """The names of the classes of a key's metadata without which servers refuse the file: they pass others that they
    lack (Redis 8.10, KEY_META_FLAG_ALLOW_IGNORE).
    """
    w = window_over(meta)
    names: list[str] = []
    for _ in range(read_count(w, 5)):
        spec = int.from_bytes(w.take(4), "little")
        if not spec & 1:
            names.append("".join(_NAME_CHARS[spec >> shift & 63] for shift in range(26, 7, -6)))
        skip_module_values(w)
    return names


def take_module(w: Window) -> tuple[int, bytes]:
    """A module's id, and the bytes of its values, the end mark included; both are passed."""
    number = read_u64(w)
    return number, passed(w, skip_module_values)


def check_module(w: Window, ins: Inspection) -> None:
    """Only the module can say whether its values are right."""
    ins.module = module_name(read_u64(w))
    skip_module_values(w)


def visit_module(visit: Visit) -> None:
    """The values as they are."""
    number, raw = take_module(visit.window)
    visit.visitor.module(module_name(number), module_version(number), raw)


def skip_module_pre_ga(w: Window) -> None:
    """Module data of a pre-release of Redis 4.0: it does not tell its length. Raises `UnsupportedError`."""
    raise UnsupportedError(
        "module data of a pre-release of Redis 4.0, which does not tell its length", path=w.path, offset=w.offset()
    )


def check_module_pre_ga(w: Window, _ins: Inspection) -> None:
    """Raises `UnsupportedError`."""
    skip_module_pre_ga(w)


def visit_module_pre_ga(visit: Visit) -> None:
    """Raises `UnsupportedError`."""
    skip_module_pre_ga(visit.window)
