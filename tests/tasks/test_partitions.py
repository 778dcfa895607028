"""What a log amounts to, and what is said of it, is the same by partitions of its keys as by one replay of all."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import rdbtool.tasks.digest_partitions
import rdbtool.tasks.partitions
import rdbtool.tasks.saved_partitions
import rdbtool.tasks.units
from rdbtool.errors import ChangedError, LostWorkerError, RdbToolError
from rdbtool.findings import Report
from rdbtool.inputs.filters import select
from rdbtool.inputs.partitioned import Partitioned, Share
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import Server
from rdbtool.io.output import Output
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.outputs.registry import make_exporter
from rdbtool.servers.commands import COMMANDS, EVERYWHERE, UNSUPPORTED, WRITE
from rdbtool.tasks.convert import convert
from rdbtool.tasks.diff.run import open_diff
from rdbtool.tasks.digest import digest
from rdbtool.tasks.dump import dump
from rdbtool.tasks.rewrite import RewriteForm, rewrite
from rdbtool.tasks.sharing import UNSHARED, Sharing
from rdbtool.tasks.workers import Workers
from tests.aof.craft import command

ROOT = Path(__file__).parents[2]
FIXTURES = sorted(path for path in (ROOT / "fixtures" / "aof").iterdir() if path.suffix != ".json")
SHARED = ROOT.parent / "shared"
CORPUS = sorted(
    path
    for name in ("corpus", "corpus-next")
    for path in (SHARED / name).glob("**/*")
    if path.suffix in {".aof", ".manifest"} and path.is_file()
)
COUNTS = (2, 3, 16)
SEEN_AT = re.compile(r"counted from \d+ ms")


def told_of(report: Report) -> list[dict[str, Any]]:
    """All findings but that there is one partition only. What fails in a transaction fails at its end, a MULTI in it at
    once: by partitions, all comes as it stands.
    """
    findings = [finding.as_json() for finding in report.findings.items if finding.code != "one-partition"]
    for finding in findings:
        finding["message"] = SEEN_AT.sub("", finding["message"])
    return sorted(findings, key=lambda finding: finding.get("offset", 1 << 62))


def digested(path: Path, partitions: int, selection: Selection | None = None, unknown: str = "skip") -> Any:
    try:
        report = digest(path, partitions=partitions, selection=selection, unknown=unknown)
    except RdbToolError as e:
        return type(e), str(e)
    findings = told_of(report)
    counts = {code: n for code, n in report.findings.counts.items() if code != "one-partition"}
    return report.digest, report.keys, report.left_out, report.loss, findings, counts


def rewritten(path: Path, output: Path, sharing: Sharing, form: RewriteForm = RewriteForm()) -> Any:  # noqa: B008
    output.unlink(missing_ok=True)
    try:
        report = rewrite(path, output, unknown="skip", now_ms=1_700_000_000_000, sharing=sharing, form=form)
    except RdbToolError as e:
        assert not output.exists()
        return type(e), str(e).replace(str(output), "")
    told = report.as_json()
    told["findings"] = told_of(report)
    del told["output"], told["files"], told["after"]["bytes"]  # ids of templates may have more digits
    return told, digest(output).digest


COUNT_PARTITIONS = """
import json, sys
import rdbtool.tasks.partitions as partitions
from rdbtool.inputs.server import Server
from rdbtool.tasks.digest import digest
counts = []
run = partitions._run
def noted(*args):
    counts.append(len(args[3]))
    return run(*args)
partitions._run = noted
report = digest(sys.argv[1], server=Server(memory_limit=2 << 20))
codes = [finding.code for finding in report.findings.items]
print(json.dumps({"report": report.as_json(), "partitions": len(counts), "findings": codes}))
"""


def in_new_process(code: str, path: Path) -> dict[str, Any]:
    """What a program prints in a process that has no memory from before, in which a replay would find room."""
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture
def parted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many partitions each replay had."""
    counts: list[int] = []
    original = rdbtool.tasks.partitions._run

    def noted(*args: Any) -> Any:
        counts.append(len(args[3]))
        return original(*args)

    monkeypatch.setattr(rdbtool.tasks.partitions, "_run", noted)
    return counts


def test_the_fixtures_amount_to_the_same(tmp_path: Path, parted: list[int]) -> None:
    for path in FIXTURES:
        for count in COUNTS:
            assert digested(path, count) == digested(path, 0), (path, count)
        whole = rewritten(path, tmp_path / "whole.aof", UNSHARED)
        assert rewritten(path, tmp_path / "parts.aof", Sharing(3)) == whole, path
    assert len([count for count in parted if count > 1]) > len(FIXTURES)


