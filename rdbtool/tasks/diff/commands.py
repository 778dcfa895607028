"""The commands that turn the left snapshot into the right one."""

from __future__ import annotations

from collections import deque
from typing import Final, final

from rdbtool.aof.command_writer import ITEMS_PER_COMMAND, SAYABLE, CommandWriter, write_command
from rdbtool.basics.crc64 import crc64
from rdbtool.basics.numbers import format_score
from rdbtool.io.output import Output
from rdbtool.model import NO_EXPIRY, Group, Hash, Id, SortedSet, Stream, Value
from rdbtool.rdb.compare import Rules
from rdbtool.rdb.layout.facts import ABOUT_THE_FILE, DELETED_PENDING, KEY_META, MADE_BY_REPLAY, MODULE_AUX, Losses
from rdbtool.rdb.walk import Walker

from .details import id_text
from .difference import EXPIRY, FUNCTION, Difference, Side
from .edits import Edit, edits, shared_head
from .meaning import UNCOUNTED, same_group

APPENDED: Final = 64
"""Bytes from which on a string that only grew is appended to, and not set anew."""
SET_ITEMS: Final = 16
"""Items of a list that are replaced in place, by LSET; where more differ, the list is written anew."""


@final
class CommandsOut:
    """Writes commands, as RESP, to ``output``. Call `end` after the last difference.

    Values are changed in place where that is little, and otherwise written anew as BGREWRITEAOF does. What
    commands cannot say is restored from the bytes of the right snapshot: modules' values, pending entries whose
    entry is gone, idle times. ``losses`` counts what not even that brings: kind -> number.
    """

    def __init__(self, output: Output, rules: Rules) -> None:
        self.output = output
        self.rules = rules
        # What is left out here is no difference, or is restored.
        untold = ABOUT_THE_FILE | MADE_BY_REPLAY | {DELETED_PENDING}
        self._writer = CommandWriter(output, Losses("commands", SAYABLE, untold=untold))
        self._walker = Walker(self._writer)
        self._libraries: list[bytes] = []

    @property
    def losses(self) -> dict[str, int]:
        """What could not be written."""
        return self._writer.losses.counts

    def add(self, difference: Difference) -> None:
        """Write the commands for one difference. Raises what reading a value raises."""
        if difference.type == FUNCTION:
            self._function(difference)
            return
        self._load_libraries()
        if difference.db < 0:
            self._writer.left_out(MODULE_AUX)
            return
        self._writer.select(difference.db)
        right = difference.right
        key = difference.key
        if right is None:
            self._put(b"DEL", key)
            return
        left = difference.left
        if right.meta != (b"" if left is None else left.meta):
            self._writer.left_out(KEY_META)
        if self._needs_restore(left, right, difference):
            self._restore(key, right)
            return
        changed = left is None or "value" in difference.differs
        if left is not None and changed and left.type == right.type and not difference.large:
            changed = not self._edit(key, left, right)
        if changed and right.encoding in UNCOUNTED:  # its server knows no commands for counters
            self._restore(key, right)
        elif changed:
            if left is not None and right.type != "string":  # SET replaces whatever is there
                self._put(b"DEL", key)
            self._writer.key(difference.db, key)
            damage = self._walker.walk(right.frame())
            if damage is not None:
                raise damage
            if right.expire_at_ms != NO_EXPIRY:
                self._writer.expire(right.expire_at_ms)
        elif left is not None and EXPIRY in difference.differs:
            if right.expire_at_ms != NO_EXPIRY:
                self._put(b"PEXPIREAT", key, b"%d" % right.expire_at_ms)
            else:
                self._put(b"PERSIST", key)
        self.output.room()

    def end(self) -> None:
        """Write what was held back, and empty the buffer."""
        self._load_libraries()
        self.output.flush()

    def _put(self, *args: bytes) -> None:
        write_command(self.output.buffer, list(args))
        self.output.room()

    def _function(self, difference: Difference) -> None:
        # A function may move from one library to another, so all old ones go before any new one comes.
        if difference.codes[0]:
            self._put(b"FUNCTION", b"DELETE", difference.key)
        if difference.codes[1]:
            self._libraries.append(difference.codes[1])

    def _load_libraries(self) -> None:
        for code in self._libraries:
            self._put(b"FUNCTION", b"LOAD", code)
        self._libraries = []

    def _needs_restore(self, left: Side | None, right: Side, difference: Difference) -> bool:
        if self.rules.eviction and (right.idle_s >= 0 or right.freq >= 0):
            return True
        if left is not None and "value" not in difference.differs:
            return False
        if right.type == "module":
            return True
        if right.type != "stream":
            return False
        if difference.large:  # too large to look whether commands can say all of it
            return True
        value = right.value()
        if not isinstance(value, Stream):
            return False
        if value.idmp or (self.rules.eviction and any(group.consumers for group in value.groups.values())):
            return True
        return any(id_ not in value.entries for group in value.groups.values() for id_ in group.pending)

    def _restore(self, key: bytes, side: Side) -> None:
        frame = side.frame()
        # The oldest version with that type: every server that knows the type takes the payload.
        body = bytes((frame.type.byte,)) + frame.raw() + int(frame.type.since).to_bytes(2, "little")
        args = [b"RESTORE", key, b"%d" % max(side.expire_at_ms, 0), body + crc64(body).to_bytes(8, "little")]
        args += [b"REPLACE", b"ABSTTL"]
        if side.idle_s >= 0:
            args += [b"IDLETIME", b"%d" % side.idle_s]
        if side.freq >= 0:
            args += [b"FREQ", b"%d" % side.freq]
        self._put(*args)
        if side.expire_at_ms < NO_EXPIRY:  # long ago, by a file that says so; RESTORE takes no such time
            self._put(b"PEXPIREAT", key, b"%d" % side.expire_at_ms)

    def _edit(self, key: bytes, left: Side, right: Side) -> bool:
        """Change a value in place, where that is possible and little. The expiry stays."""
        a: Value = left.value()
        b: Value = right.value()
        if isinstance(a, bytes) and isinstance(b, bytes):
            if len(a) < APPENDED or not b.startswith(a):
                return False
            self._put(b"APPEND", key, b[len(a) :])
        elif isinstance(a, Hash) and isinstance(b, Hash):
            self._edit_hash(key, a, b)
        elif isinstance(a, SortedSet) and isinstance(b, SortedSet):
            scored: list[bytes] = []
            for member, score in b.scores.items():
                if a.scores.get(member) != score:
                    scored += [format_score(score), member]
            self._many([b"ZADD", key], scored, 2)
            self._many([b"ZREM", key], [member for member in a.scores if member not in b.scores])
        elif isinstance(a, Stream) and isinstance(b, Stream):
            return self._edit_stream(key, a, b, counted=right.encoding not in UNCOUNTED)
        elif isinstance(a, dict) and isinstance(b, dict):
            self._many([b"SADD", key], [member for member in b if member not in a])
            self._many([b"SREM", key], [member for member in a if member not in b])
        elif isinstance(a, deque) and isinstance(b, deque):
            return self._edit_list(key, list(a), list(b))
        else:
            return False
        return True

    def _many(self, start: list[bytes], items: list[bytes], each: int = 1) -> None:
        """Commands that begin with ``start`` and take ``items``, so many at a time as a rewrite does."""
        step = ITEMS_PER_COMMAND * each
        for i in range(0, len(items), step):
            self._put(*start, *items[i : i + step])

    def _edit_hash(self, key: bytes, a: Hash, b: Hash) -> None:
        before = a.expiries or {}
        after = b.expiries or {}
        changed = [field for field, value in b.fields.items() if a.fields.get(field) != value]
        self._many([b"HSET", key], [part for field in changed for part in (field, b.fields[field])], 2)
        self._many([b"HDEL", key], [field for field in a.fields if field not in b.fields])
        written = set(changed)
        for field in b.fields:
            old = before.get(field, NO_EXPIRY)
            new = after.get(field, NO_EXPIRY)
            if new != NO_EXPIRY and (field in written or not self.rules.same_expiry(old, new)):
                self._put(b"HPEXPIREAT", key, b"%d" % new, b"FIELDS", b"1", field)
            elif new == NO_EXPIRY != old and not self.rules.same_expiry(old, new):
                self._put(b"HPERSIST", key, b"FIELDS", b"1", field)

    def _edit_list(self, key: bytes, a: list[bytes], b: list[bytes]) -> bool:
        found = list(edits(a, b))
        kept = len(a) - sum(edit.left_end - edit.left_start for edit in found)
        if kept * 2 < len(b):
            return False
        front: Edit | None = None
        back: Edit | None = None
        for edit in found:
            if edit.left_start == 0 and front is None:
                front = edit
            elif edit.left_end == len(a) and back is None:
                back = edit
            else:
                return self._set_items(key, b, found)
        if (front is not None and front.left_end) or (back is not None and back.left_start < len(a)):
            start = 0 if front is None else front.left_end
            stop = -1 if back is None else back.left_start - 1
            self._put(b"LTRIM", key, b"%d" % start, b"%d" % stop)
        if front is not None:
            self._many([b"LPUSH", key], b[front.right_start : front.right_end][::-1])
        if back is not None:
            self._many([b"RPUSH", key], b[back.right_start : back.right_end])
        return True

    def _set_items(self, key: bytes, b: list[bytes], found: list[Edit]) -> bool:
        """Replace items in place, where their number stays and is small."""
        if any((edit.left_start, edit.left_end) != (edit.right_start, edit.right_end) for edit in found):
            return False
        indexes = [i for edit in found for i in range(edit.right_start, edit.right_end)]
        if len(indexes) > SET_ITEMS:
            return False
        for i in indexes:
            self._put(b"LSET", key, b"%d" % i, b[i])
        return True

    def _edit_stream(self, key: bytes, a: Stream, b: Stream, *, counted: bool) -> bool:
        gone = [id_ for id_ in a.entries if id_ not in b.entries]
        new = [id_ for id_ in b.entries if id_ not in a.entries]
        if len(gone) * 2 > len(a.entries) or b.last_id < a.last_id or (new and new[0] <= a.last_id):
            return False
        if any(b.entries[id_] != fields for id_, fields in a.entries.items() if id_ in b.entries):
            return False
        trimmed = shared_head(gone, list(a.entries))
        deleted = gone[trimmed:]
        if b.max_deleted_id == (0, 0) and (deleted or a.max_deleted_id != (0, 0)):
            return False  # XDEL notes what it deletes, and no command takes that back
        if trimmed:
            self._put(b"XTRIM", key, b"MAXLEN", b"%d" % (len(a.entries) - trimmed))
        self._many([b"XDEL", key], [id_text(id_) for id_ in deleted])
        for id_ in new:
            self._put(b"XADD", key, id_text(id_), *b.entries[id_])
        counters = [b"ENTRIESADDED", b"%d" % b.entries_added, b"MAXDELETEDID", id_text(b.max_deleted_id)]
        self._put(b"XSETID", key, id_text(b.last_id), *(counters if counted else ()))
        for name, group in a.groups.items():
            other = b.groups.get(name)
            if other is None or not same_group(group, other, self.rules, counted=counted):
                self._put(b"XGROUP", b"DESTROY", key, name)
        for name, group in b.groups.items():
            old = a.groups.get(name)
            if old is None or not same_group(old, group, self.rules, counted=counted):
                counter = [b"ENTRIESREAD", b"%d" % group.entries_read] if counted else []
                self._put(b"XGROUP", b"CREATE", key, name, id_text(group.last_id), *counter)
                self._members(key, name, group)
        return True

    def _members(self, key: bytes, name: bytes, group: Group) -> None:
        """Give a new group its consumers and pending entries."""
        owners = {p.consumer for p in group.pending.values()}
        for consumer in group.consumers:
            if consumer not in owners:
                self._put(b"XGROUP", b"CREATECONSUMER", key, name, consumer)
        pending: list[Id] = sorted(group.pending)
        for id_ in pending:
            p = group.pending[id_]
            times = [b"TIME", b"%d" % p.delivered_ms, b"RETRYCOUNT", b"%d" % p.deliveries]
            self._put(b"XCLAIM", key, name, p.consumer, b"0", id_text(id_), *times, b"JUSTID", b"FORCE")
