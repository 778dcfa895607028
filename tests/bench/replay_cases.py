"""Replay: a log into a snapshot, against a server that loads it; and data structures that grow tenfold."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import data
from tests.bench.cases import Case, megabytes, rdbtool

PART = 200_000
"""Commands of the smaller log of a growing structure; the larger has ten times as many."""
TOUCHED = 100
"""In a hybrid set, the log touches one key in so many."""
JOB = Path(__file__).with_name("server_job.py")


def replay_cases(size: int) -> Iterator[Case]:
    """The cases, each with its input made when it is asked for."""
    log = data.aof_file(size)
    server = data.bench_server().name
    mb = megabytes(log)
    yield Case(
        "AOF to RDB",
        mb,
        rdbtool("convert", log, data.CACHE / "out.rdb", "--force"),
        f"{server} load + SAVE",
        job("save", log),
    )
    yield Case(
        "rewrite AOF",
        mb,
        rdbtool("rewrite", log, "-o", data.CACHE / "out.aof", "--force"),
        f"{server} load + BGREWRITEAOF",
        job("rewrite", log),
    )
    yield Case("digest of an AOF", mb, rdbtool("digest", log))
    yield Case("history of a key", mb, rdbtool("history", log, "--key", "session:1"))
    yield Case("statistics of an AOF, no replay", mb, rdbtool("history", log, "--stats", "--no-replay"))
    yield from hybrid_cases(size)
    for name, commands in GROWING.items():
        for times in (1, 10):
            path = made_log(name, commands, times)
            yield Case(
                f"{name}, {times} x", megabytes(path), rdbtool("convert", path, data.CACHE / "out.rdb", "--force")
            )


def job(what: str, log: Path) -> list[str]:
    return [sys.executable, str(JOB), what, str(log)]


def hybrid_cases(size: int) -> Iterator[Case]:
    """A base of that size, and a log that touches one key in a hundred; beside it, only the base."""
    base = data.rdb_file(size)
    path = data.CACHE / f"{base.stem}-hybrid"
    if not path.exists():
        work = data.CACHE / f"{base.stem}-hybrid.work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        (work / "appendonly.aof.1.base.rdb").hardlink_to(base)
        keys = (n for n in range(0, 10_000_000, TOUCHED))
        lines = []
        for n in keys:
            lines.append(resp(b"APPEND", b"session:%d" % n, b"x"))
            if len(lines) * TOUCHED > size * 4000:
                break
        (work / "appendonly.aof.1.incr.aof").write_bytes(b"".join(lines))
        (work / "appendonly.aof.manifest").write_text(
            "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
        )
        work.rename(path)
    mb = megabytes(base)
    # Both to a pipe, so that it is not the disk that is measured.
    yield Case(
        "rewrite of a set whose log touches 1 %",
        mb,
        rdbtool("rewrite", path, "-o", "-"),
        "rdbtool convert of its base",
        rdbtool("convert", base, "-", "--to", "rdb"),
    )


def resp(*args: bytes) -> bytes:
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(a), a) for a in args)


def queue(rng: random.Random, n: int) -> Iterator[bytes]:
    """Pushed at one end and popped at the other, with a backlog of a third."""
    for i in range(n):
        yield resp(b"LPUSH", b"queue", b"job:%d:%x" % (i, rng.getrandbits(64)))
        if i % 3:
            yield resp(b"RPOP", b"queue")


def delay_queue(rng: random.Random, n: int) -> Iterator[bytes]:
    """Jobs at random times of the future; the next one is taken out."""
    for i in range(n):
        yield resp(b"ZADD", b"delayed", b"%d" % (i + rng.randrange(n)), b"job:%d" % i)
        if i % 3:
            yield resp(b"ZPOPMIN", b"delayed")


def appended(rng: random.Random, n: int) -> Iterator[bytes]:
    """A string that grows by a line at a time."""
    for i in range(n):
        yield resp(b"APPEND", b"log", b"%d %08x\n" % (i, rng.getrandbits(32)))


def bitmap(rng: random.Random, n: int) -> Iterator[bytes]:
    """Bits of a bitmap of 64 MB, at random."""
    yield resp(b"SETBIT", b"bits", b"536870911", b"1")
    for _ in range(n):
        yield resp(b"SETBIT", b"bits", b"%d" % rng.getrandbits(29), b"1")


def trimmed_stream(rng: random.Random, n: int) -> Iterator[bytes]:
    """A stream that is cut to its last thousand entries each time."""
    for i in range(n):
        entry = b"%d-0" % (1_700_000_000_000 + i)
        yield resp(b"XADD", b"events", b"MAXLEN", b"=", b"1000", entry, b"value", b"%d" % rng.getrandbits(30))


GROWING: dict[str, Callable[[random.Random, int], Iterator[bytes]]] = {
    "queue": queue,
    "delay queue": delay_queue,
    "string appended to": appended,
    "bitmap of 64 MB": bitmap,
    "stream trimmed on each XADD": trimmed_stream,
}


def made_log(name: str, commands: Callable[[random.Random, int], Iterator[bytes]], times: int) -> Path:
    """A log of ``times`` parts."""
    path = data.CACHE / f"{name.replace(' ', '-')}-{times}.aof"
    if not path.exists():
        work = path.with_suffix(".work")
        with open(work, "wb") as stream:
            stream.write(resp(b"SELECT", b"0"))
            stream.writelines(commands(random.Random(data.SEED), PART * times))
        work.rename(path)
    return path
