"""Input of small keys and many elements: an RDB of that mix, and an RDB for each encoding alone.

Where `data` has texts of hundreds of bytes that LZF shrinks, here are integers, short texts and packed values, so that
what counts is the time for a key and for an element.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from tests.bench.data import BATCH, CACHE, SEED, Command, bench_server, fresh, keep
from tests.servers.harness import running

BYTES_PER_KEY = 340
"""About what a key of the mix takes in the file."""
PART = 100
"""Elements that are sent by one command at most."""

Arguments = list[bytes | str | int]
T = TypeVar("T")


def small_rdb_file(megabytes: int, seed: int = SEED, *, compressed: bool = True) -> Path:
    """An RDB of the mix of about that size. ``compressed``: by LZF, where that shrinks a string."""
    commands = islice(_mix(random.Random(seed)), megabytes * 1_000_000 // BYTES_PER_KEY)
    return _saved(f"small-{megabytes}-{seed}", (c for key in commands for c in key), compressed=compressed)


def _saved(name: str, commands: Iterator[Command], *, compressed: bool = True) -> Path:
    """What a server saves that was sent these commands, made once."""
    kind = bench_server()
    path = CACHE / f"{kind.name}-{name}{'' if compressed else '-plain'}.rdb"
    if not path.exists():
        work = fresh(path)
        with running(kind, work) as server:
            for batch in _parts(commands, BATCH):
                for reply in server.send(*batch):
                    assert not isinstance(reply, Exception), reply
            server.execute("CONFIG", "SET", "rdbcompression", "yes" if compressed else "no")
            server.execute("SAVE")
        keep(work, work / "dump.rdb", path)
    return path


def _parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while part := list(islice(left, size)):
        yield part


def _text(rng: random.Random, size: int) -> bytes:
    """Letters and digits that no compression shrinks by much."""
    return base64.b64encode(rng.randbytes(size * 3 // 4 + 1), b"-_")[:size]


def _document(rng: random.Random) -> bytes:
    words = [_text(rng, rng.randint(3, 12)).decode() for _ in range(rng.randint(2, 8))]
    fields = {word: rng.choice((rng.getrandbits(30), rng.random(), word[::-1], None)) for word in words}
    return json.dumps({"id": rng.getrandbits(48), **fields}).encode()


def _adding(name: str, key: str, groups: list[Arguments]) -> list[Command]:
    """Commands that add groups of arguments to a key."""
    return [(name, key, *(x for group in part for x in group)) for part in _parts(groups, PART)]


def _integer(rng: random.Random) -> int:
    bits = rng.choice((4, 7, 12, 15, 23, 31, 62))
    return rng.getrandbits(bits) - (1 << (bits - 1) if rng.random() < 0.2 else 0)


def _list(rng: random.Random, key: str, size: int) -> list[Command]:
    integers = rng.random() < 0.6
    return _adding("RPUSH", key, [[_integer(rng) if integers else _text(rng, rng.randint(3, 40))] for _ in range(size)])


def _hash(rng: random.Random, key: str, size: int) -> list[Command]:
    fields: list[Arguments] = []
    for i in range(size):
        value = _integer(rng) if rng.random() < 0.4 else _text(rng, rng.randint(2, 20))
        fields.append([f"f{i}", value])
    return _adding("HSET", key, fields)


def _zset(rng: random.Random, key: str, size: int) -> list[Command]:
    whole = rng.random() < 0.5
    members: list[Arguments] = []
    for _ in range(size):
        score = (
            rng.getrandbits(20) if whole else rng.choice((round(rng.uniform(0, 1e6), 3), rng.random(), rng.random()))
        )
        members.append([repr(score), f"m{rng.getrandbits(32)}"])
    return _adding("ZADD", key, members)


def _set_of_integers(rng: random.Random, key: str, size: int) -> list[Command]:
    bits = rng.choice((15, 24, 31, 50))
    return _adding("SADD", key, [[rng.getrandbits(bits)] for _ in range(size)])


def _set(rng: random.Random, key: str, size: int) -> list[Command]:
    return _adding("SADD", key, [[_text(rng, rng.randint(6, 24))] for _ in range(size)])


def _stream(rng: random.Random, key: str, size: int) -> list[Command]:
    """Entries as a log of events has them, and a group that has been given half of them and acknowledged a third."""
    ids = [f"{1_700_000_000_000 + i * 37}-{rng.randrange(2)}" for i in range(size)]
    made: list[Command] = [
        ("XADD", key, entry, "kind", "click", "at", rng.getrandbits(30), "by", _text(rng, 8)) for entry in ids
    ]
    if size > 1:
        read = ("XREADGROUP", "GROUP", "workers")
        part = ("COUNT", size // 4 or 1, "STREAMS", key, ">")
        made += [("XGROUP", "CREATE", key, "workers", "0"), (*read, "alice", *part), (*read, "bob", *part)]
        made.append(("XACK", key, "workers", *ids[: size // 3 or 1]))
    return made


def _mix(rng: random.Random) -> Iterator[list[Command]]:
    """The commands of a key each, without end."""
    n = 0
    while True:
        n += 1
        kind = rng.random()
        key = f"{rng.choice(('u', 'session', 'cache:item', 'q'))}:{n}"
        made: list[Command] = []
        if kind < 0.23:
            made = [("SET", key, _integer(rng))]
        elif kind < 0.46:
            made = [("SET", key, _text(rng, rng.randint(32, 1024) if rng.random() < 0.4 else rng.randint(32, 128)))]
        elif kind < 0.69:
            made = [("SET", key, _document(rng))]
        elif kind < 0.79:
            made = _hash(rng, key, rng.randint(3, 50))
        elif kind < 0.88:
            made = _zset(rng, key, rng.randint(3, 50))
        elif kind < 0.89:
            made = _list(rng, key, rng.randint(100, 1000))
        elif kind < 0.95:
            made = _set_of_integers(rng, key, rng.randint(5, 300))
        elif kind < 0.975:
            made = _set(rng, key, rng.randint(3, 40))
        elif kind < 0.9765:
            made = _hash(rng, key, rng.randint(520, 900))
        elif kind < 0.982:
            made = _zset(rng, key, rng.randint(130, 400))
        else:
            made = _stream(rng, key, rng.randint(1, 60))
        if n % 5 == 0:
            made.append(("PEXPIREAT", key, 4_000_000_000_000 + n))
        yield made


@dataclass(frozen=True)
class Kind:
    """Keys of one encoding. ``make``: the commands of a key with so many elements; ``most``: elements of a long one, 0
    where a key has no elements; ``compressed``: saved with LZF.
    """

    name: str
    make: Callable[[random.Random, str, int], list[Command]]
    most: int
    compressed: bool = True

    def file(self, keys: int, elements: int) -> Path:
        """An RDB of so many keys with so many elements each."""
        rng = random.Random(SEED)
        commands = (c for n in range(keys) for c in self.make(rng, f"key:{n}", elements))
        name = "".join(c if c.isalnum() else "-" for c in self.name)
        return _saved(f"{name}-{keys}-{elements}", commands, compressed=self.compressed)


def _strings(value: Callable[[random.Random], bytes | int]) -> Callable[[random.Random, str, int], list[Command]]:
    return lambda rng, key, _: [("SET", key, value(rng))]


def _groups(
    command: str, group: Callable[[random.Random, int], Arguments]
) -> Callable[[random.Random, str, int], list[Command]]:
    return lambda rng, key, size: _adding(command, key, [group(rng, i) for i in range(size)])


_FIELDS = _groups("HSET", lambda rng, i: [f"field{i}", _text(rng, 12)])

KINDS = (
    Kind("string, integer", _strings(_integer), 0),
    Kind("string, 64 bytes", _strings(lambda rng: _text(rng, 64)), 0),
    Kind("string, JSON", _strings(_document), 0),
    Kind("string, JSON, no LZF", _strings(_document), 0, compressed=False),
    Kind("string, 1 KB, LZF", _strings(lambda rng: b"%d " % rng.getrandbits(20) * 128), 0),
    Kind("list-quicklist2, integers", _groups("RPUSH", lambda rng, _: [_integer(rng)]), 5000),
    Kind("list-quicklist2, 20 bytes", _groups("RPUSH", lambda rng, _: [_text(rng, 20)]), 5000),
    Kind("set-intset", _groups("SADD", lambda rng, _: [rng.getrandbits(30)]), 500),
    Kind("set", _groups("SADD", lambda rng, _: [_text(rng, 12)]), 5000),
    Kind("hash-listpack", _FIELDS, 100),
    Kind("hash-listpack, no LZF", _FIELDS, 100, compressed=False),
    Kind("hash", _groups("HSET", lambda rng, i: [f"field{i}", _text(rng, 65)]), 5000),
    Kind("zset-listpack, whole scores", _groups("ZADD", lambda rng, i: [rng.getrandbits(20), f"member:{i}"]), 100),
    Kind("zset-listpack, doubles", _groups("ZADD", lambda rng, i: [repr(rng.random()), f"member:{i}"]), 100),
    Kind("zset2", _groups("ZADD", lambda rng, i: [repr(rng.random()), b"%d:" % i + _text(rng, 65)]), 5000),
    Kind("stream-listpacks2", _stream, 2000),
)
