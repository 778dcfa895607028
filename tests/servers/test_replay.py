"""From end to end: a real server's log, through the command line, against what that server holds.

A server with its log on is driven with random commands of every group; then `digest` of the log is its DEBUG
DIGEST, and what `convert` and `rewrite` make of the log has that digest in a server that loads it, and all that
digests do not tell: expiries, the groups of streams, functions. A failure is cut down to few commands.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from rdbtool.tasks.rewrite import RewriteForm, rewrite
from rdbtool.tasks.sharing import Sharing
from tests.cli.running import run as run_here
from tests.engine.against import shrink
from tests.engine.differential import Command
from tests.servers.harness import SERVERS, Server, ServerKind, running
from tests.servers.workload import OPTIONS, TIMES, log_of, rdbtool, run, script

COMMANDS = 8000


State = dict[str, Any]
SEEN = {b"seen-time", b"active-time"}
"""When a consumer was seen: for what is told by commands, the time of loading."""
PRODUCERS = (b"pids-tracked", b"iids-tracked", b"iids-added", b"iids-duplicates")
NODES = {b"radix-tree-keys", b"radix-tree-nodes"}
"""How a stream is cut into nodes, which commands build anew."""


def digest_of(path: Path, kind: ServerKind) -> str:
    return rdbtool("digest", "--as", kind.name, path).split()[0]


def state_of(server: Server) -> State:
    """All that a server says of its data."""
    state: State = {"digest": server.digest()}
    for db in range(16):
        server.execute("SELECT", db)
        keys: Any = server.execute("KEYS", "*")
        types = server.send(*[("TYPE", key) for key in keys])
        for key, type_ in zip(keys, types, strict=True):
            if type_ == b"stream":
                state[f"db {db} stream {key!r}"] = told(server.execute("XINFO", "STREAM", key, "FULL", "COUNT", 0))
            if server.kind.version >= (7, 0):
                state[f"db {db} expiry of {key!r}"] = server.execute("PEXPIRETIME", key)
            else:
                state[f"db {db} expires {key!r}"] = server.execute("PTTL", key) != -1
    if server.kind.version >= (7, 0):
        libraries: Any = server.execute("FUNCTION", "LIST", "WITHCODE")
        state["functions"] = sorted(library[7] for library in libraries)
    return state


def told(reply: Any) -> Any:
    """What XINFO says of the data, in an order of ours: groups and consumers come as a hash table has them."""
    if not isinstance(reply, list):
        return reply
    if reply[:1] in ([b"length"], [b"name"]):
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return {name: told(value) for name, value in pairs if name not in SEEN | NODES}
    parts = [told(part) for part in reply]
    return sorted(parts, key=repr) if parts and isinstance(parts[0], dict) else parts


def differences(found: State, expected: State) -> str:
    shown = []
    for name in sorted(found | expected):
        ours, theirs = found.get(name), expected.get(name)
        if ours == theirs:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            parts = [part for part in ours if ours[part] != theirs.get(part)]
            ours, theirs = {part: ours[part] for part in parts}, {part: theirs.get(part) for part in parts}
        shown.append(f"{name}: {str(ours)[:800]}, in the log {str(theirs)[:800]}")
    return "; ".join(shown[:5])


def wrong(kind: ServerKind, commands: list[Command], options: tuple[str, ...]) -> str:
    """What differs after these commands, or ""."""
    with tempfile.TemporaryDirectory(prefix="rdbtool-replay-") as name:
        directory = Path(name)
        with running(kind, directory, *options) as server:
            run(server, commands)
            # What counts is what the server makes of its own log: HINCRBYFLOAT may lose an expiry there.
            errors = refused(server)
            server.execute("DEBUG", "LOADAOF")
            fails = refused(server) > errors
            expected = state_of(server)
            if kind.version >= (8, 6) and means_the_moment(server):
                return ""
            # What loads a snapshot packs sorted sets again, and has no negative zeros in them then.
            server.execute("DEBUG", "RELOAD")
            reloaded = state_of(server)
        log = log_of(kind, directory)
        if digest_of(log, kind) != expected["digest"]:
            return "digest"
        for what, make in OUTPUTS.items():
            place = directory / what
            place.mkdir()
            found = make(kind, log, place, fails)
            if make is rewritten_as_commands:
                without_consumers(found)
                without_consumers(reloaded)
            if found != reloaded:
                return f"{what}, in a server that loads it: {differences(found, reloaded)}"
    return ""


def means_the_moment(server: Server) -> bool:
    """Whether its log is another dataset each time it is loaded: Redis 8.6 and later log an XADD that repeats a message
    with ``*`` for its id, and where the server has forgotten the message, such an entry gets the time of loading.
    """
    before = server.digest()
    time.sleep(0.002)
    server.execute("DEBUG", "LOADAOF")
    return server.digest() != before


def refused(server: Server) -> int:
    """How many commands of its logs the server could not carry out."""
    stats = server.execute("INFO", "stats")
    assert isinstance(stats, bytes)
    return int(stats.partition(b"unexpected_error_replies:")[2].split()[0])


def without_consumers(state: State) -> None:
    """A server does not claim an entry that has been deleted, and does not record a message of one: its own rewrites in
    commands lose that too.
    """
    for name, stream in state.items():
        for part in PRODUCERS if " stream " in name else []:
            stream.pop(part, None)
        for group in stream[b"groups"] if " stream " in name else []:
            for part in (b"pel-count", b"pending", b"consumers"):
                group.pop(part, None)


def loaded(kind: ServerKind, place: Path, *options: str) -> State:
    with running(kind, place, *options) as server:
        return state_of(server)


def converted(kind: ServerKind, log: Path, place: Path, _: bool) -> State:
    # 3: what the log's server never had, but a newer one counts, is lost
    rdbtool("convert", log, place / "dump.rdb", "--target", kind.name, codes=(0, 3))
    return loaded(kind, place)


def rewritten(kind: ServerKind, log: Path, place: Path, fails: bool) -> State:
    # What fails in the server that loads its own log can be loss, and nothing else is.
    rdbtool("rewrite", log, "-o", log_of(kind, place), "--target", kind.name, codes=(0, 3) if fails else (0,))
    return loaded(kind, place, *OPTIONS)


def rewritten_as_commands(kind: ServerKind, log: Path, place: Path, _: bool) -> State:
    # 3: what commands cannot say is lost
    rdbtool("rewrite", log, "--resp", "-o", log_of(kind, place), "--target", kind.name, codes=(0, 3))
    return loaded(kind, place, *OPTIONS)


def rewritten_by_partitions(kind: ServerKind, log: Path, place: Path, _: bool) -> State:
    form = RewriteForm(to=kind.name)
    rewrite(log, log_of(kind, place), form=form, sharing=Sharing(random.randrange(2, 17)))
    return loaded(kind, place, *OPTIONS)


OUTPUTS = {
    "converted": converted,
    "rewritten": rewritten,
    "rewritten-by-partitions": rewritten_by_partitions,
    "rewritten-as-commands": rewritten_as_commands,
}


def options_of(kind: ServerKind, rng: random.Random) -> tuple[str, ...]:
    """Settings that change what a log looks like."""
    options = [*OPTIONS, "--aof-use-rdb-preamble", rng.choice(["yes", "no"])]
    if kind.version >= (7, 0):
        options += ["--aof-timestamp-enabled", rng.choice(["yes", "no"])]
    return tuple(options)


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_any_log_means_to_us_what_it_means_to_its_server(kind: ServerKind) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed} on {kind.name}")
    rng = random.Random(seed)
    for _ in range(TIMES):
        commands = list(script(rng, kind, COMMANDS))
        options = options_of(kind, rng)
        found = wrong(kind, commands, options)
        if found:
            few = shrink(commands, lambda some: wrong(kind, some, options) != "", tries=60)  # noqa: B023
            raise AssertionError(f"seed {seed}: {found}; {wrong(kind, few, options)} after {few}")


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_what_a_server_did_not_log_is_loss_where_a_later_command_needs_it(kind: ServerKind, tmp_path: Path) -> None:
    """A BITFIELD that makes a key and then refuses to set anything is in no log since Redis 7.0."""
    with running(kind, tmp_path, *OPTIONS) as server:
        server.send(("BITFIELD", "made", "OVERFLOW", "FAIL", "INCRBY", "u9", "30", "-157"), ("RENAMENX", "made", "new"))
        assert server.execute("EXISTS", "new") == 1
        server.execute("DEBUG", "LOADAOF")
        lost = kind.version >= (7, 0)
        assert server.execute("EXISTS", "new") == (0 if lost else 1)
        assert refused(server) == (1 if lost else 0)
    shown = run_here("rewrite", log_of(kind, tmp_path), "-o", tmp_path / "out.aof")
    assert shown.returncode == (3 if lost else 0)
    assert ("key 'made': RENAMENX fails: ERR no such key" in shown.stderr) == lost
