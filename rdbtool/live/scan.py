"""The keys of a server that lets nobody replicate it: by SCAN, DUMP and their expiries, as the bytes of a snapshot.

It is none of a point in time: what changes meanwhile is there as it was when it was asked for, or not at all.
Servers before Redis 7.0 tell of an expiry only how much is left (PTTL): it is known to some milliseconds.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Final

from librt.strings import BytesWriter

from rdbtool.basics.crc64 import crc64
from rdbtool.basics.numbers import natural
from rdbtool.errors import InputError, shortened
from rdbtool.rdb import opcodes
from rdbtool.rdb.dump_payload import FOOTER
from rdbtool.rdb.layout.encoders import put_length, put_ms, put_string
from rdbtool.servers.releases import FIRST_OF_VALKEY, Release, newest_of_each

from .address import ALL, Scan
from .connection import UNKNOWN, Connection, RefusedError
from .server import release_of_server

CHUNK: Final = 1 << 16
COUNT: Final = 1000
"""Keys that SCAN is asked for at once."""
AT_ONCE: Final = 256
"""Keys whose values are asked for at once, at most,"""
BYTES_AT_ONCE: Final = 1 << 20
"""and so many bytes of values, if they are as large as those before."""
REMEMBERED: Final = 1 << 16
"""Keys that are remembered: SCAN tells one again, soon after, where the server's table shrinks meanwhile."""
LINE: Final = 1 << 10


