"""A connection to a server: made by redis-py, which knows addresses, TLS and users; with errors of this program."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Iterator
from typing import Any, Final

from rdbtool.errors import InputError, UnsupportedError, UsageError, printable, printable_text, reason
from rdbtool.extras import how_to_install

from .address import ANONYMOUS, ENVIRONMENT, HIDDEN, TLS, UNIX, Access, parse_url
from .replies import Reply

LONGEST: Final = 4 << 20
"""Bytes without the end of a line in a reply, at most: of a library without one, that is."""
NO_REDIS: Final = f"a live server needs the extra: {how_to_install('server')}"


UNKNOWN: Final = re.compile(r"unknown (command|subcommand)|Unrecognized REPLCONF", re.IGNORECASE)
"""What a server says that does not know a command."""
_CODES: Final = {
    "BusyLoadingError": "LOADING",
    "MasterDownError": "MASTERDOWN",
    "NoPermissionError": "NOPERM",
    "ReadOnlyError": "READONLY",
}
"""What error replies begin with, which redis-py takes off; before 8.0 it tells them by the error's type only."""

_NOISE: Final = re.compile(
    r"Error -?\d+ (?:connecting to|while writing to|while reading from) \S+?\. |"
    r"Error while reading from \S+ : \(\d+, '(.*)'\)| \(_ssl\.c:\d+\)"
)
"""What redis-py and Python say beside the reason."""
_ENDED: Final = re.compile(r"reset by peer|EOF occurred|closed by server|certificate required")
_NO_TLS: Final = re.compile(r"[Tt]imeout|WRONG_VERSION|record layer")


class _Guarded:
    """A socket from which redis-py reads: it would read for ever, and keep all, what is no reply and has no end.

    ``deadline``: when (monotonic s) a reply has to be there.
    """

    def __init__(self, taken: socket.socket, timeout_s: float) -> None:
        self.socket = taken
        self.deadline = time.monotonic() + timeout_s
        self._line = 0

    def recv(self, n: int) -> bytes:
        """What comes next. Raises `TimeoutError`, and `ValueError` for a line that is too long."""
        data = self.socket.recv(n)
        end = data.rfind(b"\n")
        self._line = self._line + len(data) if end < 0 else len(data) - end - 1
        if self._line > LONGEST:
            raise ValueError(f"a line of more than {LONGEST} bytes")
        if time.monotonic() > self.deadline:
            raise TimeoutError
        return data

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a socket has
        return getattr(self.socket, name)


def _guarded(kind: type[Any], timeout_s: float) -> type[Any]:
    """The same kind of redis-py's connections, on a `_Guarded` socket."""

    def connect(link: object) -> _Guarded:
        return _Guarded(kind._connect(link), timeout_s)  # noqa: SLF001 - redis-py gives no other way to the socket

    return type(kind.__name__, (kind,), {"_connect": connect})


class RefusedError(InputError):
    """An error reply; ``words``: the server's."""

    def __init__(self, words: str, path: str, doing: str) -> None:
        super().__init__(f"the server says: {words}", path=path, doing=doing)
        self.words = words


