"""What holds for the whole test run: its options, which tests are fast, and which may start servers."""

from __future__ import annotations

import gc
import itertools
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest

import rdbtool.aof.in_place
from rdbtool.cli.uncompiled import SILENT
from rdbtool.io.open_files import Writers
from tests.rdb.corpus import CORPUS
from tests.servers import harness

LONG = "RDBTOOL_TEST_TIMES"
"""How many times as many random commands as usual."""


COLLECTED_EVERY = 200
"""Tests behind which the collector looks at all that they left, and not only at what the last ten made."""
_run = itertools.count(1)
"""Numbers the tests."""
_freeze = gc.freeze

FAST = "not server"
"""The choice of the fast tests: those that start no server, and of them none that takes long for other reasons."""

MEMORY = "/dev/shm"
"""The file system in memory that Linux brings."""
ROOM = 4 << 30
"""Free bytes there with which all tests can do."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long",
        action="store_true",
        help="a million random commands, and all else that takes long; random tests draw new seeds",
    )
    parser.addoption(
        "--files", type=int, default=40, help="how many damaged files of a kind each server is asked about"
    )


@pytest.hookimpl(tryfirst=True)  # before Hypothesis looks at its option
def pytest_configure(config: pytest.Config) -> None:
    os.environ[SILENT] = "1"  # what terminals show must not depend on the hour
    if not hasattr(config, "workerinput"):  # workers take it from what starts them
        quicken()
    gc.set_threshold(0)  # whatever enables it: it runs between tests
    if config.getoption("--long"):
        os.environ.setdefault(LONG, "40")
    elif getattr(config.option, "dist", "no") == "no":  # in the process that runs the tests
        config.option.hypothesis_seed = getattr(config.option, "hypothesis_seed", None) or "0"
    if config.option.markexpr == FAST:
        config.option.markexpr = f"{FAST} and not slow"


def quicken() -> None:
    """Let this process, and what it starts, neither wait for a disk nor compile what is compiled."""
    # Tens of thousands of syncs take milliseconds each on a disk, and tell a test nothing: no test cuts the power.
    # Where programs cannot be run, nothing can be installed for a test.
    if os.path.isdir(MEMORY) and "TMPDIR" not in os.environ and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        (available,) = re.findall(r"^MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        if min(int(available) * 1024, shutil.disk_usage(MEMORY).free) >= ROOM:
            os.environ["TMPDIR"] = tempfile.tempdir = MEMORY
    # Workers and hundreds of starts of the program import the same modules; git ignores what is written beside them.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Python takes it over from whatever runs in the background of a shell, and hands it on.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before ``-m`` chooses among the tests
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that is given a kind of server is marked for it.

    One that is given a file of the corpus beside the clone counts as slow: there are fixtures like most of them.
    """
    for item in items:
        callspec = getattr(item, "callspec", None)
        for value in callspec.params.values() if callspec is not None else ():
            if isinstance(value, harness.ServerKind):
                item.add_marker(pytest.mark.server(value.name))
            elif isinstance(value, Path) and CORPUS in value.parents:
                item.add_marker(pytest.mark.slow)


@pytest.hookimpl(optionalhook=True)  # where xdist is
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than processors where servers, clusters and browsers are waited for."""
    from rdbtool.tasks.workers import cores

    return cores() + (not config.option.markexpr.startswith(FAST))


@pytest.hookimpl(optionalhook=True)  # where xdist is
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let workers begin with whole rooms, so that most of what a module's tests share is made by one of them, and take
    tests from each other at the end.
    """
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.option.dist == "load" else None


@pytest.hookimpl(tryfirst=True)  # before fixtures are made
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test draws the same seeds in each run, so that it does not fail by chance; with ``--long`` it draws others."""
    random.seed(None if item.config.getoption("--long") else item.nodeid)
    harness.permit(item.get_closest_marker("server") is not None)


def pytest_collection_finish() -> None:
    """Keep modules and tests from the collector, and all else for it: what the program freezes, it takes to its end."""
    gc.collect()
    gc.freeze()
    gc.freeze = lambda: None


@pytest.fixture
def freezing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let objects be frozen."""
    monkeypatch.setattr(gc, "freeze", _freeze)


def pytest_runtest_teardown() -> None:
    """Free what cycles hold: often what the last tests made, and now and then what has grown older."""
    number = next(_run)
    if number % 10:
        return
    older = number % COLLECTED_EVERY == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of whichever test left it: it cannot be told here
        gc.collect(2 if older else 0)
    if older:
        _freeze()


@pytest.fixture
def nobody_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare a test that changes logs hundreds of times the look at every file that any process has open."""
    monkeypatch.setattr(rdbtool.aof.in_place, "writers_of", lambda _: Writers())


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers be copies of this process, as those of the program are, although other tests have left threads. What
    is started anew takes memory for its modules, which a limit counts.
    """
    monkeypatch.setattr("rdbtool.tasks.workers.threading.active_count", lambda: 1)
