"""Keys by what their names begin with: a tree in bounded memory, whose sums are right whatever is folded."""

from __future__ import annotations

from typing import Any, Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

ROOM: Final = 3
"""A tree grows to so many times what it may keep before it is pruned: pruning walks all of it."""

NUMBER: Final = b"{n}"
HEX: Final = b"{hex}"
UUID: Final = b"{uuid}"
SHORTEST_HEX: Final[i64] = 8
"""Fewer hexadecimal digits may be a word, or a number."""
UUID_LENGTH: Final[i64] = 36


@final
class Prefix:
    """The keys that begin so: how many, and their bytes.

    ``other_keys``, ``other_bytes``: of prefixes behind this one that were folded; ``parent``: the prefix before.
    """

    __slots__ = ("bytes", "depth", "keys", "other_bytes", "other_keys", "parent", "size")

    def __init__(self, parent: Prefix | None, depth: i64) -> None:
        self.parent = parent
        self.depth: i64 = depth
        self.keys: i64 = 0
        self.bytes: i64 = 0
        self.size: i64 = 0
        self.other_keys: i64 = 0
        self.other_bytes: i64 = 0

    def __reduce__(self) -> tuple[object, ...]:
        return Prefix, (None, 0), self.__getstate__()


@final
class Branch:
    """A prefix with those behind it, the greatest first, as `PrefixTree.tree` gives it. ``name`` is b"" for all keys.

    ``own_keys``, ``own_bytes``: of keys without a further prefix, or deeper ones than are told.
    """

    __slots__ = ("branches", "bytes", "keys", "name", "other_bytes", "other_keys", "own_bytes", "own_keys")

    def __init__(self, name: bytes, prefix: Prefix) -> None:
        self.name = name
        self.keys: i64 = prefix.keys
        self.bytes: i64 = prefix.bytes
        self.other_keys: i64 = prefix.other_keys
        self.other_bytes: i64 = prefix.other_bytes
        self.own_keys: i64 = self.keys - self.other_keys
        self.own_bytes: i64 = self.bytes - self.other_bytes
        self.branches: list[Branch] = []

    def __reduce__(self) -> tuple[object, ...]:
        return Branch, (b"", Prefix(None, 0)), self.__getstate__()

    def as_json(self, text: Any) -> dict[str, Any]:  # noqa: ANN401 - what makes text of a name
        """The same as data."""
        return {
            "prefix": text(self.name),
            "keys": int(self.keys),
            "bytes": int(self.bytes),
            "other_keys": int(self.other_keys),
            "other_bytes": int(self.other_bytes),
            "prefixes": [branch.as_json(text) for branch in self.branches],
        }


@final
class Prefixes:
    """What a prefix is: what a name begins with up to a ``separator``, ``depth`` of them at most; 0 for none at all.

    ``limit``: prefixes that are kept; the least of more are folded into the one before them. ``patterns``: digits,
    UUIDs and hexadecimal ids in names count as the same, and whole names are prefixes too.
    """

    def __init__(self, separator: bytes = b":", depth: int = 0, limit: int = 10_000, *, patterns: bool = False) -> None:
        self.separator = separator
        self.depth = depth
        self.limit = limit
        self.patterns = patterns


