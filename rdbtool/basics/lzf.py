"""LZF, the compression of strings in an RDB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy_extensions import i64

try:
    from lzf import compress as _compress
    from lzf import decompress as _decompress
except ImportError:  # no wheel and no compiler: the plain Python below does it
    _compress = _decompress = None

Transform = Callable[[bytes, int], bytes | None]
COMPRESS: Final[Transform | None] = _compress
DECOMPRESS: Final[Transform | None] = _decompress
"""The library's functions: ``(data, longest result)``, and ``(data, size of the result)``."""

MAX_EXPANSION: Final = 132
"""No LZF data grows more than this: 2 or 3 bytes stand for at most 264."""


def decompress(data: bytes, size: int) -> bytes | None:
    """The ``size`` bytes that ``data`` stands for; None if it does not stand for exactly that many.

    A ``size`` that the data cannot reach is refused before memory is reserved for it. A ``size`` of 0 is
    met by any data, as servers see it.
    """
    if size == 0:
        return b""
    if size < 0 or size > MAX_EXPANSION * len(data):
        return None
    library = DECOMPRESS
    if library is None:
        return decompress_plain(data, size)
    try:
        out = library(data, size)
    except (ValueError, MemoryError):
        return None
    return out if out is not None and len(out) == size else None


def is_valid(data: bytes, pos: i64, end: i64, size: i64) -> bool:
    """Whether ``data[pos:end]`` stands for ``size`` bytes. It says what `decompress` would, without doing it."""
    out: i64 = 0
    if size == 0:
        return True
    while pos < end:
        control: i64 = data[pos]
        pos += 1
        if control < 32:
            control += 1
            pos += control
            if pos > end:
                return False
            out += control
        else:
            length = control >> 5
            if length == 7:
                if pos >= end:
                    return False
                more: i64 = data[pos]
                length += more
                pos += 1
            if pos >= end:
                return False
            low: i64 = data[pos]
            pos += 1
            if ((control & 31) << 8) + low >= out:
                return False
            out += length + 2
        if out > size:
            return False
    return out == size


def beginning(data: bytes, pos: i64, end: i64, want: i64) -> bytes:
    """The first ``want`` bytes that ``data[pos:end]`` stands for, or as many as there are before its end or a flaw."""
    out = b""
    while pos < end and len(out) < want:
        control: i64 = data[pos]
        pos += 1
        if control < 32:
            out += data[pos : min(pos + control + 1, end)]
            pos += control + 1
            continue
        length = control >> 5
        if length == 7:
            if pos >= end:
                break
            more: i64 = data[pos]
            length += more
            pos += 1
        if pos >= end:
            break
        low: i64 = data[pos]
        start = len(out) - ((control & 31) << 8) - low - 1
        pos += 1
        if start < 0:
            break
        length = min(length + 2, want)
        while length > 0:
            out += out[start : start + 1]
            start += 1
            length -= 1
    return out[:want]


def decompress_plain(data: bytes, size: int) -> bytes | None:
    """`decompress` without the library."""
    out = bytearray()
    i = 0
    end = len(data)
    while i < end:
        control = data[i]
        i += 1
        if control < 32:
            if i + control + 1 > end:
                return None
            out += data[i : i + control + 1]
            i += control + 1
        else:
            length = control >> 5
            if length == 7:
                if i >= end:
                    return None
                length += data[i]
                i += 1
            if i >= end:
                return None
            start = len(out) - ((control & 31) << 8) - data[i] - 1
            i += 1
            if start < 0:
                return None
            for _ in range(length + 2):
                out.append(out[start])
                start += 1
        if len(out) > size:
            return None
    return bytes(out) if len(out) == size else None


def compress(data: bytes) -> bytes | None:
    """``data`` compressed, or None where that would not save the 4 bytes the server asks for."""
    if len(data) <= 4:
        return None
    library = COMPRESS
    out = compress_plain(data) if library is None else library(data, len(data) - 4)
    return out or None


def compress_plain(data: bytes) -> bytes | None:
    """`compress` without the library: greedy matches on three bytes, 8 KiB back."""
    out = bytearray()
    seen: dict[bytes, int] = {}
    literal = i = 0
    end = len(data)
    limit = end - 4
    while i < end:
        start = seen.get(data[i : i + 3], -1) if i + 3 <= end else -1
        seen[data[i : i + 3]] = i
        if start < 0 or i - start > 8192:
            i += 1
            continue
        length = 3
        while length < 264 and i + length < end and data[start + length] == data[i + length]:
            length += 1
        _literals(out, data, literal, i)
        distance = i - start - 1
        if length - 2 < 7:
            out += bytes(((length - 2) << 5 | distance >> 8, distance & 255))
        else:
            out += bytes((7 << 5 | distance >> 8, length - 9, distance & 255))
        i += length
        literal = i
    _literals(out, data, literal, end)
    return bytes(out) if len(out) <= limit else None


def _literals(out: bytearray, data: bytes, start: int, end: int) -> None:
    while start < end:
        run = min(32, end - start)
        out.append(run - 1)
        out += data[start : start + run]
        start += run
