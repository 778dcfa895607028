r"""THE rule from bytes to text and back.

| mode | text |
|---|---|
| auto | valid UTF-8 as it is; anything else, and text that itself begins with ``base64:``, as ``base64:`` and base64 |
| utf8 | UTF-8, with U+FFFD for what is not: readable, and the only one that cannot be read back |
| base64 | base64 of everything |
| hex | two digits per byte |
| escape | printable ASCII as it is, a backslash as ``\\``, any other byte as ``\xHH`` |

A text is a run of UTF-8 bytes here; what a format does to it (JSON's quotes, CSV's) comes on top.
"""

from __future__ import annotations

import binascii
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from typing import Final

from librt.strings import BytesWriter, read_i64_le
from mypy_extensions import i64, u8

from rdbtool.errors import UsageError

AUTO: Final[i64] = 0
UTF8: Final[i64] = 1
BASE64: Final[i64] = 2
HEX: Final[i64] = 3
ESCAPE: Final[i64] = 4

MODES: Final = ("auto", "utf8", "base64", "hex", "escape")
"""Names of the modes; the index is the number."""

MARK: Final = b"base64:"
"""What begins a text in mode auto that is not to be taken as it stands."""

_ONES: Final[i64] = 0x0101010101010101
_SPACES: Final[i64] = 0x2020202020202020

_HEX_DIGITS: Final = b"0123456789abcdef"


def mode_of(name: str) -> int:
    """The number of a mode. Raises `UsageError`."""
    if name not in MODES:
        raise UsageError(f"unknown way to write bytes '{name}'; known are {', '.join(MODES)}")
    return MODES.index(name)


def utf8_length(data: bytes, pos: i64, end: i64) -> i64:
    """Bytes, 2 to 4, of the well-formed non-ASCII character at ``pos``; 0 where there is none (RFC 3629)."""
    first: i64 = data[pos]
    if first < 0xC2 or first > 0xF4 or end - pos < 2:
        return 0
    second: i64 = data[pos + 1]
    if second & 0xC0 != 0x80:
        return 0
    if first < 0xE0:
        return 2
    if end - pos < 3 or data[pos + 2] & 0xC0 != 0x80:
        return 0
    if first < 0xF0:
        if (first == 0xE0 and second < 0xA0) or (first == 0xED and second > 0x9F):
            return 0
        return 3
    if end - pos < 4 or data[pos + 3] & 0xC0 != 0x80:
        return 0
    if (first == 0xF0 and second < 0x90) or (first == 0xF4 and second > 0x8F):
        return 0
    return 4


def is_utf8(data: bytes, pos: i64, end: i64) -> bool:
    """Whether ``data[pos:end]`` is valid UTF-8."""
    while pos < end:
        if end - pos >= 8 and read_i64_le(data, pos) >> 7 & _ONES == 0:
            pos += 8
        elif data[pos] < 0x80:
            pos += 1
        else:
            n = utf8_length(data, pos, end)
            if n == 0:
                return False
            pos += n
    return True


def is_marked(data: bytes, pos: i64, end: i64) -> bool:
    """Whether ``data[pos:end]`` begins with the mark."""
    return end - pos >= 7 and data[pos] == 98 and data[pos : pos + 7] == MARK


def is_plain(data: bytes, pos: i64, end: i64) -> bool:
    """Whether mode auto leaves ``data[pos:end]`` as it is."""
    return not is_marked(data, pos, end) and is_utf8(data, pos, end)


def is_printable(data: bytes, pos: i64, end: i64) -> bool:
    """Whether ``data[pos:end]`` is printable ASCII."""
    while pos < end:
        if end - pos >= 8:
            word = read_i64_le(data, pos)
            if (word | (word - _SPACES) | (word + _ONES)) >> 7 & _ONES != 0:
                return False
            pos += 8
        else:
            if data[pos] < 32 or data[pos] > 126:
                return False
            pos += 1
    return True


def is_one_line(data: bytes, pos: i64, end: i64) -> bool:
    """Whether valid UTF-8 holds no control character (C0, DEL, C1) and no line separator: a line, safe on a
    terminal.
    """
    while pos < end:
        c: i64 = data[pos]
        if c < 32 or c == 127:
            return False
        if c == 0xC2 and data[pos + 1] < 0xA0:
            return False
        if c == 0xE2 and data[pos + 1] == 0x80 and (data[pos + 2] == 0xA8 or data[pos + 2] == 0xA9):
            return False
        pos += 1
    return True


def marked(data: bytes) -> bytes:
    """``data`` as mode auto writes what is not plain."""
    return MARK + binascii.b2a_base64(data, newline=False)