@final
class PrefixTree:
    """Sums by prefix, as ``prefixes`` says.

    A prefix that was folded and is met again begins anew, so its own sum can be too small, and that of what is folded
    is the more; ``folded`` tells how often that was done.
    """

    def __init__(self, prefixes: Prefixes) -> None:
        separator = prefixes.separator
        self.separator = separator
        self.depth: i64 = prefixes.depth
        self.limit = prefixes.limit
        self.patterns = prefixes.patterns
        self.root = Prefix(None, 0)
        self.prefixes: dict[bytes, Prefix] = {}
        self.folded: i64 = 0
        self._first: i64 = separator[0] if separator else -1

    def __reduce__(self) -> tuple[object, ...]:
        return PrefixTree, (Prefixes(),), self.__getstate__()

    def add(self, key: bytes, size: i64, in_file: i64) -> None:
        """Count a key of ``size`` bytes."""
        if self.patterns:
            key = pattern_of(key)
        node = self.root
        node.keys += 1
        node.bytes += size
        node.size += in_file
        at: i64 = 0
        depth = self.depth
        level: i64 = 0
        length: i64 = len(key)
        width: i64 = len(self.separator)
        while level < depth:
            at = self._next(key, at, length) if width == 1 else key.find(self.separator, at)
            if at < 0:
                if not self.patterns:
                    break
                at = length
            else:
                at += width
            level += 1
            name = key[:at]
            found = self.prefixes.get(name)
            if found is None:
                found = Prefix(node, level)
                self.prefixes[name] = found
            node = found
            node.keys += 1
            node.bytes += size
            node.size += in_file
            if at >= length:
                break
        if len(self.prefixes) > self.limit * ROOM:
            self._prune()

    def _next(self, key: bytes, at: i64, length: i64) -> i64:
        first = self._first
        while at < length:
            if key[at] == first:
                return at
            at += 1
        return -1

    def _prune(self) -> None:
        """Fold the least prefixes. One is never more than the one before it, so that one stays as long."""
        ranked = sorted([int(node.bytes) for node in self.prefixes.values()], reverse=True)
        least = ranked[self.limit] if self.limit < len(ranked) else -1
        kept: dict[bytes, Prefix] = {}
        for name, node in self.prefixes.items():
            if node.bytes > least:
                kept[name] = node
            else:
                parent = node.parent
                assert parent is not None
                parent.other_keys += node.keys
                parent.other_bytes += node.bytes
                self.folded += 1
        self.prefixes = kept

    def adds_up(self, other: PrefixTree) -> bool:
        """Whether one tree of the keys of both would have folded nothing, as neither did."""
        count = len(self.prefixes)
        for name in other.prefixes:
            count += name not in self.prefixes
        return self.folded == 0 and other.folded == 0 and count <= self.limit * ROOM

    def merge(self, other: PrefixTree) -> None:
        """Add what another tree with the same settings counted."""
        _merge(self.root, other.root)
        mine: dict[int, Prefix] = {id(other.root): self.root}
        for name, theirs in sorted(other.prefixes.items(), key=_shortest):
            node = self.prefixes.get(name)
            if node is None:
                node = Prefix(mine[id(theirs.parent)], theirs.depth)
                self.prefixes[name] = node
            mine[id(theirs)] = node
            _merge(node, theirs)
        self.folded += other.folded
        if len(self.prefixes) > self.limit * ROOM:
            self._prune()

    def tree(self) -> Branch:
        """All prefixes, in order; no more than ``limit`` of them."""
        if len(self.prefixes) > self.limit:
            self._prune()
        root = Branch(b"", self.root)
        branches: dict[int, Branch] = {id(self.root): root}
        for name, node in sorted(self.prefixes.items(), key=_shortest):
            branch = Branch(name, node)
            branches[id(node)] = branch
            parent = branches[id(node.parent)]
            parent.own_keys -= branch.keys
            parent.own_bytes -= branch.bytes
            parent.branches.append(branch)
        for branch in branches.values():
            branch.branches.sort(key=_greatest)
        return root


def _merge(node: Prefix, other: Prefix) -> None:
    node.keys += other.keys
    node.bytes += other.bytes
    node.size += other.size
    node.other_keys += other.other_keys
    node.other_bytes += other.other_bytes


def _shortest(item: tuple[bytes, Prefix]) -> tuple[int, bytes]:
    return len(item[0]), item[0]


def _greatest(branch: Branch) -> tuple[int, bytes]:
    return -int(branch.bytes), branch.name


def pattern_of(key: bytes) -> bytes:
    """A name in which UUIDs, hexadecimal ids of 8 digits or more and numbers are ``{uuid}``, ``{hex}``, ``{n}``."""
    length: i64 = len(key)
    pos: i64 = 0
    while pos < length and (key[pos] < 48 or key[pos] > 57):
        # A hexadecimal id has a digit, so a name without any is itself.
        pos += 1
    if pos == length:
        return key
    out = BytesWriter()
    pos = 0
    while pos < length:
        c: i64 = key[pos]
        if not _is_word(c):
            out.append(u8(c))
            pos += 1
            continue
        if _is_uuid(key, pos, length):
            out.write(UUID)
            pos += UUID_LENGTH
            continue
        end = pos
        hexes: i64 = 0
        digits: i64 = 0
        while end < length and _is_word(key[end]):
            if 48 <= key[end] <= 57:
                digits += 1
                hexes += 1
            elif _is_hex(key[end]):
                hexes += 1
            end += 1
        if digits == end - pos:
            out.write(NUMBER)
        elif digits > 0 and hexes == end - pos and hexes >= SHORTEST_HEX:
            out.write(HEX)
        elif digits > 0:
            _write_folded(out, key, pos, end)
        else:
            out.write(key[pos:end])
        pos = end
    return out.getvalue()


def _write_folded(out: BytesWriter, key: bytes, pos: i64, end: i64) -> None:
    """Write a word with its runs of digits folded."""
    while pos < end:
        c: i64 = key[pos]
        if 48 <= c <= 57:
            out.write(NUMBER)
            while pos < end and 48 <= key[pos] <= 57:
                pos += 1
        else:
            out.append(u8(c))
            pos += 1


def _is_word(c: i64) -> bool:
    return 48 <= c <= 57 or 97 <= c <= 122 or 65 <= c <= 90 or c >= 128


def _is_hex(c: i64) -> bool:
    return 48 <= c <= 57 or 97 <= c <= 102 or 65 <= c <= 70


def _is_uuid(key: bytes, pos: i64, length: i64) -> bool:
    if length - pos < UUID_LENGTH or key[pos + 8] != 45:
        return False
    if length - pos > UUID_LENGTH and _is_word(key[pos + UUID_LENGTH]):
        return False
    i: i64 = 0
    while i < UUID_LENGTH:
        c: i64 = key[pos + i]
        if i == 8 or i == 13 or i == 18 or i == 23:  # noqa: PLR1714 - compiled, a tuple would be made of them
            if c != 45:
                return False
        elif not _is_hex(c):
            return False
        i += 1
    return True