class Connection:
    """A connection to the server at a URL, which is closed by `close`. ``url``: as it was given; ``name``: without its
    password.

    Methods raise `InputError` where the server cannot be reached, does not let us in, or is gone, with its words;
    `RefusedError` for an error reply.
    """

    def __init__(self, url: str, access: Access = ANONYMOUS) -> None:
        address = parse_url(url)
        self.name = address.shown
        self.url = url
        self.timeout_s = access.timeout_s
        user = address.user
        password = address.password or access.passwords.get(url, "") or access.password
        self._secret = password
        self._uses_tls = address.scheme == TLS
        self._linked = False
        if user and not password:
            raise UsageError("a user without a password", path=self.name)
        try:
            from redis import connection as made_by
            from redis import exceptions
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as e:
            raise UnsupportedError(NO_REDIS, path=self.name) from e
        self._refused: type[Exception] = exceptions.ResponseError
        self._garbled: tuple[type[Exception], ...] = (exceptions.InvalidResponse, ValueError, RecursionError)
        """What reading what is no reply raises."""
        self._failures: tuple[type[Exception], ...] = (exceptions.RedisError, OSError, *self._garbled)
        options: dict[str, Any] = {
            "username": user or None,
            "password": password or None,
            "socket_timeout": access.timeout_s,
            "socket_connect_timeout": access.timeout_s,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
        }
        kind: Any = made_by.Connection
        if address.scheme == UNIX:
            kind = made_by.UnixDomainSocketConnection
            options["path"] = address.path
        else:
            options |= {"host": address.host, "port": address.port}
        if address.scheme == TLS:
            kind = made_by.SSLConnection
            options |= {
                "ssl_ca_certs": access.cacert or None,
                "ssl_certfile": access.cert or None,
                "ssl_keyfile": access.key or access.cert or None,
                "ssl_cert_reqs": "none" if access.insecure else "required",
            }
            for path in (access.cacert, access.cert, access.key):
                if path and not os.path.isfile(path):
                    raise UsageError("there is no such file", path=path)
        with self._told("connecting"):
            # its methods have types only in part
            self._link: Any = _guarded(kind, access.timeout_s)(**options)
            self._link.connect()
            self._linked = True

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(*self._failures):
            self._link.disconnect()

    def call(self, *words: str | bytes | int) -> Reply:
        """Run one command."""
        doing = f"running {words[0] if isinstance(words[0], str) else 'a command'}"
        with self._told(doing):
            if (taken := self._socket()) is not None:  # else redis-py connects once more
                taken.deadline = time.monotonic() + self.timeout_s
            self._link.send_command(*words, check_health=False)
            reply: Reply = self._link.read_response()
        return reply

    def info(self) -> dict[str, str]:
        """The fields of INFO."""
        reply = self.call("INFO")
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line and not line.startswith("#"))

    def stream(self) -> socket.socket:
        """The socket itself, for what is no reply; all replies to what was sent must have been read."""
        taken = self._socket()
        if taken is None:
            raise InputError("the connection has ended", path=self.name)
        return taken.socket

    def _socket(self) -> _Guarded | None:
        taken: _Guarded | None = self._link._sock  # noqa: SLF001 - redis-py gives no other way to what a master sends
        return taken

    def failure(self, error: BaseException, doing: str) -> InputError:
        """The error of this program for one of the library's or the system's."""
        if isinstance(error, self._garbled):
            return InputError("what came is no reply of a server", path=self.name, doing=doing)
        words = _NOISE.sub(r"\1", str(error)) if not isinstance(error, OSError) else reason(error)
        if self._secret:
            words = words.replace(self._secret, HIDDEN)  # some replies quote the command
        words = printable_text(words.strip().rstrip("."))
        if isinstance(error, self._refused) or _is_reply(error):
            code = getattr(error, "status_code", None) or _CODES.get(type(error).__name__, "")
            if code not in {"", "ERR"} and not words.startswith(code):
                words = f"{code} {words}"
            if code == "NOAUTH":
                words += f" (the URL holds the password, or {ENVIRONMENT})"
            return RefusedError(words, self.name, doing)
        return InputError((words or type(error).__name__) + self._hint(words), path=self.name, doing=doing)

    def _hint(self, words: str) -> str:
        """What it may be, where the two sides do not speak the same."""
        if self._uses_tls:
            if _ENDED.search(words):
                return ": it may want a certificate of ours (--cert)"
            return ": does it speak TLS there?" if _NO_TLS.search(words) else ""
        return (
            ": where it speaks TLS, the URL begins with rediss://" if _ENDED.search(words) and not self._linked else ""
        )

    def refused(self, words: bytes, doing: str) -> RefusedError:
        """The error for an error reply that was read from `stream`, behind its first byte."""
        return RefusedError(printable(words, 1000).removeprefix("ERR ").rstrip("."), self.name, doing)

    @contextlib.contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """Turn what goes wrong into errors of this program."""
        try:
            yield
        except self._failures as e:
            raise self.failure(e, doing) from None  # its words may hold the password


def _is_reply(error: BaseException) -> bool:
    """Whether the words are the server's, in what redis-py takes for failures of the connection."""
    return type(error).__name__ in {"AuthenticationError", "AuthorizationError", "BusyLoadingError", "MaxClientsError"}
