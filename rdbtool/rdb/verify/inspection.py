"""What a check of values carries along: the value at hand, and where problems go."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.findings import Finding, Findings
from rdbtool.rdb import lzf
from rdbtool.rdb.primitives import LZF, read_encoded_integer, read_length, read_length_or_encoding
from rdbtool.source import Window

from .codes import CODES

NO_OFFSET: Final[i64] = -1


@final
class Inspection:
    """The value under inspection, and the collector of what is wrong with it.

    ``key`` and ``db`` say whose value it is; ``empty`` is set for a collection without elements, which
    servers skip; ``subexpires`` counts hash fields with an expiry, and ``module`` names a module type.

    A packed value is looked at as ``data[start:start + size]``, which may be part of a window's bytes;
    ``origin`` is the offset of its first byte in the file, or, where it was compressed, that of the
    compressed string.
    """

    def __init__(self, findings: Findings, path: str = "") -> None:
        self.findings = findings
        self.path = path
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
        doing = "" if self.key is None else "checking a value"
        self.findings.add(Finding(severity, code, message, self.path, offset, self.key, self.db, doing))

    def report_packed(self, code: str, message: str, index: i64) -> None:
        """Add a finding about the byte ``data[index]`` of the packed value."""
        if self.compressed:
            self.report(code, f"{message} (byte {index - self.start} of what the LZF data holds)", self.origin)
        else:
            self.report(code, message, self.origin + index - self.start)


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


def checked_string(w: Window, ins: Inspection) -> bytes | None:
    """The next string, decoded; None, and a finding, if it cannot be decompressed."""
    pos = w.pos
    if pos < w.end:
        length: i64 = w.data[pos]
        if length < 64 and length < w.end - pos:
            pos += 1
            w.pos = pos + length
            return w.data[pos : pos + length]
    at = w.offset()
    length = read_length_or_encoding(w)
    if length >= 0:
        return w.take(length)
    if length == LZF:
        return _decompress(w, at, ins)
    return b"%d" % read_encoded_integer(w, length)


def pass_string(w: Window, ins: Inspection) -> None:
    """Pass the next string; what is compressed is decompressed to see that it can be."""
    pos = w.pos
    if pos < w.end:
        length: i64 = w.data[pos]
        if length < 64 and length < w.end - pos:
            w.pos = pos + 1 + length
            return
    at = w.offset()
    length = read_length_or_encoding(w)
    if length >= 0:
        w.skip(length)
    elif length == LZF:
        _decompress(w, at, ins)
    else:
        read_encoded_integer(w, length)


def _decompress(w: Window, at: i64, ins: Inspection) -> bytes | None:
    compressed = read_length(w)
    size = read_length(w)
    out = lzf.decompress(w.take(compressed), size)
    if out is None:
        ins.report("lzf", f"LZF data of {compressed} bytes that do not stand for {size} bytes", at)
    return out
