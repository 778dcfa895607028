"""What came with Redis 8.8 and 8.10 against a real server, where one is on PATH: no package of pip brings one that runs
with the libc of Debian 12.
"""

from __future__ import annotations

from pathlib import Path
from random import randrange

import pytest

from rdbtool.servers.features import HASH_TEMPLATES
from rdbtool.servers.releases import release_named
from tests.engine.differential import args, compare
from tests.engine.random_commands.newest import make
from tests.servers.harness import SERVERS, ServerKind

KINDS = [kind for kind in SERVERS if release_named(kind.name).does(HASH_TEMPLATES)]


@pytest.mark.skipif(not KINDS, reason="there is no Redis 8.10 on PATH")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_random_commands_leave_the_same(kind: ServerKind, tmp_path: Path) -> None:
    setup = (args("SET", b"string", "x"), args("XGROUP", "CREATE", b"s", "g", "0", "MKSTREAM"))
    compare(kind, tmp_path, make, seed=randrange(1 << 30), count=5000, setup=setup)
