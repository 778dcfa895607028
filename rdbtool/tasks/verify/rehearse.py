"""Compare what a server holds that was started on a copy of a backup with what the backup holds."""

from __future__ import annotations

from typing import Any, Final

from rdbtool.basics.numbers import natural
from rdbtool.engine.cells.cell import Cell, FrameCell
from rdbtool.engine.digest import Digester
from rdbtool.errors import RdbToolError
from rdbtool.findings import plural
from rdbtool.model import NO_EXPIRY
from rdbtool.rdb.check import RdbFacts
from rdbtool.rdb.frame import Frame
from rdbtool.servers.features import FUNCTIONS
from rdbtool.tasks.judgement import Judgement

from .boot import Booted
from .client import Client, GoneError, RefusedError, Reply
from .found import Found
from .tally import Onlooker

AT_ONCE: Final = 1000
"""Commands that are sent before their replies are read."""
SHOWN: Final = 8
"""Databases of which numbers of keys are shown."""


class Survivors(Onlooker):
    """Is shown a backup's keys, and tells which of them the server must have, and DEBUG DIGEST of these.

    What had expired before it began to load a snapshot it dropped. Of what expired until its own expiring was switched
    off, ``expiring``, it may have dropped some: they are asked for there, which drops the rest. What expires later it
    keeps. From a log it drops nothing while it loads.
    """

    def __init__(self, server: Booted) -> None:
        self.is_log = server.is_log
        self.started_ms = server.started_ms
        self.ready_ms = server.ready_ms
        self.databases: dict[int, int] = {}
        self.expiring: list[tuple[int, bytes]] = []
        self.damage = ""
        loaded_ms = None if server.is_log else server.started_ms
        self.digester = None if server.no_debug else Digester(server.release, loaded_ms=loaded_ms)

    def begin(self, facts: RdbFacts) -> None:
        """Nothing in front of the keys matters here."""

    def see(self, frame: Frame) -> None:
        """A key of an RDB."""
        if self._survives(frame.db, frame.key, frame.expire_at_ms) and self.digester is not None:
            self._take_damage(self.digester.add_frame(frame, frame.db, frame.key, frame.expire_at_ms))

    def see_cell(self, db: int, key: bytes, cell: Cell) -> None:
        """A key of a dataset."""
        if not self._survives(db, key, cell.expire_at_ms) or self.digester is None:
            return
        if isinstance(cell, FrameCell):
            self._take_damage(self.digester.add_frame(cell.frame, db, key, cell.expire_at_ms))
        else:
            self.digester.add_cell(db, key, cell)

    def _survives(self, db: int, key: bytes, expire_at_ms: int) -> bool:
        if expire_at_ms != NO_EXPIRY and expire_at_ms <= self.ready_ms:
            if self.is_log or expire_at_ms >= self.started_ms:
                self.expiring.append((db, key))
            return False
        self.databases[db] = self.databases.get(db, 0) + 1
        return True

    def _take_damage(self, damage: RdbToolError | None) -> None:
        if damage is not None:
            self.damage = self.damage or str(damage)


def compare(judged: Judgement, server: Booted, found: Found, survivors: Survivors | None) -> None:
    """Add to a judgement whether the server has loaded the backup, and holds what is in it."""
    details: dict[str, Any] = {"server": server.title, "loaded": server.client is not None, "shared": server.shared}
    judged.details["boot"] = details
    client = server.client
    expected = f"{server.title} loads it"
    if client is None or survivors is None:
        judged.expect("boot", expected, server.refusal, met=False)
        _tell_log(judged, server)
        return
    try:
        memory = _memory(client)
        used = f", {memory / (1 << 20):,.1f} MiB" if memory is not None else ""
        judged.expect("boot", expected, f"loaded in {server.load_s:.2f} s{used}", met=True)
        details["load_seconds"] = server.load_s
        judged.measure("boot_load_seconds", "Seconds that the server took to start and load it.", server.load_s)
        if memory is not None:
            details["memory_bytes"] = memory
            judged.measure("boot_memory_bytes", "Bytes of memory that it takes in the server.", memory)
        if found.counts is None:
            judged.expect("boot keys", "as in the file", f"not known: {found.uncounted}", met=None)
            return
        _compare_keys(judged, client, survivors, exact=not server.no_debug)
        _compare_functions(judged, server, client, found)
        _compare_digest(judged, server, client, survivors)
    except (GoneError, RefusedError) as e:
        judged.expect("boot answers", f"{server.title} answers", f"it does not: {e}", met=False)
        _tell_log(judged, server)


