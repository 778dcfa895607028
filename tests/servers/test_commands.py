"""The table of commands against what servers say of their own commands."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from rdbtool.aof.check import BROKEN
from rdbtool.servers.commands import (
    COMMANDS,
    CONTAINER,
    DESTINATION,
    FIRST_VALKEY,
    IDLE,
    READ,
    STORE,
    UNSUPPORTED,
    WRITE,
    arity_of,
    find,
    is_known,
    row_of,
)
from rdbtool.tasks.check_aof import check_aof
from tests.aof.craft import command
from tests.servers.harness import SERVERS, DidNotStartError, Reply, ServerKind, running, server

HTTP = {b"POST", b"HOST:"}
"""What a server lists so that a browser that talks to it is cut off."""
SCRIPTS = {b"EVAL", b"EVALSHA", b"FCALL"}
"""Servers do not say that they write: the commands that they call do."""
ROUTED = {b"SPUBLISH", b"SSUBSCRIBE", b"SUNSUBSCRIBE", b"CLUSTERSCAN"}
"""Servers give channels, or a cursor, as if they were keys: they tell which node of a cluster is meant."""


def rows_of(reply: list[Reply]) -> dict[bytes, list[Reply]]:
    """COMMAND's rows by name, subcommands as in our table."""
    found: dict[bytes, list[Reply]] = {}
    for row in reply:
        assert isinstance(row, list)
        assert isinstance(row[0], bytes)
        subcommands = row[9] if len(row) > 9 else []
        assert isinstance(subcommands, list)
        found |= rows_of(subcommands)
        found[row[0].upper()] = row
    return found


def commands_of(kind: ServerKind, tmp_path: Path) -> dict[bytes, list[Reply]]:
    with running(kind, tmp_path) as server:
        reply = server.execute("COMMAND")
    assert isinstance(reply, list)
    return {name: row for name, row in rows_of(reply).items() if name not in HTTP}


def number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_every_command_of_a_server_has_its_row(kind: ServerKind, tmp_path: Path) -> None:
    theirs = commands_of(kind, tmp_path)
    containers = {name for name, row in COMMANDS.items() if row.flags & CONTAINER}
    missing = {name for name in theirs if name not in COMMANDS and name.partition(b"|")[0] in {name, *containers}}
    assert missing == set()
    for name in theirs:
        container, bar, _ = name.partition(b"|")
        if bar and container not in containers:  # then none of its subcommands writes
            assert COMMANDS[container].flags & (IDLE | UNSUPPORTED), name
            assert b"write" not in flags_of(theirs[name]), name


