"""From end to end: a real server's log, through the command line, against what that server holds.

A server with its log on is driven with random commands of every group; then `digest` of the log is its DEBUG
DIGEST, and what `convert` and `rewrite` make of the log has that digest in a server that loads it. A failure
is cut down to few commands.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest

from tests.engine.against import shrink
from tests.engine.differential import Command

from .harness import SERVERS, ServerKind, running
from .workload import OPTIONS, TIMES, log_of, rdbtool, run, script

COMMANDS = 8000


def digest_of(path: Path, kind: ServerKind) -> str:
    return rdbtool("digest", "--as", kind.name, path).split()[0]


def wrong(kind: ServerKind, commands: list[Command]) -> str:
    """What differs after these commands, or ""."""
    with tempfile.TemporaryDirectory(prefix="rdbtool-replay-") as name:
        directory = Path(name)
        with running(kind, directory, *OPTIONS) as server:
            run(server, commands)
            # What counts is what the server makes of its own log: HINCRBYFLOAT may lose an expiry there.
            server.execute("DEBUG", "LOADAOF")
            expected = server.digest()
        log = log_of(kind, directory)
        if digest_of(log, kind) != expected:
            return "digest"
        for what, make in OUTPUTS.items():
            place = directory / what
            place.mkdir()
            found = make(kind, log, place)
            if found != expected:
                return f"{what}: a server that loads it has {found}, the log's has {expected}"
    return ""


def loaded(kind: ServerKind, place: Path, *options: str) -> str:
    with running(kind, place, *options) as server:
        return server.digest()


def converted(kind: ServerKind, log: Path, place: Path) -> str:
    # 3: what the log's server never had, but a newer one counts, is lost
    rdbtool("convert", log, place / "dump.rdb", "--target", kind.name, codes=(0, 3))
    return loaded(kind, place)


def rewritten(kind: ServerKind, log: Path, place: Path) -> str:
    rdbtool("rewrite", log, "-o", log_of(kind, place), "--target", kind.name)
    return loaded(kind, place, *OPTIONS)


def rewritten_as_commands(kind: ServerKind, log: Path, place: Path) -> str:
    # 3: what commands cannot say is lost
    rdbtool("rewrite", log, "--resp", "-o", log_of(kind, place), "--target", kind.name, codes=(0, 3))
    return loaded(kind, place, *OPTIONS)


OUTPUTS = {"converted": converted, "rewritten": rewritten, "rewritten-as-commands": rewritten_as_commands}


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_any_log_means_to_us_what_it_means_to_its_server(kind: ServerKind) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed} on {kind.name}")
    rng = random.Random(seed)
    for _ in range(TIMES):
        commands = list(script(rng, kind, COMMANDS))
        found = wrong(kind, commands)
        if found:
            few = shrink(commands, lambda some: wrong(kind, some) != "", tries=60)
            raise AssertionError(f"seed {seed}: {wrong(kind, few)}; after {few}")