def _tell_log(judged: Judgement, server: Booted) -> None:
    """Show what the server says in its log."""
    lines = server.log()
    judged.notes += [f"{server.title} says: {line}" for line in lines]
    judged.details["boot"]["log"] = lines


def _memory(client: Client) -> int | None:
    text = client.info("memory").get("used_memory", "") if client.has("INFO") else ""
    used = natural(text)
    return used if used >= 0 else None


def _compare_keys(judged: Judgement, client: Client, survivors: Survivors, *, exact: bool) -> None:
    """Compare numbers of keys by database. Where the server goes on expiring keys, it may have fewer."""
    ours = survivors.databases
    theirs = _key_counts(client, ours)
    if exact:
        _drop_expired(client, survivors.expiring)
        theirs = _key_counts(client, ours)
    slack: dict[int, int] = {}
    for db, _ in survivors.expiring if not exact else ():
        slack[db] = slack.get(db, 0) + 1
    met = all(ours.get(db, 0) <= theirs.get(db, 0) <= ours.get(db, 0) + slack.get(db, 0) for db in {*ours, *theirs})
    judged.expect("boot keys", _by_database(ours), _by_database(theirs), met=met)
    judged.details["boot"]["databases"] = {str(db): count for db, count in theirs.items()}


def _key_counts(client: Client, ours: dict[int, int]) -> dict[int, int]:
    """DBSIZE of each database that has keys here or there."""
    there = client.info("keyspace") if client.has("INFO") else {}
    numbers = {*ours, *(natural(name[2:]) for name in there if name[:2] == "db" and natural(name[2:]) >= 0)}
    counts = {}
    for db in sorted(numbers):
        client.call("SELECT", db)
        size = client.call("DBSIZE")
        if isinstance(size, int) and size:
            counts[db] = size
    return counts


def _drop_expired(client: Client, expiring: list[tuple[int, bytes]]) -> None:
    """Ask for keys that have expired, which is when a server drops them."""
    for start in range(0, len(expiring), AT_ONCE):
        by_db: dict[int, list[tuple[bytes]]] = {}
        for db, key in expiring[start : start + AT_ONCE]:
            by_db.setdefault(db, []).append((key,))
        for db, keys in by_db.items():
            client.call("SELECT", db)
            client.call_all("EXISTS", [*keys])


def _by_database(counts: dict[int, int]) -> str:
    shown = [f"{plural(count, 'key')} in db {db}" for db, count in sorted(counts.items()) if count]
    more = f" and {plural(len(shown) - SHOWN, 'other database')}" if len(shown) > SHOWN else ""
    return (", ".join(shown[:SHOWN]) or "no keys") + more


def _compare_functions(judged: Judgement, server: Booted, client: Client, found: Found) -> None:
    if not server.release.has(FUNCTIONS):
        return
    reply = client.call("FUNCTION", "LIST")
    theirs = sorted(_library_name(library) for library in reply) if isinstance(reply, list) else []
    ours = sorted(found.functions)
    if ours or theirs:
        judged.expect("boot functions", ", ".join(ours) or "none", ", ".join(theirs) or "none", met=ours == theirs)


def _library_name(library: Reply) -> str:
    """The name in an element of what FUNCTION LIST answers."""
    words = library if isinstance(library, list) else []
    for name, value in zip(words[::2], words[1::2], strict=False):
        if name == b"library_name" and isinstance(value, bytes):
            return value.decode("utf-8", "replace")
    return "?"


def _compare_digest(judged: Judgement, server: Booted, client: Client, survivors: Survivors) -> None:
    digester = survivors.digester
    if digester is None:
        judged.notes.append(f"digests were not compared: {server.title} does not allow DEBUG ({server.no_debug})")
        return
    if digester.modules:
        judged.notes.append("digests were not compared: what modules mix in only they know")
        return
    reply = client.call("DEBUG", "DIGEST")
    theirs = reply.decode("latin-1") if isinstance(reply, bytes) else "?"
    ours = survivors.damage or digester.result()
    judged.expect("boot digest", ours, theirs, met=ours == theirs)
    judged.details["boot"]["digest"] = theirs
