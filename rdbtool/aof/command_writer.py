"""Keys as the commands that BGREWRITEAOF writes with ``aof-use-rdb-preamble no`` (aof.c, rewriteAppendOnlyFileRio).

`CommandWriter` is a `Visitor`: it takes a value from the bytes of an RDB (`rdb.walk`) or decoded
(`visit_value`), and holds no more of it than one command.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter, write_i16_le, write_i32_le
from mypy_extensions import i16, i32, i64, u8

from rdbtool.basics.decimals import double_at, write_decimal_text, write_double
from rdbtool.basics.writing import decimal_size, write_id, write_integer, write_padded, write_part
from rdbtool.io.output import LONG, Output
from rdbtool.model import MAX_FIELD_EXPIRY_SET, Id, stream_id
from rdbtool.rdb.layout import facts
from rdbtool.rdb.layout.facts import Losses
from rdbtool.rdb.layout.stream_node import key_of
from rdbtool.rdb.layout.visitor import ARRAY, HASH, LIST, MODULE, PATH_HASH, SET, STREAM, STRING, ZSET, Visitor
from rdbtool.rdb.values.idempotence import Idempotence
from rdbtool.rdb.values.stream_nodes import pair_of
from rdbtool.servers.limits import Limits, refuse_database

from .entry_ids import EntryIds

SAYABLE: Final = facts.all_but(
    facts.AUX,
    facts.ACCESS_TIMES,
    facts.KEY_META,
    facts.MODULE_AUX,
    facts.SLOT_IMPORTS,
    facts.SEEN_TIMES,
    facts.ACTIVE_TIMES,
    facts.DELETED_PENDING,
)
"""What commands can say, of servers that know them all. XCLAIM takes no entry that is gone, since Redis 7.0."""

ITEMS_PER_COMMAND: Final[i64] = 64
"""AOF_REWRITE_ITEMS_PER_CMD of server.h."""
ELEMENTS_PER_COMMAND: Final[i64] = 32
"""Of an array (seen of Redis 8.10.2)."""
MOST_SENT: Final[i64] = 512 << 20
"""Bytes of the longest argument that a server takes from a client (proto-max-bulk-len, by default). From an append-only
file servers take longer ones: Redis 6.2 and 7.0 and Valkey 9.1 do.
"""
BYTES_PER_COMMAND: Final[i64] = 16 << 20
"""A command that has grown to this is closed early: memory stays bounded whatever the elements are."""


_LINE_END: Final[i64] = 0x0A0D
"""CR and LF, the first one lowest."""
_UNCOUNTED: Final = b"$00\r\n"
"""The header of a bulk string of 10 to 99 bytes, before they are counted."""
_HEADER: Final = 5
"""Its bytes."""


def write_bulk(out: BytesWriter, data: bytes, start: i64, end: i64) -> None:
    """Write ``data[start:end]`` as a bulk string."""
    write_header(out, 36, end - start)
    write_part(out, data, start, end)
    write_i16_le(out, i16(_LINE_END))


def write_bulk_integer(out: BytesWriter, n: i64) -> None:
    """Write a number in decimal as a bulk string."""
    size = decimal_size(n)
    write_header(out, 36, size)
    if n < 0:
        write_integer(out, n)
    else:
        write_padded(out, n, size)
    write_i16_le(out, i16(_LINE_END))


def write_header(out: BytesWriter, kind: i64, n: i64) -> None:
    """Write the line that announces ``n``: ``kind`` is ``*`` (42) or ``$`` (36)."""
    if n < 10:
        write_i32_le(out, i32(kind | (48 + n) << 8 | _LINE_END << 16))
        return
    if n < 1000:
        hundreds = n * 656 >> 16
        rest = n - hundreds * 100
        tens = rest * 103 >> 10
        word = 0x3030 | tens | (rest - tens * 10) << 8
        if n < 100:
            write_i32_le(out, i32(kind | word << 8 | 13 << 24))
            out.append(10)
            return
        write_i32_le(out, i32(kind | (48 + hundreds) << 8 | word << 16))
    else:
        out.append(u8(kind))
        write_integer(out, n)
    write_i16_le(out, i16(_LINE_END))


def _announce(out: BytesWriter, at: i64) -> None:
    """Make a bulk string of the header at ``at``, which is `_UNCOUNTED`, and the 1 to 99 bytes behind it."""
    size: i64 = len(out) - at - _HEADER
    if size >= 10:
        tens = size // 10
        out[at + 1] = u8(48 + tens)
        out[at + 2] = u8(48 + size - tens * 10)
    else:
        out[at + 1] = u8(48 + size)
        to = at + 2
        while to < at + 4 + size:
            out[to] = out[to + 1]
            to += 1
        out.truncate(to)
    write_i16_le(out, i16(_LINE_END))


def write_command(out: BytesWriter, args: list[bytes]) -> None:
    """Write one command."""
    write_header(out, 42, len(args))
    for arg in args:
        write_bulk(out, arg, 0, len(arg))


@final
class CommandWriter(Visitor):
    """Writes a dataset as commands: `select`, `function`, and per key `key`, the value, `expire`.

    What has no command, or none that the server knows which is to run them, is counted in ``losses``, whose ``keeps``
    says which facts that server knows. ``db``: the last one that was selected, -1 for none; ``longest``: bytes of the
    longest argument, if that is more than `MOST_SENT`; ``valkey``: a field and its expiry in one command, as Valkey
    writes them, and not in two, as Redis does.
    """

    def __init__(self, output: Output, losses: Losses, *, valkey: bool = False) -> None:
        self.output = output
        self.losses = losses
        self.valkey = valkey
        self.with_counters = facts.STREAM_COUNTERS in losses.keeps
        self.with_field_expiries = facts.FIELD_EXPIRIES in losses.keeps
        self.with_producers = facts.IDEMPOTENCE in losses.keeps
        self.longest: i64 = 0
        self.db: i64 = -1
        self._key = b""
        self._kind: i64 = STRING
        self._expiring = False
        self._plain = False
        """Whether strings become arguments as they come."""
        self._items = BytesWriter()
        self._arguments: i64 = 0
        self._most: i64 = 0
        """Arguments with which a command is closed."""
        self._member = b""
        """The bytes in which the member stands that waits for its score, and where."""
        self._start: i64 = 0
        self._end: i64 = 0
        self._negative_zeros: list[bytes] = []
        self._members: i64 = 0
        self._longest: i64 = 0
        self._field = b""
        self._has_field = False
        self._expiry: i64 = 0
        self._expires = False
        self._entry: Id = (0, 0)
        self._entries: i64 = 0
        self._ids = EntryIds()
        self._counters_lost = False
        self._path = b""
        self._group = b""
        self._consumer = b""
        self._idle_consumer = False
        self._pending: dict[bytes, tuple[int, int]] = {}
        self._pending_checked = True
        self._released: list[bytes] = []
        self._deliveries = 0
        """How often each of these was delivered."""

    def select(self, db: i64) -> None:
        """Make sure that what follows goes to database ``db``."""
        if db != self.db:
            refuse_database(db)
            self.db = db
            write_command(self.output.buffer, [b"SELECT", b"%d" % db])

    def function(self, code: bytes) -> None:
        """Write a function library."""
        write_command(self.output.buffer, [b"FUNCTION", b"LOAD", code])
        self.output.room()

    def key(self, db: i64, key: bytes) -> None:
        """The value that is told next is that of ``key``."""
        self.select(db)
        self._key = key

    def expire(self, ms: i64) -> None:
        """The key whose value was told expires at ``ms``."""
        out = self.output.buffer
        out.write(b"*3\r\n$9\r\nPEXPIREAT\r\n")
        write_bulk(out, self._key, 0, len(self._key))
        write_bulk_integer(out, ms)

    def left_out(self, fact: str) -> None:
        self.losses.left_out(fact)

    def begin(self, kind: i64, expiring: bool) -> None:
        self._kind = kind
        self._expiring = expiring and self.with_field_expiries
        self._plain = kind not in (ZSET, PATH_HASH) and not (kind == HASH and self._expiring)
        self._arguments = 0
        self._most = ITEMS_PER_COMMAND
        if kind in (HASH, ZSET):
            self._most = 2 * ITEMS_PER_COMMAND
        elif kind == ARRAY:
            self._most = 2 * ELEMENTS_PER_COMMAND
        elif kind == STREAM:
            self._most = 1 << 62
        self._has_field = False
        self._expires = False
        self._entries = 0
        self._idle_consumer = False
        self._counters_lost = False
        if kind == STREAM:
            self._ids.clear()
            self._released = []
        elif kind == ZSET:
            self._members = 0
            self._longest = 0
            self._negative_zeros = []
        if len(self._items) > 0:
            self._items.truncate(0)  # of a value that was damaged

    def end(self) -> None:
        kind = self._kind
        if kind == STREAM:
            self._close_consumer()
            self._close_released()
            if self._counters_lost:
                self.left_out(facts.STREAM_COUNTERS)
        elif kind == PATH_HASH:
            if not self._entries:
                self._empty_path_hash()
        elif kind != MODULE:
            self._close()
            if self._negative_zeros and kind == ZSET:
                self._restore_signs()

    def _restore_signs(self) -> None:
        """Add members of score -0 anew to a set that has become too large for a listpack, in which they lost the sign.

        ZADD alone would leave them as they are, for 0 is -0.
        """
        limits = Limits()
        if self._members > limits.zset_entries or self._longest > limits.zset_value:
            for member in self._negative_zeros:
                write_command(self.output.buffer, [b"ZREM", self._key, member])
                write_command(self.output.buffer, [b"ZADD", self._key, b"-0", member])
                self.output.room()

    def text(self, data: bytes, start: i64, end: i64) -> None:
        if self._plain and end - start < LONG:
            write_bulk(self._items, data, start, end)
            n = self._arguments + 1
            self._arguments = n
            if n >= self._most or end - start > 1024:  # a command of shorter ones is not long
                self._look(n)
        else:
            self._other(data, start, end)

    def integer(self, n: i64) -> None:
        if self._plain:
            write_bulk_integer(self._items, n)
            count = self._arguments + 1
            self._arguments = count
            if count >= self._most:
                self._look(count)
        else:
            data = b"%d" % n
            self._other(data, 0, len(data))

    def _other(self, data: bytes, start: i64, end: i64) -> None:
        """`text` of what does not become an argument at once, or is long."""
        kind = self._kind
        if kind == ZSET:
            self._member = data
            self._start = start
            self._end = end
        elif kind == HASH and self._expiring:
            self._expiring_part(data[start:end])
        elif kind == PATH_HASH:
            self._path_part(data[start:end])
        elif kind != STREAM and (kind != HASH or self._arguments & 1):
            self._close_with(data, start, end)
        else:
            write_bulk(self._items, data, start, end)
            self._count_one()

    def _count_one(self) -> None:
        """An argument was added: close the command where it has enough."""
        n = self._arguments + 1
        self._arguments = n
        self._look(n)

    def _look(self, arguments: i64) -> None:
        """Close the command of so many arguments if that is enough, or it is long."""
        if arguments >= self._most or len(self._items) >= BYTES_PER_COMMAND:
            kind = self._kind
            if kind != STREAM and (kind != HASH or arguments & 1 == 0):
                self._close()

    def _close(self) -> None:
        """Write the command whose items were collected."""
        if self._arguments > 0:
            self._begin_command(self._arguments)
            self._take_items(self.output.buffer)

    def _close_with(self, data: bytes, start: i64, end: i64) -> None:
        """Write the command whose items were collected, and behind them one that is long."""
        if end - start > MOST_SENT:
            self.longest = max(self.longest, end - start)
        self._begin_command(self._arguments + 1)
        output = self.output
        self._take_items(output.buffer)
        write_header(output.buffer, 36, end - start)
        output.write_long(data, start, end)
        output.buffer.write(b"\r\n")

    def _begin_command(self, arguments: i64) -> None:
        """Write a command up to its key, behind which so many arguments will stand."""
        out = self.output.buffer
        kind = self._kind
        write_header(out, 42, 2 + arguments)
        if kind == STRING:
            out.write(b"$3\r\nSET\r\n")
        elif kind == LIST:
            out.write(b"$5\r\nRPUSH\r\n")
        elif kind == SET:
            out.write(b"$4\r\nSADD\r\n")
        elif kind == ZSET:
            out.write(b"$4\r\nZADD\r\n")
        elif kind == ARRAY:
            out.write(b"$6\r\nARMSET\r\n")
        else:
            out.write(b"$5\r\nHMSET\r\n")
        write_bulk(out, self._key, 0, len(self._key))

    def _take_items(self, out: BytesWriter) -> None:
        if len(self._items) > MOST_SENT + BYTES_PER_COMMAND:  # a long element, and what came before it
            self.longest = max(self.longest, len(self._items))
        out.write(self._items.getvalue())
        if len(self._items) > 1 << 20:
            self._items = BytesWriter()
        else:
            self._items.truncate(0)
        self._arguments = 0
        self.output.room()

    def score(self, x: float) -> None:
        items = self._items
        at: i64 = len(items)
        items.write(_UNCOUNTED)
        write_double(items, x)
        _announce(items, at)
        if x == 0.0 and str(x)[0] == "-":
            self._negative_zeros.append(self._member[self._start : self._end])
        self._take_member()

    def score_integer(self, n: i64) -> None:
        if -9007199254740992 < n < 9007199254740992:
            write_bulk_integer(self._items, n)
            self._take_member()
        else:
            self.score(float(n))

    def score_text(self, data: bytes, start: i64, end: i64) -> None:
        items = self._items
        at: i64 = len(items)
        items.write(_UNCOUNTED)
        if write_decimal_text(items, data, start, end):
            _announce(items, at)
            self._take_member()
        else:
            items.truncate(at)
            self.score(double_at(data, start, end))

    def _take_member(self) -> None:
        """Write the member behind its score."""
        size = self._end - self._start
        self._longest = max(self._longest, size)
        self._members += 1
        self._arguments += 1
        member = self._member
        if size >= LONG:
            self._close_with(member, self._start, self._end)
        else:
            write_bulk(self._items, member, self._start, self._end)
            self._count_one()

    def expiry(self, ms: i64) -> None:
        if not self.with_field_expiries:
            self.left_out(facts.FIELD_EXPIRIES)
            return
        if ms > MAX_FIELD_EXPIRY_SET and not self.valkey:
            self.losses.add(facts.FIELD_EXPIRIES)
            return
        if not self._expiring:  # the beginning of the hash did not say it
            self._close()
            self._expiring = True
        self._expires = True
        self._expiry = ms

    def _expiring_part(self, data: bytes) -> None:
        """A field or value of a hash with expiring fields: each of those gets a command of its own."""
        if not self._has_field:
            self._field = data
            self._has_field = True
            return
        self._has_field = False
        out = self.output.buffer
        expires = self._expires
        self._expires = False
        if self.valkey:
            if expires:
                args = [b"HSETEX", self._key, b"PXAT", b"%d" % self._expiry, b"FIELDS", b"1", self._field, data]
                write_command(out, args)
            else:
                for part in (self._field, data):
                    write_bulk(self._items, part, 0, len(part))
                    self._count_one()
        else:
            write_command(out, [b"HMSET", self._key, self._field, data])
            if expires:
                write_command(out, [b"HPEXPIREAT", self._key, b"%d" % self._expiry, b"FIELDS", b"1", self._field])
        self.output.room()

    def entry(self, ms: int, seq: int) -> None:
        self._close_entry()
        self._entry = (ms, seq)
        self._ids.add(ms, seq)
        self._entries += 1

    def _close_entry(self) -> None:
        if self._arguments > 0:
            out = self.output.buffer
            write_header(out, 42, 3 + self._arguments)
            out.write(b"$4\r\nXADD\r\n")
            write_bulk(out, self._key, 0, len(self._key))
            at: i64 = len(out)
            out.write(_UNCOUNTED)
            write_id(out, self._entry[0], self._entry[1])
            _announce(out, at)
            self._take_items(out)

    def counters(self, last: Id, max_deleted: Id, added: int) -> None:
        self._close_entry()
        out = self.output.buffer
        if self._entries == 0:
            write_command(out, [b"XADD", self._key, b"MAXLEN", b"0", b"0-1", b"x", b"y"])
        args = [b"XSETID", self._key, stream_id(last[0], last[1])]
        if self.with_counters:
            args += [b"ENTRIESADDED", b"%d" % added, b"MAXDELETEDID", stream_id(max_deleted[0], max_deleted[1])]
        elif max_deleted != (0, 0) or added != self._entries:
            self._counters_lost = True
        write_command(out, args)

    def group(self, name: bytes, last: Id, entries_read: int) -> None:
        self._close_consumer()
        self._close_released()
        self._group = name
        self._pending.clear()
        self._pending_checked = False
        args = [b"XGROUP", b"CREATE", self._key, name, stream_id(last[0], last[1])]
        if self.with_counters:
            args += [b"ENTRIESREAD", b"%d" % entries_read]
        elif entries_read >= 0:
            self._counters_lost = True
        write_command(self.output.buffer, args)

    def pending(self, ms: int, seq: int, delivered_ms: int, deliveries: int) -> None:
        self._pending[key_of((ms, seq))] = (delivered_ms, deliveries)

    def consumer(self, name: bytes, seen_ms: int, active_ms: int) -> None:
        self._close_consumer()
        self._consumer = name
        self._idle_consumer = True
        if seen_ms != -1:
            self.left_out(facts.SEEN_TIMES)
        if active_ms not in {-1, seen_ms}:
            self.left_out(facts.ACTIVE_TIMES)
        self._check_pending()

    def _check_pending(self) -> None:
        """Look, once, for pending entries of the group whose entry the stream does not have."""
        if self._pending_checked:
            return
        self._pending_checked = True
        if self._pending and facts.DELETED_PENDING not in self.losses.keeps:
            for _ in self._ids.missing(self._pending):
                self.left_out(facts.DELETED_PENDING)

    def _close_consumer(self) -> None:
        if self._idle_consumer:
            self._idle_consumer = False
            args = [b"XGROUP", b"CREATECONSUMER", self._key, self._group, self._consumer]
            write_command(self.output.buffer, args)

    def consumer_pending(self, ms: int, seq: int) -> None:
        self._idle_consumer = False
        delivered, deliveries = self._pending.get(key_of((ms, seq)), (0, 1))
        args = [b"XCLAIM", self._key, self._group, self._consumer, b"0", stream_id(ms, seq)]
        args += [b"TIME", b"%d" % delivered, b"RETRYCOUNT", b"%d" % deliveries, b"JUSTID", b"FORCE"]
        write_command(self.output.buffer, args)
        self.output.room()

    def released(self, ms: int, seq: int) -> None:
        self._close_consumer()
        self._check_pending()
        if facts.RELEASED not in self.losses.keeps:
            self.left_out(facts.RELEASED)
            return
        _, deliveries = self._pending.get(key_of((ms, seq)), (0, 1))
        if self._released and (deliveries != self._deliveries or len(self._released) == ITEMS_PER_COMMAND):
            self._close_released()
        self._deliveries = deliveries
        self._released.append(stream_id(ms, seq))

    def _close_released(self) -> None:
        """Write the command that releases entries: neighbours that were delivered as often share one."""
        ids = self._released
        if ids:
            args = [b"XNACK", self._key, self._group, b"FAIL", b"IDS", b"%d" % len(ids), *ids]
            write_command(self.output.buffer, [*args, b"RETRYCOUNT", b"%d" % self._deliveries, b"FORCE"])
            self._released = []
            self.output.room()

    def idempotence(self, raw: bytes) -> None:
        self._close_consumer()
        self._close_released()
        if not self.with_producers:
            super().idempotence(raw)
            return
        state = Idempotence(raw)
        out = self.output.buffer
        if state.is_configured:
            settings = [b"IDMP-DURATION", b"%d" % state.duration_s, b"IDMP-MAXSIZE", b"%d" % state.max_size]
            write_command(out, [b"XCFGSET", self._key, *settings])
        recorded = [key_of(pair_of(entry)) for messages in state.producers.values() for entry in messages.values()]
        gone = self._ids.missing(recorded)
        whole = True
        for producer, messages in state.producers.items():
            for message, entry in messages.items():
                # Without a name, or of an entry that is gone, a server takes no record.
                id_ = pair_of(entry)
                if producer and message and key_of(id_) not in gone:
                    write_command(out, [b"XIDMPRECORD", self._key, producer, message, stream_id(id_[0], id_[1])])
                    self.output.room()
                else:
                    whole = False
        if not whole:
            self.losses.add(facts.IDEMPOTENCE)

    def index(self, index: int) -> None:
        text = b"%d" % index
        write_bulk(self._items, text, 0, len(text))
        self._arguments += 1

    def last_insert(self, index: int) -> None:
        self._close()
        write_command(self.output.buffer, [b"ARSEEK", self._key, b"%d" % (index + 1)])

    def path(self, name: bytes) -> None:
        self._path = name
        self._entries += 1

    def _path_part(self, data: bytes) -> None:
        if not self._has_field:
            self._field = data
            self._has_field = True
            return
        self._has_field = False
        args = [b"PHSET", self._key, self._path, b"FIELDS", b"1", self._field, data]
        write_command(self.output.buffer, args)
        self.output.room()

    def _empty_path_hash(self) -> None:
        write_command(self.output.buffer, [b"PHSET", self._key, b"", b"FIELDS", b"1", b"", b""])
        write_command(self.output.buffer, [b"PHDEL", self._key, b""])

    def module(self, name: str, version: int, payload: bytes) -> None:
        self.losses.add(facts.MODULE_VALUES)
