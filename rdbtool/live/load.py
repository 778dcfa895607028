"""Keys into a live server, or into the masters of a cluster: many requests at once, and what is said to each."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from rdbtool.basics.numbers import natural
from rdbtool.errors import InputError, RdbToolError, UnsupportedError, UsageError, printable
from rdbtool.findings import Finding, Findings, Severity, plural
from rdbtool.outputs.restore import Lane, Receiver
from rdbtool.rdb.dump_payload import build_functions
from rdbtool.rdb.targets import Target
from rdbtool.servers.releases import Release
from rdbtool.servers.slots import hash_slot

from .address import ANONYMOUS, Access
from .cluster import access_of_nodes, masters, node_url
from .connection import Connection, RefusedError
from .pipelining import Link, LostError, Sent
from .replies import Refusal, Reply
from .server import is_clustered, keys_of_server, release_of_server

Conflict: TypeAlias = Literal["error", "skip", "replace"]

STOPPING: Final = frozenset(
    {
        "READONLY",
        "MASTERDOWN",
        "NOAUTH",
        "WRONGPASS",
        "LOADING",
        "MISCONF",
        "NOREPLICAS",
        "CLUSTERDOWN",
        "NOPERM",
        "OOM",
    }
)
"""Codes of refusals that the next key would get, too."""
TRIES: Final = 50
"""How often a key is sent again that a cluster is moving."""
PAUSE_S: Final = 0.1
_OF_KEY: Final = re.compile(r"access (a|one of the) keys?")
MOVED: Final = frozenset({"MOVED", "ASK", "TRYAGAIN"})
"""Codes of refusals after which a key is sent anew, where the cluster says that it belongs."""
_MOVED: Final = re.compile(r"(MOVED|ASK) ([0-9]{1,5}) (\S*):([0-9]{1,5})")


class StoppedError(InputError):
    """A load that came to no end. ``sure``: how many keys are surely in."""

    def __init__(self, error: RdbToolError, sure: int, words: str) -> None:
        super().__init__(f"{error.message}; {words}", path=error.path, doing=error.doing)
        self.code = error.code
        self.sure = sure
        if not isinstance(error, LostError):
            self.key = error.key
            self.offset = error.offset


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How keys get into a server.

    ``on_conflict``: what about a key that the server has; ``into_nonempty``: it may have keys; ``prefix``: what names
    get in front; ``rate``: keys per second, 0 for as many as it takes; ``dry_run``: nothing is written;
    ``start_at``: the number of the first key that is sent, as a load before told that did not come to its end;
    ``cluster``: the server is a node of a cluster, whose masters get what is theirs; ``commands``: use no RESTORE.
    """

    on_conflict: Conflict = "error"
    into_nonempty: bool = False
    prefix: bytes = b""
    rate: float = 0
    dry_run: bool = False
    start_at: int = 0
    cluster: bool = False
    commands: bool = False


LOADED: Final = LoadOptions()


@dataclass(slots=True)
class Counts:
    """Keys by what became of them: ``loaded``; ``skipped``: the server has them; ``failed``."""

    loaded: int = 0
    skipped: int = 0
    failed: int = 0
    functions: int = 0
    bytes: int = 0


def open_loading(url: str, options: LoadOptions = LOADED, access: Access = ANONYMOUS) -> Loading:
    """Connect to a server, or to the masters of its cluster, and see whether it may be written to.

    Raises `InputError`, and `UsageError` for a replica, for one that has keys, and for a node of a cluster.
    """
    links: list[Connection] = []
    try:
        first = Connection(url, access)
        links.append(first)
        info = first.info()
        slots: list[int] = []
        if options.cluster:
            of_nodes = access_of_nodes(url, access)
            cluster = masters(first, url)
            slots = cluster.slots
            first.close()
            links.clear()
            for node in cluster.urls:
                links.append(Connection(node, of_nodes))  # noqa: PERF401 - those made so far are closed if one fails
            access = of_nodes
        elif is_clustered(info):
            raise UsageError("a node of a cluster: give --cluster, and each key goes to the node of its slot", path=url)
        told = [link.info() for link in links]
        release = _check(links, told, options)
        empty = not any(map(keys_of_server, told))
        return Loading(url, access, links, slots, Target(release.name, release), options, empty=empty)
    except BaseException:
        for link in links:
            link.close()
        raise


