"""The table of commands against what servers say of their own commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.engine import commands
from rdbtool.engine.table import COMMANDS, CONTAINER, WRITE, CommandRow
from tests.servers.harness import SERVERS, Reply, ServerKind, running

assert commands

VECTOR_SETS = {b"VADD", b"VREM", b"VSETATTR"}
"""Random levels decide what they build: nobody can repeat it. They count as commands of a module, which they were."""


def rows_of(reply: list[Reply], container: bytes = b"") -> dict[bytes, list[Reply]]:
    """COMMAND's rows by the names of our table."""
    found: dict[bytes, list[Reply]] = {}
    for row in reply:
        assert isinstance(row, list)
        assert isinstance(row[0], bytes)
        name = row[0].upper()
        subcommands = row[9] if len(row) > 9 else []
        assert isinstance(subcommands, list)
        if subcommands:
            found |= rows_of(subcommands)
        found[name] = row
    return found


def is_write(row: list[Reply]) -> bool:
    assert isinstance(row[2], list)
    return b"write" in row[2]


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_every_write_command_of_a_server_is_in_the_table(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        reply = server.execute("COMMAND")
    assert isinstance(reply, list)
    rows = rows_of(reply)
    missing = {name for name, row in rows.items() if is_write(row) and name not in COMMANDS}
    assert missing == (VECTOR_SETS if kind.at_least("redis", 8, 0) else set())
    wrong: list[tuple[bytes, object, object]] = []
    for name, theirs in rows.items():
        ours = COMMANDS.get(name)
        if ours is None or not is_write(theirs) or ours.flags & CONTAINER:
            continue
        arity = theirs[1]
        assert isinstance(arity, int)
        # Later releases have added options to commands that once had none.
        fits = ours.arity == arity or (ours.arity < 0 and abs(arity) >= -ours.arity)
        facts: list[Reply] = [arity if fits else int(ours.arity), int(ours.first), int(ours.last), int(ours.step)]
        if ours.keys_of is not None:
            facts = [facts[0], *theirs[3:6]]  # where keys are is for the arguments to tell
        if facts != theirs[1:2] + theirs[3:6]:
            wrong.append((name, facts, theirs[1:2] + theirs[3:6]))
        if not ours.flags & WRITE:
            wrong.append((name, "is not a write command here", ""))
    assert wrong == []


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_keys_are_found_where_the_server_finds_them(kind: ServerKind, tmp_path: Path) -> None:
    calls = [
        "SET k v",
        "MSET a 1 b 2 c 3",
        "DEL a b c",
        "RENAME a b",
        "LMPOP 2 a b LEFT",
        "BLMPOP 0 2 a b LEFT COUNT 3",
        "SINTERSTORE d a b",
        "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
        "ZMPOP 1 a MIN",
        "SORT a BY w_* GET # STORE d",
        "EVAL code 2 a b c",
        "XREADGROUP GROUP g c STREAMS a b > >",
        "GEORADIUS a 1 1 5 m STORE d",
        "MIGRATE host 1 k 0 5",
        "BITOP AND d a b",
        "XGROUP CREATE k g 0",
        "BLPOP a b 0",
        "PFMERGE d a b",
        "RESTORE k 0 x",
    ]
    with running(kind, tmp_path) as server:
        for call in calls:
            args = call.encode().split()
            row: CommandRow = COMMANDS.get(args[0] + b"|" + args[1]) or COMMANDS[args[0]]
            (theirs,) = server.send(("COMMAND", "GETKEYS", *args))
            if isinstance(theirs, Exception):
                continue  # not a command of this server
            assert isinstance(theirs, list)
            assert sorted(row.keys(args)) == sorted(k for k in theirs if isinstance(k, bytes)), call
