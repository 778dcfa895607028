"""The process in which scripts run: it holds no data, and what a script does to it ends with it.

`engine.scripting.process` starts this file as a program, with the folder of the library lupa. Messages are 4 bytes of
length, little endian, and JSON in which bytes stand as characters 0 to 255. Only the standard library and lupa are
imported: the interpreter of a script has nothing of rdbtool's in its memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import re
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

MEMORY = 512 << 20
"""Bytes that Lua may use; the whole process gets twice as much."""
DEEPEST = 1000
"""How deep tables of a result may be nested: a server's Lua stack is used up behind some thousands."""
TOLD = 100
"""How deep what a script returns is told: in a log nobody reads it, and deep messages take a deep stack to read."""
TOO_DEEP: dict[str, object] = {"failed": "ERR reached lua stack limit"}
PRELUDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prelude.lua")
_FLOAT = re.compile(rb"[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI]nf(?:inity)?|[nN]a[nN])")


class TooDeepError(Exception):
    """A table that a script returns is nested too deeply, or in itself."""


class Child:
    """The interpreter, and the two streams it talks through."""

    def __init__(self, lua: Any, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        self.lua = lua
        self.runtime: Any = None
        self.runner: Any = None
        self.lacks = ""
        self.random = 0x1234ABCD330E  # rand.c, before a seed is given

    def receive(self) -> Any:
        """The next message. Raises `EOFError` where there is none."""
        head = self.incoming.read(4)
        if len(head) < 4:
            raise EOFError
        return json.loads(self.incoming.read(int.from_bytes(head, "little")))

    def send(self, message: object) -> None:
        data = json.dumps(message).encode()
        self.outgoing.write(len(data).to_bytes(4, "little") + data)
        self.outgoing.flush()

    def serve(self) -> None:
        """Run scripts until nobody asks any more. Raises `EOFError` then."""
        options = self.receive()
        self.runtime = self.lua.LuaRuntime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_sees_nothing,
            max_memory=MEMORY,
        )
        with open(PRELUDE, "rb") as stream:
            prelude = self.runtime.compile(stream.read())
        told = {name.encode(): self.to_lua(value) for name, value in options.items()}
        self.runner = prelude(self.runtime.table_from(self.functions()), self.runtime.table_from(told))
        while True:
            asked = self.receive()
            self.lacks = ""
            try:
                self.send(self.run(asked))
            except (MemoryError, self.lua.LuaMemoryError):
                self.send({"lacks": "more memory than a script gets"})
                return
            except self.lua.LuaError as e:
                self.send({"failed": f"ERR {e}"})
            except RecursionError:
                self.send(TOO_DEEP)

    def run(self, asked: dict[str, Any]) -> dict[str, object]:
        """Run one script: what it returned, why it failed, or what it needs that is not there."""
        table = self.runtime.table_from
        keys, args = (table([one.encode("latin-1") for one in asked[name]]) for name in ("keys", "args"))
        fine, result = self.runner(asked["code"].encode("latin-1"), keys, args)
        if self.lacks:
            return {"lacks": self.lacks}
        if not fine:
            return {"failed": result.decode("latin-1")}
        try:
            return {"done": self.reply(result, 0)}
        except TooDeepError:
            return TOO_DEEP

    def functions(self) -> dict[bytes, Callable[..., object]]:
        """What the prelude calls. None of them raises: an exception would be an object in the script's hands."""
        return {
            b"call": self.call,
            b"lack": self.lack,
            b"sha1hex": _sha1hex,
            b"random": self.next_random,
            b"randomseed": self.seed,
            b"strtod": _strtod,
            b"pack_number": _pack_number,
            b"pack_text": _pack_text,
            b"pack_head": _pack_head,
            b"unpack": _told(lambda data: self.unpacked(_bytes(data))),
            b"struct_pack": _told(lambda *args: (_Struct(_bytes(args[0])).pack(args[1:]),)),
            b"struct_unpack": _told(
                lambda *args: _Struct(_bytes(args[0])).unpack(_bytes(args[1]), int(args[2]) if len(args) > 2 else 1)
            ),
            b"struct_size": _told(lambda form: (_Struct(_bytes(form)).size(),)),
            b"bit": _told(lambda name, *args: (_bit(name.decode(), [float(arg) for arg in args]),)),
        }

    def call(self, *parts: object) -> object:
        """Ask for a command to be carried out."""
        self.send({"call": [self.argument(part) for part in parts]})
        told = self.receive()
        if "lacks" in told:
            self.lacks = told["lacks"]
            return self.to_lua({"err": "not run: " + self.lacks})
        return self.to_lua(told["reply"])

    def argument(self, part: object) -> str | dict[str, str]:
        """An argument of a command: text, or a number as the bytes of a double, for text is made of it elsewhere."""
        if isinstance(part, bytes):
            return part.decode("latin-1")
        assert isinstance(part, int | float)
        return {"double": struct.pack("<d", part).hex()}

    def lack(self, name: bytes) -> None:
        self.lacks = self.lacks or name.decode("latin-1")

    def to_lua(self, value: Any) -> object:
        """A value of a message as Lua knows it."""
        if isinstance(value, str):
            return value.encode("latin-1")
        if isinstance(value, list):
            return self.runtime.table_from([self.to_lua(item) for item in value])
        if isinstance(value, dict):
            return self.runtime.table_from({name.encode(): self.to_lua(item) for name, item in value.items()})
        return False if value is None else value

    def reply(self, value: Any, depth: int) -> object:
        """What a script returns, as a reply (script_lua.c, luaReplyToRedisReply)."""
        if depth > DEEPEST:
            raise TooDeepError
        if isinstance(value, bytes):
            return value.decode("latin-1")
        if value is True:
            return 1
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
            return int(number) if -(2.0**63) <= number < 2.0**63 else -(1 << 63)
        if self.lua.lua_type(value) != "table":
            return None
        for name in (b"err", b"ok"):
            said = value[name]
            if isinstance(said, bytes):
                return {name.decode(): said.decode("latin-1")}
        items: list[object] = []
        while True:
            item = value[len(items) + 1]
            if item is None:
                return items
            told = self.reply(item, depth + 1)
            items.append(told if depth < TOLD else None)

    def seed(self, number: object) -> None:
        self.random = (int(float(number)) & 0xFFFFFFFF) << 16 | 0x330E  # type: ignore[arg-type]  # of Lua: a number

    def next_random(self) -> float:
        """rand.c: the 31 highest bits of drand48's state, as a part of one."""
        self.random = (self.random * 0x5DEECE66D + 0xB) & ((1 << 48) - 1)
        return (self.random >> 17) % 0x7FFFFFFF / 0x7FFFFFFF

    def unpacked(self, data: bytes) -> tuple[object, ...]:
        found: list[object] = []
        at = 0
        while at < len(data):
            value, at = self.unpack_one(data, at, 0)
            found.append(value)
        return tuple(found)

    def unpack_one(self, data: bytes, at: int, depth: int) -> tuple[object, int]:
        """One value of MessagePack, and where the next one begins."""
        head = data[at]
        at += 1
        if head <= 0x7F:
            return float(head), at
        if head >= 0xE0:
            return float(head - 256), at
        if head in {0xC0, 0xC2, 0xC3}:
            return (None, False, True)[(0xC0, 0xC2, 0xC3).index(head)], at
        if head in _NUMBERS:
            form = _NUMBERS[head]
            return float(struct.unpack_from(form, data, at)[0]), at + struct.calcsize(form)
        if 0xA0 <= head <= 0xBF:
            length, kind = head & 31, "text"
        elif 0x90 <= head <= 0x9F:
            length, kind = head & 15, "array"
        elif 0x80 <= head <= 0x8F:
            length, kind = head & 15, "map"
        elif head in _LENGTHS:
            size, kind = _LENGTHS[head]
            length = int.from_bytes(_exactly(data, at, size), "big")
            at += size
        else:
            raise ValueError("Bad data format in input.")
        if kind == "text":
            return _exactly(data, at, length), at + length
        if depth > DEEPEST:
            raise ValueError("Bad data format in input.")
        table = self.runtime.table_from({})
        for i in range(length):
            key: object = i + 1
            if kind == "map":
                key, at = self.unpack_one(data, at, depth + 1)
            value, at = self.unpack_one(data, at, depth + 1)
            table[key] = value
        return table, at


