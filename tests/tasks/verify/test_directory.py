"""The directory of a server: which file it loads, and how a backup is restored there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rdbtool.tasks.judgement import Judgement
from rdbtool.tasks.verify.expectations import NOTHING, expectations
from rdbtool.tasks.verify.restore import PLACEHOLDER
from rdbtool.tasks.verify.run import VerifyOptions, verify, verify_all
from rdbtool.tasks.verify.server_config import ServerConfig, read_server_config
from tests.servers.harness import SERVERS, ServerKind, program_on_path, running

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "fixtures"
SNAPSHOT = FIXTURES / "rdb/redis-5.0.14/small-plain.rdb"


def configured(path: Path, *lines: str) -> ServerConfig:
    path.write_text("".join(f"{line}\n" for line in lines))
    return read_server_config(str(path))


def judged(directory: Path, config: ServerConfig | None = None) -> Judgement:
    return verify(str(directory), options=VerifyOptions(config=config))


def verdicts(judgement: Judgement) -> dict[str, str]:
    return {check.name: check.verdict for check in judgement.checks}


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
@pytest.mark.parametrize("logged", ["no", "yes"])
@pytest.mark.parametrize("there", ["snapshot", "log", "both"])
def test_the_file_that_is_named_is_the_one_that_the_server_loads(
    kind: ServerKind, logged: str, there: str, tmp_path: Path
) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    if there != "snapshot":
        with running(kind, directory, "--appendonly", "yes") as server:
            server.execute("SET", "of-log", "1")
    if there != "log":
        with running(kind, tmp_path) as server:
            server.execute("SET", "of-snapshot", "1")
            server.execute("SAVE")
        shutil.move(tmp_path / "dump.rdb", directory / "dump.rdb")
    config = configured(tmp_path / "redis.conf", f"appendonly {logged}")
    judgement = judged(directory, config)
    said = judgement.notes[0]
    with running(kind, directory, "--appendonly", logged) as server:
        (keys,) = [server.execute("KEYS", "*")]
    if keys == [b"of-log"]:
        assert "the server loads" in said
        assert "appendonly" in said.rpartition("/")[2]
        assert verdicts(judgement) == {"sound": "met"}
    elif keys == [b"of-snapshot"]:
        assert said.endswith("dump.rdb")
        assert verdicts(judgement) == {"sound": "met"}
    else:
        assert keys == []
        assert said.endswith("loads nothing")
        assert verdicts(judgement) == {"loads": "unmet"}


def test_without_a_configuration_both_are_told(tmp_path: Path) -> None:
    shutil.copy(SNAPSHOT, tmp_path / "dump.rdb")
    assert "with 'appendonly yes' nothing" in judged(tmp_path).notes[0]
    shutil.copytree(FIXTURES / "aof/multi-rdb", tmp_path / "appendonlydir")
    judgement = judged(tmp_path)
    assert "as there is a log" in judgement.notes[0]
    assert any("dump.rdb is not loaded: sound" in note and "older" in note for note in judgement.notes)


def test_an_empty_log_beside_a_snapshot_with_keys_is_the_trap(tmp_path: Path) -> None:
    """It is what a server leaves that was started with a log after somebody had put a snapshot there."""
    shutil.copy(SNAPSHOT, tmp_path / "dump.rdb")
    (tmp_path / "appendonly.aof").write_bytes(b"")
    judgement = judged(tmp_path)
    assert verdicts(judgement)["loads"] == "unmet"
    assert any("convert" in step and "dump.rdb" in step for step in judgement.steps)


def test_backups_side_by_side_are_judged_each_by_itself(tmp_path: Path) -> None:
    for i in range(3):
        shutil.copy(SNAPSHOT, tmp_path / f"shard-{i}.rdb")
    (tmp_path / "shard-3.rdb").write_bytes(b"")
    (tmp_path / "README").write_text("nothing of ours")
    found = list(verify_all(str(tmp_path), lambda path: expectations(min_keys=1) if "shard-0" in path else NOTHING))
    assert [os.path.basename(one.subject) for one in found] == [f"shard-{i}.rdb" for i in range(4)]
    assert [one.verdict for one in found] == ["met", "met", "met", "unmet"]
    assert [len(one.checks) for one in found] == [2, 1, 1, 1]


def test_an_empty_directory_cannot_be_judged(tmp_path: Path) -> None:
    judgement = judged(tmp_path)
    assert judgement.verdict == "unknown"
    assert judgement.error is not None


SHIM = """#!/bin/sh
exit 0
"""


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
@pytest.mark.parametrize(
    ("state", "lines"),
    [
        ("full", []),
        ("trap", ["appendonly yes"]),
        ("full", ["appendonly yes", "appendfilename my.aof", "appenddirname logs", "dbfilename my.rdb"]),
    ],
    ids=["snapshot", "trap", "other names"],
)
def test_the_steps_of_a_restore_restore(kind: ServerKind, lines: list[str], state: str, tmp_path: Path) -> None:
    """As they stand, but for the server's client; they are run in the state that the server left."""
    directory = tmp_path / "the data"
    directory.mkdir()
    backup = tmp_path / "backup"
    backup.mkdir()
    known = [line for line in lines if kind.version >= (7,) or "appenddirname" not in line]
    options = [word for line in known for word in f"--{line}".split()]
    with running(kind, backup) as server:
        server.send(*[("SET", f"k{i}", i) for i in range(100)])
        server.execute("SAVE")
        digest = server.digest()
    if state == "full":
        with running(kind, directory, *options) as server:
            server.execute("SET", "old", "1")
            server.execute("SAVE")
    else:
        name = "my.rdb" if "dbfilename my.rdb" in lines else "dump.rdb"
        shutil.copy(backup / "dump.rdb", directory / name)
    config = configured(tmp_path / "redis.conf", *lines)
    judgement = judged(directory, config)
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "redis-cli").write_text(SHIM)
    (shims / "rdbtool").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rdbtool "$@"\n')
    program_on_path(kind, shims)
    for shim in shims.iterdir():
        shim.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{shims}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    restored = "\n".join(judgement.steps[:-1]).replace(PLACEHOLDER, str(backup / "dump.rdb"))
    run = subprocess.run(["bash", "-ec", restored], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    with running(kind, directory, *options) as server:
        assert server.digest() == digest
        assert server.execute("DBSIZE") == 100


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_backup_that_may_not_be_looked_into_is_not_passed_over(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for name in ("appendonlydir-1", "lost+found"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "appendonlydir-1.json").write_text("{}")
    (tmp_path / "x.rdb").write_bytes(SNAPSHOT.read_bytes())
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.chdir(tmp_path)
            list(verify_all(".", lambda _: NOTHING))  # imports what the other user may not read
            os.setuid(65534)
            found = {Path(one.subject).name: one.verdict for one in verify_all(".", lambda _: NOTHING)}
            code = 0 if found == {"appendonlydir-1": "unknown", "x.rdb": "met"} else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