def escaped(data: bytes) -> bytes:
    """``data`` as mode escape writes it."""
    out = BytesWriter()
    i: i64 = 0
    n: i64 = len(data)
    while i < n:
        c: i64 = data[i]
        if 32 <= c < 127:
            out.append(u8(c))
            if c == 92:
                out.append(u8(c))
        else:
            out.append(92)
            out.append(120)
            out.append(u8(_HEX_DIGITS[c >> 4]))
            out.append(u8(_HEX_DIGITS[c & 15]))
        i += 1
    return out.getvalue()


def to_text(data: bytes, mode: i64) -> bytes:
    """``data`` as text, in UTF-8."""
    if mode == AUTO:
        return data if is_plain(data, 0, len(data)) else marked(data)
    if mode == UTF8:
        return data.decode("utf-8", "replace").encode()
    if mode == BASE64:
        return binascii.b2a_base64(data, newline=False)
    if mode == HEX:
        return data.hex().encode()
    return escaped(data)


def to_line(data: bytes, mode: i64) -> bytes:
    """`to_text` where the text must be one line that no terminal acts on.

    What holds control characters is marked in mode auto, and shows as U+FFFD in mode utf8.
    """
    text = to_text(data, mode)
    if mode > UTF8 or is_one_line(text, 0, len(text)):
        return text
    if mode == AUTO:
        return marked(data)
    return "".join(c if is_one_line(c.encode(), 0, len(c.encode())) else "\ufffd" for c in text.decode()).encode()


AT_ONCE: Final = 1 << 14
"""Bytes that are made readable at a time."""


def to_people(data: bytes, mode: i64) -> bytes:
    r"""Text for reading only, in one line: in mode auto, UTF-8 with ``\xHH`` for what is not, and for controls."""
    if mode != AUTO:
        return to_line(data, mode)
    if is_printable(data, 0, len(data)) and b"\\" not in data:
        return data
    return b"".join(people_parts(data, 0, len(data)))


def people_parts(data: bytes, start: i64, end: i64) -> Iterator[bytes]:
    """`to_people` of ``data[start:end]`` in mode auto, in parts: characters as objects take very much memory."""
    decoder = getincrementaldecoder("utf-8")("backslashreplace")
    while start < end:
        stop = min(start + AT_ONCE, end)
        piece = data[start:stop]
        if is_printable(piece, 0, len(piece)) and b"\\" not in piece and not decoder.getstate()[0]:
            yield piece
        else:
            text = decoder.decode(piece.replace(b"\\", b"\\\\"), stop == end)
            yield "".join(c if c.isprintable() else _escape_character(c) for c in text).encode()
        start = stop


def _escape_character(c: str) -> str:
    number = ord(c)
    if number >= 0x10000:
        return f"\\U{number:08x}"
    return _SHORT_ESCAPES.get(c) or (f"\\x{number:02x}" if number < 128 else f"\\u{number:04x}")


_SHORT_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def from_people(text: bytes) -> bytes:
    """The reverse of `to_people` in mode auto. A backslash that begins none of its escapes is itself."""
    return text if b"\\" not in text else _ESCAPE.sub(_meaning, text)


_ESCAPE: Final = re.compile(rb"\\(?:([\\nrt])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_SHORT_MEANINGS: Final = {b"\\": b"\\", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _meaning(found: re.Match[bytes]) -> bytes:
    if found.group(1):
        return _SHORT_MEANINGS[found.group(1)]
    if found.group(2):
        return binascii.unhexlify(found.group(2))
    number = int(found.group(3) or found.group(4), 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        return found.group()  # no character
    return chr(number).encode()


def from_text(text: str, mode: i64) -> bytes:
    """The bytes that ``text`` stands for. Raises `ValueError` where it stands for none."""
    if mode == AUTO:
        if text.startswith("base64:"):
            return binascii.a2b_base64(text[7:].encode("ascii"), strict_mode=True)
        return text.encode()
    if mode == UTF8:
        return text.encode()
    if mode == BASE64:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    if mode == HEX:
        return binascii.unhexlify(text)
    return unescaped(text.encode("ascii"))


def unescaped(text: bytes) -> bytes:
    """The reverse of `escaped`. Raises `ValueError`."""
    if b"\\" not in text:
        return text
    out = BytesWriter()
    i: i64 = 0
    n: i64 = len(text)
    while i < n:
        c: i64 = text[i]
        if c != 92:
            out.append(u8(c))
            i += 1
        elif text[i + 1 : i + 2] == b"\\":
            out.append(92)
            i += 2
        elif text[i + 1 : i + 2] == b"x" and n - i >= 4:
            out.append(u8(binascii.unhexlify(text[i + 2 : i + 4])[0]))
            i += 4
        else:
            raise ValueError("a backslash that is followed by neither a backslash nor xHH")
    return out.getvalue()
