"""The commands that turn the left snapshot into the right one."""

from __future__ import annotations

from typing import Final, final

from rdbtool.aof.command_writer import ITEMS_PER_COMMAND, SAYABLE, CommandWriter, write_command
from rdbtool.basics.crc64 import crc64
from rdbtool.basics.numbers import format_score
from rdbtool.io.output import Output
from rdbtool.model import NO_EXPIRY, Id
from rdbtool.rdb.compare import Rules
from rdbtool.rdb.layout.facts import ABOUT_THE_FILE, DELETED_PENDING, KEY_META, MADE_BY_REPLAY, MODULE_AUX, Losses
from rdbtool.rdb.meaning import (
    CONSUMER,
    COUNTER,
    ENTRIES_ADDED,
    ENTRIES_READ,
    ENTRY,
    FIELD,
    FIELD_EXPIRY,
    GROUP,
    LAST_ID,
    MAX_DELETED_ID,
    MEMBER,
    OWNER,
    PENDING,
    SCORE,
    Facts,
    Scope,
    Table,
    differing_facts,
    parted,
    score_of,
    tells_counters,
    tells_producers,
)
from rdbtool.rdb.walk import Walker

from .difference import EXPIRY, FUNCTION, Difference, Side
from .edits import Edit, edits, shared_head

APPENDED: Final = 64
"""A string of at least this many bytes that only grew is appended to; a shorter one is set anew."""
SET_ITEMS: Final = 16
"""Up to this many items of a list are replaced in place, by LSET; where more differ, the list is written anew."""


