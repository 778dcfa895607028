"""Backups of real servers while they work: each holds what the server held at one moment."""

from __future__ import annotations

import contextlib
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rdbtool.io.source import open_input
from rdbtool.tasks.backup.run import BackupOptions, backup
from rdbtool.tasks.digest import digest
from rdbtool.tasks.judgement import MET
from rdbtool.tasks.verify.expectations import Expectations
from rdbtool.tasks.verify.run import verify, verify_all
from tests.live.serving import AT_ONCE, url_of
from tests.servers.harness import SERVERS, Server, ServerKind, running
from tests.tasks.backup.crafting import record, shown

LONG = "RDBTOOL_TEST_TIMES" in os.environ
KEYS = 500
RATE = 10_000
LOGGED = ("--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0", "--hz", "500")


class Writer(threading.Thread):
    """Writes to a server, `RATE` times a second: the counter ``n`` says how much, so that a state has a number."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.link = Server(server.kind, server.directory, server.process, server._path)
        self.count = 0
        self.ended = False
        self.failure: BaseException | None = None
        self.began = time.monotonic()

    def run(self) -> None:
        try:
            while not self.ended:
                due = int((time.monotonic() - self.began) * RATE)
                last = min(due, self.count + 1000)
                batch = [command for i in range(self.count + 1, last + 1) for command in write(i)]
                if batch:
                    replies = self.link.send(*batch)
                    assert not [reply for reply in replies if isinstance(reply, Exception)]
                    self.count = last
                time.sleep(0.005)
        except BaseException as e:  # noqa: BLE001 - raised by who waits for it
            self.failure = e


def write(i: int) -> list[tuple[bytes | str | int, ...]]:
    """The write of that number: one command, or a transaction, that sets the counter too."""
    key = f"key:{i * 7919 % KEYS}"
    if i % 3:
        return [("MSET", key, i, "n", i)]
    return [("MULTI",), ("SET", key, i), ("SET", "n", i), ("EXEC",)]


def rewrite_five_times(server: Server) -> None:
    link = Server(server.kind, server.directory, server.process, server._path)
    for _ in range(5):
        link.execute("BGREWRITEAOF")
        busy = True
        while busy:
            time.sleep(0.002)
            info = link.execute("INFO", "persistence")
            assert isinstance(info, bytes)
            busy = b"aof_rewrite_in_progress:1" in info or b"aof_rewrite_scheduled:1" in info
    link.close()


def state_of(number: int) -> dict[str, int]:
    """What a server holds after that many writes."""
    held = {f"key:{i * 7919 % KEYS}": i for i in range(max(1, number - KEYS * 2), number + 1)}
    return {**held, "n": number}


@contextlib.contextmanager
def written_to(server: Server) -> Iterator[Writer]:
    writer = Writer(server)
    writer.start()
    while writer.count < KEYS * 4 and writer.failure is None:
        time.sleep(0.01)
    try:
        yield writer
    finally:
        writer.ended = True
        writer.join()
        writer.link.close()
        if writer.failure is not None:
            raise writer.failure


def counter_of(backup_path: str) -> int:
    """What the counter is in a backup."""
    from tests.cli.running import run

    line = run("dump", backup_path, "n", "--format", "jsonl").stdout
    return int(line.split('"value":"')[1].split('"')[0])


def digest_of(number: int, probe: Server) -> str:
    """DEBUG DIGEST of a server after that many writes."""
    probe.execute("FLUSHALL")
    probe.execute("MSET", *[word for pair in state_of(number).items() for word in pair])
    return probe.digest()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["url", "directory"])
@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_backup_under_load_is_a_state_that_the_server_had(kind: ServerKind, how: str, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    for directory in (data, out, tmp_path / "probe"):
        directory.mkdir()
    with (
        running(kind, data, *LOGGED, *AT_ONCE) as server,
        running(kind, tmp_path / "probe") as probe,
        written_to(server) as writer,
    ):
        source = url_of(server) if how == "url" else str(data)
        turns = 20 if LONG else 3 if kind.version >= (7,) else 1  # Redis 6.2 takes a second for each rewrite
        for turn in range(turns):
            thread = threading.Thread(target=rewrite_five_times, args=(server,))
            thread.start()
            before = writer.count
            judged = backup(source, f"{out}/{turn}-{{digest}}{'.rdb' if how == 'url' else ''}")
            after = writer.count
            thread.join(timeout=120)
            assert not thread.is_alive()  # five times it was
            assert judged.verdict == MET, (judged.error, judged.findings.items)
            path = judged.details["backup"]["path"]
            number = counter_of(path)
            assert before - 5000 <= number <= after + 1000
            held = digest_of(number, probe)
            assert held == record(Path(path))["digest"] == judged.details["backup"]["digest"]
            assert verify(path, Expectations(digest=held)).verdict == MET
        rate = writer.count / (time.monotonic() - writer.began)
        assert rate > RATE / 2
    assert len(shown(out)) == turns * 2


@pytest.mark.parametrize("compress", ["", "gzip", "zstd"])
@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_log_ends_at_its_last_whole_transaction(kind: ServerKind, compress: str, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    with running(kind, data, *LOGGED) as server:
        server.execute("SET", "k", "v")
        server.execute("RPUSH", "l", *range(100))
        held = server.digest()
    (log,) = [path for path in data.rglob("*") if ".incr." in path.name or path.name == "appendonly.aof"]
    whole = log.read_bytes()
    with log.open("ab") as stream:
        stream.write(b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1\r\n1\r\n*3\r\n$3\r\nSE")
    judged = backup(str(data), f"{out}/log", options=BackupOptions(compress=compress))
    assert judged.verdict == MET
    path = Path(judged.details["backup"]["path"])
    assert path.name == {"": "log", "gzip": "log.tar.gz", "zstd": "log.tar.zst"}[compress]
    if compress:
        with open_input(str(path)) as opened, tarfile.open(fileobj=opened.stream, mode="r|") as archive:  # type: ignore[call-overload]
            archive.extractall(out, filter="data")
    (copy,) = [one for one in (out / "log").iterdir() if one.name == log.name]
    assert copy.read_bytes() == whole
    assert digest(str(out / "log")).digest == held


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_all_backups_in_a_directory_are_judged_whatever_their_form(kind: ServerKind, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    with running(kind, data, *LOGGED, *AT_ONCE) as server:
        server.execute("SET", "k", "v")
        made = [
            backup(source, f"{out}/{name}", options=BackupOptions(compress=compress)).details["backup"]["path"]
            for source, name, compress in (
                (url_of(server), "a-{keys}.rdb", ""),
                (url_of(server), "b-{keys}.rdb", "gzip"),
                (str(data), "c-{keys}", ""),
                (str(data), "d-{keys}", "zstd"),
                (str(data), "e-{keys}", "gzip"),
            )
        ]
    found = list(verify_all(str(out), lambda _: Expectations(min_keys=1)))
    assert [one.verdict for one in found] == [MET] * 5
    inside = "" if kind.version >= (7, 0) else "/appendonly.aof"
    packed = [f"{path}/{Path(path).name[:3]}{inside}" for path in made[3:]]
    assert [one.subject for one in found] == [*made[:3], *packed]


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_of_a_directory_what_the_server_loads_is_copied(kind: ServerKind, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    with running(kind, data, "--dbfilename", "dump.rdb") as server:
        server.execute("SET", "k", "v")
        server.execute("SAVE")
        held = server.digest()
    judged = backup(str(data), f"{out}/{{keys}}-{{digest}}.rdb")
    assert judged.verdict == MET
    assert shown(out) == {f"1-{held}.rdb", f"1-{held}.rdb.json"}
    assert (out / f"1-{held}.rdb").read_bytes() == (data / "dump.rdb").read_bytes()
    assert record(out / f"1-{held}.rdb")["server"].startswith("valkey" if kind.is_valkey else "redis")


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_the_record_says_what_a_backup_holds(kind: ServerKind, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    with running(kind, data, *AT_ONCE) as server:
        server.execute("DEBUG", "POPULATE", 100)
        url = url_of(server)
        judged = backup(url, f"{out}/b.rdb", options=BackupOptions(compress="gzip"))
        facts = record(out / "b.rdb.gz")
        assert judged.verdict == MET
        assert (facts["source"], facts["keys"], facts["digest"]) == (url, 100, server.digest())
        assert (facts["compression"], facts["kind"], facts["file"]) == ("gzip", "snapshot", "b.rdb.gz")
        assert len(facts["replication"]["id"]) == 40
        assert facts["rdbtool"]
        assert facts["server"].endswith(".".join(map(str, kind.version)))
        assert digest(str(out / "b.rdb.gz")).digest == facts["digest"]