def flags_of(row: list[Reply]) -> list[Reply]:
    assert isinstance(row[2], list)
    return row[2]


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_rows_agree_with_the_server(kind: ServerKind, tmp_path: Path) -> None:
    wrong: list[tuple[bytes, str, object, object]] = []
    for name, row in commands_of(kind, tmp_path).items():
        ours = COMMANDS.get(name)
        if ours is None:
            continue
        arity = row[1]
        assert isinstance(arity, int)
        # Where releases differ, ours is the most tolerant of them. Redis 6.2 takes more words for PFDEBUG, whose
        # subcommands refuse them.
        if ours.arity != arity and name != b"PFDEBUG" and not (ours.arity < 0 and abs(arity) >= -ours.arity):
            wrong.append((name, "arity", int(ours.arity), arity))
        writes = b"write" in flags_of(row) or name in SCRIPTS
        if bool(ours.flags & WRITE) != writes:
            # Containers said so for their subcommands before these had rows.
            if not ours.flags & (CONTAINER | IDLE):
                wrong.append((name, "write", int(ours.flags), writes))
        if ours.flags & READ and writes:
            wrong.append((name, "read", int(ours.flags), writes))
        keys: list[Reply] = [int(ours.first), int(ours.last), int(ours.step)]
        told_by_arguments = ours.keys_of is not None or b"movablekeys" in flags_of(row)
        if keys != row[3:6] and not (told_by_arguments or ours.flags & CONTAINER or name in ROUTED):
            if name not in {b"OBJECT", b"XINFO"}:  # the keys are those of their subcommands
                wrong.append((name, "keys", keys, row[3:6]))
    assert wrong == []


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_arities_are_those_of_a_server_and_not_looser(kind: ServerKind, tmp_path: Path) -> None:
    """Each arity is the exact one of the release that first had the command, or of this one, or of a later one."""
    looser = {b"EXPIRE", b"EXPIREAT", b"PEXPIRE", b"PEXPIREAT", b"XSETID", b"ZRANK", b"ZREVRANK", b"PFDEBUG"}
    looser |= {b"CLUSTER|REPLICATE", b"SCRIPT|DEBUG", b"MOVE"}  # MOVE: Valkey 9.2, which cannot be had here
    theirs = commands_of(kind, tmp_path)
    differing = {name for name, row in theirs.items() if name in COMMANDS and COMMANDS[name].arity != row[1]}
    assert differing <= looser


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_a_release_has_the_commands_that_the_table_gives_it(kind: ServerKind, tmp_path: Path) -> None:
    theirs = commands_of(kind, tmp_path)
    subcommands = any(b"|" in name for name in theirs)  # Redis 6.2 does not list them
    release = kind.version[:2]
    ours = set()
    for name, row in COMMANDS.items():
        since = row.valkey if kind.is_valkey else row.redis
        gone = bool(row.redis_last) and (kind.is_valkey or release > number(row.redis_last))
        if since and number(since) <= release and not gone and (subcommands or b"|" not in name):
            ours.add(name)
    # One that watches others has SENTINEL, and Redis 6.2 looks for QUIT before it looks into its table.
    assert ours - set(theirs) - {b"QUIT"} == {b"SENTINEL"}
    assert set(theirs) & set(COMMANDS) - ours == set()


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_keys_are_found_where_the_server_finds_them(kind: ServerKind, tmp_path: Path) -> None:
    calls = [
        "SET k v",
        "MSET a 1 b 2 c 3",
        "MSETEX 2 a 1 b 2 EX 5",
        "DEL a b c",
        "RENAME a b",
        "LMPOP 2 a b LEFT",
        "BLMPOP 0 2 a b LEFT COUNT 3",
        "SINTERSTORE d a b",
        "SINTERCARD 2 a b LIMIT 3",
        "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
        "ZINTER 2 a b WITHSCORES",
        "ZMPOP 1 a MIN",
        "SORT a BY w_* GET # STORE d",
        "EVAL code 2 a b c",
        "FCALL_RO f 1 a b",
        "XREAD COUNT 2 STREAMS a b 0 0",
        "XREADGROUP GROUP g c STREAMS a b > >",
        "GEORADIUS a 1 1 5 m STORE d",
        "GEORADIUSBYMEMBER a m 5 m STOREDIST d",
        "MIGRATE host 1 k 0 5",
        "BITOP AND d a b",
        "XGROUP CREATE k g 0",
        "BLPOP a b 0",
        "PFMERGE d a b",
        "RESTORE k 0 x",
        "DUMP k",
        "WATCH a b",
    ]
    with running(kind, tmp_path) as server:
        for call in calls:
            args = call.encode().split()
            row = find(args)
            assert row is not None
            (theirs,) = server.send(("COMMAND", "GETKEYS", *args))
            if isinstance(theirs, Exception):
                continue  # not a command of this server
            assert isinstance(theirs, list)
            assert sorted(row.keys(args)) == sorted(k for k in theirs if isinstance(k, bytes)), call


def test_keys_of_a_wrong_call_are_those_that_are_there() -> None:
    for name, row in COMMANDS.items():
        words = name.split(b"|")
        for more in ([], [b"k"], [b"k", b"5"], [b"9" * 30, b"9" * 30], [b"k", b"x", b"STORE"]):
            assert set(row.keys([*words, *more])) <= set(more)


