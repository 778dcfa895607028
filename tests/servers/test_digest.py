"""`digest` against the DEBUG DIGEST that real servers gave for their own files."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from rdbtool.inputs.filters import select
from rdbtool.tasks.digest import digest
from tests.servers.harness import SERVERS, Server, ServerKind, running
from tests.servers.workload import OPTIONS, log_of, rdbtool, run, script

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures" / "aof"
CORPUS = ROOT.parent / "shared" / "corpus" / "made"
LINES = {"redis-unstable": "redis-7.9", "valkey-unstable": "valkey-8.0", "redis-7.0-rc2": "redis-6.9"}
"""Development builds, by what they do."""
UNKNOWABLE = {"module-hellotype.rdb"}
"""Only the module knows what it mixes in."""
EXPIRED_WHEN_READ = {"valkey-9.1.2/expired.rdb", "redis-2.4.18/expire-beyond-2038.rdb"}
"""The server that was asked had already dropped what had expired."""


@pytest.mark.parametrize("name", ["preamble+tail.aof", "multi", "multi-rdb"])
def test_a_log_has_the_digest_that_its_server_gave(name: str) -> None:
    facts = json.loads((FIXTURES / f"{name}.json").read_text())
    line = facts["written_by"].rsplit(".", 1)[0]
    (file,) = json.loads(rdbtool("digest", "--format", "json", "--as", line, FIXTURES / name))["files"]
    assert file["digest"] == facts["debug_digest"]


def known() -> dict[str, list[tuple[Path, str]]]:
    """Files with a digest, by the directory of their server."""
    found: dict[str, list[tuple[Path, str]]] = {}
    for facts in sorted(CORPUS.glob("*/*.expected.json")):
        path = facts.with_name(facts.name.removesuffix(".expected.json"))
        wanted = json.loads(facts.read_text()).get("debug_digest")
        name = f"{path.parent.name}/{path.name}"
        if wanted and path.exists() and path.name not in UNKNOWABLE and name not in EXPIRED_WHEN_READ:
            found.setdefault(path.parent.name, []).append((path, wanted))
    return found


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus lies beside the checkout, where it is")
@pytest.mark.parametrize(
    ("server", "files"), known().items(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_file_of_a_server_has_the_digest_it_gave(server: str, files: list[tuple[Path, str]]) -> None:
    line = LINES.get(server) or server.partition("-rc")[0]
    if server == "redis-2.6.17":  # its log has a script
        pytest.importorskip("lupa", reason="the extra lua is not installed")
    shown = json.loads(rdbtool("digest", "--format", "json", "--as", line, *(path for path, _ in files)))
    assert {Path(f["path"]).name: f["digest"] for f in shown["files"]} == {path.name: want for path, want in files}


def digests_of(server: Server) -> tuple[dict[tuple[int, str], Any], str]:
    """The digest of each key, and of the dataset."""
    found: dict[tuple[int, str], Any] = {}
    for db in range(16):
        server.execute("SELECT", db)
        keys = server.execute("KEYS", "*")
        assert isinstance(keys, list)
        for key in keys:
            assert isinstance(key, bytes)
            reply = server.execute("DEBUG", "DIGEST-VALUE", key)
            assert isinstance(reply, list)
            assert isinstance(reply[0], bytes)
            found[db, key.decode()] = reply[0].decode()
    return found, server.digest()


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_every_key_has_the_digest_that_the_server_gives_it(kind: ServerKind, tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    with running(kind, tmp_path, *OPTIONS) as server:
        run(server, list(script(random.Random(seed), kind, 1500)))
        # What a BITFIELD makes longer and then refuses to set (OVERFLOW FAIL), the log does not say.
        server.execute("DEBUG", "LOADAOF")
        live = digests_of(server)
        server.execute("SAVE")
        # What loads a snapshot packs sorted sets again, and has no negative zeros in them then.
        server.execute("DEBUG", "RELOAD")
        loaded = digests_of(server)
    for path, (expected, whole) in ((tmp_path / "dump.rdb", loaded), (log_of(kind, tmp_path), live)):
        shown = json.loads(rdbtool("digest", "--keys", "--as", kind.name, "--format", "json", path))
        (file,) = shown["files"]
        assert {(v["db"], v["key"]): v["digest"] for v in file["values"]} == expected
        assert file["digest"] == whole
    for count in (2, 16):
        assert digest(log_of(kind, tmp_path), release=kind.name, partitions=count).digest == live[1]
    assert digest(str(tmp_path / "dump.rdb")).digest == loaded[1]  # the server's line is told by the file


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_a_negative_zero_stays_as_long_as_its_set_is_not_packed(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path, *OPTIONS) as server:
        server.send(("ZADD", "z", "1", "long" * 20, "-0", "a"), ("ZREM", "z", "long" * 20))
        server.execute("DEBUG", "LOADAOF")
        live = server.digest()
        server.execute("SAVE")
        server.execute("DEBUG", "RELOAD")
        loaded = server.digest()
    assert rdbtool("digest", "--as", kind.name, log_of(kind, tmp_path)).split()[0] == live
    assert rdbtool("digest", "--as", kind.name, tmp_path / "dump.rdb").split()[0] == loaded
    assert (live == loaded) == (kind.version < (7, 0))


@pytest.mark.server
def test_keys_that_have_expired_can_be_left_out(tmp_path: Path) -> None:
    kind = SERVERS[0]
    with running(kind, tmp_path) as server:
        server.send(("SET", "stays", "1"), ("SET", "later", "2", "PX", 10**9))
        without = server.send(("DEBUG", "DIGEST-VALUE", "stays"))[0]
        both = server.digest()
        server.execute("SAVE")
        server.execute("DEL", "later")
        alone = server.digest()
    path = str(tmp_path / "dump.rdb")
    assert without
    assert digest(path).digest == both
    later = digest(path, selection=select(expired=False, now="4000000000"))
    assert (later.digest, later.keys, later.left_out) == (alone, 1, 1)
