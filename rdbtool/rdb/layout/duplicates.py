"""Find duplicates among any number of byte strings in bounded memory.

A few are kept as they are, and a duplicate is known at once. Many are kept as 62-bit hashes with their
offsets, parted by the hash's low byte and written to a temporary file that has no name. Then a
duplicate is two equal hashes, to be confirmed by reading both strings again.
"""

from __future__ import annotations

import os
from typing import BinaryIO, Final, final

from librt.strings import BytesWriter, read_i64_le, write_i64_le
from mypy_extensions import i64

from rdbtool.basics.hash_table import HashTable
from rdbtool.basics.hashing import MASK, ODD, hash_bytes, new_seed
from rdbtool.errors import OutputError, RdbToolError, reason
from rdbtool.io.source import open_input
from rdbtool.io.window import Window
from rdbtool.rdb.layout.primitives import read_string

KEPT: Final[i64] = 1 << 15
"""Strings kept as they are, at most,"""
KEPT_BYTES: Final[i64] = 1 << 22
"""and their bytes in sum."""

COLLECTED: Final[i64] = 1 << 21
"""Bytes of records that are collected before they are parted."""
PARTS: Final = 256
RECORD: Final[i64] = 16
"""A hash and an offset."""
CHUNK: Final[i64] = 1024 * RECORD
"""What a part collects before it is written."""
AT_ONCE: Final[i64] = 1 << 16
"""Hashes compared at a time."""
REPORTED: Final = 1000
"""Pairs that are told apart; more are only counted."""


