"""The table of commands: every command that a release of Redis or Valkey has, one row each.

Sources: what COMMAND of Valkey 9.1, Redis 7.0 and Redis 6.2 answers, with which a test compares each row;
``src/commands/*.json`` of both servers; and for newer commands of Redis, its documentation (``commands_core.json``).
Commands of modules, whose names hold a dot (``JSON.SET``), have no rows, nor have names that only forks know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from mypy_extensions import i64

Handler = Callable[[Any, list[bytes]], object]
"""Runs a command on a dataset of the engine: ``args[0]`` is its name. Returns the reply."""

WRITE: Final = 1
"""It can change the dataset. Servers write no other commands into a log, save for a few."""
READ: Final = 2
"""It only reads: scripts call it, and PFCOUNT refreshes a cached count."""
CONTAINER: Final = 4
"""A name whose subcommands have rows of their own."""
CONTROL: Final = 8
"""MULTI and EXEC: they say how a log's commands belong together."""
IDLE: Final = 16
"""It changes no dataset, whatever its subcommand: a replay passes it over."""
SWEEPING: Final = 32
"""It reaches more than the keys that its arguments name: any key, or function libraries."""
UNSUPPORTED: Final = 64
"""A server carries it out, and the engine cannot. Every other row but containers has a handler in `engine.commands`."""
EVERYWHERE: Final = 128
"""It is about no key, and what it does matters to commands on any: where keys are replayed by parts, to each part."""

CHANGES: Final[i64] = 0
"""It changes the keys that it names, if it changes any."""
SOME: Final[i64] = 1
"""It changes some of the keys that it names."""
DESTINATION: Final[i64] = 2
"""It changes the first key that it names and reads the others."""
STORE: Final[i64] = 3
"""It reads the first key that it names and changes the other, where its options name one."""
RENAMES: Final[i64] = 4
MOVES: Final[i64] = 5
"""To another database, the number of which is its second argument."""
COPIES: Final[i64] = 6
SCRIPT: Final[i64] = 7
"""It may change any key of any database."""
SWAPS: Final[i64] = 8
"""It exchanges the keys of two databases."""
FLUSHES: Final[i64] = 9
"""It deletes every key."""
FLUSHES_DB: Final[i64] = 10
"""It deletes every key of the database that is selected."""
FLUSHES_SLOTS: Final[i64] = 11
"""It deletes the keys of some hash slots, in every database."""


def unhandled(_: object, args: list[bytes]) -> object:
    """Stand in for the handler of a row that has none yet."""
    raise NotImplementedError(args[0].decode("latin-1"))


@final
class CommandRow:
    """A command, or a subcommand as ``CONTAINER|SUBCOMMAND``.

    ``arity`` counts the words, the name included, and negative means at least so many; where releases differ, it is
    what the most tolerant of them carries out. Keys are at ``first``, ``first + step`` and so on up to ``last``, which
    counts from the end where it is negative; ``first`` 0: no keys, or keys that only the arguments tell (``keys_of``).
    ``flags``: a sum of those above; ``effect``: what it does to keys, one of the constants above.
    ``redis`` and ``valkey``: the first release of each that has it, such as ``"7.0"``, "" for none; ``redis_last``:
    the last release of Redis that has it, "" where the newest does. ``handler`` is set by the engine.
    """

    def __init__(
        self,
        name: bytes,
        arity: int,
        first: int,
        last: int,
        step: int,
        keys_of: Callable[[list[bytes]], list[bytes]] | None,
        flags: int,
        effect: int,
        redis: str,
        redis_last: str,
        valkey: str,
    ) -> None:
        self.name = name
        self.is_subcommand = b"|" in name
        self.arity: i64 = arity
        self.first: i64 = first
        self.last: i64 = last
        self.step: i64 = step
        self.keys_of = keys_of
        self.flags: i64 = flags
        self.effect: i64 = effect
        self.redis = redis
        self.redis_last = redis_last
        self.valkey = valkey
        self.handler: Handler = unhandled

    def __reduce__(self) -> tuple[object, ...]:
        return _row_named, (self.name,)  # what comes out of a pickle is the row itself

    def keys(self, args: list[bytes]) -> list[bytes]:
        """The keys among the arguments, as the server names them; a wrong call may name fewer."""
        if self.keys_of is not None:
            return self.keys_of(args)
        if self.first == 0:
            return []
        last = self.last if self.last >= 0 else len(args) + self.last
        return args[self.first : last + 1 : self.step]

    def fits(self, count: i64) -> bool:
        """Whether ``count`` words, the name among them, are right for this command."""
        arity = self.arity
        return count == arity if arity >= 0 else count >= -arity


