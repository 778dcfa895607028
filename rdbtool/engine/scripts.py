"""Lua scripts of old logs, run with the library lupa.

Since Redis 5 a log holds what scripts did, not the scripts. Before, it could hold EVAL, EVALSHA and SCRIPT LOAD.
A script is text from a file that nobody vouches for: it sees strings, numbers, tables and `redis`, and
nothing of the machine or of this program.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any, Final, final

from rdbtool.basics.fpconv import seventeen, shortest
from rdbtool.servers.features import SHORTEST_SCORES

from .dataset import Dataset
from .replies import CommandError, NotRunError, Status
from .scores import score_text
from .table import execute

MEMORY: Final = 512 << 20
"""Bytes a script may use."""
STEPS: Final = 1_000_000_000
"""Lua instructions after which a script is taken for endless."""
NOT_ALLOWED: Final = frozenset({b"EVAL", b"EVALSHA", b"SCRIPT", b"MULTI", b"EXEC", b"SELECT", b"WATCH", b"FCALL"})

_PRELUDE: Final = b"""
local call, sha1hex, encode, decode, steps = ...
local sethook, raise, kind, number = debug.sethook, error, type, tonumber
for _, name in ipairs({'package', 'require', 'module', 'io', 'python', 'debug', 'dofile', 'loadfile', 'print',
                       'newproxy', 'collectgarbage', 'gcinfo'}) do _G[name] = nil end
os = {clock = os.clock}
string.dump = nil
local function run(protected, ...)
  for i = 1, select('#', ...) do
    local t = kind((select(i, ...)))
    if t ~= 'string' and t ~= 'number' then
      raise({err = 'ERR Lua redis lib command arguments must be strings or integers'}, 0)
    end
  end
  local reply = call(...)
  if not protected and kind(reply) == 'table' and reply.err then raise(reply, 0) end
  return reply
end
local function status(text) return {ok = text} end
redis = {
  call = function(...) return run(false, ...) end,
  pcall = function(...) return run(true, ...) end,
  status_reply = status,
  error_reply = function(text) return {err = text} end,
  sha1hex = function(text) return sha1hex(text) end,
  log = function() end,
  setresp = function() end,
  set_repl = function() return true end,
  replicate_commands = function() return true end,
  breakpoint = function() return false end,
  debug = function() end,
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
}
server = redis
cjson = {encode = function(v) return encode(v) end, decode = function(v) return decode(v) end}
local load, unpacked, protect = loadstring, unpack, pcall
return function(code, keys, args)
  KEYS, ARGV = keys, args
  local body, wrong = load(code, '@user_script')
  if not body then return false, 'ERR Error compiling script (new function): ' .. wrong end
  sethook(function() raise('ERR the script does not end', 0) end, '', steps)
  local fine, result = protect(body)
  sethook()
  if fine then return true, result end
  if kind(result) == 'table' then return false, result.err or 'ERR unknown error' end
  return false, result
