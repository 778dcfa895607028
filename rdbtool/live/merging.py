"""The snapshots of all masters of a cluster as one stream, one behind the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rdbtool.basics.crc64 import crc64
from rdbtool.errors import FormatError, InputError, UnsupportedError
from rdbtool.io.copying import Tee
from rdbtool.io.source import Input
from rdbtool.io.window import CHUNK, Window
from rdbtool.rdb.events import Aux, Event, Function, Header, ModuleAux
from rdbtool.rdb.opcodes import EOF
from rdbtool.rdb.reader import RdbReader

END: Final = 9
"""Bytes that end a snapshot: the opcode, and the checksum."""


class _Kept:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes, /) -> None:
        self.parts.append(data)


class Merged:
    """The bytes of one snapshot with the keys of all, as a `Readable`. What stands before the keys is that of the
    first; each is opened when the one before has ended.

    Raises what opening and reading raise, `UnsupportedError` for snapshots that cannot be one, and `InputError` for a
    wrong checksum.
    """

    def __init__(self, openers: Sequence[Callable[[], Input]]) -> None:
        self._openers = openers
        self._version: tuple[int, int] | None = None
        self._crc = 0
        self._held = b""
        self._parts = self._snapshot()
        self._open: Input | None = None

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes; none at the end."""
        while not self._held:
            self._held = next(self._parts, b"")
            if not self._held:
                return b""
        data, self._held = self._held[:n], self._held[n:]
        return data

    def close(self) -> None:
        """Close what is open."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _snapshot(self) -> Iterator[bytes]:
        for opener in self._openers:
            self._open = opener()
            for part in self._of_one(self._open):
                self._crc = crc64(part, self._crc)
                yield part
            self.close()
        yield bytes((EOF,))
        yield crc64(bytes((EOF,)), self._crc).to_bytes(8, "little")

    def _of_one(self, opened: Input) -> Iterator[bytes]:
        """The bytes of one snapshot without its end, and without its beginning where it is not the first."""
        read = _Kept()
        w = Window(Tee(opened.stream, read), path=opened.name, size=opened.size)
        reader = RdbReader(w, checksum=False)
        is_first = self._version is None
        while (event := self._next(reader, opened)) is not None:
            if isinstance(event, Header):
                version = (int(event.dialect), int(event.version))
                if self._version not in {None, version}:
                    words = "the masters do not write the same version of snapshots: take them one by one"
                    raise UnsupportedError(words, path=opened.name)
                self._version = version
            elif not isinstance(event, (Aux, Function, ModuleAux)):
                break
        data = b"".join(read.parts)
        where = len(data) if event is None else int(event.offset)
        crc = crc64(data[:where])
        held = data[where:]
        if is_first:
            yield data[:where]
        while True:
            if len(held) > END:
                crc = crc64(held[:-END], crc)
                yield held[:-END]
                held = held[-END:]
            data = opened.stream.read(CHUNK)
            if not data:
                break
            held += data
        told = int.from_bytes(held[1:], "little")
        if len(held) != END or held[0] != EOF or told not in {0, crc64(held[:1], crc)}:
            raise InputError("the snapshot does not end as it should", path=opened.name, doing="reading the checksum")

    def _next(self, reader: RdbReader, opened: Input) -> Event | None:
        try:
            return reader.next()
        except FormatError as e:
            opened.refuse_change(e)
            raise
