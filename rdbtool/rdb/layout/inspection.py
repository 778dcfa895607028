"""What a check of values carries along: the value at hand, and where problems go."""

from __future__ import annotations

import math
from typing import Final, final

from librt.strings import read_i64_le
from mypy_extensions import i64

from rdbtool.basics import lzf
from rdbtool.basics.numbers import eight_digits, scan_double
from rdbtool.errors import FormatError
from rdbtool.findings import Finding, Findings, Severity
from rdbtool.io.window import Window, window_over

from .codes import CODES
from .duplicates import strings_at
from .primitives import LZF, read_encoded_integer, read_length, read_length_or_encoding, read_string
from .seen import Seen, hash_integer, hash_text

NO_OFFSET: Final[i64] = -1
MAX_REREADS: Final[i64] = 100
"""A file made to cause many would otherwise take a very long time."""


@final
class Inspection:
    """The value under inspection, and the collector of what is wrong with it.

    ``key`` and ``db`` say whose value it is; ``empty`` is set for a collection without elements, which
    servers skip; ``subexpires`` counts hash fields with an expiry, and ``module`` names a module type.

    A packed value is looked at as ``data[start:start + size]``, which may be part of a window's bytes;
    ``origin`` is the offset of its first byte in the file, or, where it was compressed, that of the
    compressed string. ``suspect``: whether something may be wrong with its elements (`listpack.check_listpack`).
    ``strict``: the first error ends the check, as a `FormatError`: who only asks whether a value is sound need not wait
    for all of them.
    """

    def __init__(self, findings: Findings, path: str = "", *, seen: Seen | None = None) -> None:
        self.findings = findings
        self.path = path
        self.strict = False
        self.key: bytes | None = None
        self.db: i64 = -1
        self.empty = False
        self.subexpires: i64 = 0
        self.module = ""
        self.data = b""
        self.start: i64 = 0
        self.size: i64 = 0
        self.origin: i64 = -1
        self.compressed = False
        self.suspect = False
        self.seen = Seen() if seen is None else seen
        self.rereads: i64 = 0
        self.unpacked: i64 = 0
        """Bytes that were decompressed, of all values."""

    def begin(self, db: i64, key: bytes | None) -> None:
        """Turn to another value."""
        self.db = db
        self.key = key
        self.empty = False
        self.subexpires = 0
        self.module = ""

    def report(self, code: str, message: str, offset: i64 = NO_OFFSET) -> None:
        """Add a finding at ``offset`` of the file."""
        severity = CODES[code].severity
        if self.strict and severity is Severity.ERROR:
            raise FormatError(message, path=self.path, offset=offset, key=self.key)
        doing = "" if self.key is None or severity is Severity.NOTE else "checking a value"
        self.findings.add(Finding(severity, code, message, self.path, offset, self.key, self.db, doing))

    def report_if_equal(self, code: str, message: str, w: Window, earlier: i64, later: i64) -> None:
        """Add a finding at ``later`` unless the strings at the two offsets turn out to differ.

        Their hashes are equal. Where the first is no longer in the window and the input cannot be read
        again, or was too often, that decides.
        """
        first = _string_in(w, earlier)
        second = _string_in(w, later)
        if (first is None or second is None) and self.rereads < MAX_REREADS:
            self.rereads += 1
            again = strings_at(self.path, [earlier, later])
            first = again.get(earlier)
            second = again.get(later)
        if first is None or second is None or first == second:
            self.report(code, message, later)

    def report_twice(self, w: Window, what: str, earlier: i64, later: i64) -> None:
        """Add a finding about a member or field whose hash was seen before, if it is the same."""
        self.report_if_equal(f"duplicate-{what}", f"a {what} twice: also at offset {earlier}", w, earlier, later)

    def report_late_duplicates(self, what: str) -> None:
        """Add findings about duplicates among very many members or fields, all of which were seen."""
        many = self.seen.many
        if many is None:
            return
        many.finish()
        code = f"duplicate-{what}"
        for earlier, later, _ in many.confirmed(self.path):
            self.report(code, f"a {what} twice: also at offset {earlier}", later)
        if many.more:
            self.report(code, f"{many.more} further {what}s twice", -1)

    def report_packed(self, code: str, message: str, index: i64) -> None:
        """Add a finding about the byte ``data[index]`` of the packed value."""
        if self.compressed:
            self.report(code, f"{message} (byte {index - self.start} of what the LZF data holds)", self.origin)
        else:
            self.report(code, message, self.origin + index - self.start)


def _string_in(w: Window, offset: i64) -> bytes | None:
    """A string that was passed, if it is still in the window."""
    if offset < w.base:
        return None
    behind = window_over(w.data, base=w.base)
    behind.pos = offset - w.base
    return read_string(behind)


