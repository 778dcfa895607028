"""Names of modules."""

from __future__ import annotations

from typing import Final

_MODULE_NAME_CHARS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def module_name(module_id: int) -> str:
    """The name, 9 characters, of a module type by its id; the id's low 10 bits are its encoding version."""
    return "".join(_MODULE_NAME_CHARS[module_id >> shift & 63] for shift in range(58, 9, -6))


def module_id(name: str, version: int) -> int:
    """The id of a module type: the inverse of `module_name`."""
    number = 0
    for char in name:
        number = number << 6 | _MODULE_NAME_CHARS.index(char)
    return number << 10 | version