@pytest.mark.skipif(not CORPUS, reason="the corpus lies beside the checkout, where it is")
def test_logs_of_the_corpus_amount_to_the_same(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for path in rng.sample(CORPUS, min(12, len(CORPUS))):
        count = rng.choice(COUNTS)
        assert digested(path, count) == digested(path, 0), (path, count)
        whole = rewritten(path, tmp_path / "whole.aof", UNSHARED)
        assert rewritten(path, tmp_path / "parts.aof", Sharing(count)) == whole, (path, count)


def lines_of(data: bytes, name: str) -> list[str]:
    """Lines in any order. That of the members of a sorted set has no meaning in JSON: they come with their scores."""
    lines = data.decode().splitlines()
    return sorted(json.dumps(json.loads(line), sort_keys=True) if name == "jsonl" else line for line in lines)


def dumped(path: Path, partitions: int, name: str) -> Any:
    options = OutputOptions(name)
    sink = BytesIO()
    try:
        report = dump(str(path), make_exporter(Output(sink), options), unknown="skip", partitions=partitions)
    except RdbToolError as e:
        return type(e), str(e)
    return (
        lines_of(sink.getvalue(), name),
        told_of(report),
        report.keys,
        report.written,
        report.losses,
        report.loss,
    )


@pytest.fixture
def at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_795_000_000 * 10**9)


@pytest.mark.usefixtures("at_one_time")
@pytest.mark.parametrize("name", ["jsonl", "csv"])
def test_a_dump_by_partitions_has_the_same_lines(tmp_path: Path, name: str, parted: list[int]) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for path in FIXTURES:
        assert dumped(path, 3, name) == dumped(path, 0, name), path
    path = tmp_path / "log.aof"
    for _ in range(5):
        path.write_bytes(b"".join(any_command(rng, MANY) for _ in range(300)))
        assert dumped(path, 3, name) == dumped(path, 0, name)
    assert max(parted) > 1


def converted(path: Path, output: Path, name: str, partitions: int) -> Any:
    output.unlink(missing_ok=True)
    options = OutputOptions(name, rdb=RdbOptions("redis-8.0"))
    try:
        report = convert(str(path), output, options=options, unknown="skip", sharing=Sharing(partitions))
    except RdbToolError as e:
        return type(e), str(e).replace(str(output), "")
    return str({**report.as_json(), "findings": told_of(report)}).replace(str(output), "")


@pytest.mark.usefixtures("at_one_time")
def test_what_is_converted_by_partitions_is_the_same(tmp_path: Path, parted: list[int]) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    log = tmp_path / "log.aof"
    log.write_bytes(b"".join(any_command(rng, MANY) for _ in range(400)))
    for path in (*FIXTURES, log):
        for name in ("rdb", "jsonl", "aof"):
            outputs = [tmp_path / f"out{count}.{name}" for count in (0, 3)]
            told = [converted(path, output, name, count) for count, output in zip((0, 3), outputs, strict=True)]
            assert told[0] == told[1], (path, name)
            if not outputs[0].exists():
                continue
            if name == "jsonl":
                whole, parts = [lines_of(output.read_bytes(), name) for output in outputs]
                assert whole == parts, path
            else:
                with open_diff(outputs[0], outputs[1]) as differences:
                    assert [*differences] == [], path
    assert max(parted) > 1
    assert not [name for name in os.listdir(tmp_path) if "tmp" in name]


KEYS = [f"k{i}" for i in range(40)] + [f"{{tag}}{i}" for i in range(5)]

MANY = [f"{key}:{i}" for key in KEYS for i in range(9)]


