"""A fault at any call that changes files: inputs stay whole, an output is whole or not there, and nothing else is left.

Some faults of each command are tried in each run, and all with ``--long``.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.aof.craft import command, make_set, old_snapshot
from tests.conftest import LONG
from tests.io.faulting import Case, faulted, is_temporary, state
from tests.rdb.corpus import FIXTURES

pytestmark = pytest.mark.cold
ALL = 0
CHOSEN = ALL if LONG in os.environ else 8
LOG = b"".join(command("SET", f"key:{i}", "v" * 20) for i in range(40))
TORN = LOG + b"*3\r\n$3\r\nSET\r\n$1"

COMMANDS = {
    "a repair": "check-aof torn.aof --fix --yes",
    "a repair of a set": "check-aof tornset --fix --yes",
    "a repaired copy": "check-aof torn.aof -o out.aof",
    "a repaired set": "check-aof tornset -o outset",
    "an RDB": "convert in.rdb out.rdb --force",
    "an RDB in place of another": "convert in.rdb old.rdb --force",
    "JSON lines": "convert in.rdb out.jsonl --force",
    "compressed JSON lines": "convert in.rdb out.jsonl.gz --force",
    "CSV": "convert in.rdb out.csv --force",
    "commands": "convert in.rdb out.resp --force",
    "a log": "convert in.rdb out.aof --force",
    "a set": "convert in.rdb outset/ --force",
    "shards": "convert in.rdb out-{}.rdb --split 3 --force",
    "a compacted set": "rewrite set -o outset",
    "a set in place": "rewrite set --in-place --force",
    "a set in place of its files": "rewrite set --in-place --force --purge-history",
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("inputs")
    shutil.copy(FIXTURES / "redis-7.4.1" / "small-plain.rdb", directory / "in.rdb")
    shutil.copy(FIXTURES / "redis-5.0.14" / "small-plain.rdb", directory / "old.rdb")
    (directory / "torn.aof").write_bytes(TORN)
    make_set(directory / "set", base=old_snapshot(9), one=LOG, two=LOG)
    make_set(directory / "tornset", base=old_snapshot(9), one=LOG, two=TORN)
    return directory


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.mark.slow  # starts the program and runs it many times
@pytest.mark.parametrize("name", COMMANDS)
def test_a_fault_at_any_call_leaves_whole_files_and_no_others(name: str, inputs: Path, scratch: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    case = Case(name, COMMANDS[name].split(), str(inputs), chosen=CHOSEN, seed=seed)
    found = faulted(case, scratch)
    print(f"{found['calls']} calls, {found['kinds']}; {found['tried']} runs")
    assert found["calls"] >= 5
    assert not found["wrong"], "\n".join(found["wrong"])


PAIRS = [
    ("rewrite set --in-place --force", "rewrite set --in-place --force --purge-history"),
    ("check-aof tornset --fix --yes", "check-aof tornset --fix --yes"),
    ("check-aof torn.aof --fix --yes", "convert torn.aof out.rdb --force"),
    ("convert in.rdb out.rdb --force", "convert old.rdb out.rdb --force"),
    ("convert in.rdb out-{}.rdb --split 3 --force", "convert in.rdb out-{}.rdb --split 3 --force"),
    ("rewrite set -o outset", "convert in.rdb outset/"),
    ("rewrite set --in-place --force", "check-aof set --fix --yes"),
]


@pytest.mark.slow  # starts the program many times
@pytest.mark.parametrize("pair", PAIRS, ids=" + ".join)
def test_two_at_once_leave_what_one_of_them_leaves(pair: tuple[str, str], inputs: Path, tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for number in range(20 if CHOSEN == ALL else 2):
        place = tmp_path / str(number)
        shutil.copytree(inputs, place)
        started = []
        for words in pair:
            arguments = [sys.executable, "-m", "rdbtool", *words.split()]
            started.append(subprocess.Popen(arguments, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
            time.sleep(rng.random() * 0.3)
        for process in started:
            _, told = process.communicate(timeout=60)
            assert process.returncode in {0, 1, 2, 3}, told
            assert b"Traceback" not in told
        now = state(place)
        assert not [name for name in now if is_temporary(name)]
        for name in ("in.rdb", "old.rdb"):
            assert now[name] == (inputs / name).read_bytes()
        for name in ("set", "tornset", "torn.aof", "outset", "out.rdb"):
            if (place / name).exists():
                judge = "check-rdb" if name == "out.rdb" else "check-aof"
                arguments = [sys.executable, "-m", "rdbtool", judge, name]
                code = subprocess.run(arguments, cwd=place, capture_output=True, check=False).returncode
                assert code == 0 or (name.startswith("torn") and name not in " ".join(pair).split()), name
