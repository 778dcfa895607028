"""MAXLEN and MINID: dropping a stream's oldest entries (t_stream.c, streamTrim)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.rdb.values.stream_nodes import Node
from rdbtool.servers.features import DELETION_POLICIES, POLICIES_TRIM_EXACTLY
from rdbtool.servers.releases import Release

from .cells.stream import ACKED, DELREF, KEEPREF, StreamCell
from .numbers import integer
from .replies import CommandError
from .stream_ids import parse

BOTH: Final = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
NO_STRATEGY: Final = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
POLICIES: Final = {b"KEEPREF": KEEPREF, b"DELREF": DELREF, b"ACKED": ACKED}


@final
class Trim:
    """The trimming options of XADD and XTRIM. Raises `CommandError`.

    ``LIMIT`` is checked and has no effect: a server logs the threshold that it reached, in place of the given one.
    """

    def __init__(self) -> None:
        self.by_length = False
        self.by_id = False
        self.approximate = False
        self.length: i64 = 0
        self.first_id = 0
        self.policy: i64 = KEEPREF
        self._limited = False

    def option(self, args: list[bytes], at: i64, release: Release) -> i64:
        """Read the option at ``args[at]``: the position after it, or ``at`` if it is none."""
        argc: i64 = len(args)
        if len(args[at]) > 7:
            return at
        name = args[at].upper()
        if at + 1 < argc and (name == b"MAXLEN" or name == b"MINID"):  # noqa: PLR1714 - a set costs hashing
            if self.by_length or self.by_id:
                raise CommandError(BOTH)
            value = at + 1
            if at + 2 < argc and len(args[value]) == 1:
                if args[value] == b"~":
                    self.approximate = True
                    value += 1
                elif args[value] == b"=":
                    self.approximate = False
                    value += 1
            if name == b"MAXLEN":
                self.by_length = True
                self.length = integer(args[value])
                if self.length < 0:
                    raise CommandError("ERR The MAXLEN argument must be >= 0.")
            else:
                self.by_id = True
                self.first_id = parse(args[value])
            return value + 1
        if name in POLICIES and release.has(DELETION_POLICIES):
            self.policy = POLICIES[name]
            return at + 1
        if at + 1 < argc and name == b"LIMIT":
            limit = integer(args[at + 1])
            if limit < 0:
                raise CommandError("ERR The LIMIT argument must be >= 0.")
            self._limited = limit > 0
            return at + 2
        return at

    def check(self, release: Release, xadd: bool) -> None:
        """Raise the server's error for options that make no sense together; to be called before `apply`."""
        if not self.by_length and not self.by_id:
            if self._limited:
                raise CommandError(NO_STRATEGY)
            if not xadd:
                raise CommandError("ERR syntax error, XTRIM must be called with a trimming strategy")
        if self.approximate and self.policy != KEEPREF:
            self.approximate = False
            if not release.has(POLICIES_TRIM_EXACTLY):
                self.by_length = self.by_id = False

    def apply(self, cell: StreamCell) -> i64:
        """Drop the entries beyond the threshold, and return how many they were."""
        deleted: i64 = 0
        if not self.by_length and not self.by_id:
            return deleted
        gone: i64 = 0
        nodes = cell.nodes
        at: i64 = 0
        while at < len(nodes):
            node = nodes[at]
            live = node.count
            if self.by_length:
                if cell.length <= self.length:
                    break
                whole = cell.length - live >= self.length
            else:
                whole = node.last < self.first_id
            if whole and self.policy == KEEPREF:
                cell.length -= live
                deleted += live
                gone += 1
                at += 1
                continue
            if self.approximate and not whole:
                break
            if self.policy == KEEPREF:
                deleted += self._cut(cell, node)
                break
            deleted += self._cut_referenced(cell, node)
            if node.count and not self._goes_on(cell, node):
                break
            at += 1
        if gone:
            del nodes[:gone]
        if deleted and self.policy != KEEPREF:
            cell.nodes = [node for node in nodes if node.count]
        return deleted

    def _cut(self, cell: StreamCell, node: Node) -> i64:
        """Drop entries from the front of one node, and return how many they were."""
        count: i64 = 0
        most = node.count
        if self.by_length:
            most = min(cell.length - self.length, most)
        while count < most and (self.by_length or node.id_at(node.start) < self.first_id):
            node.remove(node.start)
            count += 1
        cell.length -= count
        return count

    def _cut_referenced(self, cell: StreamCell, node: Node) -> i64:
        """Drop entries one by one: with DELREF those that groups have pending too, with ACKED only those that no group
        needs. Returns how many they were.
        """
        count: i64 = 0
        at = node.start
        while at < len(node.run):
            entry = node.id_at(at)
            if cell.length <= self.length if self.by_length else entry >= self.first_id:
                break
            if self.policy == DELREF:
                cell.forget(entry)
            elif cell.is_referenced(entry):
                at = node.end_of(at)
                continue
            at = node.remove(at)
            cell.length -= 1
            count += 1
        return count

    def _goes_on(self, cell: StreamCell, node: Node) -> bool:
        """Whether the nodes behind one may have entries to drop, where that one kept only what groups need."""
        return cell.length > self.length if self.by_length else node.last < self.first_id
