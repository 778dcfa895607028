"""`diff` between two SAVEs of a real server, against what the server says."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from rdbtool.aof.command_text import split
from rdbtool.aof.resp import Command, CommandReader
from rdbtool.io.output import Output
from rdbtool.io.window import window_over
from rdbtool.tasks.diff.commands import CommandsOut
from rdbtool.tasks.diff.run import Diff, DiffOptions
from rdbtool.tasks.diff.snapshot import open_snapshot
from tests.cli.running import run
from tests.servers.harness import SERVERS, Reply, Server, ServerError, ServerKind, running
from tests.servers.walking import FAR, STEP, walk

pytestmark = pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)


def ask(server: Server, *command: bytes | str | int) -> Reply:
    return server.execute(*command)


def fields_of(flat: Any) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def stream_state(server: Server, key: bytes) -> Any:
    """All that counts of a stream: entries, counters, groups, pending entries, consumers."""
    full: Any = server.execute("XINFO", "STREAM", key, "FULL", "COUNT", 0)
    facts = fields_of(full)
    groups = []
    for item in facts[b"groups"]:
        group = fields_of(item)
        consumers = sorted((c[b"name"], [tuple(p) for p in c[b"pending"]]) for c in map(fields_of, group[b"consumers"]))
        pending = [tuple(p) for p in group[b"pending"]]
        groups.append((group[b"name"], group[b"last-delivered-id"], group.get(b"entries-read"), pending, consumers))
    counters = [facts.get(name) for name in (b"last-generated-id", b"max-deleted-entry-id", b"entries-added")]
    return server.execute("XRANGE", key, "-", "+"), counters, sorted(groups, key=lambda g: g[0])


def value_state(server: Server, key: bytes, type_: bytes) -> Any:
    if type_ == b"string":
        return ask(server, "GET", key)
    if type_ == b"list":
        return ask(server, "LRANGE", key, 0, -1)
    if type_ == b"set":
        members: Any = ask(server, "SMEMBERS", key)
        return sorted(members)
    if type_ == b"zset":
        scores: Any = ask(server, "ZRANGE", key, 0, -1, "WITHSCORES")
        return sorted(fields_of(scores).items())
    if type_ == b"hash":
        flat: Any = ask(server, "HGETALL", key)
        fields = fields_of(flat)
        times: Any = None
        if server.kind.is_valkey and server.kind.version >= (9, 0, 0):
            times = ask(server, "HPEXPIRETIME", key, "FIELDS", len(fields), *sorted(fields))
        return sorted(fields.items()), times
    return stream_state(server, key)


def state(server: Server) -> dict[tuple[int, bytes], Any]:
    """What the server says of every key, and of its function libraries."""
    found: dict[tuple[int, bytes], Any] = {}
    for db in (0, 5):
        server.execute("SELECT", db)
        keys: Any = server.execute("KEYS", "*")
        for key in keys:
            type_ = server.execute("TYPE", key)
            assert isinstance(type_, bytes)
            left = server.execute("PTTL", key)
            assert isinstance(left, int)
            expiry = left if left < 0 else round((time.time() * 1000 + left - FAR) / STEP)
            found[db, key] = (type_, value_state(server, key, type_), expiry)
    if server.kind.version >= (7, 0, 0):
        libraries: Any = server.execute("FUNCTION", "LIST", "WITHCODE")
        for library in map(fields_of, libraries):
            found[-1, library[b"library_name"]] = library[b"library_code"]
    server.execute("SELECT", 0)
    return found


def saved(server: Server, path: Path) -> Path:
    server.execute("SAVE")
    shutil.copy(server.directory / "dump.rdb", path)
    return path


def expected_kind(before: Any, after: Any) -> str:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    return "changed" if before[:2] != after[:2] or isinstance(before, bytes) else "expiry"


def found_kinds(left: Path, right: Path, **options: Any) -> dict[tuple[int, bytes], str]:
    with open_snapshot(str(left)) as a, open_snapshot(str(right)) as b:
        found: dict[tuple[int, bytes], str] = {}
        for difference in Diff(a, b, DiffOptions(**options)):
            assert (difference.db, difference.key) not in found
            found[difference.db, difference.key] = difference.kind
        return found


def commands_between(left: Path, right: Path) -> bytes:
    class Collected:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes, /) -> None:
            self.data += data

    collected = Collected()
    with open_snapshot(str(left)) as a, open_snapshot(str(right)) as b:
        diff = Diff(a, b)
        out = CommandsOut(Output(collected), diff.rules)
        for difference in diff:
            out.add(difference)
        out.end()
        assert not out.losses
    return collected.data


@pytest.fixture
def walked(kind: ServerKind, tmp_path: Path) -> tuple[Path, Path, dict[Any, str], str]:
    """Two snapshots, the kinds of differences between them as the server tells, and the later one's digest."""
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    work = tmp_path / "server"
    work.mkdir()
    with running(kind, work) as server:
        walk(server, rng, 2500)
        before = state(server)
        left = saved(server, tmp_path / "left.rdb")
        walk(server, rng, 120)
        after = state(server)
        right = saved(server, tmp_path / "right.rdb")
        digest = server.digest()
    touched = {
        place: expected_kind(before.get(place), after.get(place))
        for place in {**before, **after}
        if before.get(place) != after.get(place)
    }
    return left, right, touched, digest


def test_the_keys_found_are_those_that_the_server_says_changed(
    kind: ServerKind, walked: tuple[Path, Path, dict[Any, str], str]
) -> None:
    left, right, touched, _ = walked
    assert len(touched) > 10
    assert found_kinds(left, right) == touched
    turned = {"added": "removed", "removed": "added"}
    assert found_kinds(right, left) == {place: turned.get(name, name) for place, name in touched.items()}


def test_the_commands_turn_the_first_snapshot_into_the_second(
    kind: ServerKind, walked: tuple[Path, Path, dict[Any, str], str], tmp_path: Path
) -> None:
    left, right, _, digest = walked
    work = tmp_path / "again"
    work.mkdir()
    shutil.copy(left, work / "dump.rdb")
    with running(kind, work) as server:
        sent = send_resp(server, commands_between(left, right))
        assert sent
        assert server.digest() == digest
        result = saved(server, tmp_path / "result.rdb")
    assert not found_kinds(result, right)


def test_the_commands_may_be_typed_into_redis_cli_too(
    kind: ServerKind, walked: tuple[Path, Path, dict[Any, str], str], tmp_path: Path
) -> None:
    left, right, _, digest = walked
    shown = run("diff", left, right, "--format", "commands")
    assert shown.returncode == 1, shown.stderr
    work = tmp_path / "again"
    work.mkdir()
    shutil.copy(left, work / "dump.rdb")
    with running(kind, work) as server:
        for line in shown.output.splitlines():
            args = split(line)
            assert args
            server.execute(*args)
        assert server.digest() == digest


def send_resp(server: Server, data: bytes) -> int:
    """Send commands as they are; fails where one of them does. How many there were."""
    reader = CommandReader(window_over(data))
    count = 0
    while (event := reader.next()) is not None:
        assert isinstance(event, Command)
        reply = server.send(tuple(event.args))[0]
        assert not isinstance(reply, ServerError), (event.args, reply)
        count += 1
    return count
