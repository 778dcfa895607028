from __future__ import annotations

from pathlib import Path
from random import randrange

import pytest

from tests.engine.differential import compare
from tests.engine.random_commands.zsets import make, make_lex
from tests.servers.harness import SERVERS, ServerKind


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_random_commands_leave_the_same_sorted_sets(kind: ServerKind, tmp_path: Path) -> None:
    compare(kind, tmp_path, make, seed=randrange(1 << 30), count=8000)


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_lexicographic_ranges_are_the_same(kind: ServerKind, tmp_path: Path) -> None:
    compare(kind, tmp_path, make_lex, seed=randrange(1 << 30), count=2000)
