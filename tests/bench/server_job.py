"""What a server does with a log, as one command to be timed: ``server_job.py save|rewrite LOG``.

It loads the log and writes a snapshot, as SAVE or as the base of a BGREWRITEAOF, and ends.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.data import CACHE, bench_server
from tests.servers.harness import Server, running


def main() -> None:
    job, log = sys.argv[1], Path(sys.argv[2]).resolve()
    work = Path(tempfile.mkdtemp(prefix="job-", dir=CACHE))
    try:
        if log.is_dir():
            shutil.copytree(log, work / "appendonlydir", copy_function=_link)
        else:
            (work / "appendonly.aof").hardlink_to(log)  # the server moves it into its directory
        options = ("--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0")
        with running(bench_server(), work, *options) as server:
            if job == "save":
                server.execute("SAVE")
            else:
                server.execute("BGREWRITEAOF")
                _wait(server)
    finally:
        shutil.rmtree(work)


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def _wait(server: Server) -> None:
    while True:
        info = server.execute("INFO", "persistence")
        assert isinstance(info, bytes)
        if b"aof_rewrite_in_progress:0" in info and b"aof_rewrite_scheduled:0" in info:
            return
        time.sleep(0.01)


if __name__ == "__main__":
    main()