def open_packed(w: Window, ins: Inspection) -> bool:
    """Pass a string and make it the packed value of ``ins``; False if it cannot be decompressed."""
    at = w.offset()
    length = read_length_or_encoding(w)
    if length >= 0:
        if length > w.end - w.pos and not w.need(length):
            raise w.truncated(length)
        pos = w.pos
        ins.data = w.data
        ins.start = pos
        ins.size = length
        ins.origin = w.base + pos
        ins.compressed = False
        w.pos = pos + length
        return True
    ins.origin = at
    ins.compressed = True
    ins.start = 0
    if length == LZF:
        data = _decompress(w, at, ins)
        if data is None:
            return False
        ins.data = data
    else:
        ins.data = b"%d" % read_encoded_integer(w, length)
    ins.size = len(ins.data)
    return True


def see_element(w: Window, ins: Inspection) -> i64:
    """Pass the next string: -1, or the offset of an earlier one whose hash is the same.

    A string that cannot be decompressed makes a finding, and -1.
    """
    seen = ins.seen
    start = w.pos
    if start < w.end:
        data = w.data
        short: i64 = data[start]
        if short < 64 and short < w.end - start:
            w.pos = start + 1 + short
            value = hash_text(data, start + 1, short, seen.seed)
            if seen.many is None:
                return seen.table.put(value, w.base + start)
            return seen.put(value, w.base + start)
    at = w.offset()
    length = read_length_or_encoding(w)
    if length >= 0:
        if length > w.end - w.pos and not w.need(length):
            raise w.truncated(length)
        pos = w.pos
        w.pos = pos + length
        return seen.put(hash_text(w.data, pos, length, seen.seed), at)
    if length == LZF:
        text = _decompress(w, at, ins)
        return -1 if text is None else seen.put(hash_text(text, 0, len(text), seen.seed), at)
    return seen.put(hash_integer(read_encoded_integer(w, length), seen.seed), at)


def checked_string(w: Window, ins: Inspection) -> bytes | None:
    """The next string, decoded; None, and a finding, if it cannot be decompressed."""
    at = w.offset()
    length = read_length_or_encoding(w)
    if length >= 0:
        return w.take(length)
    if length == LZF:
        return _decompress(w, at, ins)
    return b"%d" % read_encoded_integer(w, length)


def pass_string(w: Window, ins: Inspection) -> None:
    """Pass the next string; what is compressed is checked to be so."""
    start = w.pos
    if start < w.end:
        short: i64 = w.data[start]
        if short < 64 and short < w.end - start:
            w.pos = start + 1 + short
            return
    at = w.offset()
    length = read_length_or_encoding(w)
    if length >= 0:
        if length <= w.end - w.pos:
            w.pos += length
        else:
            w.skip(length)
    elif length == LZF:
        compressed = read_length(w)
        size = read_length(w)
        if compressed > w.end - w.pos and not w.need(compressed):
            raise w.truncated(compressed)
        pos = w.pos
        w.pos = pos + compressed
        if not lzf.is_valid(w.data, pos, w.pos, size):
            _report_lzf(ins, compressed, size, at)
    else:
        read_encoded_integer(w, length)


def _report_lzf(ins: Inspection, compressed: i64, size: i64, at: i64) -> None:
    ins.report("lzf", f"LZF data of {compressed} bytes that do not stand for {size} bytes", at)


def _decompress(w: Window, at: i64, ins: Inspection) -> bytes | None:
    compressed = read_length(w)
    size = read_length(w)
    out = lzf.decompress(w.take(compressed), size)
    if out is None:
        _report_lzf(ins, compressed, size, at)
    else:
        ins.unpacked += size
    return out


def is_plain_number(data: bytes, start: i64, end: i64) -> bool:
    """Whether ``data[start:end]`` is a number in text, of digits with perhaps a sign and a point."""
    pos = start
    dots: i64 = 0
    while pos < end:
        byte: i64 = data[pos]
        if byte == 46:
            dots += 1
            while end - pos > 8 and eight_digits(read_i64_le(data, pos + 1)) >= 0:
                pos += 8
        elif (byte < 48 or byte > 57) and (byte != 45 or pos > start):
            return False
        pos += 1
    # there is a digit
    return dots <= 1 and (end > start + 2 or (end == start + 2 and data[end - 1] != 46))


def check_packed_score(ins: Inspection, start: i64, end: i64, entry: i64) -> None:
    """Check that ``data[start:end]`` of the packed value, the score of ``entry``, is a number in text."""
    data = ins.data
    if is_plain_number(data, start, end):
        return
    number, length = scan_double(data[start:end])
    if length and math.isnan(number):
        ins.report_packed("packed-nan-score", "a score is not a number (NaN)", entry)
    elif length == 0 or length != end - start:
        ins.report_packed("packed-score", "a score is not a number; servers take it for another", entry)


def check_name(w: Window, ins: Inspection, names: set[bytes], code: str, message: str) -> None:
    """Pass the next string, and add it to ``names``, where it should not be yet."""
    at = w.offset()
    name = checked_string(w, ins)
    if name is not None:
        if name in names:
            ins.report(code, message, at)
        names.add(name)
