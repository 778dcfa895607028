"""Sets of vectors: what a log does to them is kept for the server, and those that it leaves alone stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rdbtool.inputs.keys import RdbSource
from rdbtool.io.source import open_input
from rdbtool.rdb.frame import Frame
from rdbtool.servers.features import VECTOR_SETS
from rdbtool.servers.releases import release_named
from tests.cli.running import run
from tests.servers.harness import SERVERS, Server, ServerKind, running
from tests.servers.workload import OPTIONS, wait_for_rewrite

KINDS = [kind for kind in SERVERS if release_named(kind.name).has(VECTOR_SETS)]
BASE = """
VADD moved VALUES 3 1 2 3 a SETATTR {"x":1}
VADD moved VALUES 3 4 5 6 b Q8
VADD gone VALUES 2 1 0 z NOQUANT
VADD still VALUES 2 1 0 z NOQUANT
VADD still VALUES 2 0 1 y NOQUANT SETATTR {}
SET old v
"""
LOG = """
VADD moved VALUES 3 7 8 9 c
VREM moved a
VSETATTR moved b {"y":2}
VADD reduced REDUCE 2 VALUES 4 1 2 3 4 e M 8 EF 100
VADD binary VALUES 2 1 -1 e BIN
SET new v
RENAME moved here
PEXPIREAT here 9999999999999
DEL gone
"""


def held(server: Server) -> dict[Any, Any]:
    """All that commands tell of what a server holds."""
    state: dict[Any, Any] = {}
    keys: Any = server.execute("KEYS", "*")
    for key in keys:
        if server.execute("TYPE", key) == b"string":
            state[key] = server.execute("GET", key)
            continue
        info: Any = server.execute("VINFO", key)
        facts = dict(zip(info[::2], info[1::2], strict=True))
        members: Any = server.execute("VRANDMEMBER", key, 1000)
        told = {m: (server.execute("VEMB", key, m), server.execute("VGETATTR", key, m)) for m in members}
        names = (b"quant-type", b"vector-dim", b"projection-input-dim", b"size", b"hnsw-m", b"attributes-count")
        state[key] = told, [facts[name] for name in names], server.execute("PEXPIRETIME", key)
    return state


def payload(path: Path, name: bytes) -> bytes:
    """The bytes of a value in a snapshot."""
    with open_input(str(path)) as opened:
        for frame in iter(RdbSource(opened.window()).next, None):
            if isinstance(frame, Frame) and frame.key == name:
                return bytes(frame.raw())
    raise KeyError(name)


@pytest.mark.skipif(not KINDS, reason="there is no Redis 8 on PATH, and no package of pip brings one that runs here")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_a_log_does_to_vectors_is_kept_for_the_server(kind: ServerKind, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with running(kind, data, *OPTIONS) as server:
        for commands in (BASE, LOG):
            for line in commands.split("\n"):
                assert not line or not isinstance(server.send(tuple(line.split()))[0], Exception), line
            if commands is BASE:
                server.execute("BGREWRITEAOF")
                wait_for_rewrite(server)
        expected = held(server)
    log = data / "appendonlydir"
    refused = run("convert", log, tmp_path / "x.rdb")
    assert refused.returncode == 1
    assert "chance decides there how the vectors of a set are linked; --unknown skip leaves such" in refused.stderr
    assert "carry keeps them in an append-only file" in refused.stderr
    assert run("convert", log, tmp_path / "x.rdb", "--unknown", "carry").returncode == 2
    for i, words in enumerate(
        (["convert", log, "OUT"], ["rewrite", log, "-o", "OUT"], ["rewrite", log, "--resp", "-o", "OUT"])
    ):
        place = tmp_path / str(i)
        place.mkdir()
        out = f"{place}/appendonlydir/"
        done = run(*[out if word == "OUT" else word for word in words], "--unknown", "carry")
        assert done.returncode == 0, done.stderr  # nothing is lost
        with running(kind, place, *OPTIONS) as server:
            assert held(server) == expected
        if i < 2:
            (base,) = Path(out).glob("*.base.rdb")
            (original,) = log.glob("*.base.rdb")
            assert payload(base, b"still") == payload(original, b"still")
