"""Streams: nodes of entries (`stream_node`), counters, consumer groups, and idempotent producers (`producers`).

The versions of the format: 1 is of Redis 5.0; 2 (7.0) has counters; 3 (7.2) has the active times of consumers; 4 (8.6)
has idempotent producers; 5 (8.8) names pending entries that consumers have released (XNACK).
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.basics.numbers import signed
from rdbtool.errors import FormatError
from rdbtool.io.window import Window
from rdbtool.model import Id

from .inspection import Inspection, check_name, checked_string, open_packed
from .primitives import read_count, read_ms, read_u64, skip_string
from .producers import check_producers, skip_producers, visit_producers
from .stream_node import ID_SIZE, EntryOrder, check_node, id_of, master_id, visit_node
from .visit import Visit

STREAM_VERSIONS: Final = ("", "stream-listpacks", *(f"stream-listpacks{n}" for n in range(2, 6)))
"""Names of types by the version of the format."""


MAX_COUNTER: Final = (1 << 63) - 1
"""The greatest counter that servers can show."""


@final
class StreamFraming:
    """A walk over all of a stream but its entries.

    The caller passes what is a string, and goes in this order, each loop to its end:

    - `next_node` until False: behind each the key and the listpack are to be passed;
    - `read_counters`: ``length``, ``last_id``, and from the second version on ``first_id``, ``max_deleted_id`` and
      ``entries_added``, which else is ``length``;
    - `next_group` until False: behind each, the name is to be passed, and there are
        - `read_group`: ``last_id`` and ``entries_read`` of the group, -1 where it is not known;
        - `next_pending` until False, or `pass_pending`: ``entry``, ``delivered_ms``, ``deliveries``;
        - `next_consumer` until False: behind each, the name is to be passed, and there are
            - `read_consumer`: ``seen_ms``, ``active_ms``, -1 where it is not known;
            - `next_owned` until False, or `pass_owned`: ``entry``, one of the group's pending ones;
        - `next_released` until False, or `pass_released`: ``entry``, one of the group's pending ones;
    - from the fourth version on (``has_producers``) the state of idempotent producers.

    An ``entry`` is an id as 16 bytes, big-endian.
    """

    def __init__(self, w: Window, version: i64) -> None:
        self.window = w
        self.version: i64 = version
        self.has_producers = version >= 4
        self.nodes: i64 = read_count(w, 2)
        self.length = 0
        self.last_id: Id = (0, 0)
        self.first_id: Id = (0, 0)
        self.max_deleted_id: Id = (0, 0)
        self.entries_added = 0
        self.entries_read = -1
        self.entry = b""
        self.delivered_ms: i64 = 0
        self.deliveries = 0
        self.seen_ms: i64 = -1
        self.active_ms: i64 = -1
        self._groups: i64 = 0
        self._consumers: i64 = 0
        self._left: i64 = 0

    def next_node(self) -> bool:
        """Whether there is a further node: its key and its listpack are next."""
        if self.nodes == 0:
            return False
        self.nodes -= 1
        return True

    def read_counters(self) -> None:
        """Pass what stands between the nodes and the groups."""
        w = self.window
        self.length = read_u64(w)
        self.last_id = self._id()
        if self.version >= 2:
            self.first_id = self._id()
            self.max_deleted_id = self._id()
            self.entries_added = read_u64(w)
        else:
            self.entries_added = self.length
        self._groups = read_count(w, 5)

    def next_group(self) -> bool:
        """Whether there is a further group: its name is next."""
        if self._groups == 0:
            return False
        self._groups -= 1
        return True

    def read_group(self) -> None:
        """Pass what stands between the group's name and its pending entries."""
        w = self.window
        self.last_id = self._id()
        if self.version >= 2:
            self.entries_read = signed(read_u64(w))
        self._left = read_count(w, 25)

    def next_pending(self) -> bool:
        """Pass the next of the group's pending entries; False where there is none."""
        w = self.window
        if self._left == 0:
            self._consumers = read_count(w, 10)
            return False
        self._left -= 1
        self.entry = w.take(ID_SIZE)
        self.delivered_ms = read_ms(w)
        self.deliveries = read_u64(w)
        return True

    def pass_pending(self) -> None:
        """Pass all of them."""
        w = self.window
        left = self._left
        while left > 0:
            w.skip(ID_SIZE + 8)
            read_u64(w)
            left -= 1
        self._left = 0
        self._consumers = read_count(w, 10)

    def next_consumer(self) -> bool:
        """Whether the group has a further consumer: its name is next."""
        if self._consumers == 0:
            if self.version >= 5:
                self._left = read_count(self.window, ID_SIZE)
            return False
        self._consumers -= 1
        return True

    def read_consumer(self) -> None:
        """Pass what stands between the consumer's name and its pending entries."""
        w = self.window
        self.seen_ms = read_ms(w)
        if self.version >= 3:
            self.active_ms = read_ms(w)
        self._left = read_count(w, ID_SIZE)

    def next_owned(self) -> bool:
        """Pass the next of the consumer's pending entries; False where there is none."""
        if self._left == 0:
            return False
        self._left -= 1
        self.entry = self.window.take(ID_SIZE)
        return True

    def pass_owned(self) -> None:
        """Pass all of them."""
        self.window.skip(self._left * ID_SIZE)
        self._left = 0

    def next_released(self) -> bool:
        """Pass the next of the group's pending entries that no consumer has any more; False where there is none."""
        return self.next_owned()

    def pass_released(self) -> None:
        """Pass all of them."""
        self.pass_owned()

    def _id(self) -> Id:
        ms = read_u64(self.window)
        return ms, read_u64(self.window)


