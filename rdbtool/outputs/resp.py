"""Commands in RESP, for ``redis-cli --pipe`` and for append-only files."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.aof.command_writer import MOST_SENT, CommandWriter, write_command
from rdbtool.errors import RdbToolError, UnsupportedError
from rdbtool.findings import Finding, Severity
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import Output
from rdbtool.model import NO_EXPIRY, Entry, Module, type_name
from rdbtool.rdb.dump_payload import build_dump
from rdbtool.rdb.layout.facts import FUNCTIONS, OF_TYPE, STREAM_COUNTERS, Losses
from rdbtool.rdb.opcodes import REDIS, VALKEY
from rdbtool.rdb.reader import Frame
from rdbtool.rdb.targets import Target
from rdbtool.rdb.types import TypeRow, row_of
from rdbtool.rdb.values import modules

from .exporter import Exporter, KeyFacts, ValueExporter
from .rdb import target_of


@final
class Resp(ValueExporter):
    """The commands that BGREWRITEAOF writes; a module's value, which it has no command for, as RESTORE.

    What the server does not know that is to run the commands is left out. ``to``: that server, None for the one that
    wrote the input, as far as it says; ``keeps``: what commands for a server keep, None for any.
    ``replace``: the server may have the keys and libraries, and they are replaced; its other data stays.
    """

    def __init__(
        self,
        output: Output,
        losses: Losses,
        to: Target | None,
        keeps: Callable[[Target | None], frozenset[str]],
        *,
        replace: bool = False,
    ) -> None:
        self.to = to
        self.keeps = keeps
        self.replace = replace
        self.verify = False
        self._write_for(output, losses, to)

    def begin(self, facts: Facts) -> None:
        if self.to is not None:
            return
        if facts.version:
            to = target_of(facts)
            self.losses.keeps = self.keeps(to)
            self._write_for(self.output, self.losses, to)
        elif facts.is_old:  # what older servers refuse is not in it, and newer ones do without
            self.losses.keeps -= {STREAM_COUNTERS}
            self._write_for(self.output, self.losses, None)

    @property
    def db(self) -> int:
        return int(self.commands.db)

    def follow(self, head: bytes, db: int) -> tuple[bytes, int]:
        before, self.commands.db = self.commands.db, db
        select = BytesWriter()
        write_command(select, [b"SELECT", b"%d" % before])
        return b"", len(select) if head.startswith(select.getvalue()) else 0

    def _write_for(self, output: Output, losses: Losses, to: Target | None) -> None:
        self.commands = CommandWriter(output, losses, valkey=to is not None and to.dialect == VALKEY)
        verify = self.verify
        super().__init__(output, losses, self.commands)
        self.verify = verify
        self.with_functions = FUNCTIONS in losses.keeps
        self.unknown = frozenset(name for name, fact in OF_TYPE.items() if fact not in losses.keeps)

    def function(self, code: bytes) -> None:
        if self.with_functions and self.replace:
            write_command(self.output.buffer, [b"FUNCTION", b"LOAD", b"REPLACE", code])
            self.output.room()
        elif self.with_functions:
            self.commands.function(code)
        else:
            super().function(code)

    def frame(self, frame: Frame) -> RdbToolError | None:
        redis_type = frame.type.redis_type
        if redis_type in self.unknown:
            self.losses.left_out(OF_TYPE[redis_type])
            return None
        try:
            self.commands.select(frame.db)
        except UnsupportedError as e:
            return e
        if redis_type != "module":
            return super().frame(frame)
        flaw = self.flaw(frame) if self.verify else None
        if flaw is not None:
            return flaw
        self._restore(frame.key, frame.expire_at_ms, frame.type, frame.raw())
        self.count_losses(frame.idle_s, frame.freq, frame.meta)
        return None

    def entry(self, entry: Entry) -> None:
        value = entry.value
        redis_type = type_name(value)
        if redis_type in self.unknown:
            self.losses.left_out(OF_TYPE[redis_type])
            return
        self.commands.select(entry.db)
        if isinstance(value, Module):
            payload = BytesWriter()
            row = row_of(REDIS, modules.encode(value, payload))
            self._restore(entry.key, entry.expire_at_ms, row, payload.getvalue())
            self.count_losses(entry.idle_s, entry.freq, b"")
        else:
            super().entry(entry)

    def head(self, k: KeyFacts) -> None:
        self.commands.key(k.db, k.key)
        if self.replace:
            write_command(self.output.buffer, [b"DEL", k.key])

    def tail(self, k: KeyFacts) -> None:
        if k.expire_at_ms != NO_EXPIRY:
            self.commands.expire(k.expire_at_ms)

    def _restore(self, key: bytes, expire_at_ms: i64, row: TypeRow, raw: bytes) -> None:
        """Write a value as DUMP gives it."""
        payload = build_dump(row, raw, row.since)
        ttl = b"0" if expire_at_ms == NO_EXPIRY else b"%d" % expire_at_ms
        replaced = [b"REPLACE"] if self.replace else []
        write_command(self.output.buffer, [b"RESTORE", key, ttl, payload, *replaced, b"ABSTTL"])
        self.output.room()


def too_long(exporter: Exporter, path: str) -> list[Finding]:
    """A finding about commands for a client that servers take only if they are set up for it; ``path``: the output."""
    if not isinstance(exporter, Resp) or not exporter.commands.longest:
        return []
    message = (
        f"an argument has {exporter.commands.longest:,} bytes, and servers take {MOST_SENT:,} from a client: give them "
        "a higher proto-max-bulk-len first, or have them load an append-only file"
    )
    return [Finding(Severity.WARNING, "long-argument", message, path)]
