r"""The manifest of a multi-part AOF: which files make up the log, in which order.

One line per file, ``file NAME seq N type b|i|h``, where further ``key value`` pairs are allowed. The rules
are the server's (aofLoadManifestFromFile in aof.c), which ends where one is broken.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from rdbtool.errors import FormatError, printable

from .resp import parse_long

MAX_LINE: Final = 1024
"""Bytes of a line, its LF included."""

BASE: Final = "b"
HISTORY: Final = "h"
INCREMENT: Final = "i"
ROLES: Final = {BASE: "base", HISTORY: "history", INCREMENT: "incr"}

_BLANK: Final = b" \t\n\v\f\r"
_ESCAPES: Final = {b"n"[0]: 10, b"r"[0]: 13, b"t"[0]: 9, b"b"[0]: 8, b"a"[0]: 7}


@dataclass(slots=True)
class Part:
    """One line: the file's name, its sequence number, its type, and the pairs this version does not know."""

    name: str
    seq: int
    type: str
    line: int
    extra: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class Manifest:
    """Parts in the order of the lines, and the lines themselves, comments included."""

    parts: list[Part] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)

    @property
    def base(self) -> Part | None:
        """The base, if there is one."""
        return next((p for p in self.parts if p.type == BASE), None)

    def loaded(self) -> list[Part]:
        """What a server loads, in its order: the base, then the increments."""
        return [p for p in self.parts if p.type == BASE] + [p for p in self.parts if p.type == INCREMENT]

    def history(self) -> list[Part]:
        """Files that a rewrite has replaced, which no server reads."""
        return [p for p in self.parts if p.type == HISTORY]

    def without(self, dropped: list[Part]) -> bytes:
        """The manifest's bytes without the lines of ``dropped``."""
        numbers = {p.line for p in dropped}
        return b"".join(line for number, line in enumerate(self.lines, 1) if number not in numbers)


def parse(data: bytes, path: str = "") -> Manifest:
    """Read a manifest. Raises `FormatError` where the server would end."""
    manifest = Manifest()
    offset = 0
    last_seq = 0
    while offset < len(data):
        stop = data.find(b"\n", offset, offset + MAX_LINE)
        raw = data[offset : stop + 1] if stop >= 0 else data[offset : offset + MAX_LINE]
        manifest.lines.append(raw)
        number = len(manifest.lines)
        line = raw.split(b"\0", 1)[0]
        if not line.startswith(b"#"):
            part = _part(line, number, path, offset)
            if part.type == BASE and manifest.base is not None:
                raise _error("a second base file", path, offset, number)
            if part.type == INCREMENT:
                if part.seq <= last_seq:
                    raise _error(f"sequence number {part.seq} after {last_seq}", path, offset, number)
                last_seq = part.seq
            manifest.parts.append(part)
        offset += len(raw)
    if not manifest.lines:
        raise FormatError("the manifest is empty", path=path, offset=0, doing="reading the manifest")
    return manifest


def _part(line: bytes, number: int, path: str, offset: int) -> Part:
    if b"\n" not in line:
        raise _error(f"a line without line end, or of more than {MAX_LINE} bytes", path, offset, number)
    line = line.strip(b" \t\r\n")
    if not line:
        raise _error("an empty line", path, offset, number)
    words = split_arguments(line)
    if words is None or len(words) < 6 or len(words) % 2:
        raise _error(f"not pairs of keys and values: '{printable(line)}'", path, offset, number)
    name: bytes | None = None
    seq = 0
    kind = b""
    extra = []
    for key, value in zip(words[::2], words[1::2], strict=True):
        lower = key.lower()
        if lower == b"file":
            if b"/" in value or b"\\" in value:
                raise _error(f"a path instead of a file name: '{printable(value)}'", path, offset, number)
            name = value
        elif lower == b"seq":
            seq = parse_long(value, 0, len(value))
        elif lower == b"type":
            kind = value[:1]
        else:
            extra.append((key, value))
    if not name or seq == 0 or not kind or kind == b"\0":
        raise _error(f"file, seq or type is missing: '{printable(line)}'", path, offset, number)
    role = kind.decode("latin-1")
    if role not in ROLES:
        raise _error(f"unknown file type '{printable(kind)}'", path, offset, number)
    return Part(os.fsdecode(name.split(b"\0", 1)[0]), seq, role, number, extra)


def _error(message: str, path: str, offset: int, line: int) -> FormatError:
    return FormatError(message, path=path, offset=offset, doing=f"reading the manifest, line {line}")


def split_arguments(line: bytes) -> list[bytes] | None:
    r"""Split into words as sdssplitargs does: bare, ``"with \n and \xff"`` or ``'plain'``; None if unbalanced."""
    if b'"' not in line and b"'" not in line:
        return line.split()  # at the same bytes as below, and many times as fast
    words: list[bytes] = []
    size = len(line)
    i = 0
    while True:
        while i < size and line[i] in _BLANK:
            i += 1
        if i >= size:
            return words
        word = bytearray()
        quote = 0
        while i < size:
            byte = line[i]
            if quote == 34:
                if byte == 92 and line[i + 1 : i + 2] == b"x" and _is_hex(line[i + 2 : i + 4]):
                    word.append(int(line[i + 2 : i + 4], 16))
                    i += 3
                elif byte == 92 and i + 1 < size:
                    i += 1
                    word.append(_ESCAPES.get(line[i], line[i]))
                elif byte == 34:
                    break
                else:
                    word.append(byte)
            elif quote == 39:
                if byte == 92 and line[i + 1 : i + 2] == b"'":
                    i += 1
                    word.append(39)
                elif byte == 39:
                    break
                else:
                    word.append(byte)
            elif byte in _BLANK:
                break
            elif byte in {34, 39}:
                quote = byte
            else:
                word.append(byte)
            i += 1
        if quote:
            if i >= size or (i + 1 < size and line[i + 1] not in _BLANK):
                return None
            i += 1
        words.append(bytes(word))


def _is_hex(text: bytes) -> bool:
    return len(text) == 2 and all(c in b"0123456789abcdefABCDEF" for c in text)


def format_part(part: Part) -> bytes:
    """The line that a server writes for a part, with the pairs it does not know."""
    words = [b"file", _quoted(os.fsencode(part.name)), b"seq", b"%d" % part.seq, b"type", part.type.encode("latin-1")]
    for key, value in part.extra:
        words += [key, _quoted(value)]
    return b" ".join(words) + b"\n"


def _quoted(name: bytes) -> bytes:
    if name and all(32 < b < 127 and b not in b"\\\"'" for b in name):
        return name
    out = [b'"']
    for byte in name:
        if byte in b'\\"':
            out.append(b"\\%c" % byte)
        elif 32 <= byte < 127:
            out.append(b"%c" % byte)
        else:
            out.append(b"\\x%02x" % byte)
    return b"".join(out) + b'"'


def is_manifest(head: bytes, name: str) -> bool:
    """Whether a file is a manifest: by its name, as for a server, or because its first line that is no comment
    begins with ``file``.
    """
    if name.endswith(".manifest"):
        return True
    offset = 0
    while offset < len(head):
        stop = head.find(b"\n", offset)
        if head[offset : offset + 1] != b"#":
            return head.startswith(b"file ", offset)
        if stop < 0:
            return False
        offset = stop + 1
    return False
