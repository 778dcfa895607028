"""Commands in RESP, for ``redis-cli --pipe`` and for append-only files."""

from __future__ import annotations

from typing import final

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.aof.command_writer import CommandWriter, write_command
from rdbtool.errors import RdbToolError
from rdbtool.io.output import Output
from rdbtool.model import NO_EXPIRY, Entry, Module, Stream
from rdbtool.rdb.dump_payload import build_dump
from rdbtool.rdb.layout.facts import FUNCTIONS, STREAMS, Losses
from rdbtool.rdb.opcodes import REDIS
from rdbtool.rdb.reader import Frame
from rdbtool.rdb.types import TypeRow, row_of
from rdbtool.rdb.values import modules

from .exporter import KeyFacts, ValueExporter


@final
class Resp(ValueExporter):
    """The commands that BGREWRITEAOF writes; a module's value, which it has no command for, as RESTORE.

    What the server does not know that is to run the commands is left out: ``losses.keeps`` says what it knows.
    ``valkey``: it is a Valkey. ``replace``: the server may have the keys and libraries, and they are replaced; its
    other data stays.
    """

    def __init__(self, output: Output, losses: Losses, *, valkey: bool, replace: bool = False) -> None:
        self.commands = CommandWriter(output, losses, valkey=valkey)
        super().__init__(output, losses, self.commands)
        self.replace = replace
        self.with_functions = FUNCTIONS in losses.keeps
        self.with_streams = STREAMS in losses.keeps

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
        if redis_type == "stream" and not self.with_streams:
            self.losses.left_out(STREAMS)
            return None
        self.commands.select(frame.db)
        if redis_type != "module":
            return super().frame(frame)
        self._restore(frame.key, frame.expire_at_ms, frame.type, frame.raw())
        self.count_losses(frame.idle_s, frame.freq, frame.meta)
        return None

    def entry(self, entry: Entry) -> None:
        value = entry.value
        if isinstance(value, Stream) and not self.with_streams:
            self.losses.left_out(STREAMS)
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
