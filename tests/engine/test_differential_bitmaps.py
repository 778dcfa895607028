from __future__ import annotations

from pathlib import Path
from random import randrange

import pytest

from tests.engine.differential import args, compare
from tests.engine.random_commands.bitmaps import make
from tests.servers.harness import SERVERS, ServerKind


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_random_commands_leave_the_same_bits(kind: ServerKind, tmp_path: Path) -> None:
    setup = (args("RPUSH", b"list", "x"),)
    compare(kind, tmp_path, make, seed=randrange(1 << 30), count=5000, setup=setup)
