"""Commands that are kept as they are: the snapshot and they amount to what the log amounts to."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rdbtool.aof.names import CommandNames
from rdbtool.errors import UnsupportedError
from rdbtool.inputs.replaying import replay
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import Server
from rdbtool.outputs.options import OutputOptions
from rdbtool.tasks.convert import convert
from rdbtool.tasks.digest import digest
from rdbtool.tasks.rewrite import rewrite
from tests.aof.craft import command

REAL = Server(CommandNames.parse((), ("M.SADD=SADD", "M.UNION=SUNIONSTORE", "MYSET=SET", "MYFLUSH=FLUSHALL")))
KEYS = [f"k{i}" for i in range(12)]


def any_command(rng: random.Random, weird: float) -> bytes:
    a, b, c = rng.sample(KEYS, 3)
    if rng.random() < weird:
        return rng.choice([command("MYSET", a, "1"), command("MYFLUSH")])
    return rng.choice(
        [
            command("SELECT", str(rng.randrange(2))),
            command("M.SADD", a, str(rng.randrange(9))),
            command("M.UNION", a, b, c),
            command("SADD", a, str(rng.randrange(9))),
            command("SREM", a, str(rng.randrange(9))),
            command("DEL", a, b),
            command("RENAME", a, b),
            command("COPY", a, b, "REPLACE"),
            command("MOVE", a, "1"),
            command("SINTERSTORE", a, b, c),
            command("PEXPIREAT", a, "4000000000000"),
            command("PERSIST", a),
            command("SET", a, "x"),
            command("RPUSH", a, "1"),
            command("MULTI") + command("SADD", b, "2") + command("M.SADD", c, "3") + command("EXEC"),
            *[command("FLUSHDB"), command("SWAPDB", "0", "1")][: rng.random() < 0.05],
        ]
    )


@pytest.mark.parametrize("seed", range(30))
def test_what_is_carried_amounts_to_the_log(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    weird = rng.choice([0, 0, 0.02])
    path = tmp_path / "a.aof"
    path.write_bytes(b"".join(any_command(rng, weird) for _ in range(rng.choice([10, 40, 200]))))
    truth = digest(str(path), server=REAL).digest
    for form in ("set", "b.aof"):
        rewrite(str(path), str(tmp_path / form), unknown="carry")
        assert digest(str(tmp_path / form), server=REAL).digest == truth


def test_what_does_not_touch_the_same_keys_is_in_the_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    path.write_bytes(
        command("JSON.SET", "doc", "$", "{}")
        + command("SET", "a", "1")
        + command("DEL", "doc")
        + command("SET", "b", "2")
    )
    replayed = replay(str(path), unknown="carry")
    assert [c.args[0] for c in replayed.replay.carried] == [b"JSON.SET", b"DEL"]
    assert [key for _, key, _ in replayed.dataset.items()] == [b"a", b"b"]
    assert replayed.findings.counts == {"unknown-command": 1, "carried": 1}


def test_scripts_go_along_where_everything_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
    path.write_bytes(command("SCRIPT", "LOAD", "return 1") + command("X") + command("EVALSHA", sha, "0"))
    carried = [c.args for c in replay(str(path), unknown="carry").replay.carried]
    assert carried == [[b"SCRIPT", b"LOAD", b"return 1"], [b"X"], [b"EVALSHA", sha.encode(), b"0"]]


def test_an_output_that_cannot_hold_commands_is_refused_where_later_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    path.write_bytes(command("SET", "a", "1") + command("JSON.SET", "doc", "$", "a") + command("DEL", "a"))
    with pytest.raises(UnsupportedError, match="cannot hold commands"):
        convert([str(path)], str(tmp_path / "b.rdb"), OutputOptions("rdb"), unknown="carry")
    assert not (tmp_path / "b.rdb").exists()


def test_no_keys_are_chosen_beside_what_is_carried(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    path.write_bytes(command("SET", "a", "1") + command("JSON.SET", "doc", "$", "a"))
    chosen = Selection()
    chosen.keys = [b"doc*"]
    with pytest.raises(UnsupportedError, match="not known"):
        convert([str(path)], str(tmp_path / "b.aof"), OutputOptions("aof"), chosen, unknown="carry")
    with pytest.raises(UnsupportedError, match="not known"):
        rewrite(str(path), str(tmp_path / "b.aof"), selection=chosen, unknown="carry")
