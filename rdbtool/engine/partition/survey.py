"""The first pass over the files of a dataset that is to be partitioned: which keys have to stay together."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.aof.resp import COMMAND, END, CommandReader
from rdbtool.errors import TruncatedError, printable
from rdbtool.rdb.events import ModuleAux, Update
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.head import RdbHead
from rdbtool.servers.commands import CONTROL, find

from .buckets import Buckets
from .routes import ANY_KEY, BY_EACH_KEY, BY_KEYS, NOT_OURS, route_of
from .sieve import Sieve

FRAME_BYTES: Final[i64] = 160
"""What a key of an RDB takes in a dataset beside its name, as long as its value is not touched."""

EXPIRING_FIELDS: Final = frozenset({b"HEXPIRE", b"HEXPIREAT", b"HGETEX", b"HPEXPIRE", b"HPEXPIREAT", b"HSETEX"})
"""Commands after which a field of a hash may expire."""


@final
class Survey:
    """What a first pass finds out: which keys have to stay together, where logs end, and what is counted but once.

    ``whole``: why there can be one partition only, or "". ``commands`` of all logs; ``module_aux`` of all snapshots;
    ``unknown``: of which the engine does not carry some out; ``open``: those in a transaction that is open at the end;
    ``field_expiries``: some command may let a field of a hash expire; ``until``: see `Sieve`.
    """

    def __init__(self, buckets: Buckets) -> None:
        self.buckets = buckets
        self.whole = ""
        self.commands: i64 = 0
        self.unknown: i64 = 0
        self.open: i64 = 0
        self.field_expiries = False
        self.until: dict[str, int] = {}
        self.module_aux: list[ModuleAux] = []
        self._in_transaction = False
        self._plain: i64 = 0
        self._opened: i64 = 0
        self._sieve = Sieve(b"", int(buckets.count), int(buckets.seed), first=True, until={})
        self._sieve.weigh(buckets.weights)

    def rdb(self, head: RdbHead) -> None:
        """Look at a snapshot, to its end. Raises what reading raises."""
        reader = head.reader
        buckets = self.buckets
        event = head.next
        while event is not None:
            if isinstance(event, Frame):
                key = event.key
                offset = reader.window.offset()
                event.skip()
                buckets.weights[buckets.bucket(key)] += FRAME_BYTES + len(key) + reader.window.offset() - offset
            elif isinstance(event, ModuleAux):
                self.module_aux.append(event)
            elif isinstance(event, Update):
                self.whole = "a command inside the snapshot"
                return
            event = reader.next()

    def log(self, reader: CommandReader) -> None:
        """Look at a log, to its end or to a command of which nobody knows what keys it touches."""
        sieve = self._sieve
        path = reader.window.path
        while not self.whole:
            before = sieve.passed()
            sieve.pass_others(reader.window)
            self.commands += sieve.passed() - before
            self._plain += sieve.passed() - before
            start = reader.window.offset()
            try:
                kind = reader.read()
            except TruncatedError:
                return
            if kind == END:
                self.until[path] = int(reader.window.offset())
                return
            if kind == COMMAND:
                self._command(reader.args, reader.window.offset() - start)

    def end(self) -> None:
        """All files were looked at."""
        if self._in_transaction:
            self.open = self._plain - self._opened
        self.buckets.gather()

    def _command(self, args: list[bytes], size: i64) -> None:
        self.commands += 1
        row = find(args)
        route = route_of(row, args)
        if row is not None and row.flags & CONTROL:
            begins = row.name == b"MULTI"
            if begins and not self._in_transaction:
                self._opened = self._plain
            self._in_transaction = begins
            return
        self._plain += 1
        self.field_expiries = self.field_expiries or (row is not None and row.name in EXPIRING_FIELDS)
        if route == ANY_KEY:
            self.whole = f"{printable(args[0])} may reach any key"
        elif route == NOT_OURS:
            self.unknown += 1
        elif row is not None and route <= BY_EACH_KEY:
            self._sieve.learn(args[0], row)
            self._keys(row.keys(args), size, together=route == BY_KEYS)

    def _keys(self, keys: list[bytes], size: i64, *, together: bool) -> None:
        buckets = self.buckets
        first: i64 = -1
        for key in keys:
            bucket = buckets.bucket(key)
            if together and first >= 0:
                buckets.join(first, bucket)
            else:
                first = bucket
            buckets.weights[bucket] += size // len(keys)
