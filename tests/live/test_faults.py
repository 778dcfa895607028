"""Connections that break, stall or turn to garbage: one clear error, in time, and nothing half."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rdbtool.errors import InputError, UsageError
from rdbtool.live.address import Access, Scan
from rdbtool.live.load import LoadOptions, StoppedError
from rdbtool.live.source import register
from rdbtool.tasks.convert import convert
from rdbtool.tasks.digest import digest
from rdbtool.tasks.load import load
from tests.cli.running import run
from tests.live.proxy import Fault, failing
from tests.live.serving import AT_ONCE, url_of
from tests.rdb import craft
from tests.servers.harness import SERVERS, Server, ServerKind, running

CUTS = {"restore": 60, "commands": 30, "snapshot": 50, "scan": 60}
"""How often a connection is cut, or turns to garbage, at a random byte."""
SECONDS = 1.0
QUICK = Access(timeout_s=SECONDS)
KEYS = [b"key:%d" % n for n in range(1200)]

of_each_kind = pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "x.rdb"
    made.write_bytes(craft.rdb(*[craft.record(0, key, craft.string(b"v" * (n % 200))) for n, key in enumerate(KEYS)]))
    return made


def seeded() -> random.Random:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    return random.Random(seed)


def socket_of(server: Server) -> str:
    return url_of(server).removeprefix("unix://")


@pytest.mark.server
@pytest.mark.parametrize("how", ["restore", "commands"])
def test_a_load_that_is_cut_says_what_is_in_and_goes_on_from_there(how: str, path: Path, tmp_path: Path) -> None:
    rng = seeded()
    commands = how == "commands"
    whole = digest(path).digest
    stops = set()
    with running(SERVERS[0], tmp_path) as server:
        for _ in range(CUTS[how]):
            server.execute("FLUSHALL")
            down = rng.random() < 0.5
            fault = Fault("cut", rng.randrange(7000 if down else 190_000), down=down)
            with failing(socket_of(server), fault) as url:
                sure, words = -1, ""
                try:
                    load(path, url, LoadOptions(commands=commands), access=QUICK)
                except StoppedError as e:
                    sure, words = e.sure, e.message
                except InputError:
                    sure = 0  # before anything was sent
                if sure >= 0:
                    stops.add(sure)
                    start = f"--start-at {sure} " if sure else ""
                    ways = (f"{start}--into-nonempty --on-conflict replace", "nothing was written")
                    assert not words or any(way in words for way in ways)
                    server.execute("PING")
                    there = server.execute("EXISTS", *KEYS[:sure]) if sure else 0
                    assert there == sure
                    go_on = LoadOptions("replace", into_nonempty=True, start_at=sure, commands=commands)
                    load(path, url, go_on, access=QUICK)
            assert server.digest() == whole
    assert len(stops) > 1


@pytest.mark.server
@pytest.mark.parametrize("how", ["snapshot", "scan"])
def test_what_is_fetched_is_whole_or_has_no_name(how: str, path: Path, tmp_path: Path) -> None:
    rng = seeded()
    register(QUICK, scan=Scan() if how == "scan" else None)
    whole = digest(path).digest
    out = tmp_path / "out" / "dump.rdb"
    out.parent.mkdir()
    done = 0
    with running(SERVERS[0], tmp_path, "--repl-diskless-sync", "no", *AT_ONCE) as server:
        load(path, url_of(server))
        for _ in range(CUTS[how]):
            what = "cut" if rng.random() < 0.8 else "garbage"
            fault = Fault(what, rng.randrange(150_000), down=rng.random() < 0.8, garbage=rng.randbytes(200_000))
            with failing(socket_of(server), fault) as url:
                try:
                    report = convert(url, out)
                except InputError:
                    assert list(out.parent.iterdir()) == []
                    continue
            if report.failed:  # what came was as long as it should be
                assert what == "garbage"
                assert list(out.parent.iterdir()) == []
                continue
            assert digest(out).digest == whole
            assert [p.name for p in out.parent.iterdir()] == ["dump.rdb"]
            out.unlink()
            done += 1
    assert done < CUTS[how]


@pytest.mark.server
@pytest.mark.parametrize("what", ["stall", "garbage"])
@pytest.mark.parametrize("down", [True, False], ids=["down", "up"])
def test_no_command_waits_longer_than_asked(what: str, down: bool, path: Path, tmp_path: Path) -> None:
    rng = seeded()
    big = tmp_path / "big.rdb"
    big.write_bytes(craft.rdb(*[craft.record(0, b"big:%d" % n, craft.string(b"x" * 3_000_000)) for n in range(8)]))
    with running(SERVERS[0], tmp_path, *AT_ONCE) as server:
        for at, source in ((rng.randrange(60), path), (rng.randrange(5000, 6_000_000), big)):
            load(source, url_of(server), LoadOptions("replace", into_nonempty=True))
            target = tmp_path / "out.rdb"
            jobs = (
                ("load", source, "URL", "--into-nonempty", "--on-conflict", "replace"),
                ("convert", "URL", target),
                ("digest", "URL", "--scan"),
            )
            for words in jobs:
                fault = Fault(what, at, down=down, garbage=b"\x00\xff*-$:+\n" * 100)
                started = time.monotonic()
                with failing(socket_of(server), fault) as url:
                    done = run(*(url if word == "URL" else word for word in words), "--timeout", "1")
                    took = time.monotonic() - started
                target.unlink(missing_ok=True)
                assert "Traceback" not in done.stderr
                assert done.returncode in {0, 2}, (words, at, done.stderr)
                assert took < 8, (words, at, took)


@of_each_kind
def test_what_a_server_refuses_of_every_key_ends_a_load_at_once(kind: ServerKind, path: Path, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        server.execute("ACL", "SETUSER", "default", "-restore")
        with pytest.raises(StoppedError, match=r"the server says: NOPERM .*restore.*no key is surely in; to go on: "):
            load(path, url_of(server))
        assert load(path, url_of(server), LoadOptions(commands=True)).loaded == len(KEYS)
        server.execute("FLUSHALL")
        server.execute("ACL", "SETUSER", "default", "+restore", "resetkeys", "~key:1*")
        report = load(path, url_of(server))
        wanted = sum(key.startswith(b"key:1") for key in KEYS)
        assert (report.loaded, report.failed_keys) == (wanted, len(KEYS) - wanted)
        assert report.findings.items[0].key == KEYS[0]


@pytest.mark.server
def test_a_load_from_a_server_begins_anew(path: Path, tmp_path: Path) -> None:
    """It gives its keys in another order each time."""
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    kind = SERVERS[0]
    register(QUICK)
    with running(kind, tmp_path / "source", *AT_ONCE) as source, running(kind, tmp_path / "target") as target:
        load(path, url_of(source))
        with (
            failing(socket_of(target), Fault("cut", 60_000, down=False)) as url,
            pytest.raises(StoppedError, match="to go on: the same with --into-nonempty --on-conflict replace"),
        ):
            load(url_of(source), url, access=QUICK)
        with pytest.raises(UsageError, match="another order"):
            load(url_of(source), url_of(target), LoadOptions(start_at=5))
        load(url_of(source), url_of(target), LoadOptions("replace", into_nonempty=True))
        assert target.digest() == source.digest()


@of_each_kind
def test_a_master_that_becomes_a_replica_meanwhile_ends_a_load(kind: ServerKind, path: Path, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:

        def demote(done: int, _size: int) -> None:
            server.execute("REPLICAOF", "127.0.0.1", 1)

        with pytest.raises(StoppedError, match=r"READONLY .*to go on: the same with "):
            load(path, url_of(server), LoadOptions(rate=500), progress=demote)


@of_each_kind
def test_a_password_that_is_wanted_or_wrong_is_told_in_one_line(kind: ServerKind, path: Path, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        server.execute("CONFIG", "SET", "requirepass", "geheim")
        done = run("load", path, url_of(server))
        assert done.returncode == 2
        assert re.fullmatch(r"rdbtool: unix:///\S+: the server says: .*[Aa]uthentication required.*\n", done.stderr)
        wrong = run("load", path, url_of(server).replace("unix://", "unix://:falsch@"))
        assert wrong.returncode == 2
        assert "falsch" not in wrong.stderr
        assert len(wrong.stderr.splitlines()) == 1


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", ["restore", "commands"])
def test_a_signal_ends_a_load_with_what_is_in(how: str, number: signal.Signals, path: Path, tmp_path: Path) -> None:
    rng = seeded()
    options = ["--commands"] if how == "commands" else []
    with running(SERVERS[0], tmp_path) as server:
        words = [sys.executable, "-m", "rdbtool", "load", str(path), url_of(server), "--rate", "1500", *options]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            wanted = rng.randrange(100, 1000)
            while int(server.execute("DBSIZE")) < wanted:  # type: ignore[arg-type]
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(number)
            out, errors = process.communicate(timeout=20)
        assert (process.returncode, out) == (128 + number, "")
        told = re.fullmatch(
            r"rdbtool: surely done: (\d+) keys of the input, the last of them '(key:\d+)'; "
            r"to go on: the same with --start-at \1 --into-nonempty --on-conflict replace\n",
            errors.replace(",", "", 1) if re.search(r"\d,\d", errors) else errors,
        )
        assert told, errors
        sure = int(told[1])
        assert told[2].encode() == KEYS[sure - 1]
        assert wanted - 100 <= sure <= int(server.execute("DBSIZE"))  # type: ignore[arg-type]
        assert server.execute("EXISTS", *KEYS[:sure]) == sure
        load(path, url_of(server), LoadOptions("replace", into_nonempty=True, start_at=sure))
        assert server.digest() == digest(path).digest


@pytest.mark.server
def test_a_source_that_breaks_in_the_middle_says_what_is_in(path: Path, tmp_path: Path) -> None:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    kind = SERVERS[0]
    with running(kind, tmp_path / "source", *AT_ONCE) as source, running(kind, tmp_path / "target") as target:
        load(path, url_of(source))
        with failing(socket_of(source), Fault("cut", 20_000)) as url:
            done = run("load", url, url_of(target), "--timeout", "2")
        assert done.returncode == 2
        told = r"the server ended the connection before .*; to go on: the same with --into-"
        assert re.search(told, done.stderr), done.stderr


def test_no_server_is_told_in_one_line(path: Path) -> None:
    done = run("load", path, "redis://127.0.0.1:1")
    assert done.returncode == 2
    assert "refused" in done.stderr
    assert len(done.stderr.splitlines()) == 1
