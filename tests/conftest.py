"""What holds for the whole test run: its options, which tests are fast, and which may start servers."""

from __future__ import annotations

import gc
import itertools
import os
import warnings
from pathlib import Path

import pytest

from rdbtool.cli.uncompiled import SILENT
from tests.rdb.corpus import CORPUS
from tests.servers import harness

LONG = "RDBTOOL_TEST_TIMES"
"""How many times as many random commands as usual."""


COLLECTED_EVERY = 200
"""Tests behind which the collector looks at everything."""
_run = itertools.count(1)
"""Numbers the tests."""

FAST = "not server"
"""The choice of the fast tests: those that start no server, and of them none that takes long for other reasons."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="a million random commands, and all else that takes long")
    parser.addoption(
        "--files", type=int, default=40, help="how many damaged files of a kind each server is asked about"
    )


def pytest_configure(config: pytest.Config) -> None:
    os.environ[SILENT] = "1"  # what terminals show must not depend on the hour
    gc.freeze()  # as the program does: a replay leaves nothing for the collector to walk
    if config.getoption("--long"):
        os.environ.setdefault(LONG, "40")
    if config.option.markexpr == FAST:
        config.option.markexpr = f"{FAST} and not slow"


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


@pytest.hookimpl(tryfirst=True)  # before fixtures are made
def pytest_runtest_setup(item: pytest.Item) -> None:
    harness.permit(item.get_closest_marker("server") is not None)


def pytest_runtest_teardown() -> None:
    """Free what cycles hold now and then: what a replay freezes stays, and large processes fork slowly."""
    if next(_run) % COLLECTED_EVERY == 0:
        gc.unfreeze()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # of whichever test left it: it cannot be told here
            gc.collect()
        gc.freeze()