_NUMBERS = {
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
    0xCA: ">f",
    0xCB: ">d",
}
_LENGTHS = {
    0xC4: (1, "text"),
    0xC5: (2, "text"),
    0xC6: (4, "text"),
    0xD9: (1, "text"),
    0xDA: (2, "text"),
    0xDB: (4, "text"),
    0xDC: (2, "array"),
    0xDD: (4, "array"),
    0xDE: (2, "map"),
    0xDF: (4, "map"),
}


def _sees_nothing(_object: object, _name: object, _setting: bool) -> object:
    raise AttributeError("scripts see no objects")


def _told(run: Callable[..., tuple[object, ...]]) -> Callable[..., tuple[object, ...]]:
    """The function, with what goes wrong as a value."""

    def tell(*args: object) -> tuple[object, ...]:
        try:
            return (True, *run(*args))
        except struct.error:
            return False, b"Missing bytes in input."
        except IndexError:
            return False, b"Missing bytes in input."
        except (ValueError, TypeError, OverflowError) as e:
            return False, str(e).encode("latin-1", "replace")

    return tell


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (b"%.14g" % value) if float(value) == value else b"nan"
    raise TypeError("string expected")


def _exactly(data: bytes, at: int, n: int) -> bytes:
    if len(data) < at + n:
        raise IndexError
    return data[at : at + n]


