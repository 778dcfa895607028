"""Many requests on their way to one server at once, and its replies in their order."""

from __future__ import annotations

import select
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from rdbtool.errors import FormatError, InputError

from .connection import Connection, RefusedError
from .replies import Refusal, Replies, Reply

AT_ONCE: Final = 1 << 18
"""Bytes that are handed to the system at once."""
IN_FLIGHT: Final = 1 << 21
"""Bytes that are on their way before replies are waited for."""
UNANSWERED: Final = 4096
"""Requests that are on their way, at most: what a server answers to so many, it need not keep for us."""
OK: Final = b"+OK\r\n"


@dataclass(slots=True)
class Sent:
    """Requests that went out together: of each the key, its number, and where it ends in ``data``.

    ``data``: b"" unless it may have to be sent again; ``size``: its length; ``db``: where the keys go; ``done``: how
    many were answered; ``whole``: they are one transaction, whose last reply counts, and whose data are not kept if it
    ``is_long``; ``marked``: a PING stands behind it, since EXEC may be refused in the words that refuse a command
    before it; ``ignored``: the replies tell nothing.
    """

    keys: list[bytes]
    numbers: list[int]
    ends: list[int] = field(default_factory=list)
    data: bytes = b""
    size: int = 0
    db: int = 0
    done: int = 0
    whole: bool = False
    ignored: bool = False
    is_long: bool = False
    marked: bool = False
    outcome: Reply = None
    refusal: Refusal | None = None


class LostError(InputError):
    """The connection on which keys were on their way is of no more use."""


OnReply = Callable[["Link", Sent, int, Reply], object]
"""Is told the reply to the request of that index, a transaction's as that of EXEC or its first refusal."""
OnDone = Callable[[Sent, int], object]
"""Is told that so many requests more, from the first that was not answered on, were answered with OK."""


