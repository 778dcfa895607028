"""Live servers: what is fetched from one, and loaded into one, against redis-cli and librdb's rdb-cli."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import cases, data
from tests.live.serving import AT_ONCE, free_port, url_of
from tests.servers.harness import Server, running

TICKS = os.sysconf("SC_CLK_TCK")


def live_cases(size: int) -> Iterator[cases.Case]:
    """Cases with the RDB of `data.rdb_file`, and a server that runs while they are measured."""
    snapshot = data.rdb_file(size)
    megabytes = cases.megabytes(snapshot)
    commands = data.CACHE / f"{snapshot.stem}.resp"
    if not commands.exists():
        _run(cases.rdbtool("convert", snapshot, commands, "--force", "--quiet"))
    client, librdb = cases.installed("redis-cli"), cases.installed("rdb-cli")
    with tempfile.TemporaryDirectory(prefix="live-", dir=data.CACHE) as work:
        port = free_port()
        directory = Path(work)
        with running(data.bench_server(), directory, "--port", str(port), *AT_ONCE) as server:
            url = url_of(server)
            socket = url.removeprefix("unix://")

            def flush() -> None:
                server.execute("FLUSHALL", "SYNC")

            def seconds() -> float:
                return server_seconds(server)

            load = cases.rdbtool("load", snapshot, url, "--quiet")
            pipe = f"{shlex.quote(client or '')} -s {shlex.quote(socket)} --pipe < {shlex.quote(str(commands))}"
            peer = ["/bin/sh", "-c", pipe] if client else []
            yield cases.Case("load", megabytes, load, "redis-cli --pipe", peer, prepare=flush, server_seconds=seconds)
            if librdb:
                peer = [librdb, str(snapshot), "redis", "-h", "127.0.0.1", "-p", str(port)]
                yield cases.Case(
                    "load by TCP",
                    megabytes,
                    cases.rdbtool("load", snapshot, f"redis://127.0.0.1:{port}", "--quiet"),
                    "rdb-cli redis",
                    peer,
                    prepare=flush,
                    server_seconds=seconds,
                )
            flush()
            _run(load)
            fetched = directory / "fetched.rdb"
            peer = [client, "-s", socket, "--rdb", str(fetched)] if client else []
            fetch = cases.rdbtool("convert", url, fetched, "--quiet")

            def remove() -> None:
                fetched.unlink(missing_ok=True)  # to write over a file is another job

            yield cases.Case("convert of a server", megabytes, fetch, "redis-cli --rdb", peer, prepare=remove)


def server_seconds(server: Server) -> float:
    """Seconds of CPU that the server has taken, its children left out."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _run(command: list[str]) -> None:
    import subprocess

    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
