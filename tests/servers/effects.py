"""Random commands of which only the log tells what they did: blocking and random pops, scripts, functions, payloads
of RESTORE, keys that expire at once. Two runs of them end differently, so they are for comparing logs.
"""

from __future__ import annotations

import random

from rdbtool.basics.crc64 import crc64
from rdbtool.model import Hash, SortedSet, Stream, Value
from rdbtool.rdb.dump_payload import dump
from rdbtool.rdb.targets import target
from tests.engine.differential import Command, args
from tests.rdb.craft import encode_length
from tests.rdb.values_strategies import KINDS, any_value
from tests.servers.harness import ServerKind

KEYS = ["p", "q", "r", "s"]
SHORT_LIVED = ["t", "u", "v"]
FUNCTION_OPCODE = 245
SCRIPTS = [
    "for i = 1, tonumber(ARGV[1]) do redis.call('RPUSH', KEYS[1], i) end",
    "local n = redis.call('INCR', KEYS[1]); redis.call('HSET', KEYS[2], 'n', n, ARGV[1], n)",
    "redis.call('SELECT', 0); return redis.call('SADD', KEYS[1], ARGV[1], KEYS[2])",
    "redis.pcall('ZADD', KEYS[1], ARGV[1], KEYS[2]); return redis.error_reply('ERR after a write')",
]
PAUSE = 0.0015
"""Seconds for a blocking command to wait in vain. Redis 6.2 rounds down to milliseconds, and 0 is for ever."""


def value(rng: random.Random) -> Value:
    """A value that no server changes by loading it."""
    made = any_value(rng, rng.choice(KINDS))
    if isinstance(made, Hash) and made.expiries:
        made.expiries = {field: ms + (1 << 45) for field, ms in made.expiries.items()}  # none has expired
    if isinstance(made, SortedSet):
        # A packed zero has no sign; and no numbers out of strtod's range: see workload.script.
        made.scores = {member: score if abs(score) > 1e-300 else 0.0 for member, score in made.scores.items()}
    if isinstance(made, Stream):
        for group in made.groups.values():
            for pending in group.pending:
                pending.delivered_ms >>= 3  # servers take nothing as delivered in the future
    return made


def library(rng: random.Random, name: str) -> str:
    body = f"return redis.call('SET', keys[1], args[1]) -- {rng.random()}\n"
    return f"#!lua name={name}\nredis.register_function('f_{name}', function(keys, args) {body} end)"


def functions_payload(rng: random.Random, kind: ServerKind) -> bytes:
    """What FUNCTION DUMP answers on a server with these libraries."""
    version = int(target(kind.name).rdb_version)
    body = b""
    for name in rng.sample("abc", rng.randrange(1, 3)):
        code = library(rng, name).encode()
        body += bytes((FUNCTION_OPCODE,)) + encode_length(len(code)) + code
    body += version.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def functions(rng: random.Random, kind: ServerKind) -> Command:
    pick = rng.randrange(8)
    name = rng.choice("abc")
    replace = ["REPLACE"] if rng.random() < 0.6 else []
    if pick < 3:
        return args("FUNCTION", "LOAD", *replace, library(rng, name))
    if pick == 3:
        return args("FUNCTION", "DELETE", name)
    if pick == 4:
        policy = rng.choice(["APPEND", "REPLACE", "FLUSH", "MERGE"])
        return args("FUNCTION", "RESTORE", functions_payload(rng, kind), policy)
    if pick == 5 and rng.random() < 0.2:
        return args("FUNCTION", "FLUSH", *rng.choice([["ASYNC"], ["SYNC"], []]))
    return args("FCALL", f"f_{name}", 1, rng.choice(KEYS), rng.randrange(99))