end
"""


def _sees_nothing(_object: object, _name: object, _setting: bool) -> object:
    raise AttributeError("scripts see no objects")


@final
class Scripts:
    """The scripts a log has brought, and the interpreter that runs them on ``dataset``."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.codes: dict[bytes, bytes] = {}
        self._run: Any = None
        self._table: Any = None

    def add(self, code: bytes) -> bytes:
        """Remember a script; its SHA-1 in hex."""
        digest = _digest(code)
        self.codes[digest] = code
        return digest

    def run(self, code: bytes, args: list[bytes]) -> object:
        """Run a script with the arguments of EVAL from the number of keys on. Raises `CommandError`."""
        count = int(args[0]) if args[0].isdigit() else -1
        if count < 0:
            negative = args[0][:1] == b"-" and args[0][1:].isdigit()
            raise CommandError(
                "ERR Number of keys can't be negative" if negative else "ERR value is not an integer or out of range"
            )
        if count > len(args) - 1:
            raise CommandError("ERR Number of keys can't be greater than number of args")
        self._start()
        keys = self._table(args[1 : 1 + count])
        fine, result = self._run(code, keys, self._table(args[1 + count :]))
        if not fine:
            raise CommandError(result.decode("latin-1") if isinstance(result, bytes) else str(result))
        return self._reply(result)

    def _start(self) -> None:
        if self._run is not None:
            return
        try:
            lua = import_module("lupa.lua51")
        except ImportError:
            raise NotRunError("the command is a Lua script, and needs lupa: pip install 'rdbtool[lua]'") from None
        runtime = lua.LuaRuntime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_sees_nothing,
            max_memory=MEMORY,
        )
        self._table = runtime.table_from
        prelude = runtime.compile(_PRELUDE)
        self._run = prelude(self._call, _sha1hex, self._encode, self._decode, STEPS)

    def _call(self, *parts: object) -> object:
        """redis.call: never raises, for a Python exception would be an object in the script's hands."""
        try:
            args = [part if isinstance(part, bytes) else self._text(part) for part in parts]
            if not args:
                return self._error("ERR Please specify at least one argument for this redis.call() call")
            if args[0].upper() == b"SELECT" and len(args) == 2:
                return self._value(execute(self.dataset, args))
            if args[0].upper() in NOT_ALLOWED:
                return self._error("ERR This Redis command is not allowed from script")
            return self._value(execute(self.dataset, args))
        except CommandError as e:
            return self._error(e.text)

    def _text(self, part: object) -> bytes:
        assert isinstance(part, int | float)  # the prelude has looked
        return _number(float(part), not self.dataset.release.has(SHORTEST_SCORES))

    def _error(self, text: str) -> object:
        return self._table({b"err": text.encode("latin-1", "replace")})

    def _value(self, reply: object) -> object:
        if reply is None:
            return False
        if isinstance(reply, Status):
            return self._table({b"ok": reply.text})
        if isinstance(reply, list):
            return self._table([self._value(item) for item in reply])
        if isinstance(reply, float):
            return score_text(reply, digits17=not self.dataset.release.has(SHORTEST_SCORES))
        return reply

    def _reply(self, value: Any) -> object:  # noqa: ANN401 - lupa's
        """What the script returns, as a reply."""
        if value is None or value is False:
            return None
        if value is True:
            return 1
        if isinstance(value, float):
            return int(value)
        if isinstance(value, int | bytes):
            return value
        error, status = value[b"err"], value[b"ok"]
        if isinstance(error, bytes):
            raise CommandError(error.decode("latin-1"))
        if isinstance(status, bytes):
            return Status(status)
        items: list[object] = []
        i = 1
        while value[i] is not None:
            items.append(self._reply(value[i]))
            i += 1
        return items

    def _encode(self, value: object) -> object:
        try:
            return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False).encode("latin-1", "replace")
        except (RecursionError, ValueError):
            return None

    def _decode(self, text: object) -> object:
        try:
            return self._lua(json.loads(text)) if isinstance(text, bytes) else None
        except (RecursionError, ValueError):
            return None

    def _lua(self, value: object) -> object:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict):
            return self._table({str(k).encode(): self._lua(v) for k, v in value.items()})
        if isinstance(value, list):
            return self._table([self._lua(v) for v in value])
        return value


def _sha1hex(text: object) -> object:
    data = text if isinstance(text, bytes) else str(text).encode()
    return _digest(data)


def _digest(data: bytes) -> bytes:
    from hashlib import sha1  # it takes 3 ms to load, and few logs have scripts

    return sha1(data, usedforsecurity=False).hexdigest().encode()


def _number(number: float, digits17: bool) -> bytes:
    if abs(number) < 1 << 63 and int(number) == number:
        return str(int(number)).encode()
    return seventeen(number) if digits17 else shortest(number)


def _plain(value: Any) -> object:  # noqa: ANN401 - lupa's
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if value is None or isinstance(value, bool | int | float):
        return value
    keys = list(value.keys())
    if keys == list(range(1, len(keys) + 1)) and keys:
        return [_plain(value[k]) for k in keys]
    return {str(_plain(k)): _plain(value[k]) for k in keys}
