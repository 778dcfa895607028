"""The parent's side of the process in which scripts run: start it, talk to it, end it when it takes too long."""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final, final

SECONDS: Final = 60.0
"""How long a script may run between two commands: those of old logs took milliseconds, for servers stood still."""
LONGEST: Final = 1 << 30
"""Bytes of the longest message that is taken from a script."""


class ScriptEndedError(Exception):
    """The process went away, or was ended: the script has no result."""


def is_available() -> bool:
    """Whether lupa is installed."""
    return find_spec("lupa") is not None


def _argument(told: Any) -> bytes | float:
    if isinstance(told, str):
        return told.encode("latin-1")
    number: float = struct.unpack("<d", bytes.fromhex(told["double"]))[0]
    return number


@final
class ScriptProcess:
    """A running interpreter.

    ``options``: what `prelude.lua` reads of them. ``seconds``: how long a script may run between two commands. Close it
    when no more scripts come.
    """

    def __init__(self, options: dict[str, object], seconds: float) -> None:
        spec = find_spec("lupa")
        assert spec is not None
        assert spec.origin is not None
        self._seconds = seconds
        self._held = b""
        child = os.path.join(os.path.dirname(os.path.abspath(__file__)), "child.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", child, os.path.dirname(os.path.dirname(spec.origin))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._send(options)

    def run(
        self, code: bytes, keys: list[bytes], args: list[bytes], call: Callable[[list[bytes | float]], dict[str, Any]]
    ) -> dict[str, Any]:
        """Run a script: ``{"done": value}``, ``{"failed": text}`` or ``{"lacks": what}``.

        ``call`` carries a command out, and answers ``{"reply": value}`` or ``{"lacks": what}``. Raises
        `ScriptEndedError`, and the process is gone then.
        """
        try:
            self._send(
                {
                    "code": code.decode("latin-1"),
                    "keys": [key.decode("latin-1") for key in keys],
                    "args": [arg.decode("latin-1") for arg in args],
                }
            )
            while True:
                told = self._receive()
                if "call" not in told:
                    return told
                self._send(call([_argument(arg) for arg in told["call"]]))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _send(self, message: object) -> None:
        data = json.dumps(message).encode()
        left = memoryview(len(data).to_bytes(4, "little") + data)
        assert self._process.stdin is not None
        try:
            while left:
                left = left[os.write(self._process.stdin.fileno(), left) :]
        except BrokenPipeError:
            raise ScriptEndedError("its process ended") from None

    def _receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + self._seconds
        length = int.from_bytes(self._exactly(4, deadline), "little")
        if length > LONGEST:
            raise ScriptEndedError(f"it said more than {LONGEST >> 30} GiB at once")
        try:
            told = json.loads(self._exactly(length, deadline))
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise ScriptEndedError("its process said what is no message")
        return told

    def _exactly(self, n: int, deadline: float) -> bytes:
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        pieces = [self._held]
        have = len(self._held)
        while have < n:
            # poll, for select knows no descriptor above 1023
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                raise ScriptEndedError(f"it did not end in {self._seconds:g} s")
            piece = os.read(handle, 1 << 16)
            if not piece:
                raise ScriptEndedError("its process ended")
            pieces.append(piece)
            have += len(piece)
        data = b"".join(pieces)
        self._held = data[n:]
        return data[:n]
