"""What commands answer: replies, and the servers' own error texts, which findings repeat."""

from __future__ import annotations

from typing import Final, final


@final
class Status:
    """A status reply such as ``+OK``."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Status) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Status({self.text!r})"


OK: Final = Status(b"OK")


class CommandError(Exception):
    """A command that the server answers with an error; it changed nothing. ``text`` is the server's."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class NotRunError(CommandError):
    """A command that a server runs and this program cannot: what it did is missing."""


WRONG_TYPE: Final = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX: Final = "ERR syntax error"
NOT_AN_INTEGER: Final = "ERR value is not an integer or out of range"
NOT_A_FLOAT: Final = "ERR value is not a valid float"
NO_SUCH_KEY: Final = "ERR no such key"
DB_RANGE: Final = "ERR DB index is out of range"
OUT_OF_RANGE: Final = "ERR index out of range"
SAME_OBJECT: Final = "ERR source and destination objects are the same"
BUSY_KEY: Final = "BUSYKEY Target key name already exists."
OVERFLOW: Final = "ERR increment or decrement would overflow"
STRING_TOO_LONG: Final = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"


def wrong_arity(name: bytes) -> CommandError:
    """The error for a wrong number of arguments; ``name`` as in the table, ``XGROUP|CREATE`` for subcommands."""
    return CommandError(f"ERR wrong number of arguments for '{name.decode('latin-1').lower()}' command")


def wrong_type() -> CommandError:
    """The error for a key of another type."""
    return CommandError(WRONG_TYPE)


def syntax_error() -> CommandError:
    """The error for options that the command does not know."""
    return CommandError(SYNTAX)
