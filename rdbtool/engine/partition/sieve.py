"""The commands of a log that concern one partition of the keys; all others are passed over."""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i64_le
from librt.vecs import vec
from mypy_extensions import i64

from rdbtool.aof.resp import (
    ANNOTATION,
    COMMAND,
    CR,
    DOLLAR,
    DOLLAR_LINE,
    END,
    LF,
    LONGER_LINE,
    LONGER_WORD,
    MARGIN,
    STAR_LINE,
    WORD,
    CommandReader,
)
from rdbtool.errors import TruncatedError
from rdbtool.io.window import Window
from rdbtool.rdb.reader import NOWHERE
from rdbtool.servers.commands import CommandRow, find

from .buckets import hash_of_key
from .routes import ALL, BY_EACH_KEY, BY_KEYS, EACH, route_of

MET: Final = 256
"""Places for names of commands."""
SEVEN_BYTES: Final = 0xFF_FFFF_FFFF_FFFF


@final
class Sieve:
    """Gives the commands of a log that concern one partition.

    ``bits``: of its buckets (`Buckets.bits`), of which there are ``count``; none while a `Survey` looks at all.
    ``first``: it is the partition that takes note of what changes no key. ``until``: offset of the first command of
    each log behind what the survey has seen, by path; where it saw the log end within a command there is none.
    """

    def __init__(self, bits: bytes, count: int, seed: int, *, first: bool, until: dict[str, int]) -> None:
        self.bits = bits
        self.seed: i64 = seed
        self.mask: i64 = count - 1
        self.first = first
        self.until = until
        self._met = vec[i64]([0] * (4 * MET))
        """Names of commands whose only key is their first argument, in slots by a hash: first and last 8 bytes, length,
        and the number of words, or with a minus the least.
        """
        self._weights = vec[i64]([])
        self._end: i64 = NOWHERE
        self._passed: i64 = 0
        self._is_own = False
        """Whether what `pass_others` stopped at is a command with one key, which the partition has."""

    def __reduce__(self) -> tuple[object, ...]:
        return _sieve, (self.bits, int(self.mask) + 1, int(self.seed), self.first, self.until)

    def begin_file(self, path: str) -> None:
        """The commands of another log come."""
        self._end = self.until.get(path, NOWHERE)

    def learn(self, name: bytes, row: CommandRow) -> None:
        """Remember a name as it is spelled, if its command has one key, which comes first."""
        n: i64 = len(name)
        arity = row.arity
        if row.name in EACH:
            arity = 3 if row.step == 2 else 2
        elif row.first != 1 or row.last != 1 or row.keys_of is not None or row.name == b"SORT":
            return
        padded = name + b"\0" * 8
        a = read_i64_le(padded, 0)
        b: i64 = 0
        if n >= 8:
            b = read_i64_le(padded, n - 8)
        slot = ((a ^ a >> 10 ^ a >> 20 ^ n) & (MET - 1)) * 4
        met = self._met
        met[slot] = a
        met[slot + 1] = b
        met[slot + 2] = n
        met[slot + 3] = arity

    def has(self, key: bytes) -> bool:
        """Whether the partition has a key."""
        bucket = hash_of_key(key, 0, len(key), self.seed) & self.mask
        return self.bits[bucket >> 3] >> (bucket & 7) & 1 != 0

    def read(self, reader: CommandReader) -> i64:
        """`CommandReader.read`, past commands that concern other partitions only; of one that treats each key by
        itself, ``args`` are those of the partition's keys.
        """
        while True:
            self.pass_others(reader.window)
            try:
                kind = reader.read()
            except TruncatedError as e:
                if e.offset >= self._end:
                    return END  # a server has begun to append it since
                raise
            if kind == END or reader.offset >= self._end:
                return END
            if kind == ANNOTATION:
                return kind
            if self._is_own:
                return COMMAND
            args = self.filtered(reader.args)
            if args is not None:
                reader.args = args
                return COMMAND

    def filtered(self, args: list[bytes]) -> list[bytes] | None:
        """The command as the partition is to carry it out, or None."""
        row = find(args)
        route = route_of(row, args)
        if route == ALL:
            return args
        if route == BY_KEYS and row is not None:
            self.learn(args[0], row)
            keys = row.keys(args)
            if keys:
                return args if self.has(keys[0]) else None
        elif route == BY_EACH_KEY and row is not None:
            self.learn(args[0], row)
            step = row.step
            n: i64 = len(args)
            own = args[:1]
            at: i64 = 1
            while at < n:
                if self.has(args[at]):
                    own += args[at : at + step]
                at += step
            return own if len(own) > 1 else None
        return args if self.first else None

    def pass_others(self, w: Window) -> None:
        """Pass well-formed commands with one key that lie whole in the window, up to one for this partition."""
        data = w.data
        end = w.end
        end = min(end, self._end - w.base)
        limit = end - MARGIN
        pos = w.pos
        met = self._met
        bits = self.bits
        seed = self.seed
        mask = self.mask
        weights = self._weights
        surveys = len(weights) > 0
        passed: i64 = 0
        self._is_own = False
        n: i64
        digit: i64
        while pos <= limit:
            p = pos
            word: i64 = read_i64_le(data, p)
            argc: i64 = word >> 8 & 15
            if word & WORD == STAR_LINE and argc <= 9:
                p += 4
            else:
                digit = i64(data[p + 1]) - 48
                if data[p] != STAR_LINE & 0xFF or digit < 0 or digit > 9:
                    break
                argc = digit
                p += 2
                digit = i64(data[p]) - 48
                while 0 <= digit <= 9 and argc < 1000000:
                    argc = argc * 10 + digit
                    p += 1
                    digit = i64(data[p]) - 48
                if data[p] != CR or data[p + 1] != LF:
                    break
                p += 2
            if argc < 2:
                break
            bucket: i64 = -1
            at: i64 = 0
            while at < argc:
                if p > limit:
                    break
                word = read_i64_le(data, p)
                n = word >> 8 & 15
                digit = word >> 16 & 15
                if word & WORD == DOLLAR_LINE and n <= 9:
                    p += 4
                elif word & LONGER_WORD == LONGER_LINE and n <= 9 and digit <= 9:
                    n = n * 10 + digit
                    p += 5
                else:
                    digit = i64(data[p + 1]) - 48
                    if data[p] != DOLLAR or digit < 0 or digit > 9:
                        break
                    n = digit
                    p += 2
                    digit = i64(data[p]) - 48
                    while 0 <= digit <= 9 and n < 100000000:
                        n = n * 10 + digit
                        p += 1
                        digit = i64(data[p]) - 48
                    if data[p] != CR or data[p + 1] != LF:
                        break
                    p += 2
                if p + n + 2 > end:
                    break
                if at == 0:
                    if n < 1 or p + n > limit:
                        break
                    a: i64 = read_i64_le(data, p)
                    b: i64 = 0
                    if n < 8:
                        a &= SEVEN_BYTES >> (56 - n * 8)
                    else:
                        b = read_i64_le(data, p + n - 8)
                    slot = ((a ^ a >> 10 ^ a >> 20 ^ n) & (MET - 1)) * 4
                    if met[slot] != a or met[slot + 1] != b or met[slot + 2] != n:
                        break
                    arity = met[slot + 3]
                    if argc != arity and (arity >= 0 or argc < -arity):
                        break
                elif at == 1:
                    bucket = hash_of_key(data, p, n, seed) & mask
                    if not surveys and bits[bucket >> 3] >> (bucket & 7) & 1 != 0:
                        self._is_own = True
                        break
                p += n + 2
                at += 1
            if at < argc:
                break
            if surveys:
                weights[bucket] += p - pos
                passed += 1
            pos = p
        w.pos = pos
        self._passed += passed

    def weigh(self, weights: vec[i64]) -> None:
        """Pass all commands with one key from now on, and add their bytes to the weight of its bucket."""
        self._weights = weights

    def passed(self) -> i64:
        """How many commands were passed and weighed."""
        return self._passed


def _sieve(bits: bytes, count: int, seed: int, first: bool, until: dict[str, int]) -> Sieve:
    return Sieve(bits, count, seed, first=first, until=until)
