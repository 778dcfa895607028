"""The snapshot that a server makes for a replica, as a stream of bytes.

What a replica says and a master answers: syncCommand and replicationSetupReplicaForFullResync in replication.c, seen on
Redis 6.2, 7.0 and Valkey 9.1. A master answers PSYNC with ``+FULLRESYNC id offset``, sends newlines while it saves, and
then ``$length`` and so many bytes, or, where it sends what it never had on disk, ``$EOF:mark``, bytes, and the mark.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from rdbtool.basics.numbers import natural
from rdbtool.errors import InputError, printable, shortened
from rdbtool.io.window import CHUNK
from rdbtool.servers.releases import newest_of_each

from .connection import UNKNOWN, Connection, RefusedError

MARK: Final = 40
"""Bytes of the mark that ends a snapshot of unknown length."""
LINE: Final = 1024
"""Bytes of the longest line that can stand before a snapshot."""
TICK_S: Final = 0.5
"""Seconds after which somebody who waits is told that we wait."""
SEEN_S: Final = 0.02
"""Seconds in which a server sees that it has sent all of a snapshot. It ends the connection only when it looks at its
children next, up to 0.1 s later.
"""
_FULL: Final = re.compile(rb"\+FULLRESYNC ([0-9a-zA-Z?]+) (-?\d+)")

OnWait: TypeAlias = Callable[[float], object]
"""Is told for how many seconds the server has been making the snapshot, and -1 when it begins to come."""


class Snapshot:
    """The bytes of a snapshot, as a `Readable`, beginning with the server's work on it.

    ``size``: bytes in all, -1 where the server does not know; ``replication_id`` and ``offset``: the place in the
    stream of commands at which the data stand, "" and -1 from servers that do not say; ``on_wait`` is told while
    nothing comes. Raises `InputError` for a server that refuses or ends the connection, from which nothing has come for
    ``connection.timeout_s``, or that sends what no master does.
    """

    def __init__(self, connection: Connection, on_wait: OnWait | None = None) -> None:
        self.connection = connection
        self.size = -1
        self.replication_id = ""
        self.offset = -1
        self.received = 0
        self._on_wait = on_wait
        self._mark = b""
        self._held = b""
        """Bytes that came and were not given out."""
        self._ended = False
        # What a server of an older kind does not know it refuses, and does without.
        self._tell("capa", "eof", "capa", "psync2")
        self._tell("version", f"{newest_of_each()[-1].number}.0")
        self._leaves_us = self._tell("rdb-only", "1")
        self._socket = connection.stream()
        self._socket.settimeout(TICK_S)
        self._begin()

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes; none at the end, which is the one that the server tells."""
        if self._mark:
            return self._read_to_mark(n)
        left = self.size - self.received
        if not left:
            return b""
        data = self._take(min(n, left)) if self._held else self._receive(min(n, left), "receiving the snapshot")
        self.received += len(data)
        return data

    def _read_to_mark(self, n: int) -> bytes:
        """The same where a mark ends it: what could be the mark is held back."""
        while not self._ended and len(self._held) <= MARK:
            self._held += self._receive(max(n, CHUNK), "receiving the snapshot")
            self._look_for_mark()
        keep = 0 if self._ended else MARK
        data = self._take(min(n, len(self._held) - keep))
        self.received += len(data)
        return data

    def close(self) -> None:
        """End the connection. Where all has come, let the server see the end of what its child wrote first: else it
        kills the child, and logs that.
        """
        if self._leaves_us and self.received == self.size:
            self._leaves_us = False
            with contextlib.suppress(OSError):
                self._socket.settimeout(SEEN_S)
                self._socket.recv(1)
        self.connection.close()

    def _look_for_mark(self) -> None:
        if self._held.endswith(self._mark):
            self._held = self._held[:-MARK]
            self._ended = True
            self.size = self.received + len(self._held)

    def _tell(self, *words: str) -> bool:
        """Say something about us; whether the server knows what it means."""
        try:
            self.connection.call("REPLCONF", *words)
        except RefusedError as e:
            if not UNKNOWN.search(e.words):
                raise
            return False
        return True

    def _begin(self) -> None:
        """Ask for a snapshot, and read up to its first byte."""
        started = time.monotonic()
        doing = "asking for a snapshot"
        self._send(b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n")
        line = self._line(started, doing)
        if line.startswith(b"-") and UNKNOWN.search(printable(line)):
            self._send(b"*1\r\n$4\r\nSYNC\r\n")
            line = self._line(started, doing)
        full = _FULL.fullmatch(line)
        if full is not None:
            self.replication_id = full.group(1).decode()
            self.offset = int(full.group(2))
            line = self._line(started, "waiting for the snapshot")
        if line.startswith(b"-"):
            raise self.connection.refused(line[1:], doing)
        self._wait(-1)
        if line.startswith(b"$EOF:") and len(line) == 5 + MARK:
            self._mark = line[5:]
            self._look_for_mark()
        elif line[:1] == b"$" and natural(line[1:]) >= 0:
            self.size = natural(line[1:])
        else:
            message = f"what came is no snapshot, as a master sends one: {shortened(line)}"
            raise InputError(message, path=self.connection.name, doing=doing)

    def _line(self, started: float, doing: str) -> bytes:
        """The next line, without its end. Empty ones are signs of life."""
        while True:
            self._held = self._held.lstrip(b"\r\n")
            line, end, rest = self._held.partition(b"\n")
            if end:
                self._held = rest
                return line.rstrip(b"\r")
            if len(line) > LINE:
                raise InputError("what came is no answer of a server", path=self.connection.name, doing=doing)
            self._held += self._receive(CHUNK, doing, started)

    def _take(self, n: int) -> bytes:
        data, self._held = self._held[:n], self._held[n:]
        return data

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as e:
            raise self.connection.failure(e, "asking for a snapshot") from e

    def _receive(self, n: int, doing: str, waiting_since: float = 0.0) -> bytes:
        """At least one byte. ``waiting_since``: when the server began to make the snapshot, if it has not sent any."""
        silent_since = time.monotonic()
        while True:
            try:
                data = self._socket.recv(n)
            except TimeoutError:
                now = time.monotonic()
                if now - silent_since >= self.connection.timeout_s:
                    message = f"nothing has come for {self.connection.timeout_s:g} seconds"
                    raise InputError(message, path=self.connection.name, doing=doing) from None
                if waiting_since:
                    self._wait(now - waiting_since)
                continue
            except OSError as e:
                raise self.connection.failure(e, doing) from e
            if not data:
                message = "the server ended the connection before the snapshot was whole; its log says why"
                where = self.received or -1
                raise InputError(message, path=self.connection.name, offset=where, doing=doing)
            if waiting_since:
                self._wait(time.monotonic() - waiting_since)
            return data

    def _wait(self, seconds: float) -> None:
        if self._on_wait is not None:
            self._on_wait(seconds)
