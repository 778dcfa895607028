"""What is fuzzed: each target takes any bytes, and lets no error out but one of rdbtool's, which is an answer."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rdbtool.aof.manifest import parse
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
from tests.aof.craft import command, sets
from tests.rdb.corpus import FIXTURES
from tests.rdb.mutation import records_by_type
from tests.rdb.sources import Dripping

Target = Callable[[bytes], None]


def rdb(data: bytes) -> None:
    """The reader, the check, and all values decoded."""
    verify_rdb(window_over(data), Findings())
    reader = RdbReader(window_over(data))
    for event in reader:
        if isinstance(event, Frame):
            with contextlib.suppress(RdbToolError):
                event.value()
    with _file(data, ".rdb") as path:
        digest(path)


def log(data: bytes) -> None:
    """The reader of logs, the replay, and the repair, behind which a log is sound."""
    with _file(data, ".aof") as path:
        report = check_aof(path)
        with contextlib.suppress(RdbToolError):
            replay(str(path))
        repair_aof(plan_aof_repair(report))


def manifest(data: bytes) -> None:
    """A manifest."""
    parse(data)


def payload(data: bytes) -> None:
    """What RESTORE takes."""
    parse_dump(data).value()


def json_lines(data: bytes) -> None:
    """JSON lines, converted."""
    with _file(data, ".jsonl") as path:
        convert([str(path)], str(path.with_suffix(".rdb")))


def text(data: bytes) -> None:
    """Commands as text."""
    with _file(data, ".txt") as path:
        replay(str(path), source="commands")


def vcs(data: bytes) -> None:
    """The envelope in which Valkey 9.2 compresses a snapshot."""
    with open_stream(Dripping(data, 50)) as stream:
        while stream.stream.read(1 << 16):
            pass


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
        return snapshots
    if name == "log":
        return [
            sets(5),
            command("MULTI") + sets(2) + command("EXEC"),
            b"#TS:1600000000\r\n" + sets(1),
            snapshots[0] + sets(3),
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


def run(name: str, data: bytes) -> None:
    """Give the target the bytes; what is wrong comes out as an error that is none of rdbtool's."""
    with contextlib.suppress(RdbToolError):
        TARGETS[name](data)