def _number(args: list[bytes], at: i64) -> int:
    """The number of keys that ``args[at]`` tells; 0 where it is none."""
    text = args[at] if at < len(args) else b""
    return int(text) if text.isdigit() and len(text) < 19 else 0


def _keys_behind_first(args: list[bytes]) -> list[bytes]:
    return args[2 : 2 + _number(args, 1)]


def _keys_behind_second(args: list[bytes]) -> list[bytes]:
    return args[3 : 3 + _number(args, 2)]


def _destination_and_counted(args: list[bytes]) -> list[bytes]:
    return args[1:2] + _keys_behind_second(args)


def _pairs_behind_first(args: list[bytes]) -> list[bytes]:
    return args[2 : 2 + 2 * _number(args, 1) : 2]


def _stored(args: list[bytes], start: i64) -> list[bytes]:
    """The first argument, and the one behind the last STORE or STOREDIST from ``start`` on."""
    i: i64 = len(args) - 2
    while i >= start:
        if args[i].upper() in {b"STORE", b"STOREDIST"}:
            return [args[1], args[i + 1]]
        i -= 1
    return args[1:2]


def _sort_keys(args: list[bytes]) -> list[bytes]:
    return _stored(args, 2)


def _radius_keys(args: list[bytes]) -> list[bytes]:
    return _stored(args, 5)