def restored(rng: random.Random, kind: ServerKind) -> Command:
    payload = dump(value(rng), target(kind.name))
    if rng.random() < 0.05:
        payload = payload[:-1] + bytes((payload[-1] ^ 1,))
    options: list[str | int] = ["REPLACE"] if rng.random() < 0.8 else []
    far = rng.choice([0, 10_000_000 + rng.randrange(10_000)])
    if rng.random() < 0.3 or kind.version < (7, 0):  # Redis 6.2 logs a relative time, of which each load makes another
        far = rng.choice([0, 9_999_999_999_999])
        options.append("ABSTTL")
    if rng.random() < 0.3:
        options += rng.choice([["IDLETIME", rng.randrange(9999)], ["FREQ", rng.randrange(256)]])
    return args("RESTORE", rng.choice(KEYS), far, payload, *options)


def blocking(rng: random.Random, kind: ServerKind) -> Command:
    key, other = rng.choices(KEYS, k=2)
    pick = rng.randrange(5)
    if pick == 0:
        return args(rng.choice(["BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX"]), key, other, PAUSE)
    if pick == 1:
        return args("BRPOPLPUSH", key, other, PAUSE)
    if pick == 2:
        return args("BLMOVE", key, other, *rng.choices(["LEFT", "RIGHT"], k=2), PAUSE)
    if pick == 3 and kind.version >= (7, 0):
        name, side = rng.choice([("BLMPOP", "LEFT"), ("BLMPOP", "RIGHT"), ("BZMPOP", "MIN"), ("BZMPOP", "MAX")])
        return args(name, PAUSE, 2, key, other, side, "COUNT", rng.randrange(1, 4))
    return args("SPOP", key, *([rng.randrange(5)] if rng.random() < 0.5 else []))


def short_lived(rng: random.Random, kind: ServerKind) -> Command:
    key = rng.choice(SHORT_LIVED)
    pick = rng.randrange(6)
    when = rng.choice([-1, 1, 2, 5])
    if pick == 0:
        return args("SET", key, rng.randrange(99), "PX", max(when, 1))
    if pick == 1:
        return args(rng.choice(["RPUSH", "SADD", "PFADD"]), key, rng.randrange(99))
    if pick == 2:
        return args("PEXPIRE", key, when)
    if pick == 3 and (kind.name == "valkey-9.1" or kind.at_least("redis", 8, 4)):
        option = rng.choice(["PX 3", "KEEPTTL", "NX", "XX EXAT 9999999999"]).split()
        return args("MSETEX", 2, key, 1, rng.choice(SHORT_LIVED), 2, *option)
    if pick == 4:
        return args("EXPIREAT", key, rng.choice([1, 1_600_000_000]))
    return args("GET", key)


def messages(rng: random.Random, kind: ServerKind) -> Command:
    """Of idempotent producers, who send some twice."""
    pick = rng.randrange(20)
    if pick == 0:
        name, most = rng.choice([("IDMP-DURATION", 86400), ("IDMP-MAXSIZE", rng.randrange(5, 9))])
        return args("XCFGSET", "messages", name, most)
    if pick == 1:
        return args("XTRIM", "messages", "MAXLEN", rng.randrange(30))
    if pick == 2:
        return args("XGROUP", "CREATE", "messages", rng.choice("gh"), "0")
    producer = rng.choice("pq")
    items = [part for field in rng.sample("ab", rng.randrange(1, 3)) for part in (field, str(rng.randrange(3)))]
    message = ["IDMPAUTO", producer] if rng.random() < 0.5 else ["IDMP", producer, str(rng.randrange(20))]
    return args("XADD", "messages", *message, "*", *items)


def effects(rng: random.Random, kind: ServerKind) -> Command:
    if kind.at_least("redis", 8, 6) and rng.random() < 0.2:
        return messages(rng, kind)
    pick = rng.randrange(12)
    if pick < 3:
        return restored(rng, kind)
    if pick < 6:
        return blocking(rng, kind)
    if pick == 6:
        return args("EVAL", rng.choice(SCRIPTS), 2, *rng.choices(KEYS, k=2), rng.randrange(9))
    if pick < 9:
        return short_lived(rng, kind)
    if pick == 9 and kind.version >= (7, 0):
        return functions(rng, kind)
    key = rng.choice(KEYS)
    return args(*rng.choice([f"DEL {key}", f"RPUSH {key} a b", f"ZADD {key} 1 a 2 b", f"SADD {key} a b c"]).split())
