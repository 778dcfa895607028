"""What is fuzzed: each target takes any bytes, and lets no error out but one of rdbtool's, which is an answer."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rdbtool.aof.manifest import parse
from rdbtool.basics.crc64 import crc64
from rdbtool.errors import RdbToolError
from rdbtool.findings import Findings
from rdbtool.inputs.replaying import replay
from rdbtool.io.source import open_stream
from rdbtool.io.window import window_over
from rdbtool.rdb.check import verify_rdb
from rdbtool.rdb.dump_payload import dump, parse_dump
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.targets import target
from rdbtool.tasks.check_aof import check_aof
from rdbtool.tasks.convert import convert
from rdbtool.tasks.digest import digest
from rdbtool.tasks.repair_aof import plan_aof_repair, repair_aof
from rdbtool.tasks.salvage_rdb import salvage_rdb
from tests.aof.craft import FIXTURES as LOGS
from tests.aof.craft import command, sets
from tests.rdb.corpus import BROKEN, FIXTURES
from tests.rdb.mutation import records_by_type
from tests.rdb.sources import Dripping
from tests.servers.damaging import COMMANDS, SMALL

Target = Callable[[bytes], object]
"""Takes any bytes; what it returns is part of the answer."""


def rdb(data: bytes) -> list[object]:
    """The reader, the check, and all values decoded."""
    findings = Findings()
    verify_rdb(window_over(data), findings)
    reader = RdbReader(window_over(data))
    for event in reader:
        if isinstance(event, Frame):
            with contextlib.suppress(RdbToolError):
                event.value()
    told: list[object] = [f"{f.code} {f.offset} {f.key!r}" for f in findings.items]
    with _file(data, ".rdb") as path:
        try:
            told.append(digest(path).digest)
        except RdbToolError as e:
            told.append(f"{type(e).__name__} {e.code} {e.offset} {e.key!r}")
        with contextlib.suppress(RdbToolError):
            told.append(salvage_rdb(str(path), str(path.with_suffix(".saved"))).written)
    return told


def log(data: bytes) -> list[object]:
    """The reader of logs, the replay, and the repair, behind which a log is sound."""
    with _file(data, ".aof") as path:
        report = check_aof(path)
        told: list[object] = [f"{f.code} {f.offset}" for f in report.findings.items]
        with contextlib.suppress(RdbToolError):
            told.append(replay(str(path)).replay.count)
        repair_aof(plan_aof_repair(report))
        told.append(path.stat().st_size)
    return told


def manifest(data: bytes) -> None:
    """A manifest."""
    parse(data)


def payload(data: bytes) -> None:
    """What RESTORE takes, with the checksum that it needs."""
    with contextlib.suppress(RdbToolError):
        parse_dump(data).value()
    parse_dump(data[:-8] + crc64(data[:-8]).to_bytes(8, "little")).value()


def json_lines(data: bytes) -> list[str]:
    """JSON lines, converted."""
    with _file(data, ".jsonl") as path:
        report = convert([str(path)], str(path.with_suffix(".rdb")))
    return [f"{report.written} written", *(f"{f.code} {f.offset} {f.key!r}" for f in report.findings.items)]


def text(data: bytes) -> None:
    """Commands as text."""
    with _file(data, ".txt") as path:
        replay(str(path), source="commands")


def vcs(data: bytes) -> None:
    """The envelope in which Valkey 9.2 compresses a snapshot."""
    with open_stream(Dripping(data, 50)) as stream:
        window = stream.window()
        while not window.at_end():
            window.take(window.end - window.pos)


@contextlib.contextmanager
def _file(data: bytes, ending: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as directory:
        path = Path(directory, f"in{ending}")
        path.write_bytes(data)
        yield path


SHARED_MEMORY: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def seeds_of(name: str) -> list[bytes]:
    """Sound inputs of a target."""
    snapshots = list(records_by_type().values())
    if name == "rdb":
        whole = [path for path in sorted(FIXTURES.glob("*/*.rdb")) if path.parent.name not in BROKEN]
        return [*snapshots, *(path.read_bytes() for path in whole if path.stat().st_size <= SMALL)]
    if name == "log":
        return [
            sets(5),
            command("MULTI") + sets(2) + command("EXEC"),
            b"#TS:1600000000\r\n" + sets(1),
            snapshots[0] + sets(3),
            *(b"".join(command(*words) for words in COMMANDS[i : i + 10]) for i in range(0, len(COMMANDS), 10)),
            (LOGS / "truncated.aof").read_bytes(),
        ]
    if name == "manifest":
        return [b'file a.1.base.rdb seq 1 type b\nfile "a b\\x00" seq 2 type i startoffset 3 endoffset 9\n']
    if name == "payload":
        return [dump(b"text", target("redis-7.0")), dump({b"a": None, b"b": None}, target("redis-7.2"))]
    if name == "json_lines":
        return [
            b'{"schema":1,"db":0,"key":"k","type":"string","value":"v"}\n{"db":1,"key":"l","type":"list","value":["a"]}\n'
        ]
    if name == "text":
        return [b'SELECT 1\nSET a "b\\x00c" PXAT 4000000000000\nRPUSH l 1 2\nZADD z 1.5 m\nEVAL "return 1" 0\n']
    return [path.read_bytes() for path in sorted((FIXTURES / "valkey-9.2-by-hand").glob("vcs-small*.rdb"))]


TARGETS: Final[dict[str, Target]] = {
    "rdb": rdb,
    "log": log,
    "manifest": manifest,
    "payload": payload,
    "json_lines": json_lines,
    "text": text,
    "vcs": vcs,
}


def answer(name: str, data: bytes) -> str:
    """What the target says of the bytes: the same compiled and interpreted, and under ``python -O``."""
    try:
        told = TARGETS[name](data)
    except RdbToolError as e:
        return f"{type(e).__name__} {e.code} {e.offset} {e.key!r}"
    return "fine" if told is None else f"fine {told}"


def run(name: str, data: bytes) -> None:
    """Give the target the bytes; what is wrong comes out as an error that is none of rdbtool's."""
    with contextlib.suppress(RdbToolError):
        TARGETS[name](data)
