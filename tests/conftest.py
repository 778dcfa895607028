"""Options of the test run."""

from __future__ import annotations

import os

import pytest

LONG = "RDBTOOL_TEST_TIMES"
"""How many times as many random commands as usual."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="a million random commands, and all else that takes long")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--long"):
        os.environ.setdefault(LONG, "40")
