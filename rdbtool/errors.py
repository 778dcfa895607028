"""Every exception of rdbtool: one root that says where, while reading what, and of which key."""

from __future__ import annotations

from typing import Final

SALVAGING: Final = "salvaging"
"""What was being done where not even that helps."""
_ESCAPED: Final = {92: "\\\\", **{b: f"\\x{b:02x}" for b in range(256) if not 32 <= b < 127}}


def printable(data: bytes, limit: int = 120) -> str:
    r"""Text of ``data`` that no terminal acts on: printable ASCII as is, all else as ``\xHH``.

    Longer than ``limit`` bytes is cut and marked with the full length.
    """
    text = data[:limit].decode("latin-1").translate(_ESCAPED)
    return text if len(data) <= limit else f"{text}... ({len(data)} bytes)"


def shortened(data: bytes) -> str:
    """``data`` as a ``repr`` shows it: as `bytes` would be, but not beyond a few words."""
    return f"b'{printable(data, 40)}'"


def printable_text(text: str) -> str:
    """The same for text such as file names: what is not printable is escaped."""
    return "".join(c if c.isprintable() else printable(c.encode("utf-8", "surrogateescape")) for c in text)


class RdbToolError(Exception):
    """Root of all errors that bad input, bad options or a failing system cause.

    ``path``: the file, or ``""``; ``offset``: bytes from the start of the (uncompressed) input, or
    -1; ``doing``: what was being read or done; ``key``: the key it belongs to, or None.
    """

    code = "error"

    def __init__(
        self, message: str, *, path: str = "", offset: int = -1, doing: str = "", key: bytes | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.offset = offset
        self.doing = doing
        self.key = key

    def __str__(self) -> str:
        parts = []
        if self.path:
            parts.append(printable_text(self.path))
        if self.offset >= 0:
            parts.append(f"offset {self.offset}")
        where = ", ".join(parts)
        tail = f" (while {self.doing})" if self.doing else ""
        if self.key is not None:
            tail += f" key '{printable(self.key)}'"
        return f"{where}: {self.message}{tail}" if where else f"{self.message}{tail}"


class FormatError(RdbToolError):
    """The bytes are not what the format asks for."""

    code = "malformed"


class TruncatedError(FormatError):
    """The input ends inside something."""

    code = "truncated"


class UnsupportedError(RdbToolError):
    """A version, type or opcode that this program does not know, or cannot express in the target."""

    code = "unsupported"


class IncompleteError(UnsupportedError):
    """A log with commands that cannot be carried out here: what it amounts to is not known."""

    code = "not-run"


class InputError(RdbToolError):
    """An input that cannot be opened or read."""

    code = "unreadable"


class ChangedError(InputError):
    """An input that changed while it was read."""

    code = "changed"


class NoLogError(InputError):
    """A directory that holds no append-only file."""


class OutputError(RdbToolError):
    """An output that cannot be written, or must not be."""

    code = "unwritable"


class NotSyncedError(OutputError):
    """An output that is there, whole, but may not survive a power cut."""

    code = "not-synced"


class LostWorkerError(RdbToolError):
    """A process that did a part of the work ended before it was done."""

    code = "lost-worker"


class OverMemoryError(RdbToolError):
    """A part of the work takes more memory than it may."""

    code = "memory"


class UsageError(RdbToolError):
    """Options that make no sense, alone or together, and calls that come too late."""

    code = "usage"


def reason(error: BaseException) -> str:
    """What the system says about a failure, without its number and path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