@final
class CommandsOut:
    """Writes commands, as RESP, to ``output``. Call `end` after the last difference.

    Values are changed in place where that is little, and otherwise written anew as BGREWRITEAOF does. What
    commands cannot say is restored (RESTORE) from the bytes of the right snapshot: modules' values, pending entries
    whose entry is gone, idempotent producers, idle times. ``losses`` counts what cannot be restored either:
    kind -> number.
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
        if (
            changed and right.type == "stream" and not tells_counters(right.row)
        ):  # nor does its server know commands for them
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
        if difference.large or tells_producers(right.row):  # in a large one, what commands cannot say is not found
            return True
        facts = right.facts(self._scope_of(right))
        if self.rules.eviction and any(CONSUMER in group for group in facts.groups.values()):
            return True
        entries = facts.own.get(ENTRY, {})
        return any(id_ not in entries for group in facts.groups.values() for id_ in group.get(PENDING, {}))

    def _scope_of(self, right: Side) -> Scope:
        """All that ``right`` tells counts: the commands are to bring about all of it."""
        return Scope(self.rules, right.row, right.row)

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
        scope = self._scope_of(right)
        a = left.facts(scope)
        b = right.facts(scope)
        if right.type == "string":
            before, after = a.items[0], b.items[0]
            if len(before) < APPENDED or not after.startswith(before):
                return False
            self._put(b"APPEND", key, after[len(before) :])
        elif right.type == "hash":
            self._edit_hash(key, a, b)
        elif right.type == "zset":
            self._edit_elements(key, b"ZADD", b"ZREM", a.own.get(SCORE, {}), b.own.get(SCORE, {}))
        elif right.type == "set":
            self._edit_elements(key, b"SADD", b"SREM", a.own.get(MEMBER, {}), b.own.get(MEMBER, {}))
        elif right.type == "list":
            return self._edit_list(key, a.items, b.items)
        elif right.type == "stream":
            return self._edit_stream(key, a, b, counted=tells_counters(right.row))
        else:
            return False
        return True

    def _edit_elements(self, key: bytes, add: bytes, remove: bytes, a: Table, b: Table) -> None:
        added: list[bytes] = []
        removed: list[bytes] = []
        resigned: list[bytes] = []
        for member, before, after in differing_facts(a, b):
            if after is None:
                removed.append(member)
            elif not after:
                added.append(member)
            else:
                added += [format_score(score_of(after)), member]
                if before and score_of(before) == score_of(after):
                    resigned += [b"1", member]  # a server leaves 0 as it is where -0 is to be, for they are equal
        self._many([add, key], resigned, 2)
        self._many([add, key], added, 2 if add == b"ZADD" else 1)
        self._many([remove, key], removed)

    def _many(self, start: list[bytes], items: list[bytes], each: int = 1) -> None:
        """Commands that begin with ``start`` and take ``items``, so many at a time as a rewrite does."""
        step = ITEMS_PER_COMMAND * each
        for i in range(0, len(items), step):
            self._put(*start, *items[i : i + step])

    def _edit_hash(self, key: bytes, a: Facts, b: Facts) -> None:
        written: list[bytes] = []
        removed: list[bytes] = []
        for field, _, value in differing_facts(a.own.get(FIELD, {}), b.own.get(FIELD, {})):
            if value is None:
                removed.append(field)
            else:
                written += [field, value]
        self._many([b"HSET", key], written, 2)
        self._many([b"HDEL", key], removed)
        expiries = b.own.get(FIELD_EXPIRY, {})
        changed = {field: expiry for field in written[::2] if (expiry := expiries.get(field))}  # HSET took them away
        for field, _, expiry in a.differing_expiries(a.own.get(FIELD_EXPIRY, {}), expiries):
            if expiry is not None:
                changed[field] = expiry
            elif field in b.own[FIELD] and field not in written[::2]:
                self._put(b"HPERSIST", key, b"FIELDS", b"1", field)
        for field, expiry in changed.items():
            self._put(b"HPEXPIREAT", key, expiry, b"FIELDS", b"1", field)

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

    def _edit_stream(self, key: bytes, a: Facts, b: Facts, *, counted: bool) -> bool:
        entries = a.own.get(ENTRY, {})
        gone: list[bytes] = []
        new: list[tuple[bytes, bytes]] = []
        for id_, before, after in differing_facts(entries, b.own.get(ENTRY, {})):
            if after is None:
                gone.append(id_)
            elif before is None:
                new.append((id_, after))
            else:
                return False
        last_id = id_of(a.own[COUNTER][LAST_ID])
        counters = b.own[COUNTER]
        if len(gone) * 2 > len(entries) or id_of(counters[LAST_ID]) < last_id or (new and id_of(new[0][0]) <= last_id):
            return False
        trimmed = shared_head(gone, list(entries))
        deleted = gone[trimmed:]
        if not counted:
            if deleted:
                return False
        elif counters[MAX_DELETED_ID] == b"0-0" and (deleted or a.own[COUNTER][MAX_DELETED_ID] != b"0-0"):
            return False  # XDEL notes what it deletes, and no command takes that back
        if trimmed:
            self._put(b"XTRIM", key, b"MAXLEN", b"%d" % (len(entries) - trimmed))
        self._many([b"XDEL", key], deleted)
        for id_, fields in new:
            self._put(b"XADD", key, id_, *parted(fields))
        said = [b"ENTRIESADDED", counters[ENTRIES_ADDED], b"MAXDELETEDID", counters[MAX_DELETED_ID]] if counted else []
        self._put(b"XSETID", key, counters[LAST_ID], *said)
        for name, group in a.groups.items():
            if group != b.groups.get(name):
                self._put(b"XGROUP", b"DESTROY", key, name)
        for name, group in b.groups.items():
            if group != a.groups.get(name):
                counter = [b"ENTRIESREAD", group[COUNTER][ENTRIES_READ]] if counted else []
                self._put(b"XGROUP", b"CREATE", key, name, group[GROUP][LAST_ID], *counter)
                self._members(key, name, group)
        return True

    def _members(self, key: bytes, name: bytes, group: dict[str, Table]) -> None:
        """Give a new group its consumers and pending entries."""
        owners = group.get(OWNER, {})
        having = set(owners.values())
        for consumer in group.get(CONSUMER, {}):
            if consumer not in having:
                self._put(b"XGROUP", b"CREATECONSUMER", key, name, consumer)
        for id_, value in group.get(PENDING, {}).items():
            delivered, deliveries = value.split()
            times = [b"TIME", delivered, b"RETRYCOUNT", deliveries]
            self._put(b"XCLAIM", key, name, owners[id_], b"0", id_, *times, b"JUSTID", b"FORCE")


def id_of(text: bytes) -> Id:
    """The stream id that a text is."""
    ms, seq = text.split(b"-")
    return int(ms), int(seq)