class ScannedSnapshot:
    """The bytes of a snapshot of one server's keys, as a `Readable`. ``keys``: how many came so far; ``on_note``
    is told what could not be had beside them.

    Raises `InputError` for a server that refuses, ends the connection, has sent nothing for
    ``connection.timeout_s``, or sends what no server does.
    """

    size = -1

    def __init__(
        self, connection: Connection, scan: Scan = ALL, on_note: Callable[[str], object] | None = None
    ) -> None:
        self.connection = connection
        self.keys = 0
        self._on_note = on_note
        self._scan = scan
        self._info = connection.info()
        self._release: Release = release_of_server(self._info) or newest_of_each()[0]
        self._version = 0
        self._crc = 0
        self._held = b""
        self._wire = b""
        self._started = time.monotonic()
        self._mean = 1024.0
        self._libraries: list[bytes] = []
        self._recent: dict[bytes, None] = {}
        self._tells_expiry = self._answers("PEXPIRETIME", "")
        self._ahead_ms = 0 if self._tells_expiry else self._clock_ahead()
        self._parts = self._snapshot()

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes; none at the end."""
        while not self._held:
            part = next(self._parts, b"")
            if not part:
                return b""
            self._held = part
        data, self._held = self._held[:n], self._held[n:]
        return data

    # The snapshot

    def _snapshot(self) -> Iterator[bytes]:
        self._libraries = list(self._functions())
        begun = False
        for part in self._records():
            if not begun:
                begun = True
                yield self._summed(self._head())
            yield self._summed(part)
        if not begun:
            yield self._summed(self._head())
        yield self._summed(bytes((opcodes.EOF,)))
        yield self._crc.to_bytes(8, "little")

    def _summed(self, data: bytes) -> bytes:
        self._crc = crc64(data, self._crc)
        return data

    def _head(self) -> bytes:
        version = self._version or int(self._release.rdb_version)
        out = BytesWriter()
        out.write(b"VALKEY%03d" % version if version >= FIRST_OF_VALKEY else b"REDIS%04d" % version)
        name = "valkey" if version >= FIRST_OF_VALKEY else "redis"
        told = self._info.get(f"{self._release.product}_version", "")
        fields = {f"{name}-ver": told, "redis-bits": "64", "ctime": str(int(time.time()))}
        fields["used-mem"] = self._info.get("used_memory", "0")
        for field, value in fields.items():
            out.append(opcodes.AUX)
            put_string(out, field.encode(), False)
            put_string(out, value.encode(), False)
        for code in self._libraries:
            out.append(opcodes.FUNCTION)
            put_string(out, code, False)
        return out.getvalue()

    def _functions(self) -> Iterator[bytes]:
        """The code of the function libraries."""
        if int(self._release.rdb_version) < 10:
            return
        try:
            listed = self.connection.call("FUNCTION", "LIST", "WITHCODE")
        except RefusedError as e:
            if not (e.words.startswith("NOPERM") or UNKNOWN.search(e.words)):
                raise
            if self._on_note is not None:
                self._on_note(f"{self.connection.name}: no functions: {e.message}")
            return
        for row in listed if isinstance(listed, list) else []:
            fields = row if isinstance(row, list) else []
            code = fields[fields.index(b"library_code") + 1] if b"library_code" in fields else None
            if isinstance(code, bytes):
                yield code

    def _records(self) -> Iterator[bytes]:
        """The records of all databases, in pieces."""
        dbs = sorted(natural(name[2:]) for name in self._info if name.startswith("db") and natural(name[2:]) >= 0)
        for db in dbs:
            if db or len(dbs) > 1:
                self.connection.call("SELECT", db)
            self._recent.clear()
            out = BytesWriter()
            out.append(opcodes.SELECT_DB)
            put_length(out, db)
            ahead = out.getvalue()
            for keys in self._batches():
                for part in self._values(keys):
                    if ahead:
                        yield ahead
                        ahead = b""
                    yield part

    def _batches(self) -> Iterator[list[bytes]]:
        """The keys of a database, in as many at once as are to be asked for."""
        cursor = b"0"
        waiting: list[bytes] = []
        while True:
            words = ["MATCH", self._scan.match] if self._scan.match else []
            reply = self.connection.call("SCAN", cursor, *words, "COUNT", COUNT)
            following, told = reply if isinstance(reply, list) and len(reply) == 2 else (None, None)
            if not isinstance(following, bytes):
                raise self._wrong("what came is no answer to SCAN")
            cursor = following
            for key in told if isinstance(told, list) else []:
                if isinstance(key, bytes) and key not in self._recent:
                    waiting.append(key)
                    self._recent[key] = None
            while len(self._recent) > REMEMBERED:
                del self._recent[next(iter(self._recent))]
            is_last = cursor == b"0"
            while waiting and (is_last or len(waiting) >= AT_ONCE):
                count = max(1, min(AT_ONCE, int(BYTES_AT_ONCE / self._mean)))
                self._wait_for_rate(min(count, len(waiting)))
                yield waiting[:count]
                del waiting[:count]
            if is_last:
                return

    def _values(self, keys: list[bytes]) -> Iterator[bytes]:
        """The records of these keys, as far as they are still there."""
        name = b"PEXPIRETIME" if self._tells_expiry else b"PTTL"
        asked = BytesWriter()
        for key in keys:
            of_key = b"$%d\r\n%b\r\n" % (len(key), key)
            asked.write(b"*2\r\n$%d\r\n%b\r\n%b*2\r\n$4\r\nDUMP\r\n%b" % (len(name), name, of_key, of_key))
        self._send(asked.getvalue())
        total = 0
        for key in keys:
            expiry = self._number(b":")
            size = self._number(b"$")
            if size < 0:
                continue
            if size <= FOOTER:
                raise self._wrong("an answer to DUMP without a payload")
            total += size
            yield from self._record(key, expiry, size)
        self._mean = max(1.0, (self._mean + total / len(keys)) / 2)

    def _record(self, key: bytes, expiry: int, size: int) -> Iterator[bytes]:
        """A record whose value is passed on as it comes. Its checksum is looked at behind it."""
        payload = self._some(size)
        out = BytesWriter()
        if expiry >= 0:
            out.append(opcodes.EXPIRE_MS)
            put_ms(out, expiry if self._tells_expiry else int(time.time() * 1000) + self._ahead_ms + expiry)
        out.append(payload[0])
        put_string(out, key, False)
        if len(payload) == size:  # all of it is here, as it mostly is
            self._check(payload[-FOOTER:], crc64(payload[:-8]), key)
            out.write(payload[1:-FOOTER])
            self._skip_line()
            if not self._version:
                self._version = int.from_bytes(payload[-FOOTER:-8], "little")
            self.keys += 1
            yield out.getvalue()
            return
        yield from self._long(payload, out, size, key)

    def _long(self, first: bytes, out: BytesWriter, size: int, key: bytes) -> Iterator[bytes]:
        """The same of a value that has not come as a whole, of which no more is held than what came last."""
        if not self._version:
            # the head says the version, which stands behind the value
            self._version = int(self._release.rdb_version)
        yield out.getvalue()
        held, left, crc = first[1:], size - len(first), crc64(first[:1])
        while left:
            if len(held) > FOOTER:
                crc = crc64(held[:-FOOTER], crc)
                yield held[:-FOOTER]
                held = held[-FOOTER:]
            data = self._some(left)
            left -= len(data)
            held += data
        crc = crc64(held[:-8], crc)
        if len(held) > FOOTER:
            yield held[:-FOOTER]
        self._check(held[-FOOTER:], crc, key)
        self._skip_line()
        self.keys += 1

    def _check(self, footer: bytes, crc: int, key: bytes) -> None:
        told = int.from_bytes(footer[2:], "little")
        if told not in {0, crc}:
            raise InputError("a value with a wrong checksum", path=self.connection.name, doing="reading keys", key=key)
        version = int.from_bytes(footer[:2], "little")
        if self._version and version != self._version:
            words = f"a value of RDB version {version}, where version {self._version} was expected"
            raise InputError(words, path=self.connection.name, doing="reading keys", key=key)

    # The connection

    def _answers(self, *words: str) -> bool:
        try:
            self.connection.call(*words)
        except RefusedError:
            return False
        return True

    def _clock_ahead(self) -> int:
        """By how many ms the server's clock is ahead of ours."""
        try:
            told = self.connection.call("TIME")
        except RefusedError:
            return 0
        if isinstance(told, list) and len(told) == 2 and isinstance(told[0], bytes) and isinstance(told[1], bytes):
            return natural(told[0]) * 1000 + natural(told[1]) // 1000 - int(time.time() * 1000)
        return 0

    def _wait_for_rate(self, keys: int) -> None:
        if self._scan.rate:
            ahead = (self.keys + keys) / self._scan.rate - (time.monotonic() - self._started)
            if ahead > 0:
                time.sleep(ahead)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as e:
            raise self.connection.failure(e, "asking for values") from e

    @property
    def _socket(self) -> socket.socket:
        return self.connection.stream()

    def _number(self, kind: bytes) -> int:
        """The number of a reply of this kind. Raises `RefusedError` for an error reply."""
        line = self._line()
        if line[:1] == b"-":
            raise self.connection.refused(line[1:], "reading keys")
        if line[:1] != kind or natural(line[1:].removeprefix(b"-")) < 0:
            raise self._wrong(f"what came is no answer to what was asked: {shortened(line)}")
        return int(line[1:])

    def _line(self) -> bytes:
        while b"\r\n" not in self._wire:
            if len(self._wire) > LINE:
                raise self._wrong("what came is no answer of a server")
            self._receive()
        line, _, self._wire = self._wire.partition(b"\r\n")
        return line

    def _skip_line(self) -> None:
        if self._line():
            raise self._wrong("a value that does not end where it should")

    def _some(self, n: int) -> bytes:
        """Up to ``n`` bytes, at least one."""
        if not self._wire:
            self._receive()
        if len(self._wire) < n <= CHUNK:
            while len(self._wire) < n:
                self._receive()
        data, self._wire = self._wire[:n], self._wire[n:]
        return data

    def _receive(self) -> None:
        try:
            data = self._socket.recv(CHUNK)
        except TimeoutError:
            message = f"nothing has come for {self.connection.timeout_s:g} seconds"
            raise InputError(message, path=self.connection.name, doing="reading keys") from None
        except OSError as e:
            raise self.connection.failure(e, "reading keys") from e
        if not data:
            raise InputError("the server ended the connection", path=self.connection.name, doing="reading keys")
        self._wire += data

    def _wrong(self, message: str) -> InputError:
        return InputError(message, path=self.connection.name, doing="reading keys")
