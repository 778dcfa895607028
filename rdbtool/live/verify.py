"""Keys that were loaded into a live server, asked of it again."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from rdbtool.engine.digest import Digester
from rdbtool.errors import RdbToolError
from rdbtool.findings import Finding, Findings, Severity, plural
from rdbtool.model import NO_EXPIRY
from rdbtool.outputs.compare import Comparer
from rdbtool.rdb.dump_payload import parse_dump

from .connection import RefusedError
from .load import Loading
from .pipelining import Link, LostError, Sent
from .replies import Refusal, Reply

NOTHING = "0" * 40
"""What DEBUG DIGEST-VALUE answers for a key that is not there."""
BATCH = 1 << 16


@dataclass(frozen=True, slots=True)
class Expected:
    """What a key is to be like."""

    digest: str
    expire_at_ms: int


class Comparing(Comparer):
    """Holds what it is told against the servers of a load that is done: by DEBUG DIGEST-VALUE, or where a server does
    not let us, by DUMP and PTTL. Call `finish`. ``compared``, ``different`` and ``missing`` count keys, of which those
    that have expired meanwhile are none.
    """

    def __init__(self, loading: Loading) -> None:
        super().__init__(loading.target, loading.prefix)
        self.slots = loading.slots
        self.findings = Findings()
        self.compared = 0
        self.different = 0
        self.missing = 0
        self._loading = loading
        self._digester = Digester(loading.release)
        self._links = [Link(link.connection, self._done, self._heard) for link in loading.links]
        self._debugs = [self._lets_debug(link) for link in self._links]
        self._expected: list[deque[Expected]] = [deque() for _ in self._links]
        self._dumped: list[bytes | None] = [None for _ in self._links]
        self._buffers: list[list[bytes]] = [[] for _ in self._links]
        self._keys: list[list[bytes]] = [[] for _ in self._links]
        self._sizes = [0 for _ in self._links]
        self._db = 0
        for index, link in enumerate(self._links):
            link.index = index

    def select(self, db: int) -> bool:
        self.finish()
        self._db = db
        if db == 0 and self.slots:
            return True
        for link in self._links:
            try:
                link.call("SELECT", db)
            except RefusedError:
                return False
        return True

    def expect(self, lane: int, key: bytes, digest: str, expire_at_ms: int) -> None:
        size = b"$%d\r\n%b\r\n" % (len(key), key)
        if self._debugs[lane]:
            request = b"*3\r\n$5\r\nDEBUG\r\n$12\r\nDIGEST-VALUE\r\n" + size
            self._keys[lane].append(key)
        else:
            request = b"*2\r\n$4\r\nDUMP\r\n" + size + b"*2\r\n$4\r\nPTTL\r\n" + size
            self._keys[lane] += (key, key)
        self._expected[lane].append(Expected(digest, expire_at_ms))
        self._buffers[lane].append(request)
        self._sizes[lane] += len(request)
        if self._sizes[lane] >= BATCH:
            self._flush(lane)

    def finish(self) -> None:
        """Wait until all is answered."""
        for lane, link in enumerate(self._links):
            self._flush(lane)
            link.finish()

    def way(self) -> str:
        """How far it has come."""
        wrong = f"{self.different:,} different, {self.missing:,} missing"
        return f"but not compared to the end: {plural(self.compared, 'key')} compared, {wrong}"

    def _flush(self, lane: int) -> None:
        data = b"".join(self._buffers[lane])
        keys = self._keys[lane]
        if keys:
            self._buffers[lane], self._keys[lane], self._sizes[lane] = [], [], 0
            self._links[lane].expect(Sent(keys, [], size=len(data)))
            self._links[lane].send(data)

    def _lets_debug(self, link: Link) -> bool:
        try:
            link.call("DEBUG", "DIGEST-VALUE", "")
        except RefusedError:
            return False
        return True

    def _done(self, _sent: Sent, _count: int) -> None:
        raise LostError("a reply that does not belong to what was asked", path=self._loading.name)

    def _heard(self, link: Link, sent: Sent, index: int, reply: Reply) -> None:
        if isinstance(reply, Refusal):
            raise LostError(f"the server says: {reply.words}", path=link.connection.name, doing="comparing keys")
        key = sent.keys[index]
        if self._debugs[link.index]:
            told = reply[0] if isinstance(reply, list) and reply else None
            self._judge(link, key, told.decode("latin-1") if isinstance(told, bytes) else "")
        elif index % 2 == 0:
            self._dumped[link.index] = reply if isinstance(reply, bytes) else None
        else:
            self._judge(link, key, self._digest_of(self._dumped[link.index], key, reply))

    def _digest_of(self, payload: bytes | None, key: bytes, left_ms: Reply) -> str:
        """The digest of a key that DUMP answered with."""
        if payload is None:
            return NOTHING
        try:
            frame = parse_dump(payload, key=key)
        except RdbToolError as e:
            return str(e.message)
        expires = isinstance(left_ms, int) and left_ms >= 0
        return self._digester.frame_digest(frame, 1 if expires else NO_EXPIRY)

    def _judge(self, link: Link, key: bytes, digest: str) -> None:
        expected = self._expected[link.index].popleft()
        if digest == NOTHING and expected.expire_at_ms != NO_EXPIRY and expected.expire_at_ms <= time.time() * 1000:
            return
        self.compared += 1
        if digest == expected.digest:
            return
        if digest == NOTHING:
            self.missing += 1
            found = Finding(Severity.ERROR, "missing", "the server does not have it", link.connection.name)
        else:
            self.different += 1
            found = Finding(Severity.ERROR, "different", "the server has another value", link.connection.name)
        self.findings.add(Finding(found.severity, found.code, found.message, found.path, key=key, db=self._db))