def _sha1hex(text: bytes) -> bytes:
    from hashlib import sha1

    return sha1(text, usedforsecurity=False).hexdigest().encode()


def _strtod(text: bytes) -> tuple[object, int]:
    """A number at the start of ``text`` and how long it is; False where none is."""
    found = _FLOAT.match(text)
    if found is None:
        return False, 0
    digits = found[0]
    value = float(int(digits, 16)) if b"x" in digits.lower() else float(digits)
    return value, len(digits)


def _pack_number(number: float) -> bytes:
    """A number of MessagePack: the shortest integer, or a float where it is exact, or a double."""
    value = float(number)
    if -(2.0**63) <= value < 2.0**63 and int(value) == value:
        whole = int(value)
        if -32 <= whole <= 127:
            return struct.pack(">b", whole)
        for head in (0xCC, 0xCD, 0xCE, 0xCF) if whole >= 0 else (0xD0, 0xD1, 0xD2, 0xD3):
            with contextlib.suppress(struct.error):
                return bytes([head]) + struct.pack(_NUMBERS[head], whole)
    with contextlib.suppress(OverflowError):
        short = struct.pack(">f", value)
        if struct.unpack(">f", short)[0] == value:
            return b"\xca" + short
    return b"\xcb" + struct.pack(">d", value)


def _pack_text(text: bytes) -> bytes:
    length = len(text)
    if length < 32:
        return bytes([0xA0 | length]) + text
    if length <= 0xFF:
        return bytes([0xD9, length]) + text
    return (b"\xda" + struct.pack(">H", length) if length <= 0xFFFF else b"\xdb" + struct.pack(">I", length)) + text


def _pack_head(kind: bytes, count: float) -> bytes:
    n = int(count)
    array = kind == b"array"
    if n <= 15:
        return bytes([(0x90 if array else 0x80) | n])
    if n <= 0xFFFF:
        return (b"\xdc" if array else b"\xde") + struct.pack(">H", n)
    return (b"\xdd" if array else b"\xdf") + struct.pack(">I", n)


class _Struct:
    """A format of the library struct (lua_struct.c): items as (letter, size, alignment)."""

    def __init__(self, form: bytes) -> None:
        self.items: list[tuple[str, int, int, str]] = []
        order = "little"
        most = 1
        at = 0
        text = form.decode("latin-1")
        while at < len(text):
            letter = text[at]
            at += 1
            start = at
            while at < len(text) and text[at].isdigit():
                at += 1
            number = int(text[start:at]) if at > start else -1
            if number > 0x7FFFFFFF:
                raise ValueError("integral size overflow")
            if letter in "<>":
                order = "little" if letter == "<" else "big"
            elif letter == "!":
                most = 8 if number < 0 else number
                if most == 0 or most & (most - 1):
                    raise ValueError("alignment is not a power of 2")
            elif letter != " ":
                size = self._size(letter, number)
                aligned = size if letter in "bBhHlLTiIfd" and size > 1 else 0
                self.items.append((letter, size, min(aligned, most), order))

    def _size(self, letter: str, number: int) -> int:
        sizes = {"b": 1, "B": 1, "h": 2, "H": 2, "l": 8, "L": 8, "T": 8, "f": 4, "d": 8, "x": 1, "s": 0}
        if letter in sizes:
            return sizes[letter]
        if letter == "c":
            return 1 if number < 0 else number
        if letter in "iI":
            size = 4 if number < 0 else number
            if not 1 <= size <= 32:
                raise ValueError(f"integral size {size} is larger than limit of 32")
            return size
        raise ValueError(f"invalid format option '{letter}'")

    def size(self) -> int:
        at = 0
        for letter, size, align, _ in self.items:
            if letter == "s" or (letter == "c" and not size):
                raise ValueError("variable-size format in 'struct.size'")
            at += _padding(at, align) + size
        return at

    def pack(self, args: tuple[Any, ...]) -> bytes:
        out = bytearray()
        left = list(args)
        for letter, size, align, order in self.items:
            out += bytes(_padding(len(out), align))
            if letter == "x":
                out.append(0)
                continue
            if not left:
                raise TypeError("bad argument (value expected, got no value)")
            given = left.pop(0)
            if letter in "cs":
                text = _bytes(given)
                wanted = size or len(text)
                if len(text) < wanted:
                    raise ValueError("string too short")
                out += text[:wanted]
                if letter == "s":
                    out.append(0)
            elif letter in "fd":
                out += _float_bytes(float(given), letter, order)
            else:
                number = float(given)
                whole = int(number) if math.isfinite(number) and -(2.0**63) <= number < 2.0**64 else -(1 << 63)
                out += ((whole & ((1 << 64) - 1)) if size <= 8 else whole).to_bytes(
                    max(size, 8), "little", signed=size > 8
                )[:size][:: 1 if order == "little" else -1]
        return bytes(out)

    def unpack(self, data: bytes, start: int) -> tuple[object, ...]:
        found: list[object] = []
        at = start - 1
        if at < 0:
            raise ValueError("offset must be 1 or greater")
        for letter, size, align, order in self.items:
            at += _padding(at, align)
            if letter == "s":
                end = data.find(b"\0", at)
                if end < 0:
                    raise ValueError("unfinished string in data")
                found.append(data[at:end])
                at = end + 1
                continue
            if letter == "c" and not size:
                last = found.pop() if found else None
                if not isinstance(last, float):
                    raise ValueError("format 'c0' needs a previous size")
                size = int(last)
            if at + size > len(data):
                raise ValueError("data string too short")
            piece = data[at : at + size]
            at += size
            if letter == "c":
                found.append(piece)
            elif letter in "fd":
                found.append(float(struct.unpack((">" if order == "big" else "<") + letter, piece)[0]))
            elif letter != "x":
                digits = piece[:8] if order == "little" else piece[-8:][::-1]
                found.append(float(int.from_bytes(digits, "little", signed=letter.islower())))
        return (*found, at + 1)


