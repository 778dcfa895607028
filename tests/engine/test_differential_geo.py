from __future__ import annotations

from pathlib import Path
from random import randrange

import pytest

from tests.engine.differential import compare
from tests.engine.random_commands.geo import make
from tests.servers.harness import SERVERS, ServerKind


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_random_searches_store_the_same_members(kind: ServerKind, tmp_path: Path) -> None:
    compare(kind, tmp_path, make, seed=randrange(1 << 30), count=2500)