@final
class Duplicates:
    """Strings seen so far. ``space`` keeps equal strings apart, such as keys of different databases.

    ``keep``: whether to keep the first ones as they are, else hashes are all that is ever added. ``collect``: hold all
    of them in memory, as ``records``, which another one with the same ``seed`` can add (`add_records`).
    ``pairs``: (earlier, later) offsets of strings with equal hashes, after `finish`; ``more``: how many
    further ones there are.
    """

    def __init__(self, *, keep: bool = True, seed: int = -1, collect: bool = False) -> None:
        self.kept: dict[i64, dict[bytes, i64]] | None = {} if keep else None
        self.count: i64 = 0
        self.bytes: i64 = 0
        self.records = BytesWriter()
        self.parts: list[BytesWriter] = []
        self.spilled: list[list[i64]] = []
        self.file: BinaryIO | None = None
        self.chunks: i64 = 0
        self.pairs: list[tuple[int, int]] = []
        self.more: i64 = 0
        self.table = HashTable()
        self.seed: i64 = new_seed() if seed < 0 else seed
        self.collected: i64 = 1 << 62 if collect else COLLECTED

    def add(self, item: bytes, offset: i64, space: i64) -> bool:
        """Note a string found at ``offset``: True if it was certainly there before.

        Raises `OutputError` where the temporary file cannot be written.
        """
        kept = self.kept
        if kept is None:
            self.add_hash(self._hash(item, space), offset)
            return False
        known = kept.get(space)
        if known is None:
            known = {}
            kept[space] = known
        before = len(known)
        known.setdefault(item, offset)
        if len(known) == before:
            return True
        self.count += 1
        self.bytes += len(item)
        if self.count > KEPT or self.bytes > KEPT_BYTES:
            self._turn_to_hashes(kept)
        return False

    def first(self, item: bytes, space: i64) -> i64:
        """The offset of a string that is kept, as long as strings are."""
        kept = self.kept
        assert kept is not None
        return kept[space][item]

    def _turn_to_hashes(self, kept: dict[i64, dict[bytes, i64]]) -> None:
        self.kept = None
        for space, known in kept.items():
            for item, offset in known.items():
                self.add_hash(self._hash(item, space), offset)

    def _hash(self, item: bytes, space: i64) -> i64:
        return spaced(hash_bytes(item, 0, len(item), self.seed), space)

    def add_hash(self, value: i64, offset: i64) -> i64:
        """Note the hash, of 62 bits, of a string found at ``offset``: -1, for nothing is known before `finish`."""
        records = self.records
        write_i64_le(records, value)
        write_i64_le(records, offset)
        if len(records) >= self.collected:
            self._part()
        return -1

    def add_records(self, records: bytes) -> None:
        """Note all strings that another one has collected. Raises `OutputError`."""
        self.records.write(records)
        if len(self.records) >= self.collected:
            self._part()

    def _part(self) -> None:
        if not self.parts:
            self.parts = [BytesWriter() for _ in range(PARTS)]
            self.spilled = [[] for _ in range(PARTS)]
        records = self.records.getvalue()
        self.records.truncate(0)
        pos: i64 = 0
        end: i64 = len(records)
        while pos < end:
            value = read_i64_le(records, pos)
            part = value & 255
            writer = self.parts[part]
            write_i64_le(writer, value)
            write_i64_le(writer, read_i64_le(records, pos + 8))
            if len(writer) >= CHUNK:
                self._spill(part)
            pos += RECORD

    def _spill(self, part: i64) -> None:
        import tempfile  # most files need none

        writer = self.parts[part]
        try:
            if self.file is None:
                self.file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object
            self.file.write(writer.getvalue())
        except OSError as e:
            where = tempfile.tempdir or "the temporary directory"
            raise OutputError(
                f"cannot write a temporary file: {reason(e)}; TMPDIR can name a directory with room", path=where
            ) from e
        writer.truncate(0)
        self.spilled[part].append(self.chunks)
        self.chunks += 1

    def finish(self) -> None:
        """Compare the hashes. Raises `OutputError` where the temporary file cannot be read."""
        if not self.parts:
            self._compare_slices(self.records.getvalue())
        else:
            self._part()
            for part in range(PARTS):
                self._compare_slices(self._records(part))
            if self.file is not None:
                self.file.close()
        self.records = BytesWriter()
        self.parts = []
        self.spilled = []
        self.pairs.sort(key=_later)

    def confirmed(self, path: str) -> list[tuple[int, int, bytes | None]]:
        """Of ``pairs``, those that the input at ``path`` confirms, with the string that is there twice, and with None
        those that cannot be read again.
        """
        if not self.pairs:
            return []
        strings = strings_at(path, [at for pair in self.pairs for at in pair])
        found: list[tuple[int, int, bytes | None]] = []
        for earlier, later in self.pairs:
            first, second = strings.get(earlier), strings.get(later)
            if first is None or second is None:
                found.append((earlier, later, None))
            elif first == second:
                found.append((earlier, later, second))
        return found

    def _records(self, part: int) -> bytes:
        found = []
        file = self.file
        try:
            if file is not None:
                for chunk in self.spilled[part]:
                    file.seek(chunk * CHUNK)
                    found.append(file.read(CHUNK))
        except OSError as e:
            from tempfile import gettempdir

            raise OutputError(f"cannot read a temporary file: {reason(e)}", path=gettempdir()) from e
        found.append(self.parts[part].getvalue())
        return b"".join(found)

    def _compare_slices(self, records: bytes) -> None:
        slices = len(records) // (RECORD * AT_ONCE) + 1
        for turn in range(slices):
            self._compare(records if slices == 1 else _slice(records, turn, slices))

    def _compare(self, records: bytes) -> None:
        end: i64 = len(records)
        table = self.table
        table.begin(end // RECORD)
        pos: i64 = 0
        while pos < end:
            offset = read_i64_le(records, pos + 8)
            earlier = table.put(read_i64_le(records, pos), offset)
            if earlier >= 0:
                if len(self.pairs) < REPORTED:
                    self.pairs.append((earlier, offset))
                else:
                    self.more += 1
            pos += RECORD


def spaced(value: i64, space: i64) -> i64:
    """The hash of a string, made one of it in its space: another one in each."""
    return value + space * ODD & MASK


def _later(pair: tuple[int, int]) -> int:
    return pair[1]


def _slice(records: bytes, turn: i64, slices: i64) -> bytes:
    """The records whose hash falls into one of several slices."""
    out = BytesWriter()
    pos: i64 = 0
    end: i64 = len(records)
    while pos < end:
        value = read_i64_le(records, pos)
        if (value >> 8 & 0xFFFFFFFF) % slices == turn:
            write_i64_le(out, value)
            write_i64_le(out, read_i64_le(records, pos + 8))
        pos += RECORD
    return out.getvalue()


def strings_at(path: str, offsets: list[int]) -> dict[int, bytes]:
    """Read again the strings at these offsets of an input; those that cannot be read are not there."""
    found: dict[int, bytes] = {}
    if not os.path.isfile(path):
        return found
    try:
        with open_input(path) as source:
            if source.size >= 0:
                with open(path, "rb", buffering=0) as stream:
                    for offset in offsets:
                        stream.seek(offset)
                        found[offset] = read_string(Window(stream, path=path, size=source.size, base=offset))
            else:
                w = source.window()
                for offset in sorted(set(offsets)):
                    w.skip(offset - w.offset())
                    found[offset] = read_string(w)
    except (RdbToolError, OSError):
        return found
    return found