@final
class StreamLayout:
    """One version of the format."""

    def __init__(self, version: i64) -> None:
        self.version: i64 = version

    def skip(self, w: Window) -> None:
        """Pass a stream."""
        stream = StreamFraming(w, self.version)
        while stream.next_node():
            skip_string(w)
            skip_string(w)
        stream.read_counters()
        while stream.next_group():
            skip_string(w)
            stream.read_group()
            stream.pass_pending()
            while stream.next_consumer():
                skip_string(w)
                stream.read_consumer()
                stream.pass_owned()
            stream.pass_released()
        if stream.has_producers:
            skip_producers(w)

    def check(self, w: Window, ins: Inspection) -> None:
        """Check a stream, as servers do (rdb.c: rdbLoadObject)."""
        stream = StreamFraming(w, self.version)
        nodes = stream.nodes
        keys: set[bytes] = set()
        order = EntryOrder()
        entries: i64 = 0
        whole = True
        while stream.next_node():
            at = w.offset()
            key = checked_string(w, ins)
            if key is not None and len(key) != ID_SIZE:
                ins.report("stream-node", f"a stream node's id has {len(key)} bytes, not {ID_SIZE}", at)
            elif key is not None:
                if key in keys:
                    ins.report("stream-node", "two stream nodes with one id", at)
                    order = EntryOrder()  # which is wrong for that
                keys.add(key)
            found: i64 = -1
            if open_packed(w, ins):
                found = check_node(ins, (0, 0) if key is None else id_of(key), order)
            if found < 0:
                whole = False
            else:
                entries += found
        at = w.offset()
        stream.read_counters()
        if stream.length and nodes == 0:
            ins.report("stream-length", f"a stream announces {stream.length} entries and has none", at)
        elif whole and stream.length != int(entries):
            ins.report("stream-count", f"a stream announces {stream.length} entries and holds {entries}", at)
        if not stream.length <= stream.entries_added <= MAX_COUNTER:
            message = f"a stream of {stream.length} entries says that {stream.entries_added} were ever added"
            ins.report("stream-counters", f"{message}: Redis 8.10 refuses the file", at)
        names: set[bytes] = set()
        while stream.next_group():
            at = w.offset()
            check_name(w, ins, names, "duplicate-group", "a consumer group twice in a stream")
            _check_group(stream, w, ins)
            read = stream.entries_read
            if read < -1 or (self.version >= 2 and read > stream.entries_added):
                message = f"a consumer group has read {read} of {stream.entries_added} entries"
                ins.report("stream-counters", f"{message}: Redis 8.10 refuses the file", at)
        if stream.has_producers:
            check_producers(w, ins)

    def visit(self, visit: Visit) -> None:
        """Tell a stream."""
        w = visit.window
        v = visit.visitor
        stream = StreamFraming(w, self.version)
        count = 0
        while stream.next_node():
            key = visit.node()
            data = visit.node()
            if key is not None and data is not None:
                try:
                    count += visit_node(v, master_id(key), data)
                except FormatError as e:
                    visit.damaged_node(e)
        stream.read_counters()
        if stream.length != count and visit.damage is None:  # which most servers do not mind
            visit.miscounted += 1
        v.counters(stream.last_id, stream.max_deleted_id, stream.entries_added)
        while stream.next_group():
            name = visit.node()
            stream.read_group()
            v.group(b"" if name is None else name, stream.last_id, stream.entries_read)
            while stream.next_pending():
                ms, seq = id_of(stream.entry)
                v.pending(ms, seq, stream.delivered_ms, stream.deliveries)
            while stream.next_consumer():
                name = visit.node()
                stream.read_consumer()
                v.consumer(b"" if name is None else name, stream.seen_ms, stream.active_ms)
                while stream.next_owned():
                    ms, seq = id_of(stream.entry)
                    v.consumer_pending(ms, seq)
            while stream.next_released():
                ms, seq = id_of(stream.entry)
                v.released(ms, seq)
        if stream.has_producers:
            visit_producers(visit)


def _check_group(stream: StreamFraming, w: Window, ins: Inspection) -> None:
    """Pending entries, then consumers with the ids of theirs among these, then ids that no consumer has any more."""
    stream.read_group()
    pending: dict[bytes, bool] = {}  # id -> whether somebody has it
    at = w.offset()
    while stream.next_pending():
        entry = stream.entry
        if entry in pending:
            ins.report("duplicate-pending", f"pending entry {_text(entry)} twice in a consumer group", at)
        pending[entry] = False
        at = w.offset()
    names: set[bytes] = set()
    while stream.next_consumer():
        check_name(w, ins, names, "duplicate-consumer", "a consumer twice in a consumer group")
        stream.read_consumer()
        own: set[bytes] = set()
        at = w.offset()
        while stream.next_owned():
            entry = stream.entry
            if entry not in pending:
                ins.report("unknown-pending", f"a consumer's pending entry {_text(entry)} is not its group's", at)
            elif entry in own:
                ins.report("duplicate-pending", f"pending entry {_text(entry)} twice with a consumer", at)
            else:
                own.add(entry)
                pending[entry] = True
            at = w.offset()
    released: set[bytes] = set()
    at = w.offset()
    while stream.next_released():  # a server does not mind one that is there twice
        entry = stream.entry
        if entry not in pending:
            ins.report("unknown-pending", f"a released entry {_text(entry)} is not pending in its group", at)
        elif pending[entry]:
            ins.report("duplicate-pending", f"released entry {_text(entry)} belongs to a consumer", at)
        else:
            released.add(entry)
        at = w.offset()
    for entry in released:
        pending[entry] = True
    for entry, owned in pending.items():
        if not owned:
            ins.report("orphan-pending", f"pending entry {_text(entry)} of a group without a consumer", w.offset())


def _text(entry: bytes) -> str:
    ms, seq = id_of(entry)
    return f"{ms}-{seq}"