def any_command(rng: random.Random, keys: list[str]) -> bytes:
    a, b, c = rng.sample(keys, 3)
    n = str(rng.randrange(20))
    plain = [
        ("SET", a, n),
        ("set", a, n, "EX", "100"),
        ("INCRBY", a, n),
        ("APPEND", a, n * 30),
        ("SADD", a, n, c),
        ("SREM", a, n),
        ("RPUSH", a, n, b),
        ("LPOP", a),
        ("HSET", a, b, n),
        ("HPEXPIREAT", a, "4000000000000", "FIELDS", "1", b),
        ("ZADD", a, n, c),
        ("XADD", a, f"{n}-1", "f", n),
        ("PEXPIREAT", a, "4000000000000"),
        ("DEL", a),
        ("DEL", a, b, c),
        ("UNLINK", a, b),
        ("MSET", a, n, b, n, c, n),
        ("MSET", a, n, b),
        ("PING",),
        ("GET",),
        ("PUBLISH", a, b),
        ("SPOP", a),
        ("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() end)"),
        ("MOVE", a, n),
        ("MYSTERY", a, n),
        ("OBJECT", "HELP", a),
    ]
    tying = [
        ("RENAME", a, b),
        ("RENAMENX", a, b),
        ("COPY", a, b, "DB", "1", "REPLACE"),
        ("SMOVE", a, b, n),
        ("LMOVE", a, b, "LEFT", "RIGHT"),
        ("SUNIONSTORE", a, b, c),
        ("ZUNIONSTORE", a, "2", b, c),
        ("SORT", a, "STORE", b),
        ("MSETNX", a, n, b, n),
        ("BITOP", "OR", a, b, c),
        ("PFMERGE", a, b),
    ]
    sweeping = [
        ("FLUSHDB",),
        ("SWAPDB", "0", "1"),
        ("FLUSHALL",),
        ("SELECT", "99"),
        ("SORT", a, "BY", "w_*", "STORE", b),
    ]
    pick = rng.random()
    if pick < 0.7:
        return command(*rng.choice(plain))
    if pick < 0.8:
        return command(*rng.choice(tying))
    if pick < 0.97:
        return command("SELECT", str(rng.randrange(3)))
    if pick < 0.98:
        return command(*rng.choice(sweeping))
    return command(rng.choice(["MULTI", "EXEC"]))


@pytest.mark.parametrize("part", range(6))
def test_any_log_amounts_to_the_same_and_as_much_is_said_of_it(tmp_path: Path, part: int) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}, part {part}")
    rng = random.Random(seed)
    path = tmp_path / "log.aof"
    for _ in range(4):
        keys = KEYS if rng.random() < 0.3 else [f"{key}:{rng.randrange(9)}" for key in KEYS for _ in range(9)]
        log = b"".join(any_command(rng, keys) for _ in range(rng.choice([5, 60, 400])))
        if rng.random() < 0.3:
            log = log[: -rng.randrange(1, 40)]
        path.write_bytes(log)
        selection = rng.choice([None, select(keys=["*1*"]), select(types=["hash", "string"])])
        count = rng.choice(COUNTS)
        for unknown in ("skip", "stop"):
            assert digested(path, count, selection, unknown) == digested(path, 0, selection, unknown)
        form = RewriteForm(to="redis-8.0")
        whole = rewritten(path, tmp_path / "whole.aof", UNSHARED, form)
        assert rewritten(path, tmp_path / "parts.aof", Sharing(count), form) == whole
    assert not [name for name in os.listdir(tmp_path) if "tmp" in name]


def test_keys_that_a_command_names_together_stay_together(tmp_path: Path, parted: list[int]) -> None:
    path = tmp_path / "log.aof"
    log = [command("SET", f"k{i}", str(i)) for i in range(300)]
    path.write_bytes(b"".join(log + [command("RENAME", f"k{i}", f"k{i + 1}") for i in range(299)]))
    assert digested(path, 3) == digested(path, 0)
    assert parted == [1]


def test_what_may_reach_any_key_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.aof"
    path.write_bytes(command("SADD", "a", "1") + command("SORT", "a", "BY", "weight_*", "STORE", "b"))
    (finding,) = digest(path, partitions=2).findings.items
    assert finding.code == "one-partition"
    assert "SORT may reach any key" in finding.message


def test_a_thousand_findings_are_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "log.aof"
    log = [
        command("SELECT", "99") + command("LPUSH", f"k{i % 50}", "1") + command("INCR", f"k{i % 50}")
        for i in range(1500)
    ]
    path.write_bytes(b"".join(log))
    whole, parts = digest(path), digest(path, partitions=3)
    assert whole.findings == parts.findings
    assert parts.findings.counts == {"command-error": 3000}


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_a_limit_of_memory_makes_as_many_partitions_as_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "log.aof"
    path.write_bytes(b"".join(command("SET", f"key:{i}", "x" * 400) for i in range(10_000)))
    limited = in_new_process(COUNT_PARTITIONS, path)
    assert limited["report"] == digest(path).as_json()
    assert limited["partitions"] > 3
    report = rewrite(path, tmp_path / "out.aof", sharing=Sharing(memory=2 << 20, workers=2))
    assert (report.keys, report.findings.items) == (10_000, [])
    assert digest(tmp_path / "out.aof").digest == digest(path).digest


