"""Keys into live servers, as RESTORE with their payloads as they stand where the server's release takes their types.

What it does not take is encoded anew for it, and what RESTORE cannot carry goes as commands, in a transaction.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64, mypyc_attr, u8

from rdbtool.aof.command_writer import SAYABLE, CommandWriter, write_bulk, write_command, write_header
from rdbtool.basics.crc64 import crc64
from rdbtool.errors import FormatError, RdbToolError
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import LONG, Output
from rdbtool.model import NO_EXPIRY, Entry, type_name
from rdbtool.rdb.dump_payload import FOOTER
from rdbtool.rdb.encode import encode_value
from rdbtool.rdb.events import Event
from rdbtool.rdb.frame import Frame, frame_of
from rdbtool.rdb.layout.facts import ACCESS_TIMES, KEY_META, MODULE_VALUES, OF_TYPE, Losses
from rdbtool.rdb.layout.visitor import visit_value
from rdbtool.rdb.opcodes import VALKEY
from rdbtool.rdb.targets import Target, kept_by
from rdbtool.rdb.types import TypeRow
from rdbtool.rdb.walk import Walker
from rdbtool.servers.features import RESTORE_METADATA
from rdbtool.servers.slots import hash_slot

from .exporter import MISCOUNTED, Exporter

BATCH: Final[i64] = 1 << 18
"""Bytes of requests that are sent at once."""


@final
class Lane:
    """Requests for one server that wait to be sent: their bytes, and for each its key, number, and where it ends."""

    def __init__(self) -> None:
        self.buffer = BytesWriter()
        self.keys: list[bytes] = []
        self.numbers: list[int] = []
        self.ends: list[int] = []


@mypyc_attr(allow_interpreted_subclasses=True)
class Receiver:
    """Takes requests for a live server, or for the masters of a cluster.

    ``target``: what the server's release takes; ``restores``: whether it takes RESTORE; ``longest``: bytes of the
    longest argument that it takes; ``replace``: a key that is there is replaced; ``careful``: commands are sent for a
    key only if it `is_free`; ``asks``: nothing is written, only asked whether the keys are there; ``prefix``: what
    names get in front; ``start_at``: the number of the first key that is sent; ``most``: keys that are sent at once.

    ``slots``: which of the ``lanes`` has each hash slot, empty where there is one server. The server is whoever is
    behind the calls below, which all raise `InputError` where it is gone.
    """

    def __init__(self, target: Target, *, prefix: bytes = b"", replace: bool = False, asks: bool = False) -> None:
        self.target = target
        self.prefix = prefix
        self.replace = replace
        self.asks = asks
        self.restores = True
        self.careful = False
        self.longest: i64 = 1 << 29
        self.start_at: i64 = 0
        self.most: i64 = 512
        self.slots: list[int] = []
        self.lanes = [Lane()]
        self.node: i64 = 0
        """The lane whose transaction `write` continues."""

    def write(self, data: bytes, /) -> None:
        """Take bytes of the transaction that was announced last."""
        raise NotImplementedError

    def take(
        self, lane: int, data: bytes, keys: list[bytes], numbers: list[int], ends: list[int], alone: bool = False
    ) -> None:
        """Take bytes, in which the requests for these keys end; ``alone``: the one request began in bytes before."""
        raise NotImplementedError

    def strayed(self, lane: int, key: bytes) -> int:
        """The lane into which the last request, for this key, must be sent again, because its slot has moved; -1 if it
        need not be. It is waited for where the receiver does not hold it itself.
        """
        raise NotImplementedError

    def transaction(self, lane: int, key: bytes, number: int) -> None:
        """The bytes that come by `write` are those of a transaction for this key; where there are ``slots``, a PING
        follows it.
        """
        raise NotImplementedError

    def select(self, db: int) -> bool:
        """Go on in database ``db``, when all before has been answered; whether there is one."""
        raise NotImplementedError

    def is_free(self, lane: int, key: bytes) -> bool:
        """Whether there is no such key, or it does not matter."""
        raise NotImplementedError

    def refuse(self, key: bytes, words: str) -> None:
        """Report a key that cannot be sent."""
        raise NotImplementedError

    def function(self, code: bytes) -> None:
        """Take a function library."""
        raise NotImplementedError


@final
class Restore(Exporter):
    """Sends keys to the `Receiver` that is the sink of ``output``.

    ``seen``: keys that were handed over; ``as_they_stand``, ``encoded``, ``commanded``: how they were sent.
    """

    def __init__(self, output: Output, losses: Losses) -> None:
        super().__init__(output, losses)
        receiver = output.sink
        assert isinstance(receiver, Receiver), "a live server is written to by load only"
        self.receiver = receiver
        self.target = receiver.target
        self.seen: i64 = 0
        self.as_they_stand: i64 = 0
        self.encoded: i64 = 0
        self.commanded: i64 = 0
        self._db: i64 = -1
        self._takes_db = False
        self._form = self.target.form(None, losses)
        self._scratch = BytesWriter()
        self._plain = self.target.release.does(RESTORE_METADATA) and receiver.restores
        self._in_commands = Losses("commands", SAYABLE & kept_by(self.target), untold=losses.untold)
        self._commands = CommandWriter(output, self._in_commands, valkey=self.target.dialect == VALKEY)
        self._commands.select(0)
        output.buffer.truncate(0)  # databases are selected by the receiver
        self._walker = Walker(self._commands)

    def begin(self, facts: Facts) -> None:
        """Functions and keys follow."""

    def hint(self, event: Event) -> None:
        """A server makes room by itself."""

    def function(self, code: bytes) -> None:
        if not self.target.functions:
            super().function(code)
        elif self.receiver.start_at == 0:
            self.receiver.function(code)

    def frame(self, frame: Frame) -> RdbToolError | None:
        number = self.seen
        damage: RdbToolError | None = None
        if number >= self.receiver.start_at:
            damage = self._frame(frame, number)
        self.seen = number + 1
        return damage

    def entry(self, entry: Entry) -> None:
        number = self.seen
        if number >= self.receiver.start_at:
            self._entry(entry, number)
        self.seen = number + 1

    def end(self) -> None:
        self._flush_all()
        for fact, count in self._in_commands.counts.items():
            self.losses.add(fact, count)
        self._in_commands.counts.clear()

    def _frame(self, frame: Frame, number: i64) -> RdbToolError | None:
        row = frame.type
        if self.verify:
            frame.raw()
            damage = self.verifier.flaw_of(frame)
            if damage is not None and damage.code != MISCOUNTED:
                return damage
        if row.redis_type in self.target.unknown_types:
            self.losses.add(OF_TYPE[row.redis_type])
            return None
        if frame.db != self._db:
            self._select(frame.db)
        if not self._takes_db:
            self.receiver.refuse(frame.key, "its database could not be selected")
            return None
        if frame.meta:
            self.losses.add(KEY_META)
        if self.receiver.asks:
            self._ask(frame.key, number)
            return None
        if self._plain and self.target.loads(row):
            frame.keep(LONG)
            if frame.holds_payload:
                frame.raw()
            if frame.size + FOOTER < self.receiver.longest:
                self._restore(frame, number)
                self.as_they_stand += 1
                return None
        elif self._plain:
            try:
                value = frame.value()
            except FormatError as e:
                return e
            if self._encoded(Entry(frame.db, frame.key, value, frame.expire_at_ms, frame.idle_s, frame.freq), number):
                return None
        if row.redis_type == "module":
            self.losses.add(MODULE_VALUES)
            return None
        return self._command(frame, None, number)

    def _entry(self, entry: Entry, number: i64) -> None:
        redis_type = type_name(entry.value)
        if redis_type in self.target.unknown_types:
            self.losses.add(OF_TYPE[redis_type])
            return
        if entry.db != self._db:
            self._select(entry.db)
        if not self._takes_db:
            self.receiver.refuse(entry.key, "its database could not be selected")
        elif self.receiver.asks:
            self._ask(entry.key, number)
        elif not self._plain or not self._encoded(entry, number):
            if redis_type == "module":
                self.losses.add(MODULE_VALUES)
                return
            frame = frame_of(entry.db, entry.key, self._row(entry), self._scratch.getvalue())
            frame.expire_at_ms = entry.expire_at_ms
            self._command(frame, entry, number)

    def _row(self, entry: Entry) -> TypeRow:
        """Encode the value of a key into the scratch buffer; its type."""
        self._scratch.truncate(0)
        return self.target.row(encode_value(entry.value, self._form, self._scratch))

    def _encoded(self, entry: Entry, number: i64) -> bool:
        """Send a key by RESTORE, encoded for the server; False where that is too long."""
        row = self._row(entry)
        if len(self._scratch) + FOOTER >= self.receiver.longest:
            return False
        raw = self._scratch.getvalue()
        if len(raw) > LONG:
            self._scratch = BytesWriter()
        frame = frame_of(entry.db, entry.key, row, raw)
        frame.size = len(raw)
        frame.expire_at_ms = entry.expire_at_ms
        frame.idle_s = entry.idle_s
        frame.freq = entry.freq
        self._restore(frame, number)
        self.encoded += 1
        return True

    def _select(self, db: i64) -> None:
        self._flush_all()
        self._db = db
        self._takes_db = self.receiver.select(db)

    def _lane(self, key: bytes) -> i64:
        slots = self.receiver.slots
        return slots[hash_slot(key)] if slots else 0

    def _ask(self, key: bytes, number: i64) -> None:
        name = self.receiver.prefix + key
        at = self._lane(name)
        lane = self.receiver.lanes[at]
        write_command(lane.buffer, [b"EXISTS", name])
        self._sent(at, lane, name, number)

    def _restore(self, frame: Frame, number: i64) -> None:
        """Send a key by RESTORE."""
        receiver = self.receiver
        name = receiver.prefix + frame.key if receiver.prefix else frame.key
        at = self._lane(name)
        self._request(frame, name, number, at)
        if frame.size >= LONG and receiver.slots:
            at = receiver.strayed(at, name)
            while at >= 0:
                self._request(frame, name, number, at)
                at = receiver.strayed(at, name)

    def _request(self, frame: Frame, name: bytes, number: i64, at: i64) -> None:
        """Write one request: the payload, its version, which is that of its type, and the checksum."""
        receiver = self.receiver
        lane = receiver.lanes[at]
        is_long = frame.size >= LONG
        if is_long:
            self._flush(at, lane)
        out = lane.buffer
        expires = frame.expire_at_ms != NO_EXPIRY
        has_access = frame.idle_s >= 0 or frame.freq >= 0
        words: i64 = 4
        if expires:
            words += 1
        if receiver.replace:
            words += 1
        if has_access:
            words += 2
        write_header(out, 42, words)
        out.write(b"$7\r\nRESTORE\r\n")
        write_bulk(out, name, 0, len(name))
        if expires:
            # 0 would be for ever; what has expired, however long ago, is to be gone
            ttl = b"%d" % max(frame.expire_at_ms, 1)
            write_bulk(out, ttl, 0, len(ttl))
        else:
            out.write(b"$1\r\n0\r\n")
        self._payload(frame, at, lane)
        out = lane.buffer
        if receiver.replace:
            out.write(b"$7\r\nREPLACE\r\n")
        if expires:
            out.write(b"$6\r\nABSTTL\r\n")
        if has_access:
            out.write(b"$4\r\nFREQ\r\n" if frame.freq >= 0 else b"$8\r\nIDLETIME\r\n")
            told = b"%d" % (frame.freq if frame.freq >= 0 else frame.idle_s)
            write_bulk(out, told, 0, len(told))
        self._sent(at, lane, name, number)
        if is_long:
            self._flush(at, lane, alone=True)

    def _payload(self, frame: Frame, at: i64, lane: Lane) -> None:
        """Write what DUMP would answer; of one that is long no more is held than a window of it."""
        row = frame.type
        out = lane.buffer
        footer = bytes((row.since & 255, row.since >> 8))
        if frame.size < LONG:
            raw = frame.raw()
            write_header(out, 36, len(raw) + 1 + FOOTER)
            body = bytes((row.byte,)) + raw + footer
            out.write(body)
            out.write(crc64(body).to_bytes(8, "little"))
            out.write(b"\r\n")
            return
        # the names of a template's fields stand in front of what was measured
        left: i64 = len(frame.raw()) if frame.holds_payload else frame.size
        write_header(out, 36, left + 1 + FOOTER)
        out.append(u8(row.byte))
        self._flush(at, lane)
        checksum = crc64(bytes((row.byte,)))
        w = frame.window()
        while left > 0:
            if w.pos >= w.end and not w.need(1):
                raise w.truncated(left)
            part = w.data[w.pos : min(w.end, w.pos + left, w.pos + BATCH)]
            w.pos += len(part)
            left -= len(part)
            checksum = crc64(part, checksum)
            self.receiver.take(at, part, [], [], [])
        out = lane.buffer
        out.write(footer)
        out.write(crc64(footer, checksum).to_bytes(8, "little"))
        out.write(b"\r\n")

    def _sent(self, at: i64, lane: Lane, name: bytes, number: i64) -> None:
        """A request was written."""
        lane.keys.append(name)
        lane.numbers.append(number)
        length: i64 = len(lane.buffer)
        lane.ends.append(length)
        if length >= BATCH or len(lane.keys) >= self.receiver.most:
            self._flush(at, lane)

    def _flush(self, at: i64, lane: Lane, alone: bool = False) -> None:
        data = lane.buffer.getvalue()
        if not data:
            return
        if len(data) > LONG:
            lane.buffer = BytesWriter()
        else:
            lane.buffer.truncate(0)
        keys = lane.keys
        numbers = lane.numbers
        ends = lane.ends
        lane.keys = []
        lane.numbers = []
        lane.ends = []
        self.receiver.take(at, data, keys, numbers, ends, alone)

    def _flush_all(self) -> None:
        for at, lane in enumerate(self.receiver.lanes):
            self._flush(at, lane)

    def _command(self, frame: Frame, entry: Entry | None, number: i64) -> RdbToolError | None:
        """Send a key as commands, which are carried out together or not at all."""
        receiver = self.receiver
        name = receiver.prefix + frame.key
        at = self._lane(name)
        self._flush(at, receiver.lanes[at])
        if receiver.careful and not receiver.is_free(at, name):
            return None
        if receiver.slots:
            frame.keep(LONG)
        damage = self._transaction(frame, entry, name, number, at)
        if damage is None:
            self.commanded += 1
            at = receiver.strayed(at, name)
            while at >= 0:
                self._transaction(frame, entry, name, number, at)
                at = receiver.strayed(at, name)
        return damage

    def _transaction(self, frame: Frame, entry: Entry | None, name: bytes, number: i64, at: i64) -> RdbToolError | None:
        receiver = self.receiver
        receiver.transaction(at, name, number)
        receiver.node = at
        o = self.output
        write_command(o.buffer, [b"MULTI"])
        if receiver.replace:
            write_command(o.buffer, [b"DEL", name])
        self._commands.key(0, name)
        damage: RdbToolError | None = None
        if entry is None:
            damage = self._walker.walk(frame)
        else:
            visit_value(entry.value, self._commands)
        if damage is None:
            if frame.expire_at_ms != NO_EXPIRY:
                self._commands.expire(frame.expire_at_ms)
            if frame.idle_s >= 0 or frame.freq >= 0:
                self._in_commands.left_out(ACCESS_TIMES)
            write_command(o.buffer, [b"EXEC"])
        else:
            write_command(o.buffer, [b"DISCARD"])
        if receiver.slots:
            write_command(o.buffer, [b"PING"])
        o.flush()
        return damage