def _check(links: list[Connection], told: list[dict[str, str]], options: LoadOptions) -> Release:
    """The oldest release of the servers. Raises where they must not be written to."""
    releases = []
    for link, info in zip(links, told, strict=True):
        if info.get("loading") == "1":
            raise InputError("the server is loading the dataset in memory", path=link.name)
        if info.get("role") != "master":
            master = f", of {info['master_host']}:{info['master_port']}" if info.get("master_host") else ""
            raise UsageError(f"a replica{master}: what is written to it is lost; load into the master", path=link.name)
        keys = keys_of_server(info)
        if keys and not options.into_nonempty:
            raise UsageError(
                f"it has {plural(keys, 'key')}: --into-nonempty loads into it all the same", path=link.name
            )
        release = release_of_server(info)
        if release is None:
            raise UnsupportedError("INFO does not say which release it is", path=link.name)
        releases.append(release)
    return min(releases, key=lambda release: int(release.rdb_version))


class Loading(Receiver):
    """A load on its way. Use it as a context manager, and call `finish`; ``counts`` and ``findings`` grow.

    ``release``: of the server; ``links``: to it. Every call raises `LostError` where the connection is lost, or the
    server refuses what it would refuse of every other key as well.
    """

    def __init__(
        self,
        url: str,
        access: Access,
        links: list[Connection],
        slots: list[int],
        target: Target,
        options: LoadOptions,
        *,
        empty: bool,
    ) -> None:
        super().__init__(target, prefix=options.prefix, replace=options.on_conflict == "replace", asks=options.dry_run)
        self.name = links[0].name
        self.counts = Counts()
        self.findings = Findings()
        self.restores = not options.commands
        self.start_at = options.start_at
        self.careful = not empty and options.on_conflict != "replace"
        self.empty = empty
        self.release = target.release
        self.last: bytes | None = None
        """The key of the last reply."""
        self.known: tuple[int, bytes | None] = (options.start_at, None)
        """`sure` and ``last`` as they were when all was in order the last time: a signal may come at any time."""
        self._url = url
        self._access = access
        self._options = options
        self.links = [self._link(link) for link in links]
        self.lanes = [Lane() for _ in links]
        for index, link in enumerate(self.links):
            link.index = index
        self.slots = [max(slot, 0) for slot in slots]
        self._db = 0
        self._again: list[tuple[Sent, int, Refusal]] = []
        self._astray: Refusal | None = None
        """What was said of a key whose request is not held, to be sent anew."""
        self._tries: dict[int, int] = {}
        self._started = time.monotonic()
        self._taken = 0
        if options.rate:
            self.most = max(1, min(512, int(options.rate / 20)))
        self.longest = self._longest()

    def __enter__(self) -> Loading:
        return self

    def __exit__(self, *_: object) -> None:
        for link in self.links:
            link.connection.close()

    def _link(self, connection: Connection) -> Link:
        return Link(connection, self._done, self._heard)

    def _longest(self) -> int:
        """Bytes of the longest argument that the server takes, which is its default where it does not say."""
        try:
            reply = self.links[0].call("CONFIG", "GET", "proto-max-bulk-len")
        except RefusedError:
            return int(self.longest)
        told = reply[1] if isinstance(reply, list) and len(reply) == 2 else None
        most = natural(told) if isinstance(told, bytes) else -1
        return most if most >= 0 else int(self.longest)

    # What the exporter calls

    def write(self, data: bytes, /) -> None:
        self.counts.bytes += len(data)
        link = self.links[self.node]
        if self.slots:
            link.extend(data)
        link.send(data)

    def take(
        self, lane: int, data: bytes, keys: list[bytes], numbers: list[int], ends: list[int], alone: bool = False
    ) -> None:
        self.counts.bytes += len(data)
        link = self.links[lane]
        if keys:
            self._wait_for_rate(len(keys))
            kept = data if self.slots and not alone else b""
            link.expect(Sent(keys, numbers, ends, kept, len(data), self._db))
        link.send(data)
        if numbers:  # else a request is on its way in parts, and none may come between
            self._send_again()
            self.known = (self.sure(numbers[-1] + 1), self.last)

    def transaction(self, lane: int, key: bytes, number: int) -> None:
        self.known = (self.sure(number), self.last)
        self._wait_for_rate(1)
        self.links[lane].expect(Sent([key], [number], db=self._db, whole=True, marked=bool(self.slots)))

    def select(self, db: int) -> bool:
        self.finish()
        self._db = db
        if db == 0 and self.slots:
            return True
        for link in self.links:
            try:
                link.call("SELECT", db)
            except RefusedError as e:
                self._stop_at(Refusal(e.words), e.path)
                self.findings.add(Finding(Severity.ERROR, "refused", f"database {db}: {e.message}", self.name, db=db))
                return False
        return True

    def is_free(self, lane: int, key: bytes) -> bool:
        self.finish()
        reply = self.links[lane].call("EXISTS", key)
        if reply == 0:
            return True
        self._conflict(key)
        return False

    def refuse(self, key: bytes, words: str) -> None:
        self.counts.failed += 1
        self.findings.add(Finding(Severity.ERROR, "refused", words, self.name, key=key, db=self._db))

    def function(self, code: bytes) -> None:
        if self.asks:
            self.counts.functions += 1
            return
        taken = False
        for link in self.links:
            try:
                self._load_library(link, code)
                taken = True
            except RefusedError as e:
                self._stop_at(Refusal(e.words), e.path)
                if "already exists" in e.words and self._options.on_conflict == "skip":
                    continue
                self.counts.failed += 1
                self.findings.add(Finding(Severity.ERROR, "function-library", e.message, self.name))
        self.counts.functions += taken

    def _load_library(self, link: Link, code: bytes) -> None:
        """By FUNCTION RESTORE, or FUNCTION LOAD where that is refused. Raises `RefusedError`."""
        if self.restores:
            try:
                link.call("FUNCTION", "RESTORE", build_functions([code]), "REPLACE" if self.replace else "APPEND")
            except RefusedError as e:
                if "already exists" in e.words:
                    raise
            else:
                return
        link.call("FUNCTION", "LOAD", *(["REPLACE"] if self.replace else []), code)

    def finish(self) -> None:
        """Wait until all that was sent is answered."""
        while True:
            for link in self.links:
                link.finish()
            if not self._again:
                return
            self._send_again()

    def sure(self, seen: int) -> int:
        """How many keys, of the ``seen`` that were handed over, are surely in the server, or were refused by it."""
        waiting = [number for lane in self.lanes for number in lane.numbers[:1]]
        waiting += [number for link in self.links for sent in link.flight for number in sent.numbers[sent.done :]]
        waiting += [sent.numbers[index] for sent, index, _ in self._again]
        return max(min([number for number in waiting if number >= 0], default=seen), self.start_at)

    def stopped(self, error: RdbToolError, seen: int, *, ordered: bool) -> StoppedError:
        """The error for a load that ``error`` ended, which says how to go on. ``ordered``: the source gives its keys in
        the same order when it is read again.
        """
        self.known = (self.sure(seen), self.last)
        return StoppedError(error, self.known[0], self.way_on(ordered=ordered))

    def way_on(self, *, ordered: bool) -> str:
        """What is surely in, and how to go on from there."""
        if self.asks or not (self.counts.bytes or self.counts.functions):
            return "nothing was written"
        sure, key = self.known
        last = ""
        if key is not None and not self.slots:
            last = f", the last of them '{printable(key)}'" + (f" in db {self._db}" if self._db else "")
        conflict = "replace" if self.replace or self.empty else "skip"
        start = f"--start-at {sure} " if ordered and sure else ""
        go_on = f"to go on: the same with {start}--into-nonempty --on-conflict {conflict}"
        done = f"surely done: {plural(sure, 'key')} of the input{last}" if sure else "no key is surely in"
        return f"{done}; {go_on}"

    # Replies

    def _done(self, sent: Sent, count: int) -> None:
        self.counts.loaded += count
        self.last = sent.keys[sent.done + count - 1]

    def _heard(self, link: Link, sent: Sent, index: int, reply: Reply) -> None:
        key = sent.keys[index]
        if isinstance(reply, Refusal):
            self._refused(link, sent, index, reply)
            if reply.code in MOVED:
                return
        elif self.asks and reply != 0:
            self._conflict(key)
        elif not (sent.whole and reply == b"OK"):
            self.counts.loaded += 1
        self.last = key

    def _refused(self, link: Link, sent: Sent, index: int, refusal: Refusal) -> None:
        key = sent.keys[index]
        if refusal.code == "BUSYKEY":
            self._conflict(key)
            return
        if refusal.code in MOVED and self.slots:
            tries = self._tries.get(sent.numbers[index], 0) + 1
            self._tries[sent.numbers[index]] = tries
            if tries <= TRIES:
                if sent.data:
                    self._again.append((sent, index, refusal))
                else:
                    self._astray = refusal
                return
        self._stop_at(refusal, link.connection.name)
        self.counts.failed += 1
        words = f"the server says: {refusal.words}"
        self.findings.add(Finding(Severity.ERROR, "refused", words, link.connection.name, key=key, db=sent.db))

    def _stop_at(self, refusal: Refusal, server: str) -> None:
        """Raise `LostError` where the next key would be refused, too."""
        if refusal.code in STOPPING and not (refusal.code == "NOPERM" and _OF_KEY.search(refusal.words)):
            raise LostError(f"the server says: {refusal.words}", path=server)

    def _conflict(self, key: bytes) -> None:
        """A key is there already."""
        if self._options.on_conflict == "skip":
            self.counts.skipped += 1
        elif self._options.on_conflict == "replace":
            self.counts.loaded += 1
        else:
            self.counts.failed += 1
            words = "the server has such a key: --on-conflict says what about it"
            self.findings.add(Finding(Severity.ERROR, "exists", words, self.name, key=key, db=self._db))

    # Slots that have moved

    def _send_again(self) -> None:
        """Send keys where the cluster says that they belong."""
        while self._again:
            sent, index, refusal = self._again[0]  # where sending fails, it has not gone
            start = sent.ends[index - 1] if index else 0
            request = sent.data[start:] if sent.whole else sent.data[start : sent.ends[index]]
            node = self._owner(sent.keys[index], refusal)
            one = Sent([sent.keys[index]], [sent.numbers[index]], [len(request)], request, len(request), sent.db)
            one.whole, one.marked = sent.whole, sent.marked
            self.links[node].expect(one)
            del self._again[0]
            self.links[node].send(request)

    def strayed(self, lane: int, key: bytes) -> int:
        flight = self.links[lane].flight
        if not self.slots or (flight and flight[-1].data):
            return -1
        self.finish()
        refusal, self._astray = self._astray, None
        return -1 if refusal is None else self._owner(key, refusal)

    def _owner(self, key: bytes, refusal: Refusal) -> int:
        """The index of the node that takes a key, as it is refused; it is told where that is for this time only."""
        found = _MOVED.match(refusal.words)
        slot = hash_slot(key)
        if found is None:
            time.sleep(PAUSE_S)
            return self.slots[slot]
        node = self._node(found.group(3), int(found.group(4)))
        if found.group(1) == "MOVED":
            self.slots[slot] = node
        else:
            self.links[node].expect(Sent([b""], [-1], ignored=True))
            self.links[node].send(b"*1\r\n$6\r\nASKING\r\n")
        return node

    def _node(self, host: str, port: int) -> int:
        """The index of a node, to which a connection is made where there is none."""
        url = node_url(self._url, host, port)
        for index, link in enumerate(self.links):
            if link.connection.url == url:
                return index
        try:
            link = self._link(Connection(url, self._access))
        except InputError as e:
            raise LostError(e.message, path=e.path, doing=e.doing) from e
        link.index = len(self.links)
        self.links.append(link)
        self.lanes.append(Lane())
        return link.index

    # The rate

    def _wait_for_rate(self, keys: int) -> None:
        self._taken += keys
        if self._options.rate:
            ahead = self._taken / self._options.rate - (time.monotonic() - self._started)
            if ahead > 0:
                time.sleep(ahead)