def _float_bytes(number: float, letter: str, order: str) -> bytes:
    try:
        return struct.pack((">" if order == "big" else "<") + letter, number)
    except OverflowError:  # C makes it infinite
        return struct.pack((">" if order == "big" else "<") + letter, math.copysign(math.inf, number))


def _padding(at: int, align: int) -> int:
    return -at % align if align > 1 else 0


def _bit(name: str, args: list[float]) -> object:
    """The functions of the library bit, on 32 bits (lua_bit.c)."""
    if not args:
        raise TypeError(f"bad argument #1 to '{name}' (number expected, got no value)")
    words = [round(arg) & 0xFFFFFFFF if math.isfinite(arg) else 0 for arg in args]
    word = words[0]
    by = words[1] & 31 if len(words) > 1 else 0
    if name in {"lshift", "rshift", "arshift", "rol", "ror"} and len(words) < 2:
        raise TypeError(f"bad argument #2 to '{name}' (number expected, got no value)")
    if name == "tohex":
        digits = _signed(words[1]) if len(words) > 1 else 8
        upper = digits < 0
        text = f"{word:08x}"[-min(abs(digits), 8) :] if digits else ""
        return (text.upper() if upper else text).encode()
    if name == "bnot":
        word = ~word
    elif name in {"band", "bor", "bxor"}:
        for other in words[1:]:
            word = word & other if name == "band" else word | other if name == "bor" else word ^ other
    elif name == "lshift":
        word <<= by
    elif name == "rshift":
        word >>= by
    elif name == "arshift":
        word = _signed(word) >> by
    elif name == "rol":
        word = word << by | word >> (32 - by)
    elif name == "ror":
        word = word >> by | word << (32 - by)
    elif name == "bswap":
        word = int.from_bytes(word.to_bytes(4, "little"), "big")
    return float(_signed(word & 0xFFFFFFFF))


def _signed(word: int) -> int:
    return word - (1 << 32) if word & (1 << 31) else word


def confine() -> None:
    """Take from this process what a script does not need."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
    os.environ.clear()
    try:
        import resource
    except ImportError:  # not on Windows
        return
    for name, limit in (("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0), ("RLIMIT_NPROC", 0), ("RLIMIT_AS", 2 * MEMORY)):
        kind = getattr(resource, name, None)
        if kind is not None:
            with contextlib.suppress(ValueError, OSError):  # lower already
                resource.setrlimit(kind, (limit, limit))
    if sys.platform == "linux":
        # A parent that is killed cannot end a script that does not end.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def main() -> None:
    sys.path.append(sys.argv[1])
    from importlib import import_module

    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    lua = import_module("lupa.lua51")
    sys.setrecursionlimit(5 * DEEPEST)
    confine()
    with contextlib.suppress(EOFError):
        Child(lua, incoming, outgoing).serve()


if __name__ == "__main__":
    main()
