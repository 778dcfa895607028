from __future__ import annotations

from pathlib import Path
from random import Random, randrange

import pytest

from tests.engine.differential import compare
from tests.engine.random_commands.streams import streams
from tests.servers.harness import SERVERS, ServerKind


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_random_commands_leave_the_same_streams(kind: ServerKind, tmp_path: Path) -> None:
    seed = randrange(1 << 30)
    compare(kind, tmp_path, streams(Random(seed)), seed=seed, count=8000)
