"""What a history tells, against the state before and after each command."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rdbtool.analysis.traffic import KEPT, Hottest, Timeline
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replay.key_history import Touch
from rdbtool.engine.replay.replay import Replay
from rdbtool.errors import UsageError
from rdbtool.tasks.history import history
from rdbtool.tasks.stats import stats
from tests.aof.craft import command
from tests.engine.digests import digest_of_cell
from tests.servers.harness import SERVERS, running
from tests.servers.workload import OPTIONS, log_of, run, script

Told = tuple[int, str, str]


def told(tmp_path: Path, text: str, *keys: str, db: int = -1) -> list[Told]:
    """Database, key and effect, with the other end of it, of every command in ``text``."""
    path = tmp_path / "commands.txt"
    path.write_text(text)
    found: list[Told] = []

    def show(touch: Touch) -> None:
        other = "" if touch.other_key is None else f" {touch.other_key.decode()}"
        other += "" if touch.other_db < 0 else f" db{touch.other_db}"
        found.append((touch.db, touch.key.decode(), touch.effect + other))

    report = history(str(path), [key.encode() for key in keys], show, db=db, source="commands")
    assert report.touches == len(found)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SET k 1\nSET k 2\nDEL k\nDEL k", ["created", "changed", "deleted", "nothing"]),
        ("SET k 1\nLPUSH k 1", ["created", "error"]),
        ("MSET x 1 k 2", ["created"]),
        ("SADD k a\nSREM k b\nSREM k a", ["created", "nothing", "deleted"]),
        ("SET k 1\nFLUSHALL\nFLUSHALL", ["created", "deleted"]),
        ("SET k 1\nSELECT 1\nFLUSHDB\nSELECT 0\nFLUSHDB", ["created", "deleted"]),
        ("SET k 1\nRENAME k j\nRENAME j k", ["created", "renamed-to j", "renamed-from j"]),
        ("SET k 1\nRENAME k k", ["created", "nothing"]),
        ("SET k 1\nSET j 1\nRENAME j k", ["created", "renamed-from j"]),
        ("SET k 1\nSET j 1\nRENAMENX j k", ["created", "nothing"]),
        ("RENAME j k", ["error"]),
        ("SET k 1\nCOPY k j", ["created", "read"]),
        ("SET j 1\nCOPY j k\nCOPY j k", ["copied-from j db0"]),
        ("SET k 1\nSFLUSH 0 7628\nTRIMSLOTS RANGES 1 7629 16383", ["created", "deleted"]),
        ("SET k 1\nCLUSTER FLUSHSLOT 7628\nCLUSTER FLUSHSLOT 7629", ["created", "deleted"]),
        ("GEOADD k 1 1 m\nGEORADIUS k 1 1 5 m STORE j", ["created", "read"]),
        ("GEOADD j 1 1 m\nGEORADIUSBYMEMBER j m 5 m STOREDIST k", ["created"]),
        ("SADD a 1\nSADD k 2\nSUNIONSTORE a k a", ["created", "read"]),
        ("SADD a 1\nSUNIONSTORE k a\nSINTERSTORE k a z", ["created", "deleted"]),
        ("SADD k a\nSADD j a\nSMOVE k j a", ["created", "deleted"]),
        ("SADD k a\nSADD j b a\nSMOVE j k a", ["created", "nothing"]),
        ("RPUSH k a\nRPUSH j b\nLMPOP 2 j k LEFT", ["created", "nothing"]),
        ("RPUSH j 3 1 2\nSORT j STORE k", ["created"]),
        ("SET k 1\nPEXPIREAT k 99999999999999", ["created", "changed"]),
        ("MULTI\nSET k 1\nDEL k\nEXEC", ["created", "deleted"]),
        ("MULTI\nSET k 1", []),
    ],
)
def test_an_effect_is_what_the_command_did(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert [effect for _, _, effect in told(tmp_path, text, "k")] == expected


def test_moves_between_databases_are_told_from_both_ends(tmp_path: Path) -> None:
    text = "SET k 1\nMOVE k 2\nSET k 2\nSWAPDB 0 2\nSELECT 2\nCOPY k k DB 5"
    assert told(tmp_path, text, "k") == [
        (0, "k", "created"),
        (0, "k", "moved-to db2"),
        (2, "k", "moved-from db0"),
        (0, "k", "created"),
        (0, "k", "moved-to db2"),
        (2, "k", "moved-to db0"),
        (0, "k", "moved-from db2"),
        (2, "k", "moved-from db0"),
        (2, "k", "read"),
        (5, "k", "copied-from k db2"),
    ]
    assert [row[2] for row in told(tmp_path, text, "k", db=5)] == ["copied-from k db2"]


def test_globs_and_several_keys(tmp_path: Path) -> None:
    text = "SET user:1 a\nSET user:2 b\nSET other c\nDEL user:1 other\nFLUSHALL"
    assert [row[1:] for row in told(tmp_path, text, "user:*", "other")] == [
        ("user:1", "created"),
        ("user:2", "created"),
        ("other", "created"),
        ("user:1", "deleted"),
        ("other", "deleted"),
        ("user:2", "deleted"),
    ]
    assert [row[1] for row in told(tmp_path, "SET u? 1\nSET ux 1", r"u\?")] == ["u?"]
    with pytest.raises(UsageError):
        told(tmp_path, text)


def test_an_expiry_is_told_from_a_deletion_by_the_clock_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    keys = command("SET", "k", "1", "PXAT", "5000000"), command("SET", "j", "1", "PXAT", "9000000")
    path.write_bytes(b"#TS:4000\r\n" + b"".join(keys) + b"#TS:5001\r\n" + command("DEL", "k") + command("DEL", "j"))
    found: list[Touch] = []
    history(str(path), [b"k", b"j"], found.append)
    assert [(t.key, t.effect, t.time_s) for t in found[2:]] == [(b"k", "expired", 5001), (b"j", "deleted", 5001)]
    assert found[2].offset == path.read_bytes().index(command("DEL", "k"))


def test_scripts_are_judged_by_what_they_did(tmp_path: Path) -> None:
    pytest.importorskip("lupa", reason="the extra lua is not installed")
    text = (
        "SET k 1\nEVAL \"redis.call('set', 'k', '1') redis.call('set', 'm', 2)\" 0\nEVAL \"redis.call('del', 'k')\" 0"
    )
    assert [row[1:] for row in told(tmp_path, text, "k", "m")] == [("k", "created"), ("m", "created"), ("k", "deleted")]


@pytest.mark.server
def test_keys_of_the_base_are_told_first(tmp_path: Path) -> None:
    kind = SERVERS[0]
    with running(kind, tmp_path, *OPTIONS) as server:
        server.execute("HSET", "k", "f", "1")
        run(server, [[b"BGREWRITEAOF"]])
        server.execute("HSET", "k", "f", "2")
        server.execute("DEL", "k")
    found: list[Touch] = []
    history(str(log_of(kind, tmp_path)), [b"k"], found.append)
    assert [(t.effect, t.detail) for t in found] == [("loaded", "hash"), ("changed", ""), ("deleted", "hash")]
    assert found[0].path.endswith(".base.rdb")
    assert found[1].path.endswith(".incr.aof")


def state_of(dataset: Dataset) -> dict[tuple[int, bytes], tuple[str, int]]:
    found = {}
    for db, key, cell in dataset.items():
        found[db, key] = (digest_of_cell(dataset, dataset.decoded(cell)), int(cell.expire_at_ms))
    return found


@pytest.mark.parametrize("kind", SERVERS[:1], ids=lambda kind: kind.name)
def test_a_random_log_changes_no_key_without_being_told(kind: object, tmp_path: Path) -> None:
    """Every difference between two commands is told, and what is told as nothing is no difference."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    with running(SERVERS[0], tmp_path, "--appendonly", "yes") as server:
        commands = [c for c in script(random.Random(seed), SERVERS[0], 600) if c != [b"BGREWRITEAOF"]]
        run(server, commands)
    (log,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    touches: list[Touch] = []
    history(str(log), [b"*"], touches.append)
    by_offset: dict[int, dict[tuple[int, bytes], str]] = {}
    for touch in touches:
        by_offset.setdefault(touch.offset, {})[touch.db, touch.key] = touch.effect
    from rdbtool.aof.resp import Command, CommandReader
    from rdbtool.io.window import window_over

    dataset = Dataset()
    replay = Replay(dataset)
    reader = CommandReader(window_over(log.read_bytes()))
    before = state_of(dataset)
    in_transaction: list[int] = []
    while isinstance(event := reader.next(), Command):
        replay.apply(event.offset, event.args)
        in_transaction.append(int(event.offset))
        if replay.in_transaction:
            continue
        after = state_of(dataset)
        effects: dict[tuple[int, bytes], str] = {}
        for offset in in_transaction:
            effects |= by_offset.get(offset, {})
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        assert changed <= effects.keys(), (event.args, changed, effects)
        if len(in_transaction) == 1:
            for name, effect in effects.items():
                gone, there = name not in after, name in before
                expected = {
                    (False, True): {
                        "changed",
                        "nothing",
                        "read",
                        "error",
                        "moved-to",
                        "moved-from",
                        "renamed-from",
                        "copied-from",
                    },
                    (False, False): {"created", "moved-from", "renamed-from", "copied-from", "moved-to"},
                    (True, True): {"deleted", "expired", "renamed-to", "moved-to"},
                    (True, False): {"nothing", "error", "read"},
                }[gone, there]
                assert effect in expected, (event.args, name, effect)
                if effect in {"nothing", "read", "error"}:
                    assert name not in changed, (event.args, name, effect)
        in_transaction = []
        before = after


def test_stats_count_commands_bytes_errors_keys_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    parts = [
        command("set", "a", "1"),
        command("SET", "a", "2"),
        command("LPUSH", "a", "x"),
        command("XGROUP", "CREATE"),
    ]
    path.write_bytes(b"#TS:100\r\n" + b"".join(parts[:2]) + b"#TS:160\r\n" + b"".join(parts[2:]))
    report = stats(str(path))
    facts = report.as_json()
    sizes = [len(part) for part in parts]
    rows = {row["name"]: row for row in facts["by_name"]}
    assert rows["SET"] == {"name": "SET", "count": 2, "bytes": sum(sizes[:2]), "largest": sizes[0], "errors": 0}
    assert rows["LPUSH"]["errors"] == 1
    assert rows["XGROUP CREATE"]["errors"] == 1
    assert (facts["commands"], facts["bytes"], facts["keys"]) == (4, sum(sizes), 1)
    assert facts["hottest"][0] == {"db": 0, "key": "a", "commands": 3}
    assert facts["over_time"] == [{"time_s": 100, "commands": 2}, {"time_s": 160, "commands": 2}]
    alone = stats(str(path), replaying=False).as_json()
    assert [{**row, "errors": 0} for row in alone["by_name"]] == [{**row, "errors": 0} for row in facts["by_name"]]


def test_the_hottest_keys_are_found_in_bounded_memory() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    hottest = Hottest()
    true = {b"hot%d" % i: 0 for i in range(20)}
    for i in range(200_000):
        if rng.random() < 0.2:
            key = b"hot%d" % (rng.randrange(20) % rng.randrange(1, 21))
            true[key] += 1
        else:
            key = b"cold%d" % i
        hottest.add(0, key)
        assert len(hottest.counts) < 2 * KEPT
    top = hottest.top(5)
    best = sorted(true, key=lambda key: -true[key])[:5]
    assert {key for _, key, _ in top} == set(best)
    for _, key, count in top:
        assert count <= true[key] <= count + hottest.slack


def test_a_timeline_keeps_its_counts_in_few_intervals() -> None:
    line = Timeline()
    for second in range(0, 100_000, 7):
        line.add(second, 1)
    assert sum(line.counts.values()) == len(range(0, 100_000, 7))
    assert len(line.counts) <= 120
    assert all(slot * line.width < 100_000 for slot in line.counts)