class Link:
    """A connection on which requests do not wait for each other.

    Raises `LostError` where the server is gone, or has neither taken nor sent anything for ``connection.timeout_s``.
    """

    def __init__(self, connection: Connection, on_done: OnDone, on_reply: OnReply) -> None:
        self.connection = connection
        self.flight: deque[Sent] = deque()
        self.index = 0
        """Of the lane in which requests for it are collected."""
        self._on_done = on_done
        self._on_reply = on_reply
        self._bytes = 0
        self._requests = 0
        self._replies = Replies()
        self._socket = connection.stream()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    @property
    def busy(self) -> bool:
        """Whether replies are still to come."""
        return bool(self.flight)

    def expect(self, sent: Sent) -> None:
        """Replies to these requests come behind those to all that was sent before."""
        self.flight.append(sent)
        self._requests += len(sent.keys)
        self._bytes += sent.size

    def extend(self, data: bytes) -> None:
        """Keep bytes of the transaction that was expected last, to send it again; none of them if they are many."""
        sent = self.flight[-1]
        sent.is_long = sent.is_long or len(sent.data) + len(data) > AT_ONCE
        sent.data = b"" if sent.is_long else sent.data + data

    def send(self, data: bytes) -> None:
        """Send bytes, and read what was answered meanwhile; wait where too much is on its way."""
        doing = "sending keys"
        view = memoryview(data)
        self._socket.settimeout(self.connection.timeout_s)
        while view:
            try:
                view = view[self._socket.send(view[:AT_ONCE]) :]
            except TimeoutError:
                message = f"the server has taken nothing for {self.connection.timeout_s:g} seconds"
                raise LostError(message, path=self.connection.name, doing=doing) from None
            except OSError as e:
                # a server that refuses to go on says why before it ends the connection
                self._last_words()
                raise self._lost(e, doing) from e
            while self.flight and self._is_ready():
                self._receive()
        while self.flight and (self._bytes > IN_FLIGHT or self._requests > UNANSWERED):
            self._receive()

    def finish(self) -> None:
        """Wait for all replies."""
        while self.flight:
            self._receive()

    def call(self, *words: str | bytes | int) -> Reply:
        """Run one command, when all before has been answered.

        Raises `RefusedError`; its words begin with the code, which redis-py drops.
        """
        self.finish()
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            told = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(told), told))
        self.send(b"".join(parts))
        try:
            while (reply := self._replies.take()) is None:
                self._replies.add(self._read())
        except FormatError as e:
            raise LostError(e.message, path=self.connection.name, doing="reading replies") from e
        if isinstance(reply[0], Refusal):
            doing = f"running {words[0] if isinstance(words[0], str) else 'a command'}"
            raise RefusedError(reply[0].words, self.connection.name, doing)
        return reply[0]

    def _lost(self, error: OSError, doing: str) -> LostError:
        failure = self.connection.failure(error, doing)
        return LostError(failure.message, path=failure.path, doing=doing)

    def _is_ready(self) -> bool:
        """Whether something can be read at once."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        return bool(self._poll.poll(0))

    def _last_words(self) -> None:
        """Hear what the server still said before the connection broke."""
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline and self.flight and self._is_ready():
            try:
                self._receive()
            except LostError:
                return

    def _read(self) -> bytes:
        """What comes next, at least one byte."""
        doing = "reading replies"
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            message = f"nothing has come for {self.connection.timeout_s:g} seconds"
            raise LostError(message, path=self.connection.name, doing=doing) from None
        except OSError as e:
            raise self._lost(e, doing) from e
        if not data:
            raise LostError("the server ended the connection; its log says why", path=self.connection.name)
        return data

    def _receive(self) -> None:
        """Read some replies."""
        data = self._read()
        if self._replies.empty:
            count = data.count(OK)
            if count * len(OK) == len(data) and self._all_ok(count):
                return
        self._replies.add(data)
        try:
            while (reply := self._replies.take()) is not None:
                self._answered(reply[0])
        except FormatError as e:
            raise LostError(e.message, path=self.connection.name, doing="reading replies") from e

    def _all_ok(self, count: int) -> bool:
        """Take so many replies that are OK; False, and nothing is taken, where some are of another kind."""
        plain = 0
        for sent in self.flight:
            if sent.whole or sent.ignored:
                break
            plain += len(sent.keys) - sent.done
            if plain >= count:
                break
        if plain < count:
            return False
        while count:
            sent = self.flight[0]
            taken = min(count, len(sent.keys) - sent.done)
            self._on_done(sent, taken)
            sent.done += taken
            count -= taken
            self._requests -= taken
            self._end(sent)
        return True

    def _answered(self, reply: Reply) -> None:
        if not self.flight:
            raise FormatError("a reply to nothing that was asked")
        sent = self.flight[0]
        if sent.whole:
            if not self._ends_transaction(sent, reply):
                return
            reply = sent.refusal or sent.outcome
        if not sent.ignored:
            self._on_reply(self, sent, sent.done, reply)
        sent.done += 1  # a reply that ends all leaves its key among those that are not done
        self._requests -= 1
        self._end(sent)

    def _ends_transaction(self, sent: Sent, reply: Reply) -> bool:
        """Note a reply to a part of a transaction; whether it is the last one."""
        first = sent.outcome is None
        if first and reply != b"OK":
            words = reply.words if isinstance(reply, Refusal) else "no OK"
            raise LostError(f"the server takes no transaction: {words}", path=self.connection.name)
        if sent.marked and reply == b"PONG":
            return True
        refused = next(
            (part for part in (reply if isinstance(reply, list) else [reply]) if isinstance(part, Refusal)), None
        )
        if refused is not None and sent.refusal is None:
            sent.refusal = Refusal(refused.words.removeprefix("EXECABORT Transaction discarded because of: "))
        sent.outcome = reply
        # a command that is not queued is refused, and EXEC follows; that of a cluster may say that a slot has moved
        goes_on = reply.code != "EXECABORT" if isinstance(reply, Refusal) else reply == b"QUEUED"
        return not (first or goes_on or sent.marked)

    def _end(self, sent: Sent) -> None:
        if sent.done == len(sent.keys):
            self.flight.popleft()
            self._bytes -= sent.size
