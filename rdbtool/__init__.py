"""Read, check, repair, convert, replay and compare the data files of Redis and Valkey."""

from __future__ import annotations

__version__ = "0.1.0"


def is_compiled() -> bool:
    """Whether mypyc compiled the modules that are in use."""
    from . import source

    return not source.__file__.endswith(".py")