def test_there_may_be_more_partitions_than_files_a_program_has_open(tmp_path: Path) -> None:
    path = tmp_path / "log.aof"
    path.write_bytes(b"".join(command("SET", f"key:{i}", str(i)) for i in range(400)))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, limits[1]))
    try:
        rewrite(path, tmp_path / "out.aof", sharing=Sharing(150))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert digest(tmp_path / "out.aof").digest == digest(path).digest


def test_keys_that_have_to_stay_together_may_take_more_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.aof"
    rng = random.Random(1)
    log = [command("RPUSH", "one", rng.randbytes(4000).hex()) for _ in range(2000)] + [command("SET", "other", "1")]
    path.write_bytes(b"".join(log))
    limited = in_new_process(COUNT_PARTITIONS, path)
    assert limited["report"]["digest"] == digest(path).digest
    assert limited["findings"] == ["memory-limit"]


@pytest.mark.usefixtures("forked")
def test_processes_work_on_partitions_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdbtool.tasks.partitions, "WORTH", 0)
    path = tmp_path / "log.aof"
    path.write_bytes(b"".join(command("HSET", f"key:{i}", "a", str(i)) for i in range(2000)))
    with Workers(2) as executor:
        assert digest(path, executor=executor, workers=2).as_json() == digest(path).as_json()
        rewrite(path, tmp_path / "out.aof", sharing=Sharing(executor=executor, workers=2))
    assert digest(tmp_path / "out.aof").digest == digest(path).digest


def test_progress_is_told_while_partitions_are_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdbtool.tasks.partitions, "WORTH", 0)
    monkeypatch.setattr(rdbtool.tasks.units, "EVERY_S", 0.001)
    path = tmp_path / "log.aof"
    path.write_bytes(b"".join(command("HSET", f"key:{i}", "a", "v" * 500) for i in range(4000)))
    size = path.stat().st_size
    told: list[tuple[int, int]] = []
    with Workers(2) as executor:
        digest(path, executor=executor, workers=2, progress=lambda done, total: told.append((done, total)))
    surveyed = next(i for i, (done, _) in enumerate(told) if done == size) + 1
    replayed = [done for done, total in told[surveyed:] if total == size]
    assert replayed == sorted(replayed)
    assert len({done for done in replayed if 0 < done <= size}) > 1


def dies(_: str, share: Share, options: object) -> None:
    """What a worker does when the system is short of memory."""
    del share, options
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("forked")
def test_a_worker_that_dies_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdbtool.tasks.digest_partitions, "_digest", dies)
    monkeypatch.setattr(rdbtool.tasks.saved_partitions, "_save", dies)
    path = tmp_path / "log.aof"
    path.write_bytes(b"".join(command("SET", f"key:{i}", str(i)) for i in range(3000)))
    with pytest.raises(LostWorkerError):
        digest(path, server=Server(memory_limit=10_000))
    with pytest.raises(LostWorkerError):
        rewrite(path, tmp_path / "out.aof", sharing=Sharing(memory=10_000, workers=2))
    assert os.listdir(tmp_path) == ["log.aof"]


def test_a_log_that_changes_meanwhile_is_refused_and_one_that_grows_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.aof"
    log = b"".join(command("SET", f"key:{i}", str(i)) for i in range(100))
    path.write_bytes(log)
    before = digest(path).digest
    original = Partitioned.sieve

    def grows(found: Partitioned, partition: int, *, first: bool) -> Any:
        with path.open("ab") as stream:
            stream.write(command("SET", "new", "1")[: 9 if first else None])
        return original(found, partition, first=first)

    monkeypatch.setattr(Partitioned, "sieve", grows)
    assert digest(path, partitions=3).digest == before

    def shrinks(found: Partitioned, partition: int, *, first: bool) -> Any:
        path.write_bytes(log[:-5])
        return original(found, partition, first=first)

    path.write_bytes(log)
    monkeypatch.setattr(Partitioned, "sieve", shrinks)
    with pytest.raises(ChangedError):
        digest(path, partitions=3)


def test_every_command_that_changes_keys_without_naming_them_is_for_all_partitions() -> None:
    for name, row in COMMANDS.items():
        if row.flags & WRITE and not row.flags & UNSUPPORTED and row.first == 0 and row.keys_of is None:
            assert row.flags & EVERYWHERE or name.startswith((b"FUNCTION",)), name