def test_every_row_says_who_may_run_it_and_since_when() -> None:
    for name, row in COMMANDS.items():
        assert row.name == name == name.upper()
        assert row.flags, name
        assert bool(row.flags & WRITE) + bool(row.flags & READ) + bool(row.flags & IDLE) <= 1, name
        assert row.redis or row.valkey, name
        if row.redis and number(row.redis) <= (7, 2) and not row.redis_last:
            assert row.valkey, name
            if number(row.valkey) > number(FIRST_VALKEY):
                raise AssertionError(name)
        if row.effect in (DESTINATION, STORE):
            assert row.keys([name, *[b"1"] * 6, b"STORE", b"d"]), name
        container, bar, _ = name.partition(b"|")
        if bar:
            assert COMMANDS[container].flags & CONTAINER
    assert all(any(n.startswith(c + b"|") for n in COMMANDS) for c, r in COMMANDS.items() if r.flags & CONTAINER)


@pytest.mark.server
@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("SET k v", None),
        ("SET k", "wrong-arity"),
        ("GET k k", "wrong-arity"),
        ("HSETEX h", "wrong-arity"),
        ("delifeq k", "wrong-arity"),
        ("HGETDEL h FIELDS 1", "wrong-arity"),
        ("XGROUP CREATE k g 0 MKSTREAM", None),
        ("xgroup create k g", "wrong-arity"),
        ("XGROUP", "wrong-arity"),
        ("XGROUP DESTROY k g g", "wrong-arity"),
        ("XGROUP NO.SUCH k g", "unknown-command"),
        ("FUNCTION DELETE", "wrong-arity"),
        ("SCRIPT NOSUCH", "unknown-command"),
        ("GETT k", "unknown-command"),
    ],
)
@pytest.mark.server
def test_a_log_is_judged_as_valkey_judges_it(call: str, code: str | None, tmp_path: Path) -> None:
    data = (
        command("SET", "a", "1") * 2 + command(*call.split()) + command("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    )
    (tmp_path / "x.aof").write_bytes(data)
    report = check_aof(str(tmp_path / "x.aof"))
    # What only Valkey has is told as well, for the log does not say who wrote it.
    assert set(report.findings.counts) - {"newer-command"} == (set() if code is None else {code})
    assert report.files[0].good_up_to == (len(data) if code is None else 2 * len(command("SET", "a", "1")))
    try:
        with running(server("valkey-9.1"), tmp_path, "--appendonly", "yes", "--appendfilename", "x.aof"):
            loads = True
    except DidNotStartError:
        loads = False
    assert (report.files[0].verdict != BROKEN) == loads


def test_names_are_looked_up_in_any_case_and_subcommands_only_with_their_container() -> None:
    assert row_of(b"hSetEx") is COMMANDS[b"HSETEX"]
    assert row_of(b"XGROUP|CREATE") is None
    assert find([b"xgroup|create"]) is None
    assert find([b"function", b"nosuch"]) is None
    assert [is_known(name) for name in (b"get", b"JSON.SET", b"GETT", b".", b"HSETC")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert (arity_of(b"hsetex"), arity_of(b"nosuch")) == (-6, -1)


def test_checking_a_log_loads_the_table_and_not_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(command("SET", "k", "v"))
    code = (
        "import sys; from rdbtool.cli.app import run\n"
        f"try: run(['check-aof', {str(path)!r}])\n"
        "except SystemExit: print([m for m in sys.modules if m.startswith(('rdbtool.engine', 'rdbtool.servers.c'))])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "['rdbtool.servers.commands']"


def test_the_table_is_known_without_the_engine_and_at_once() -> None:
    code = (
        "import sys, time, mypy_extensions, typing, collections.abc, rdbtool.servers; t = time.process_time(); "
        "import rdbtool.servers.commands; used = time.process_time() - t; "
        "print(used, [m for m in sys.modules if m.startswith('rdbtool.')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    used, _, modules = shown.partition(" ")
    loaded = set(ast.literal_eval(modules)) - {"rdbtool._compiled"}
    assert loaded == {"rdbtool.servers", "rdbtool.servers.commands"}
    assert float(used) < 0.03
