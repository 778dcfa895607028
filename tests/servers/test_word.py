"""Damaged files: what a real server says of each, and what it then holds, against check-rdb, check-aof and digest.

A few are asked about in each run; `pytest tests/servers/test_word.py --files 2000` asks about that many of each kind.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.damaging import NO_NUMBER, NO_ORDER, ask
from tests.servers.harness import SERVERS, ServerKind

SEED = 17
REASONS = {
    "it loads what kills it, or has no end, when it is looked at": "check-rdb tells the damage",
    "damaged inside a value, where this server does not look": "what it makes of it depends on its memory",
    NO_NUMBER: "check-rdb tells the score",
    NO_ORDER: "check-rdb tells the order",
    "a field of Valkey's hash twice, once expired: it drops that first, we do not": "as if not expired",
    "a line of 128 bytes or more, of which the server takes so many": "no server writes such a header",
    "the snapshot in front no longer says that a log follows": "digest takes the file for a snapshot",
}
"""Kinds of files of which a server and we may say different things, and why that is so."""


@pytest.mark.parametrize("suffix", [".rdb", ".aof"])
@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_of_a_damaged_file_we_say_what_the_server_says(
    kind: ServerKind, suffix: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    print(f"seed {SEED}")
    answers = ask(kind, tmp_path, suffix, 0, pytestconfig.getoption("files"), SEED)
    print(f"{answers.asked} files, {answers.loaded} of them loaded; {answers.kinds}")
    assert not answers.wrong, "\n".join(answers.wrong[:20])
    assert answers.loaded > answers.asked // 20
    unsure = {kind for kind in answers.kinds if kind.startswith("cannot be told")}
    assert set(answers.kinds) - unsure <= set(REASONS)