def _stream_keys(args: list[bytes]) -> list[bytes]:
    """The first half of what stands behind STREAMS: the other half are ids."""
    for i in range(1, len(args)):
        if args[i].upper() == b"STREAMS":
            return args[i + 1 : i + 1 + (len(args) - i - 1) // 2]
    return []


def _migrated_keys(args: list[bytes]) -> list[bytes]:
    """The third argument, or where that is empty, what stands behind KEYS."""
    if len(args) > 3 and args[3]:
        return [args[3]]
    for i in range(6, len(args)):
        if args[i].upper() == b"KEYS":
            return args[i + 1 :]
    return []


_KEYS: Final[dict[str, Callable[[list[bytes]], list[bytes]]]] = {
    "count@1": _keys_behind_first,
    "count@2": _keys_behind_second,
    "1+count@2": _destination_and_counted,
    "pairs@1": _pairs_behind_first,
    "sort": _sort_keys,
    "radius": _radius_keys,
    "streams": _stream_keys,
    "migrate": _migrated_keys,
}
_FLAGS: Final[dict[str, int]] = {
    "write": WRITE,
    "read": READ,
    "container": CONTAINER,
    "control": CONTROL,
    "idle": IDLE,
    "sweeping": SWEEPING,
    "unsupported": UNSUPPORTED,
    "everywhere": EVERYWHERE,
}
_EFFECTS: Final[dict[str, int]] = {
    "changes": CHANGES,
    "some": SOME,
    "destination": DESTINATION,
    "store": STORE,
    "renames": RENAMES,
    "moves": MOVES,
    "copies": COPIES,
    "script": SCRIPT,
    "swaps": SWAPS,
    "flushes": FLUSHES,
    "flushes-db": FLUSHES_DB,
    "flushes-slots": FLUSHES_SLOTS,
}
FIRST_VALKEY: Final = "7.2"
"""The first release of Valkey has every command that Redis had until then."""

_TABLE: Final = """
# name                        arity keys      flags                 since      effect
# Strings
APPEND                            3 1         write                 2.0
DECR                              2 1         write                 1.0
DECRBY                            3 1         write                 1.0
DELEX                            -2 1         write                 8.4/-
DELIFEQ                           3 1         write                 -/9.0
DIGEST                            2 1         read+unsupported      8.4/-
GET                               2 1         read                  1.0
GETDEL                            2 1         write                 6.2
GETEX                            -2 1         write                 6.2
GETRANGE                          4 1         read                  2.4
GETSET                            3 1         write                 1.0
INCR                              2 1         write                 1.0
INCRBY                            3 1         write                 1.0
INCRBYFLOAT                       3 1         write                 2.6
INCREX                           -2 1         write+unsupported     8.8/-
LCS                              -3 1..2      read+unsupported      7.0
MGET                             -2 1..-1     read                  1.0
MSET                             -3 1..-1/2   write                 1.0
MSETEX                           -4 pairs@1   write                 8.4/9.1
MSETNX                           -3 1..-1/2   write                 1.0
PSETEX                            4 1         write                 2.6
SET                              -3 1         write                 1.0
SETEX                             4 1         write                 2.0
SETNX                             3 1         write                 1.0
SETRANGE                          4 1         write                 2.2
STRALGO                          -2 -         read+unsupported      6.0..6.2/-
STRLEN                            2 1         read                  2.2
SUBSTR                            4 1         read+unsupported      1.0
# Bitmaps
BITCOUNT                         -2 1         read                  2.6
BITFIELD                         -2 1         write                 3.2
BITFIELD_RO                      -2 1         idle                  6.0
BITOP                            -4 2..-1     write                 2.6        destination
BITPOS                           -3 1         read+unsupported      2.8
GETBIT                            3 1         read                  2.2
SETBIT                            4 1         write                 2.2
# HyperLogLogs
PFADD                            -2 1         write                 2.8
PFCOUNT                          -2 1..-1     read                  2.8
PFDEBUG                           3 2         write                 2.8
PFMERGE                          -2 1..-1     write                 2.8        destination
PFSELFTEST                        1 -         unsupported           2.8
# Lists
BLMOVE                            6 1..2      write                 6.2
BLMOVEM                          -6 1..2      write                 8.10/-
BLMPOP                           -5 count@2   write                 7.0        some
BLPOP                            -3 1..-2     write                 2.0        some
BRPOP                            -3 1..-2     write                 2.0        some
BRPOPLPUSH                        4 1..2      write                 2.2
LINDEX                            3 1         read                  1.0
LINSERT                           5 1         write                 2.2
LLEN                              2 1         read                  1.0
LMOVE                             5 1..2      write                 6.2
LMOVEM                           -5 1..2      write                 8.10/-
LMPOP                            -4 count@1   write                 7.0        some
LPOP                             -2 1         write                 1.0
LPOS                             -3 1         read+unsupported      6.0
LPUSH                            -3 1         write                 1.0
LPUSHX                           -3 1         write                 2.2
LRANGE                            4 1         read                  1.0
LREM                              4 1         write                 1.0
LSET                              4 1         write                 1.0
LTRIM                             4 1         write                 1.0
RPOP                             -2 1         write                 1.0
RPOPLPUSH                         3 1..2      write                 1.2
RPUSH                            -3 1         write                 1.0
RPUSHX                           -3 1         write                 2.2
# Sets
SADD                             -3 1         write                 1.0
SCARD                             2 1         read                  1.0
SDIFF                            -2 1..-1     read                  1.0
SDIFFCARD                        -3 count@1   read+unsupported      8.10/-
SDIFFSTORE                       -3 1..-1     write                 1.0        destination
SINTER                           -2 1..-1     read                  1.0
SINTERCARD                       -3 count@1   read                  7.0
SINTERSTORE                      -3 1..-1     write                 1.0        destination
SISMEMBER                         3 1         read                  1.0
SMEMBERS                          2 1         read                  1.0
SMISMEMBER                       -3 1         read                  6.2
SMOVE                             4 1..2      write                 1.0        some
SPOP                             -2 1         write                 1.0
SRANDMEMBER                      -2 1         read+unsupported      1.0
SREM                             -3 1         write                 1.0
SSCAN                            -3 1         read+unsupported      2.8
SUNION                           -2 1..-1     read                  1.0
SUNIONCARD                       -3 count@1   read+unsupported      8.10/-
SUNIONSTORE                      -3 1..-1     write                 1.0        destination
# Sorted sets
BZMPOP                           -5 count@2   write                 7.0        some
BZPOPMAX                         -3 1..-2     write                 5.0        some
BZPOPMIN                         -3 1..-2     write                 5.0        some
ZADD                             -4 1         write                 1.2
ZCARD                             2 1         read                  1.2
ZCOUNT                            4 1         read                  2.0
ZDIFF                            -3 count@1   read+unsupported      6.2
ZDIFFSTORE                       -4 1+count@2 write                 6.2        destination
ZINCRBY                           4 1         write                 1.2
ZINTER                           -3 count@1   read+unsupported      6.2
ZINTERCARD                       -3 count@1   read+unsupported      7.0
ZINTERSTORE                      -4 1+count@2 write                 2.0        destination
ZLEXCOUNT                         4 1         read                  2.8
ZMPOP                            -4 count@1   write                 7.0        some
ZMSCORE                          -3 1         read                  6.2
ZPOPMAX                          -2 1         write                 5.0
ZPOPMIN                          -2 1         write                 5.0
ZRANDMEMBER                      -2 1         read+unsupported      6.2
ZRANGE                           -4 1         read                  1.2
ZRANGEBYLEX                      -4 1         read                  2.8
ZRANGEBYSCORE                    -4 1         read                  1.0
ZRANGESTORE                      -5 1..2      write                 6.2        destination
ZRANK                            -3 1         read                  2.0
ZREM                             -3 1         write                 1.2
ZREMRANGEBYLEX                    4 1         write                 2.8
ZREMRANGEBYRANK                   4 1         write                 2.0
ZREMRANGEBYSCORE                  4 1         write                 1.2
ZREVRANGE                        -4 1         read                  1.2
ZREVRANGEBYLEX                   -4 1         read                  2.8
ZREVRANGEBYSCORE                 -4 1         read                  2.2
ZREVRANK                         -3 1         read                  2.0
ZSCAN                            -3 1         read+unsupported      2.8
ZSCORE                            3 1         read                  1.2
ZUNION                           -3 count@1   read+unsupported      6.2
ZUNIONSTORE                      -4 1+count@2 write                 2.0        destination
# Geo indices
GEOADD                           -5 1         write                 3.2
GEODIST                          -4 1         read                  3.2
GEOHASH                          -2 1         read+unsupported      3.2
GEOPOS                           -2 1         read                  3.2
GEORADIUS                        -6 radius    write                 3.2        store
GEORADIUSBYMEMBER                -5 radius    write                 3.2        store
GEORADIUSBYMEMBER_RO             -5 1         read+unsupported      3.2
GEORADIUS_RO                     -6 1         read+unsupported      3.2
GEOSEARCH                        -7 1         read                  6.2
GEOSEARCHSTORE                   -8 1..2      write                 6.2        destination
# Hashes
HDEL                             -3 1         write                 2.0
HEXISTS                           3 1         read                  2.0
HEXPIRE                          -6 1         write                 7.4/9.0
HEXPIREAT                        -6 1         write                 7.4/9.0
HEXPIRETIME                      -5 1         read+unsupported      7.4/9.0
HGET                              3 1         read                  2.0
HGETALL                           2 1         read                  2.0
HGETDEL                          -5 1         write                 8.0/9.1
HGETEX                           -5 1         write                 8.0/9.0
HIMPORT                          -2 -         container             8.10/-
HIMPORT|DISCARD                   3 -         write+everywhere      8.10/-
HIMPORT|DISCARDALL                2 -         write+everywhere      8.10/-
HIMPORT|PREPARE                  -4 -         write+everywhere      8.10/-
HIMPORT|SET                      -5 2         write                 8.10/-
HINCRBY                           4 1         write                 2.0
HINCRBYFLOAT                      4 1         write                 2.6
HKEYS                             2 1         read                  2.0
HLEN                              2 1         read                  2.0
HMGET                            -3 1         read                  2.0
HMSET                            -4 1         write                 2.0
HPERSIST                         -5 1         write                 7.4/9.0
HPEXPIRE                         -6 1         write                 7.4/9.0
HPEXPIREAT                       -6 1         write                 7.4/9.0
HPEXPIRETIME                     -5 1         read                  7.4/9.0
HPTTL                            -5 1         read+unsupported      7.4/9.0
HRANDFIELD                       -2 1         read+unsupported      6.2
HSCAN                            -3 1         read+unsupported      2.8
HSET                             -4 1         write                 2.0
HSETEX                           -6 1         write                 8.0/9.0
HSETNX                            4 1         write                 2.0
HSTRLEN                           3 1         read                  3.2
HTTL                             -5 1         read+unsupported      7.4/9.0
HVALS                             2 1         read                  2.0
# Streams
XACK                             -4 1         write                 5.0
XACKDEL                          -6 1         write                 8.2/9.2
XADD                             -5 1         write                 5.0
XAUTOCLAIM                       -6 1         write                 6.2
XCFGSET                          -2 1         write                 8.6/-
XCLAIM                           -6 1         write                 5.0
XDEL                             -3 1         write                 5.0
XDELEX                           -5 1         write                 8.2/9.2
XGROUP                           -2 -         container             5.0
XGROUP|CREATE                    -5 2         write                 5.0
XGROUP|CREATECONSUMER             5 2         write                 6.2
XGROUP|DELCONSUMER                5 2         write                 5.0
XGROUP|DESTROY                    4 2         write                 5.0
XGROUP|HELP                       2 -         unsupported           5.0
XGROUP|SETID                     -5 2         write                 5.0
XIDMPRECORD                       5 1         write                 8.6/-
XINFO                            -2 -         unsupported           5.0
XLEN                              2 1         read                  5.0
XNACK                            -7 1         write                 8.8/-
XPENDING                         -3 1         read+unsupported      5.0
XRANGE                           -4 1         read                  5.0
XREAD                            -4 streams   read+unsupported      5.0
XREADGROUP                       -7 streams   write                 5.0
XREVRANGE                        -4 1         read+unsupported      5.0
XSETID                           -3 1         write                 5.0
XTRIM                            -4 1         write                 5.0
# Arrays
ARCOUNT                           2 1         read+unsupported      8.8/-
ARDEL                            -3 1         write                 8.8/-
ARDELRANGE                       -4 1         write                 8.8/-
ARGET                             3 1         read+unsupported      8.8/-
ARGETRANGE                        4 1         read+unsupported      8.8/-
ARGREP                           -6 1         read+unsupported      8.8/-
ARINFO                           -2 1         read+unsupported      8.8/-
ARINSERT                         -3 1         write                 8.8/-
ARLASTITEMS                      -3 1         read+unsupported      8.8/-
ARLEN                             2 1         read+unsupported      8.8/-
ARMGET                           -3 1         read+unsupported      8.8/-
ARMSET                           -4 1         write                 8.8/-
ARNEXT                            2 1         read+unsupported      8.8/-
AROP                             -5 1         read+unsupported      8.8/-
ARRING                           -4 1         write                 8.8/-
ARSCAN                           -4 1         read+unsupported      8.8/-
ARSEEK                            3 1         write                 8.8/-
ARSET                            -4 1         write                 8.8/-
# Path hashes
PHCARD                            2 1         read+unsupported      -/9.2
PHDEL                            -3 1         write                 -/9.2
PHDELPREFIX                       3 1         write                 -/9.2
PHEXISTS                         -3 1         read+unsupported      -/9.2
PHGET                             4 1         read+unsupported      -/9.2
PHGETALL                         -2 1         read+unsupported      -/9.2
PHLONGEST                         3 1         read+unsupported      -/9.2
PHMGET                           -4 1         read+unsupported      -/9.2
PHMSET                           -6 1         write                 -/9.2
PHPREFIXES                        3 1         read+unsupported      -/9.2
PHSCAN                           -3 1         read+unsupported      -/9.2
PHSET                            -7 1         write                 -/9.2
# Vector sets
VADD                             -5 1         write+unsupported     8.0/-
VCARD                             2 1         read+unsupported      8.0/-
VDIM                              2 1         read+unsupported      8.0/-
VEMB                             -3 1         read+unsupported      8.0/-
VGETATTR                          3 1         read+unsupported      8.0/-
VINFO                             2 1         read+unsupported      8.0/-
VISMEMBER                         3 1         read+unsupported      8.2/-
VLINKS                           -3 1         read+unsupported      8.0/-
VRANDMEMBER                      -2 1         read+unsupported      8.0/-
VRANGE                           -4 1         read+unsupported      8.4/-
VREM                              3 1         write+unsupported     8.0/-
VSETATTR                          4 1         write+unsupported     8.0/-
VSIM                             -4 1         read+unsupported      8.0/-
# Keys
COPY                             -3 1..2      write                 6.2        copies
DEL                              -2 1..-1     write                 1.0
DUMP                              2 1         idle                  2.6
EXISTS                           -2 1..-1     read                  1.0
EXPIRE                           -3 1         write                 1.0
EXPIREAT                         -3 1         write                 1.2
EXPIRETIME                        2 1         read                  7.0
KEYS                              2 -         idle                  1.0
MIGRATE                          -6 migrate   write                 2.6
MOVE                             -3 1         write                 1.0        moves
OBJECT                           -2 -         idle                  2.2
PERSIST                           2 1         write                 2.2
PEXPIRE                          -3 1         write                 2.6
PEXPIREAT                        -3 1         write                 2.6
PEXPIRETIME                       2 1         read                  7.0
PTTL                              2 1         read                  2.6
RANDOMKEY                         1 -         idle                  1.0
RENAME                            3 1..2      write                 1.0        renames
RENAMENX                          3 1..2      write                 1.0        renames
RESTORE                          -4 1         write                 2.6
RESTORE-ASKING                   -4 1         write                 3.0
SCAN                             -2 -         idle                  2.8
SORT                             -2 sort      write+sweeping        1.0        store
SORT_RO                          -2 1         read                  7.0
TOUCH                            -2 1..-1     read                  3.2
TTL                               2 1         read                  1.0
TYPE                              2 1         read                  1.0
UNLINK                           -2 1..-1     write                 4.0
# Transactions
DISCARD                           1 -         idle                  2.0
EXEC                              1 -         control+everywhere    1.2
MULTI                             1 -         control+everywhere    1.2
UNWATCH                           1 -         idle                  2.2
WATCH                            -2 1..-1     idle                  2.2
# Scripts and functions
EVAL                             -3 count@2   write+sweeping        2.6        script
EVALSHA                          -3 count@2   write+sweeping        2.6        script
EVALSHA_RO                       -3 count@2   read+unsupported      7.0
EVAL_RO                          -3 count@2   read+unsupported      7.0
FCALL                            -3 count@2   write+sweeping        7.0
FCALL_RO                         -3 count@2   read+unsupported      7.0
FUNCTION                         -2 -         container             7.0
FUNCTION|DELETE                   3 -         write+sweeping        7.0
FUNCTION|DUMP                     2 -         unsupported           7.0
FUNCTION|FLUSH                   -2 -         write+sweeping        7.0
FUNCTION|HELP                     2 -         unsupported           7.0
FUNCTION|KILL                     2 -         unsupported           7.0
FUNCTION|LIST                    -2 -         unsupported           7.0
FUNCTION|LOAD                    -3 -         write+sweeping        7.0
FUNCTION|RESTORE                 -3 -         write+sweeping        7.0
FUNCTION|STATS                    2 -         unsupported           7.0
SCRIPT                           -2 -         container             2.6
SCRIPT|DEBUG                     -3 -         unsupported           3.2
SCRIPT|EXISTS                    -3 -         unsupported           2.6
SCRIPT|FLUSH                     -2 -         read                  2.6
SCRIPT|HELP                       2 -         unsupported           5.0
SCRIPT|KILL                       2 -         unsupported           2.6
SCRIPT|LOAD                       3 -         read                  2.6
SCRIPT|SHOW                       3 -         unsupported           -/8.0
# Databases and the server
ACL                              -2 -         idle                  6.0
BACKUP                           -2 -         unsupported           8.10/-
BGREWRITEAOF                      1 -         idle                  1.0
BGSAVE                           -1 -         idle                  1.0
COMMAND                          -1 -         idle                  2.8
COMMANDLOG                       -2 -         unsupported           -/8.1
CONFIG                           -2 -         idle                  2.0
DBSIZE                            1 -         read                  1.0
DEBUG                            -2 -         idle                  1.0
FAILOVER                         -1 -         unsupported           6.2
FLUSHALL                         -1 -         write+sweeping+everywhere 1.0        flushes
FLUSHDB                          -1 -         write+sweeping+everywhere 1.0        flushes-db
HOTKEYS                          -2 -         unsupported           8.6/-
INFO                             -1 -         idle                  1.0
LASTSAVE                          1 -         idle                  1.0
LATENCY                          -2 -         idle                  2.8
LOLWUT                           -1 -         idle                  5.0
MEMORY                           -2 -         idle                  4.0
MODULE                           -2 -         unsupported           4.0
MONITOR                           1 -         idle                  1.0
PSYNC                            -3 -         unsupported           2.8
REPLCONF                         -1 -         unsupported           3.0
REPLICAOF                         3 -         unsupported           5.0
ROLE                              1 -         idle                  2.8
SAVE                              1 -         idle                  1.0
SELECT                            2 -         read+everywhere       1.0
SHUTDOWN                         -1 -         unsupported           1.0
SLAVEOF                           3 -         unsupported           1.0
SLOWLOG                          -2 -         idle                  2.2
SWAPDB                            3 -         write+sweeping+everywhere 4.0        swaps
SYNC                              1 -         unsupported           1.0
TIME                              1 -         idle                  2.6
SENTINEL                         -2 -         unsupported           2.4
# Connections, and publishing
AUTH                             -2 -         idle                  1.0
CLIENT                           -2 -         idle                  2.4
ECHO                              2 -         idle                  1.0
HELLO                            -1 -         idle                  6.0
PING                             -1 -         idle                  1.0
QUIT                             -1 -         unsupported           1.0
RESET                             1 -         idle                  6.2
WAIT                              3 -         idle                  3.0
WAITAOF                           4 -         idle                  7.2
PSUBSCRIBE                       -2 -         idle                  2.0
PUBLISH                           3 -         idle                  2.0
PUBSUB                           -2 -         idle                  2.8
PUNSUBSCRIBE                     -1 -         idle                  2.0
SPUBLISH                          3 -         idle                  7.0
SSUBSCRIBE                       -2 -         idle                  7.0
SUBSCRIBE                        -2 -         idle                  2.0
SUNSUBSCRIBE                     -1 -         idle                  7.0
UNSUBSCRIBE                      -1 -         idle                  2.0
# The cluster
ASKING                            1 -         idle                  3.0
CLUSTER                          -2 -         container             3.0
CLUSTERSCAN                      -2 -         read+unsupported      -/9.1
CLUSTER|ADDSLOTS                 -3 -         unsupported           3.0
CLUSTER|ADDSLOTSRANGE            -4 -         unsupported           7.0
CLUSTER|BUMPEPOCH                 2 -         unsupported           3.0
CLUSTER|CANCELSLOTMIGRATIONS      2 -         unsupported           -/9.0
CLUSTER|COUNT-FAILURE-REPORTS     3 -         unsupported           3.0
CLUSTER|COUNTKEYSINSLOT           3 -         unsupported           3.0
CLUSTER|DELSLOTS                 -3 -         unsupported           3.0
CLUSTER|DELSLOTSRANGE            -4 -         unsupported           7.0
CLUSTER|FAILOVER                 -2 -         unsupported           3.0
CLUSTER|FLUSHSLOT                -3 -         write+sweeping+everywhere -/9.0      flushes-slots
CLUSTER|FLUSHSLOTS                2 -         unsupported           3.0
CLUSTER|FORGET                    3 -         unsupported           3.0
CLUSTER|GETKEYSINSLOT             4 -         unsupported           3.0
CLUSTER|GETSLOTMIGRATIONS         2 -         unsupported           -/9.0
CLUSTER|HELP                      2 -         unsupported           5.0
CLUSTER|INFO                      2 -         unsupported           3.0
CLUSTER|KEYSLOT                   3 -         unsupported           3.0
CLUSTER|LINKS                     2 -         unsupported           7.0
CLUSTER|MEET                     -4 -         unsupported           3.0
CLUSTER|MIGRATESLOTS             -4 -         unsupported           -/9.0
CLUSTER|MIGRATION                -4 -         unsupported           8.4/-
CLUSTER|MYID                      2 -         unsupported           3.0
CLUSTER|MYSHARDID                 2 -         unsupported           7.2
CLUSTER|NODES                     2 -         unsupported           3.0
CLUSTER|REPLICAS                  3 -         unsupported           5.0
CLUSTER|REPLICATE                -3 -         unsupported           3.0
CLUSTER|RESET                    -2 -         unsupported           3.0
CLUSTER|SAVECONFIG                2 -         unsupported           3.0
CLUSTER|SET-CONFIG-EPOCH          3 -         unsupported           3.0
CLUSTER|SETSLOT                  -4 -         unsupported           3.0
CLUSTER|SHARDS                    2 -         unsupported           7.0
CLUSTER|SLAVES                    3 -         unsupported           3.0
CLUSTER|SLOT-STATS               -4 -         unsupported           8.2/8.0
CLUSTER|SLOTS                     2 -         unsupported           3.0
CLUSTER|SYNCSLOTS                -3 -         read+sweeping+everywhere 8.4/9.0    flushes-slots
READONLY                          1 -         idle                  3.0
READWRITE                         1 -         idle                  3.0
SFLUSH                           -3 -         write+sweeping+everywhere 8.0/-      flushes-slots
TRIMSLOTS                        -5 -         write+sweeping+everywhere 8.4/-      flushes-slots
"""
"""A row for each command: its name, arity, keys, flags, since when it is there, and its effect unless it is "changes".

Keys: where the first one is, ``first..last`` or ``first..last/step``, or a name of `_KEYS`; "-": none. Since: the
release of Redis, then behind a slash that of Valkey, "-" for never; without a slash, every Valkey has it.
"""


def _row(line: str) -> CommandRow:
    """The row that a line of the table describes."""
    name, arity, keys, flags, since, *effect = line.split()
    first = last = step = 0
    keys_of = _KEYS.get(keys)
    if keys_of is None and keys != "-":
        at, _, every = keys.partition("/")
        begin, _, end = at.partition("..")
        first = int(begin)
        last = int(end or begin)
        step = int(every or 1)
    redis, slash, valkey = since.partition("/")
    redis, _, redis_last = redis.partition("..")
    return CommandRow(
        name.encode(),
        int(arity),
        first,
        last,
        step,
        keys_of,
        sum(_FLAGS[flag] for flag in flags.split("+")),
        _EFFECTS[effect[0] if effect else "changes"],
        redis.strip("-"),
        redis_last,
        valkey.strip("-") if slash else FIRST_VALKEY,
    )


def _rows() -> dict[bytes, CommandRow]:
    rows: dict[bytes, CommandRow] = {}
    for line in _TABLE.splitlines():
        if line and line[0] != "#":
            row = _row(line)
            rows[row.name] = row
    return rows


COMMANDS: Final[dict[bytes, CommandRow]] = _rows()
"""Upper-case name -> row; a subcommand's name is ``CONTAINER|SUBCOMMAND``."""


def _row_named(name: bytes) -> CommandRow:
    return COMMANDS[name]


def row_of(name: bytes) -> CommandRow | None:
    """The row of the command ``name``, in any case of letters; a container's own for its subcommands."""
    row = COMMANDS.get(name.upper())
    return None if row is None or row.is_subcommand else row


def is_known(name: bytes) -> bool:
    """Whether a server release, in any case of letters, or some module has a command ``name``."""
    return row_of(name) is not None or b"." in name.strip(b".")


def arity_of(name: bytes) -> i64:
    """The arity of the command ``name`` (see `CommandRow`); of one that has no row, any number of words."""
    row = row_of(name)
    return -1 if row is None else row.arity


def find(args: list[bytes]) -> CommandRow | None:
    """The row of the command ``args``, in any case of letters; None if there is no such command or subcommand."""
    row = COMMANDS.get(args[0].upper())
    if row is None or row.is_subcommand:
        return None
    if row.flags & CONTAINER and len(args) > 1:
        row = COMMANDS.get(row.name + b"|" + args[1].upper())
    return row
