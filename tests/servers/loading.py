"""What a real server does with a copy of a file: load it, cut it, or refuse it."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers.harness import PATIENCE, DidNotStartError, Server, ServerKind, running


@dataclass(frozen=True)
class Outcome:
    """``loads``: whether the server starts; then ``digest``, the number of ``keys`` in all databases, and ``size``: of
    the last file of the log when the server has loaded it, -1 for a snapshot; else ``log``: what it said. ``crashed``:
    it has loaded, or begins to load, what then kills it, or has no end,
    when it looks at it.
    """

    loads: bool
    digest: str = ""
    keys: int = -1
    size: int = -1
    log: str = ""
    crashed: bool = False


def load(
    kind: ServerKind,
    directory: Path,
    source: Path,
    *options: str,
    files: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
) -> Outcome:
    """Start ``kind`` in ``directory``, which is made, on a copy of ``source``: a snapshot (``*.rdb``, ``*.rdb.gz``), a
    log, or the directory of a set. ``files``: other files that it finds there; ``patience``: seconds for it to load.
    """
    directory.mkdir(parents=True)
    for name, text in (files or {}).items():
        (directory / name).write_text(text)
    if source.is_dir():
        kept = shutil.copytree(source, directory / "appendonlydir")
        log = kept / max((p.name for p in kept.glob("*.incr.aof")), default="none")
        options = ("--appendonly", "yes", *options)
    elif source.name.endswith((".rdb", ".rdb.gz")):
        log = None
        data = source.read_bytes()
        (directory / "dump.rdb").write_bytes(gzip.decompress(data) if source.suffix == ".gz" else data)
    else:
        log = directory / "appendonly.aof"
        shutil.copy(source, log)
        options = ("--appendonly", "yes", *options)
    try:
        with running(kind, directory, "--logfile", str(directory / "log"), *options, patience=patience) as server:
            try:
                digest, keys = server.digest(), _keys(server)
            except TimeoutError:
                server.process.kill()
                raise
            if log is not None and not log.exists():  # a single file becomes the base of a set
                log = directory / "appendonlydir" / log.name
            size = log.stat().st_size if log is not None and log.exists() else -1
            return Outcome(True, digest, keys, size)
    except (EOFError, ConnectionError, TimeoutError):
        return Outcome(True, crashed=True)
    except DidNotStartError:
        log_path = directory / "log"
        text = log_path.read_text(errors="replace") if log_path.exists() else ""
        return Outcome(False, log=text, crashed="ASSERTION FAILED" in text or "crashed by signal" in text)


def _keys(server: Server) -> int:
    info = server.execute("INFO", "keyspace")
    assert isinstance(info, bytes)
    return sum(int(row.split(b"keys=")[1].split(b",")[0]) for row in info.split() if row.startswith(b"db"))
