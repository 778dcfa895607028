"""`diff` against decoding both files with another tool, sorting and comparing."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench import cases, data
from tests.servers.harness import running

CHANGED = 0.01
"""The part of the keys that differs."""


def changed_rdb_file(megabytes: int, seed: int = data.SEED) -> Path:
    """The RDB of `data.rdb_file`, loaded by a server and saved again with a part of its keys changed."""
    kind = data.bench_server()
    path = data.CACHE / f"{kind.name}-{megabytes}-{seed}-changed.rdb"
    if not path.exists():
        work = path.with_suffix(".work")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        shutil.copy(data.rdb_file(megabytes, seed), work / "dump.rdb")
        rng = random.Random(seed)
        with running(kind, work) as server:
            cursor: bytes = b"0"
            while True:
                reply: Any = server.execute("SCAN", cursor, "COUNT", 10_000)
                cursor, keys = reply
                wanted = [key for key in keys if rng.random() < CHANGED]
                types = server.send(*(("TYPE", key) for key in wanted))
                server.send(*(change(rng, key, type_) for key, type_ in zip(wanted, types, strict=True)))
                if cursor == b"0":
                    break
            server.execute("SAVE")
        (work / "dump.rdb").replace(path)
        shutil.rmtree(work)
    return path


def change(rng: random.Random, key: bytes, type_: object) -> data.Command:
    """A command that changes ``key``."""
    if rng.random() < 0.1:
        return ("DEL", key)
    if rng.random() < 0.1:
        return ("PEXPIREAT", key, 4_000_000_001_000)
    by_type: dict[object, data.Command] = {
        b"string": ("APPEND", key, "x"),
        b"list": ("RPUSH", key, "another"),
        b"set": ("SADD", key, "another"),
        b"hash": ("HSET", key, "field1", "another"),
        b"zset": ("ZADD", key, 5, "another"),
        b"stream": ("XADD", key, "*", "another", "entry"),
    }
    return by_type[type_]


def diff_cases(size: int) -> Iterator[cases.Case]:
    """Two RDB files of ``size`` MB that differ in 1 % of their keys."""
    left, right = data.rdb_file(size), changed_rdb_file(size)
    peer = script("rdb-cli {} json", left, right) if cases.installed("rdb-cli") else []
    yield case("diff", left, right, "rdb-cli json, sort, comm", peer)
    yield case("diff within 64 MiB", left, right, "", [], "--memory-limit", "64MiB")
    if cases.installed("rdb"):
        left, right = data.older(left), data.older(right)
        yield case("diff, RDB 9", left, right, "rdb -c diff, sort, comm", script("rdb -c diff {}", left, right))


def case(name: str, left: Path, right: Path, peer_name: str, peer: list[str], *options: str) -> cases.Case:
    """Our diff of two files, against a peer's."""
    volume = cases.megabytes(left) + cases.megabytes(right)
    return cases.Case(name, volume, cases.rdbtool("diff", left, right, *options), peer_name, peer, codes=(1,))


def script(decode: str, left: Path, right: Path) -> list[str]:
    """Decode both files, sort the lines, and tell those that are in one of them only."""
    lines = [
        "work=$(mktemp -d) && trap 'rm -rf \"$work\"' EXIT && export LC_ALL=C",
        f'{decode.format(left)} | sort -T "$work" > "$work/left"',
        f'{decode.format(right)} | sort -T "$work" > "$work/right"',
        'comm -3 "$work/left" "$work/right"',
    ]
    return ["bash", "-c", " && ".join(lines)]
