"""Lua scripts of old logs, run in a process of their own.

Since Redis 5 a log holds what scripts did, not the scripts. Before, it could hold EVAL, EVALSHA and SCRIPT LOAD.
A script is text from a file that nobody vouches for. What it asks for by `redis.call` is carried out here; all else
happens in `engine.scripting.child`, which sees no data and can be ended.
"""

from __future__ import annotations

import math
from typing import Any, Final, final

from rdbtool.basics.fpconv import shortest
from rdbtool.basics.numbers import natural
from rdbtool.extras import how_to_install
from rdbtool.servers.commands import IDLE, is_known
from rdbtool.servers.features import (
    NEWER_SCRIPTS,
    SCATTERED_TABLES,
    SHORTEST_SCORES,
    SORTED_SCRIPT_REPLIES,
    VALKEY_SCRIPTS,
)

from .dataset import Dataset
from .replies import CommandError, NotRunError, Status
from .scores import score_text
from .scripting.process import SECONDS, ScriptEndedError, ScriptProcess, is_available
from .table import execute, find

NOT_ALLOWED: Final = frozenset({b"EVAL", b"EVALSHA", b"SCRIPT", b"MULTI", b"EXEC", b"DISCARD", b"WATCH", b"FCALL"})


@final
class Scripts:
    """The scripts a log has brought, and the interpreter that runs them on ``dataset``.

    ``seconds``: how long a script may run between two commands.
    """

    def __init__(self, dataset: Dataset, seconds: float = SECONDS) -> None:
        self.dataset = dataset
        self.seconds = seconds
        self.codes: dict[bytes, bytes] = {}
        self._process: ScriptProcess | None = None

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """End the interpreter; the next script starts another."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def add(self, code: bytes) -> bytes:
        """Remember a script; its SHA-1 in hex."""
        from hashlib import sha1  # it takes 3 ms to load, and few logs have scripts

        digest = sha1(code, usedforsecurity=False).hexdigest().encode()
        self.codes[digest] = code
        return digest

    def run(self, code: bytes, args: list[bytes]) -> object:
        """Run a script with the arguments of EVAL from the number of keys on.

        Raises `CommandError`, and `NotRunError` where the script did not come to its end here.
        """
        count = natural(args[0])
        if count < 0:
            negative = args[0][:1] == b"-" and args[0][1:].isdigit()
            raise CommandError(
                "ERR Number of keys can't be negative" if negative else "ERR value is not an integer or out of range"
            )
        if count > len(args) - 1:
            raise CommandError("ERR Number of keys can't be greater than number of args")
        db = self.dataset.db
        try:
            told = self._started().run(self._body(code), args[1 : 1 + count], args[1 + count :], self._answer)
        except ScriptEndedError as e:
            self.close()
            raise NotRunError(f"the script was ended: {e}; what it did before stays") from None
        finally:
            self.dataset.select(db)  # SELECT in a script is the script's own
        if "lacks" in told:
            raise NotRunError(f"the script needs {told['lacks']}, which is not there; what it did before stays")
        if "failed" in told:
            raise CommandError(told["failed"])
        done = told["done"]
        if isinstance(done, dict) and "err" in done:
            raise CommandError(str(done["err"]))
        return _reply(done)

    def _body(self, code: bytes) -> bytes:
        """The script without its shebang line, which servers from 7.0 on take."""
        if code.startswith(b"#!") and self.dataset.release.has(NEWER_SCRIPTS):
            end = code.find(b"\n")
            return b"" if end < 0 else code[end:]
        return code

    def _started(self) -> ScriptProcess:
        if self._process is None:
            if not is_available():
                raise NotRunError(f"the command is a Lua script, and needs lupa: {how_to_install('lua')}")
            release = self.dataset.release
            newer = release.has(NEWER_SCRIPTS)
            # Valkey gives scripts the version of Redis that it branched off from.
            versions = {"REDIS_VERSION": "7.2.4", "REDIS_VERSION_NUM": 0x070204} if release.valkey else {}
            self._process = ScriptProcess(
                {
                    "digits17": not release.has(SHORTEST_SCORES),
                    "plain_errors": not newer,
                    "sorted": release.has(SORTED_SCRIPT_REPLIES),
                    "reseeds": not newer,
                    "scattered": release.does(SCATTERED_TABLES),
                    "server": release.has(VALKEY_SCRIPTS),
                    "versions": versions,
                    "unversioned": newer and not release.valkey,
                },
                self.seconds,
            )
        return self._process

    def _answer(self, given: list[bytes | float]) -> dict[str, Any]:
        """Carry out what a script asks for."""
        args = [part if isinstance(part, bytes) else self._text(part) for part in given]
        name = args[0].upper()
        row = find(args)
        if name in NOT_ALLOWED:
            return {"reply": {"err": "ERR This Redis command is not allowed from script"}}
        if name == b"PING" and len(args) == 1:
            return {"reply": {"ok": "PONG"}}
        if name == b"ECHO" and len(args) == 2:
            return {"reply": args[1].decode("latin-1")}
        if row.flags & IDLE if row is not None else is_known(args[0]):
            return {"lacks": f"the command {args[0].decode('latin-1')[:128]}"}
        try:
            return {"reply": self._value(execute(self.dataset, args))}
        except NotRunError as not_run:  # a name of its own: compiled, a name has one type
            return {"lacks": not_run.text}
        except CommandError as e:
            return {"reply": {"err": e.text}}

    def _text(self, number: float) -> bytes:
        """A number as an argument of a command (script_lua.c, luaArgsToRedisArgv)."""
        if math.isnan(number):
            return b"-nan" if math.copysign(1, number) < 0 else b"nan"
        if not self.dataset.release.has(SHORTEST_SCORES):
            return b"%.17g" % number
        if abs(number) < 1 << 63 and int(number) == number:
            return str(int(number)).encode()
        return shortest(number)

    def _value(self, reply: object) -> object:
        if isinstance(reply, Status):
            return {"ok": reply.text.decode("latin-1")}
        if isinstance(reply, list):
            return [self._value(item) for item in reply]
        if isinstance(reply, float):
            reply = score_text(reply, digits17=not self.dataset.release.has(SHORTEST_SCORES))
        return reply.decode("latin-1") if isinstance(reply, bytes) else reply


def _reply(value: object) -> object:
    """What a script returned, as a command returns it."""
    if isinstance(value, str):
        return value.encode("latin-1")
    if isinstance(value, list):
        return [_reply(item) for item in value]
    if isinstance(value, dict):
        return Status(str(value.get("ok", value.get("err"))).encode("latin-1"))
    return value
