"""What we say of a log, against what real servers and their check tool do with it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from rdbtool.aof.check import BROKEN, TRUNCATED
from rdbtool.servers.releases import release_named
from rdbtool.tasks.check_aof import check_aof
from rdbtool.tasks.repair_aof import plan_aof_repair, repair_aof
from tests.aof.craft import EXEC, FIXTURES, MULTI, command, damage, old_snapshot, seeded, sets
from tests.servers.harness import SERVERS, DidNotStartError, ServerKind, running

BASE = (FIXTURES / "damaged/whole.aof").read_bytes()
# Redis before 7.0 does not know annotations.
NEW = [kind for kind in SERVERS if kind.version >= (7, 0, 0)]


def load(kind: ServerKind, directory: Path, data: bytes) -> tuple[str, int] | None:
    """Start ``kind`` on ``data``: the digest of what it then holds, and the size it leaves the file with; None if
    it does not start.
    """
    directory.mkdir()
    old = directory / "appendonly.aof"
    old.write_bytes(data)
    try:
        with running(kind, directory, "--appendonly", "yes", "--logfile", str(directory / "log")) as server:
            digest = server.digest()
    except DidNotStartError:
        return None
    moved = directory / "appendonlydir" / "appendonly.aof"
    return digest, (moved if moved.exists() else old).stat().st_size


@pytest.mark.parametrize("kind", NEW, ids=lambda kind: kind.name)
def test_random_damage_is_judged_as_the_server_judges_it(kind: ServerKind, tmp_path: Path) -> None:
    rnd = seeded()
    for i in range(30):
        data = damage(BASE, rnd)
        path = tmp_path / f"{i}.aof"
        path.write_bytes(data)
        report = check_aof(str(path))
        (file,) = report.files
        found = load(kind, tmp_path / f"s{i}", data)
        if found is None or "wrong-arity" in report.findings.counts:
            # Servers before Valkey 9.1 log a wrong arity and go on, or crash.
            assert file.verdict == BROKEN, path
        else:
            assert file.verdict != BROKEN, path
            assert (found[1] < len(data)) == (file.verdict == TRUNCATED), path


PREAMBLE = old_snapshot(keys=5)
SET = command("SET", "a", "1")
TORN = b"*2\r\n$3\r\nDE"
TIME = b"#TS:1795786741\r\n"
ENDS = {
    "torn behind the snapshot": PREAMBLE + TORN,
    "torn behind the snapshot, with a time": PREAMBLE + TIME + TORN,
    "open transaction behind the snapshot": PREAMBLE + MULTI + SET,
    "torn in a transaction behind the snapshot": PREAMBLE + MULTI + SET + TORN,
    "torn behind a command": PREAMBLE + SET + TORN,
    "torn behind a time": SET + TIME + TORN,
    "torn behind nothing": TIME + TORN,
    "torn in a transaction": SET + MULTI + SET + TORN,
    "torn in a transaction behind a time": SET + TIME + MULTI + SET + TIME + TORN,
    "torn behind MULTI": SET + MULTI + TORN,
    "open transaction": SET + MULTI + SET,
    "open transaction behind a time": SET + TIME + MULTI + SET,
    "too many words": SET + command("GET", "a", "b"),
    "unknown name": SET + command("NOSUCH", "a"),
    "unknown subcommand": SET + command("XGROUP", "NOSUCH", "a"),
    "newer command": SET + command("HSETEX", "h", "FIELDS", "1", "f", "v"),
    "newer subcommand": SET + command("CLUSTER", "SHARDS"),
    "no such database": SET + command("SELECT", "20") + SET,
    "no format": SET + b"x",
    "whole": SET + MULTI + SET + EXEC,
    "whole with a time": TIME + SET,
}


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", ENDS)
def test_what_a_release_does_with_a_log_is_what_it_does(kind: ServerKind, name: str, tmp_path: Path) -> None:
    data = ENDS[name]
    path = tmp_path / "x.aof"
    path.write_bytes(data)
    (row,) = check_aof(str(path), releases=[release_named(kind.name)]).suitability
    found = load(kind, tmp_path / "server", data)
    assert row.loads == (found is not None), row
    if found is not None:
        assert found[1] == (row.cuts_at if row.cuts_at >= 0 else len(data)), row
    elif row.words:
        assert row.words in (tmp_path / "server" / "log").read_text(errors="replace")


@pytest.mark.parametrize("kind", NEW, ids=lambda kind: kind.name)
def test_what_is_repaired_loads_and_holds_what_the_server_would_have_kept(kind: ServerKind, tmp_path: Path) -> None:
    rnd = seeded()
    for i in range(15):
        data = damage(BASE, rnd)
        path = tmp_path / f"{i}.aof"
        path.write_bytes(data)
        if check_aof(str(path)).files[0].foreign:
            continue  # no command is left of it: such a file is not emptied, but refused
        kept = load(kind, tmp_path / f"s{i}", data)
        for salvage in (False, True):
            copy = tmp_path / f"{i}-{salvage}.aof"
            repair_aof(plan_aof_repair(check_aof(str(path)), salvage=salvage), output=str(copy))
            if {"unknown-command", "wrong-arity"} & set(check_aof(str(copy)).findings.counts):
                continue  # what reads as a command stays, whatever damage made of its name
            repaired = load(kind, tmp_path / f"s{i}-{salvage}", copy.read_bytes())
            assert repaired is not None, path
            assert repaired[1] == copy.stat().st_size, path
            if kept is not None and not salvage and "wrong-arity" not in check_aof(str(path)).findings.counts:
                assert repaired[0] == kept[0], path


@pytest.mark.parametrize("kind", NEW, ids=lambda kind: kind.name)
def test_a_salvaged_log_holds_every_command_that_was_not_damaged(kind: ServerKind, tmp_path: Path) -> None:
    good = sets(5) + MULTI + command("INCR", "n") + EXEC
    other = command("RPUSH", "list", *"abcdef") + command("SELECT", "3") + command("SET", "in", "three")
    data = good + command("SET", "bad", "value").replace(b"$5", b"$9") + other + bytes(64) + sets(7)
    path = tmp_path / "x.aof"
    path.write_bytes(data)
    copy = tmp_path / "copy.aof"
    repair_aof(plan_aof_repair(check_aof(str(path)), salvage=True), output=str(copy))
    salvaged = load(kind, tmp_path / "salvaged", copy.read_bytes())
    assert salvaged is not None
    assert salvaged == load(kind, tmp_path / "undamaged", good + other + sets(7))


@pytest.mark.parametrize("kind", NEW, ids=lambda kind: kind.name)
def test_good_up_to_is_that_of_the_check_tool_where_it_follows_the_server(kind: ServerKind, tmp_path: Path) -> None:
    rnd = seeded()
    compared = 0
    for i in range(60):
        data = damage(BASE, rnd)
        path = tmp_path / f"{i}.aof"
        path.write_bytes(data)
        report = check_aof(str(path))
        run = subprocess.run(
            [*kind.tool("check-aof"), str(path)], capture_output=True, text=True, errors="replace", check=False
        )
        found = re.search(r"ok_up_to=(\d+)", run.stdout)
        # Where the tool errs: names and counts it does not look at, bytes and transactions only it minds.
        differs = {"unknown-command", "wrong-arity", "bad-argc", "stray-exec", "nested-multi", "bad-crlf", "bad-header"}
        if found is None or differs & set(report.findings.counts):
            continue
        compared += 1
        assert report.files[0].good_up_to == int(found.group(1)), path
    assert compared > 10
