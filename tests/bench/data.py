"""Input for the benchmarks: written by a real server, of the size asked for, and kept for the next run."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.servers.harness import SERVERS, Server, ServerKind, running

CACHE = Path(__file__).resolve().parents[2] / ".bench"
SEED = 20260101
BATCH = 2000

Command = tuple[bytes | str | int, ...]


def bench_server() -> ServerKind:
    """The system's Redis where there is one, so that its check tools can read the file; else pip's."""
    for kind in SERVERS:
        if kind.binary.startswith("/usr/") and not kind.is_valkey:
            return kind
    return next(kind for kind in SERVERS if not kind.is_valkey)


def _text(rng: random.Random, low: int, high: int) -> bytes:
    words = (b"lorem", b"ipsum", b"dolor", b"sit", b"amet", b"42", b"user", b"session", b"2026-01-01T00:00:00Z")
    out = bytearray()
    size = rng.randint(low, high)
    while len(out) < size:
        out += rng.choice(words) + b"-%x " % rng.getrandbits(24)
    return bytes(out[:size])


def dataset_commands(rng: random.Random) -> Iterator[Command]:
    """Commands, without end, that fill a server with every type in small and large encodings."""
    n = 0
    while True:
        n += 1
        kind = rng.random()
        if kind < 0.40:
            yield ("SET", f"session:{n}", _text(rng, 20, 400))
        elif kind < 0.48:
            yield ("SET", f"counter:{n}", rng.randint(-(10**6), 10**12))
        elif kind < 0.66:
            fields: list[bytes | str | int] = []
            for i in range(rng.randint(2, 20)):
                fields += [f"field{i}", rng.randint(0, 10**6) if rng.random() < 0.4 else _text(rng, 4, 40)]
            yield ("HSET", f"user:{n}", *fields)
        elif kind < 0.72:
            yield ("RPUSH", f"queue:{n}", *(_text(rng, 5, 120) for _ in range(rng.randint(1, 60))))
        elif kind < 0.78:
            yield ("SADD", f"ids:{n}", *(rng.getrandbits(20) for _ in range(rng.randint(1, 100))))
        elif kind < 0.84:
            yield ("SADD", f"tags:{n}", *(_text(rng, 4, 20) for _ in range(rng.randint(1, 300))))
        elif kind < 0.92:
            members: list[bytes | str | int] = []
            for _ in range(rng.randint(1, 200)):
                members += [f"{rng.uniform(0, 10**6):.3f}", f"member:{rng.getrandbits(24)}"]
            yield ("ZADD", f"board:{n}", *members)
        elif kind < 0.97:
            for _ in range(rng.randint(1, 40)):
                yield ("XADD", f"events:{n}", "*", "kind", "click", "at", rng.getrandbits(30), "by", _text(rng, 4, 16))
        else:
            fields = []
            for i in range(600):
                fields += [f"field:{i}", _text(rng, 4, 60)]
            yield ("HSET", f"big:{n}", *fields)
        if n % 10 == 0:
            yield ("PEXPIREAT", f"session:{n}", 4_000_000_000_000)


def log_commands(rng: random.Random) -> Iterator[Command]:
    """Commands, without end, as an application sends them over time to a limited number of keys."""
    while True:
        kind = rng.random()
        k = rng.getrandbits(18)
        if kind < 0.30:
            yield ("SET", f"session:{k}", _text(rng, 20, 200))
        elif kind < 0.45:
            yield ("INCRBY", f"counter:{k & 4095}", rng.randint(1, 9))
        elif kind < 0.62:
            yield ("HSET", f"user:{k}", f"field{rng.randint(0, 19)}", _text(rng, 4, 40))
        elif kind < 0.72:
            yield ("LPUSH", f"queue:{k & 255}", _text(rng, 5, 120))
        elif kind < 0.79:
            yield ("RPOP", f"queue:{k & 255}")
        elif kind < 0.85:
            yield ("SADD", f"tags:{k & 16383}", f"tag{rng.getrandbits(12)}")
        elif kind < 0.93:
            yield ("ZADD", f"board:{k & 1023}", rng.getrandbits(20), f"member:{rng.getrandbits(10)}")
        elif kind < 0.96:
            yield ("XADD", f"events:{k & 255}", "MAXLEN", 1000, "*", "kind", "click", "by", _text(rng, 4, 16))
        elif kind < 0.98:
            yield ("PEXPIREAT", f"session:{k}", 4_000_000_000_000)
        else:
            yield ("DEL", f"session:{k}")


def _fill(server: Server, commands: Iterator[Command], enough: Callable[[Server], bool]) -> None:
    while True:
        for _ in range(10):
            server.send(*(next(commands) for _ in range(BATCH)))
        if enough(server):
            return


def _info(server: Server, name: str) -> int:
    text = server.execute("INFO")
    assert isinstance(text, bytes)
    return int(text.split(f"\n{name}:".encode())[1].split(b"\r")[0])


def rdb_file(megabytes: int, seed: int = SEED) -> Path:
    """An RDB with all types of at least about that size."""
    kind = bench_server()
    path = CACHE / f"{kind.name}-{megabytes}-{seed}.rdb"
    if not path.exists():
        work = fresh(path)
        with running(kind, work) as server:
            # What a key costs in memory is roughly 2.8 times what it costs in the file.
            _fill(
                server, dataset_commands(random.Random(seed)), lambda s: _info(s, "used_memory") > megabytes * 2_850_000
            )
            server.execute("CONFIG", "SET", "rdbcompression", "yes")
            server.execute("SAVE")
        keep(work, work / "dump.rdb", path)
    return path


def older(path: Path) -> Path:
    """The same RDB for Redis 6.2, whose version is the newest that redis-rdb-tools reads."""
    made = path.with_name(f"{path.stem}-older.rdb")
    if not made.exists():
        command = [sys.executable, "-m", "rdbtool", "convert", str(path), str(made), "--target", "redis-6.2"]
        code = subprocess.run(command, check=False).returncode
        assert code in {0, 3}, command  # 3: counters of streams, which Redis 6.2 does not have
    return made


def aof_file(megabytes: int, seed: int = SEED) -> Path:
    """A log of about that size, as one file of commands."""
    kind = bench_server()
    path = CACHE / f"{kind.name}-{megabytes}-{seed}.aof"
    if not path.exists():
        work = fresh(path)
        options = ("--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0")
        with running(kind, work, *options) as server:
            _fill(
                server,
                log_commands(random.Random(seed)),
                lambda s: _info(s, "aof_current_size") > megabytes * 1_000_000,
            )
        logs = [*work.glob("appendonlydir/*.incr.aof"), *work.glob("appendonly.aof")]
        keep(work, logs[0], path)
    return path


def fresh(path: Path) -> Path:
    """An empty directory in which ``path`` is made."""
    work = path.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work


def keep(work: Path, made: Path, path: Path) -> None:
    """Give what was made its name; the directory goes."""
    made.replace(path)
    shutil.rmtree(work)
