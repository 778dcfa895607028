"""Which elements of a value were seen before: a table of hashes, without an object per element.

The hash only finds candidates; two that are equal are then compared byte by byte. Elements are compared
as servers do: an integer is the same as its decimal text.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.basics.hash_table import Distinct, HashTable
from rdbtool.basics.hashing import MASK, ODD, hash_bytes, hash_word, new_seed
from rdbtool.basics.numbers import integer_of, is_integer_at

from .duplicates import Duplicates

LIMIT: Final[i64] = 1 << 16
"""More elements than this go to `Duplicates`, which keeps memory bounded."""


@final
class Seen:
    """The elements of one value. `begin`, then `put` each."""

    def __init__(self) -> None:
        self.table = HashTable()
        self.distinct = Distinct()
        self.seed: i64 = new_seed()
        self.many: Duplicates | None = None

    def begin(self, count: i64) -> None:
        """Forget all, and expect ``count`` elements."""
        if count > LIMIT:
            self.many = Duplicates(keep=False)
        else:
            self.many = None
            self.table.begin(count)

    def put(self, value: i64, reference: i64) -> i64:
        """Note a hash and where its element stands; -1, or the reference of an earlier element with that hash."""
        many = self.many
        return self.table.put(value, reference) if many is None else many.add_hash(value, reference)


def hash_integer(value: i64, seed: i64) -> i64:
    """The hash of an integer of 64 bits.

    A text of n bytes is hashed with the seed plus n times ODD. An integer takes another seed than any of these, so that
    no text is sure to have its hash.
    """
    return hash_word(seed - ODD & MASK ^ value)


def hash_text(data: bytes, pos: i64, size: i64, seed: i64) -> i64:
    """The hash of ``data[pos:pos + size]``; that of the integer where it is the text of one."""
    first: i64 = data[pos] if size > 0 else 0
    if first < 58 and size <= 20 and (first >= 48 or first == 45):
        if is_integer_at(data, pos, size):
            return hash_integer(integer_of(data, pos, pos + size), seed)
    return hash_bytes(data, pos, size, seed)
