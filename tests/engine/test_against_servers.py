"""Each group of commands, at random, against every real server there is."""

from __future__ import annotations

import os
from pathlib import Path
from random import randrange

import pytest

from tests.engine.against import Make, check_against
from tests.engine.random_commands.general import field_expiry, hashes, keys, lists, sets, sorting, strings
from tests.servers.harness import SERVERS, ServerKind

TIMES = int(os.environ.get("RDBTOOL_TEST_TIMES", "1"))
"""How many times as many commands as usual: the longer mode."""
GROUPS: list[Make] = [strings, keys, lists, sets, hashes, sorting]


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("make", GROUPS, ids=lambda make: make.__name__)
def test_random_commands_of_a_group_do_the_same_as_in_the_server(make: Make, kind: ServerKind, tmp_path: Path) -> None:
    check_against(kind, tmp_path, make, seed=randrange(1 << 30), rounds=12 * TIMES, commands=200)


@pytest.mark.server
def test_random_field_expiries_do_the_same_as_in_the_server(tmp_path: Path) -> None:
    kind = next(kind for kind in SERVERS if kind.name == "valkey-9.1")
    check_against(kind, tmp_path, field_expiry, seed=randrange(1 << 30), rounds=20 * TIMES, commands=200)
