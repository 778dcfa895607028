"""Time rdbtool against its peers, in turn, on the same files in the same run.

``python -m tests.bench`` prints a table: throughput, the ratio to the peer pair by pair (median), and
peak memory. ``--size`` is in MB of input; files are made by a real server once and kept in ``.bench``.
``--against PROGRAM`` takes another build of rdbtool for the peer of every job.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import rdbtool
from tests.bench import cases


@dataclass
class Run:
    seconds: float
    peak_mib: float
    code: int


RUNNER = """
import os, sys, time
start = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))
"""
"""Runs a command from a process that is small: what a process holds when it starts another counts as the other's
peak, on Linux."""


def timed(command: list[str], directory: Path) -> Run:
    """Run a command to its end; its output goes nowhere."""
    runner = [sys.executable, "-I", "-S", "-c", RUNNER, *command]
    told = subprocess.run(runner, stdout=subprocess.PIPE, text=True, check=True, cwd=directory).stdout
    seconds, peak_mib, code = told.split()
    return Run(float(seconds), float(peak_mib), int(code))


def _prepare(case: cases.Case) -> None:
    if case.prepare is not None:
        case.prepare()


def measure(case: cases.Case, rounds: int) -> str:
    """One row of the table."""
    directory = case.directory
    ours: list[Run] = []
    peers: list[Run] = []
    busy: list[float] = []
    for _ in range(rounds):
        _prepare(case)
        before = case.server_seconds() if case.server_seconds is not None else 0.0
        ours.append(timed(case.ours, directory))
        if case.server_seconds is not None:
            busy.append((case.server_seconds() - before) / ours[-1].seconds)
        if case.peer:
            _prepare(case)
            peers.append(timed(case.peer, directory))
    if any(run.code not in case.codes for run in ours):
        raise SystemExit(f"{case.name}: {' '.join(case.ours)} ended with {ours[0].code}")
    own = statistics.median(run.seconds for run in ours)
    server = f", the server {statistics.median(busy) * 100:.0f} % busy" if busy else ""
    cells = [
        f"{case.name}{server}",
        f"{case.megabytes / own:,.0f} MB/s",
        f"{max(run.peak_mib for run in ours):.0f} MiB",
    ]
    if peers:
        other = statistics.median(run.seconds for run in peers)
        ratio = statistics.median(b.seconds / a.seconds for a, b in zip(ours, peers, strict=True))
        cells += [
            case.peer_name,
            f"{case.megabytes / other:,.0f} MB/s",
            f"{max(run.peak_mib for run in peers):.0f} MiB",
            f"{ratio:.2f} x" if ratio < 2 else f"{ratio:.1f} x",
        ]
    else:
        cells += [case.peer_name, "", "", ""]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--size", type=int, default=520, metavar="MB", help="size of the input files")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each command")
    parser.add_argument("--only", action="append", metavar="TEXT", help="cases whose name holds TEXT")
    parser.add_argument("--against", metavar="PROGRAM", help="the rdbtool of another build, in place of the peers")
    options = parser.parse_args()
    if not rdbtool.is_compiled():
        print("rdbtool is not compiled here: the figures are those of the interpreter", file=sys.stderr)
    print("| job | rdbtool | peak | peer | its throughput | its peak | ratio |")
    print("|---|---|---|---|---|---|---|")
    for case in cases.all_cases(options.size):
        if not options.only or any(text in case.name for text in options.only):
            if options.against:
                case.peer_name = options.against
                case.peer = [options.against, *case.ours[len(cases.rdbtool()) :]]
            print(measure(case, options.rounds), flush=True)


if __name__ == "__main__":
    main()
