"""As much of a client as a rehearsal needs: one command after the other over a Unix socket, in RESP2."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TypeAlias

Word: TypeAlias = bytes | str | int
Reply: TypeAlias = "bytes | int | list[Reply] | RefusedError | None"


class RefusedError(Exception):
    """An error reply; its text is the server's."""


class GoneError(Exception):
    """There is no connection, or it has ended."""


class Client:
    """A connection to the server that listens at ``path``. ``renamed``: names of commands -> what it calls them.

    Raises `GoneError` where it cannot be reached.
    """

    def __init__(self, path: str, renamed: dict[bytes, bytes], timeout_s: float) -> None:
        self._renamed = renamed
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(path)
        except OSError as e:
            self._socket.close()
            raise GoneError(str(e)) from e
        self._reader = self._socket.makefile("rb")

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(OSError):
            self._reader.close()
        self._socket.close()

    def has(self, name: str) -> bool:
        """Whether the server has a command, under whatever name."""
        return self._renamed.get(name.encode()) != b""

    def call(self, name: str, *words: Word) -> Reply:
        """Run one command. Raises `RefusedError` for an error reply, `GoneError` where the server does not answer."""
        (reply,) = self.call_all(name, [words])
        if isinstance(reply, RefusedError):
            raise reply
        return reply

    def call_all(self, name: str, calls: list[tuple[Word, ...]]) -> list[Reply]:
        """Run a command with each of these arguments; error replies are among the replies. Raises `GoneError`."""
        known = self._renamed.get(name.encode(), name.encode())
        out = []
        for call in calls:
            words = [known, *(word if isinstance(word, bytes) else os.fsencode(str(word)) for word in call)]
            out.append(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
        try:
            self._socket.sendall(b"".join(out))
            return [self._reply() for _ in calls]
        except (OSError, ValueError) as e:
            raise GoneError(str(e)) from e

    def info(self, section: str) -> dict[str, str]:
        """The fields of a section of INFO. Raises as `call` does."""
        reply = self.call("INFO", section)
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def _reply(self) -> Reply:
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise GoneError("the server ended the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RefusedError(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._reader.read(size + 2)[:-2]
        if kind == b"*":
            count = int(rest)
            return None if count < 0 else [self._reply() for _ in range(count)]
        raise GoneError(f"no answer of a server: {line[:40]!r}")
