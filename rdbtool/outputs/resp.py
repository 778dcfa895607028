"""Commands in RESP, for ``redis-cli --pipe`` and for append-only files."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.aof.command_writer import CommandWriter, write_command
from rdbtool.errors import RdbToolError
from rdbtool.io.output import Output
from rdbtool.model import NO_EXPIRY, Entry, Module
from rdbtool.rdb.dump_payload import build_dump
from rdbtool.rdb.reader import Frame
from rdbtool.servers.features import FUNCTIONS
from rdbtool.servers.releases import NEWEST, Release

from .exporter import KeyFacts, ValueExporter


@final
class Resp(ValueExporter):
    """The commands that BGREWRITEAOF writes; a module's value, which it has no command for, as RESTORE.

    ``release``: the server that is to run the commands; what it does not know is left out and counted in ``losses``.
    """

    def __init__(self, output: Output, release: Release = NEWEST) -> None:
        self.commands = CommandWriter(output, release=release)
        super().__init__(output, self.commands)
        self.losses = self.commands.losses
        self.with_functions = release.has(FUNCTIONS)

    def function(self, code: bytes) -> None:
        if self.with_functions:
            self.commands.function(code)
        else:
            self.lose("function library")

    def frame(self, frame: Frame) -> RdbToolError | None:
        self.commands.select(frame.db)
        if frame.type.redis_type != "module":
            return super().frame(frame)
        self._restore(frame.key, frame.expire_at_ms, build_dump(frame.type, frame.raw(), frame.type.since))
        return None

    def entry(self, entry: Entry) -> None:
        self.commands.select(entry.db)
        if isinstance(entry.value, Module):
            self.lose("module value")
            return
        super().entry(entry)

    def head(self, k: KeyFacts) -> None:
        if k.idle_s >= 0:
            self.lose("idle time")
        if k.freq >= 0:
            self.lose("access frequency")
        if k.meta:
            self.lose("metadata of a module at a key")
        self.commands.key(k.db, k.key)

    def tail(self, k: KeyFacts) -> None:
        if k.expire_at_ms != NO_EXPIRY:
            self.commands.expire(k.expire_at_ms)

    def _restore(self, key: bytes, expire_at_ms: i64, payload: bytes) -> None:
        """Write a value as DUMP gives it."""
        ttl = b"0" if expire_at_ms == NO_EXPIRY else b"%d" % expire_at_ms
        write_command(self.output.buffer, [b"RESTORE", key, ttl, payload, b"ABSTTL"])
        self.output.room()
