"""The recovery rehearsed: a real server on a copy, compared with what the file holds."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rdbtool.errors import UsageError
from rdbtool.io import copying
from rdbtool.servers.releases import NEWEST
from rdbtool.tasks.judgement import Judgement
from rdbtool.tasks.verify.boot import BootOptions, program_release
from rdbtool.tasks.verify.expectations import Expectations
from rdbtool.tasks.verify.run import VerifyOptions, verify
from rdbtool.tasks.verify.server_config import read_server_config
from tests.io.small_disk import PAGE, small_disk
from tests.rdb import craft
from tests.servers.harness import SERVERS, ServerKind, program, running

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
ROOT = FIXTURES.parent
SLOW_LOG = b"*3\r\n$3\r\nSET\r\n$5\r\nkey%02d\r\n$3\r\n123\r\n"


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copies go to a directory of the test, and are gone at its end."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    yield directory
    assert os.listdir(directory) == []


def boot(path: Path, kind: ServerKind, **options: object) -> Judgement:
    return verify(str(path), options=VerifyOptions(boot=BootOptions(program(kind), **options)))  # type: ignore[arg-type]


def verdicts(judged: Judgement) -> dict[str, str]:
    assert judged.error is None, judged.error
    return {check.name: check.verdict for check in judged.checks}


def state(directory: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path.relative_to(directory)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_what_a_server_saved_is_what_it_loads(kind: ServerKind, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    now = int(time.time())
    with running(kind, data) as server:
        server.execute("SET", "plain", "1")
        server.execute("SET", "gone", "1", "PX", "1")
        server.execute("SET", "soon", "1", "EXAT", now + 1) if kind.version >= (7,) else None
        server.execute("SELECT", 3)
        server.execute("ZADD", "z", "0.1", "a", "17", "b")
        server.execute("SAVE")
    judged = boot(data / "dump.rdb", kind)
    assert set(verdicts(judged).values()) == {"met"}
    assert {"boot", "boot keys", "boot digest"} <= set(verdicts(judged))
    assert {"boot_load_seconds", "boot_memory_bytes"} <= {measure.name for measure in judged.measures}


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_keys_that_expire_while_it_loads_do_not_matter(kind: ServerKind, tmp_path: Path) -> None:
    for log in ("no", "yes"):
        data = tmp_path / log
        data.mkdir()
        with running(kind, data, "--appendonly", log) as server:
            server.send(*[("SET", f"k{i}", i, "PX", 200 + i) for i in range(3000)])
            server.send(*[("SET", f"a{i}", i) for i in range(50)])
            if log == "no":
                server.execute("SAVE")
        path = data / ("dump.rdb" if log == "no" else "appendonlydir" if kind.version >= (7,) else "appendonly.aof")
        for _ in range(3):
            assert set(verdicts(boot(path, kind)).values()) == {"met"}


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_log_is_compared_too_and_the_original_stays_as_it_is(kind: ServerKind, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with running(kind, data, "--appendonly", "yes") as server:
        server.execute("SET", "a", "1")
        if kind.version >= (7,):
            server.execute("FUNCTION", "LOAD", "#!lua name=mine\nredis.register_function('f', function() end)")
    (log,) = [path for path in data.rglob("*.aof") if path.stat().st_size]
    with log.open("ab") as stream:
        stream.write(b"*3\r\n$3\r\nSET\r\n$1\r\nb")  # servers cut that in place
    before = state(data)
    judged = boot(log.parent, kind)
    found = verdicts(judged)
    assert found.pop("sound") == "unmet"
    assert set(found.values()) == {"met"}
    assert ("boot functions" in found) == (kind.version >= (7,))
    assert state(data) == before


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_damaged_snapshots_are_refused_with_the_servers_own_words(kind: ServerKind, tmp_path: Path) -> None:
    whole = (FIXTURES / "rdb/redis-5.0.14/small-plain.rdb").read_bytes()
    for name, data in {"cut": whole[:3000], "empty": b"", "flipped": whole[:-1] + bytes([whole[-1] ^ 1])}.items():
        path = tmp_path / f"{name}.rdb"
        path.write_bytes(data)
        judged = boot(path, kind)
        assert verdicts(judged) == {"sound": "unmet", "boot": "unmet"}
        assert any("says:" in note for note in judged.notes)
        assert judged.details["boot"]["loaded"] is False
        assert not any("overcommit" in line for line in judged.details["boot"]["log"])


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_what_a_server_makes_of_a_damaged_log_is_what_we_say(kind: ServerKind) -> None:
    verdicts_of = json.loads((FIXTURES / "aof/damaged/verdicts.json").read_text())["files"]
    for name, facts in verdicts_of.items():
        found = verdicts(boot(FIXTURES / "aof/damaged" / name, kind))
        if kind.name == "valkey-9.1":
            starts = facts["server"]["valkey-9.1.2 aof-load-truncated yes"]["starts"]
            assert (found["boot"] == "met") == starts, name
        if found["boot"] == "met":
            assert {verdict for check, verdict in found.items() if check != "sound"} == {"met"}, name


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_what_a_server_makes_of_a_damaged_snapshot_is_what_we_say(kind: ServerKind, tmp_path: Path) -> None:
    """Bits are flipped and the checksum is off, so that servers have to find the damage themselves."""
    whole = (FIXTURES / "rdb/redis-5.0.14/small-plain.rdb").read_bytes()
    path = tmp_path / "dump.rdb"
    seen = set()
    for seed in range(12):
        rng = random.Random(seed)
        data = bytearray(whole)
        for _ in range(rng.choice([1, 2, 4])):
            data[rng.randrange(9, len(data) - 9)] ^= 1 << rng.randrange(8)
        data[-8:] = bytes(8)
        path.write_bytes(data)
        found = verdicts(boot(path, kind))
        assert (found["sound"] == "met") == (set(found.values()) == {"met"}), f"seed {seed}: {found}"
        assert found["boot"] == found["sound"] or (
            # it does not look into values, and crashes when somebody wants them
            kind.version < (7,) and found["boot answers"] == "unmet" and found["boot keys"] == "met"
        ), f"seed {seed}: {found}"
        seen.add(found["boot"])
    assert seen == {"met", "unmet"}


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_every_snapshot_of_the_fixtures_is_loaded_or_refused_as_for_says(kind: ServerKind) -> None:
    release = program_release(program(kind))[1]
    for path in sorted((FIXTURES / "rdb").glob("*/small-plain.rdb")):
        judged = verify(str(path), Expectations(releases=(release,)), VerifyOptions(boot=BootOptions(program(kind))))
        found = verdicts(judged)
        assert found["boot"] == found[f"for {release.name}"], path
        assert {v for name, v in found.items() if name.startswith("boot ")} <= {"met"}, path


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_compressed_files_are_opened_into_the_copy(kind: ServerKind, tmp_path: Path) -> None:
    packed = tmp_path / "dump.rdb.gz"
    packed.write_bytes(gzip.compress((FIXTURES / "rdb/redis-5.0.14/small-plain.rdb").read_bytes()))
    assert set(verdicts(boot(packed, kind)).values()) == {"met"}


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_the_configuration_gives_names_and_databases_but_no_replication(kind: ServerKind, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with running(kind, data, "--databases", "20") as server:
        server.execute("SELECT", 19)
        server.execute("SET", "a", "1")
        server.execute("SAVE")
    assert verdicts(boot(data / "dump.rdb", kind))["boot"] == "unmet"
    more = tmp_path / "more.conf"
    more.write_text('databases 20\nrename-command DEBUG ""\n')
    conf = tmp_path / "redis.conf"
    conf.write_text(
        f'include more.conf\nreplicaof 127.0.0.1 1\ncluster-enabled yes\nport 1\nrequirepass "a b"\nsave 1 1\n'
        f'dir "{data}"\nappendonly yes\nrename-command INFO "wh\\x61t"\n'
    )
    judged = boot(data / "dump.rdb", kind, config=read_server_config(str(conf)))
    found = verdicts(judged)
    assert set(found.values()) == {"met"}
    assert "boot digest" not in found
    assert any("does not allow DEBUG" in note for note in judged.notes)


@pytest.mark.parametrize("kind", SERVERS[:1], ids=lambda k: k.name)
def test_a_configuration_that_the_server_refuses_is_told_in_its_words(kind: ServerKind, tmp_path: Path) -> None:
    conf = tmp_path / "redis.conf"
    conf.write_text("no-such-directive 1\n")
    judged = boot(FIXTURES / "rdb/redis-5.0.14/small-plain.rdb", kind, config=read_server_config(str(conf)))
    assert verdicts(judged)["boot"] == "unmet"
    assert any("no-such-directive" in note for note in judged.notes)


@pytest.mark.parametrize("kind", SERVERS[:1], ids=lambda k: k.name)
def test_how_far_it_is_is_told(kind: ServerKind, tmp_path: Path) -> None:
    log = tmp_path / "big.aof"
    log.write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$700\r\n%b\r\n" % (b"x" * 700) * 100_000)
    told: list[tuple[int, int]] = []
    options = VerifyOptions(boot=BootOptions(program(kind)))
    verify(str(log), options=options, progress=lambda done, total: told.append((done, total)))
    size = log.stat().st_size
    ends = [i for i, (done, total) in enumerate(told) if done == total == size]
    assert len(ends) >= 2, "of the copy, and of our own reading"
    loading = told[ends[0] + 1 : ends[-1]]
    assert any(0 < done < size == total for done, total in loading)


@pytest.mark.parametrize("kind", SERVERS[:1], ids=lambda k: k.name)
def test_a_server_that_does_not_get_ready_in_time_is_stopped(kind: ServerKind) -> None:
    judged = boot(FIXTURES / "rdb/redis-5.0.14/small-plain.rdb", kind, timeout_s=-1)
    assert verdicts(judged)["boot"] == "unmet"


def test_what_is_no_server_is_refused() -> None:
    with pytest.raises(UsageError):
        program_release(sys.executable)
    judged = verify(
        str(FIXTURES / "rdb/redis-5.0.14/small-plain.rdb"), options=VerifyOptions(boot=BootOptions("/no/such"))
    )
    assert isinstance(judged.error, UsageError)


def test_a_copy_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = FIXTURES / "rdb/redis-5.0.14/small-plain.rdb"

    def full(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr("rdbtool.tasks.verify.boot.program_release", lambda _: ("Redis", NEWEST))
    judged = verify(str(source), options=VerifyOptions(boot=BootOptions("some-server")))
    assert judged.error is not None
    assert "No space left" in str(judged.error)
    assert judged.verdict == "unknown"


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_full_disk_at_any_byte_leaves_nothing_of_the_copy(kind: ServerKind, tmp_path: Path) -> None:
    source = tmp_path / "dump.rdb.gz"
    rng = random.Random(1)
    records = [craft.record(0, b"key:%d" % i, craft.string(rng.randbytes(500))) for i in range(1000)]
    data = craft.rdb(*records, magic=b"REDIS0009")
    source.write_bytes(gzip.compress(data, 1))
    with small_disk(tmp_path / "boot", 4 << 20) as disk:
        copies = disk.directory
        met = 0
        for room in [0, 1, *(rng.randrange(len(data)) for _ in range(5)), len(data) + PAGE, 1 << 40]:
            with disk.leaving(room):
                judged = boot(source, kind, directory=str(copies))
            assert os.listdir(copies) == []
            met += judged.verdict == "met"
            if room < len(data) - PAGE:
                assert judged.verdict == "unknown"
                assert "No space left" in str(judged.error) or "does not fit" in str(judged.error) or not disk.mounted
        assert met >= 1


def test_blocks_are_shared_where_the_file_system_can(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[int] = []
    monkeypatch.setattr(fcntl, "ioctl", lambda *words: calls.append(words[1]))
    source = tmp_path / "source"
    source.write_bytes(b"x")
    assert copying.copy_file(str(source), str(tmp_path / "copy"))
    assert calls == [copying.FICLONE]
    assert (tmp_path / "copy").stat().st_ino != source.stat().st_ino


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_run_is_ended(number: signal.Signals, nothing_stays: Path, tmp_path: Path) -> None:
    log = tmp_path / "big.aof"
    log.write_bytes(b"".join(SLOW_LOG % (i % 100) for i in range(100)) * 30_000)
    kind = SERVERS[0]
    command = [sys.executable, "-m", "rdbtool", "verify", str(log), "--boot", program(kind)]
    environment = {**os.environ, "TMPDIR": str(nothing_stays), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(nothing_stays.rglob("server.log")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    for _ in range(500):
        if not servers_of(nothing_stays):
            break
        time.sleep(0.01)
    assert not servers_of(nothing_stays)
    if number == signal.SIGKILL:
        judged = boot(FIXTURES / "rdb/redis-5.0.14/small-plain.rdb", kind)  # the next run clears up
        assert judged.verdict == "met"


def servers_of(directory: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"server" in words and os.fsencode(directory) in words and b"rdbtool" not in words.split(b"\0")[0:3]:
                found.append(entry.name)
    return found
