"""Runs of the program in which one call that changes files fails, or at which the process is killed.

`python -m tests.io.faulting` under LD_PRELOAD of `faults.c` makes them, in children of one process, which has imported
all that is needed: it reads what to run from standard input, and prints what is wrong.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from rdbtool.cli import app
from rdbtool.io.temporary import ENDING, sweep
from rdbtool.tasks.digest import digest

KILL: Final = 0
ERRORS: Final = (KILL, errno.ENOSPC, errno.EIO, errno.EDQUOT)
SOURCE: Final = Path(__file__).with_name("faults.c")
PATIENCE: Final = 60
"""Seconds after which a run is taken for one without an end."""


@dataclass(frozen=True)
class Case:
    """``words`` of a command line that is run in a copy of ``directory``; ``chosen``: how many faults are tried, 0 for
    all.
    """

    name: str
    words: list[str]
    directory: str
    chosen: int = 0
    seed: int = 0


@cache
def library(directory: Path) -> Path:
    """What is to be preloaded, compiled."""
    path = directory / "faults.so"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(path), str(SOURCE), "-ldl"], check=True)
    return path


def faulted(case: Case, scratch: Path) -> dict[str, Any]:
    """What came of the runs of one case, in a process of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.io.faulting", str(scratch)],
        input=json.dumps(asdict(case)),
        env={**os.environ, "LD_PRELOAD": str(library(scratch)), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


State = dict[str, bytes]


def state(directory: Path) -> State:
    """Every file below, by its name; a directory as one of its own."""
    paths = sorted(directory.rglob("*"))
    return {str(p.relative_to(directory)) + "/" * p.is_dir(): b"" if p.is_dir() else p.read_bytes() for p in paths}


def is_temporary(name: str) -> bool:
    """Whether it stands under a name that says that it is not finished."""
    return any(part.startswith(".") and part.endswith(ENDING) for part in name.rstrip("/").split("/"))


class Runs:
    """The runs of one case."""

    def __init__(self, case: Case, scratch: Path) -> None:
        self.case = case
        self.place = scratch / "place"
        self.shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self.shim.faults_kinds.restype = ctypes.c_char_p
        self.wrong: list[str] = []
        self.tried = 0

    def fresh(self) -> State:
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.case.directory, self.place)
        return state(self.place)

    def run(self, number: int, error: int) -> tuple[int, bytes, str]:
        """Run it with that call failing, -1 for none: its exit code, a letter for each call, and what it said."""
        said, told = os.pipe()
        letters, out = os.pipe()
        child = os.fork()
        if child == 0:
            code = 99
            try:
                os.chdir(self.place)
                quiet = os.open(os.devnull, os.O_RDWR)
                os.dup2(quiet, 0)
                os.dup2(quiet, 1)
                os.dup2(told, 2)
                signal.alarm(PATIENCE)
                self.shim.faults_arm(number, error)
                try:
                    app.run(self.case.words)
                except SystemExit as e:
                    code = int(e.code or 0)
                sys.stderr.flush()
                self.shim.faults_arm(-1, 0) if number >= 0 else None
                os.write(out, self.shim.faults_kinds())
            finally:
                os._exit(code)
        os.close(told)
        os.close(out)
        with open(said, "rb") as stream:
            text = stream.read().decode(errors="replace")
        with open(letters, "rb") as stream:
            kinds = stream.read()
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), kinds, text

    def warm_up(self) -> None:
        """Import all that it needs."""
        os.chdir(self.place)
        output = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        with contextlib.suppress(SystemExit):
            app.run(self.case.words)
        sys.stdout.flush()
        os.dup2(output, 1)
        os.chdir(SOURCE.parent)

    def all(self) -> dict[str, Any]:
        """Try the faults."""
        before = self.fresh()
        self.warm_up()
        before = self.fresh()
        code, kinds, text = self.run(-1, 0)
        assert code in {0, 3}, (code, text)
        after = state(self.place)
        faults = [(number, error) for number in range(len(kinds)) for error in ERRORS]
        if self.case.chosen:
            rng = random.Random(self.case.seed)
            faults = rng.sample(faults, min(self.case.chosen, len(faults)))
        for number, error in faults:
            self.tried += 1
            self.fresh()
            code, _, text = self.run(number, error)
            where = f"{self.case.name}: call {number} ({chr(kinds[number])}) {errno.errorcode.get(error, 'kill')}: "
            self.look(where, before, after, code, text, killed=error == KILL)
        return {"calls": len(kinds), "kinds": kinds.decode(), "tried": self.tried, "wrong": self.wrong}

    def holds_the_same(self, manifest: str) -> bool:
        """Whether the set of that manifest holds what it held before."""
        one, other = (Path(place, manifest).parent for place in (self.case.directory, self.place))
        return digest(one).digest == digest(other).digest

    def look(self, where: str, before: State, after: State, code: int, text: str, *, killed: bool) -> None:
        """Note what is wrong with what a run left."""
        now = state(self.place)
        if killed and code != -signal.SIGKILL:
            self.wrong.append(f"{where}not killed, but {code}: {text[-300:]}")
        if not killed and code not in {0, 1, 2, 3}:
            self.wrong.append(f"{where}exit {code}: {text[-1500:]}")
        for name in before:
            if name not in now and name in after:
                self.wrong.append(f"{where}{name} is gone")
        for name, data in now.items():
            if is_temporary(name):
                if not killed:
                    self.wrong.append(f"{where}{name} stays behind, exit {code}: {text[-300:]}")
            elif name.endswith(".manifest") and name in before and self.holds_the_same(name):
                continue  # a set changes in two steps: what is new is named, then what is old is no more
            elif data != before.get(name) and not same(data, after.get(name)):
                self.wrong.append(
                    f"{where}{name} is neither as before nor as it should be, exit {code}: "
                    + difference(data, after.get(name))
                )
        if not killed and code == 0 and not alike(now, after):
            self.wrong.append(f"{where}exit 0, and it has {sorted(set(now) ^ set(after))}")
        outputs = {name for name in after if after[name] != before.get(name)}
        if killed and self.case.words[0] == "convert":  # a repair keeps what it cuts first, a set is switched in steps
            sweep(str(self.place))
            now = state(self.place)
            made = {name for name in outputs if now.get(name) != before.get(name)}
            if made and made != outputs:
                self.wrong.append(f"{where}of several outputs only {sorted(made)} are there")
        if killed:
            code, _, text = self.run(-1, 0)
            left = [name for name in state(self.place) if is_temporary(name)]
            if left:
                self.wrong.append(f"{where}the next run, exit {code}, leaves {left}: {text[-300:]}")


def same(one: bytes, other: bytes | None) -> bool:
    """Whether two files are the same but for the time at which they were written."""
    return other is not None and _timeless(one) == _timeless(other)


def difference(one: bytes, other: bytes | None) -> str:
    """Where two files begin to differ."""
    if other is None:
        return "it should not be there"
    ours, theirs = _timeless(one), _timeless(other)
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return f"at {at} {ours[max(0, at - 20) : at + 20]!r} instead of {theirs[max(0, at - 20) : at + 20]!r}"


def _timeless(data: bytes) -> bytes:
    """Without the time that a snapshot tells, and so without its checksum."""
    if data[:5] not in (b"REDIS", b"VALKE"):
        return data
    return re.sub(rb"ctime\xc2....", b"", data, flags=re.DOTALL)[:-8]


def alike(one: State, other: State) -> bool:
    """Whether they have the same files."""
    return set(one) == set(other)


if __name__ == "__main__":
    print(json.dumps(Runs(Case(**json.load(sys.stdin)), Path(sys.argv[1])).all()))
