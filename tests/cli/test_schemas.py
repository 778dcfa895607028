"""What is printed as JSON is what the schemas say, all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from rdbtool.cli.app import COMMANDS
from rdbtool.cli.schemas import SCHEMAS, schema_of
from tests.cli.running import run
from tests.cli.validating import holds, refused
from tests.rdb import craft
from tests.servers.harness import SERVERS, ServerKind, program

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
RDB = FIXTURES / "rdb"
AOF = FIXTURES / "aof"
SNAPSHOTS = [RDB / name / "small-plain.rdb" for name in ("redis-2.4.18", "redis-7.4.1", "redis-8.6.3", "valkey-9.1.2")]
LOGS = sorted(path for path in AOF.iterdir() if path.suffix != ".json")
NEWEST = RDB / "redis-7.4.1" / "small-plain.rdb"


def inputs(tmp_path: Path) -> Iterator[Path]:
    """Good and bad ones."""
    yield from SNAPSHOTS
    whole = NEWEST.read_bytes()
    bad = {
        "empty": b"",
        "random": bytes(range(256)) * 20,
        "cut.rdb": whole[: len(whole) // 2],
        "checksum.rdb": whole[:-1] + bytes([whole[-1] ^ 1]),
        "twice.rdb": craft.rdb(*[craft.record(0, b"\x1b[31m", craft.string(b"1"))] * 2),
        "damaged.rdb": craft.rdb(craft.record(16, b"bad", craft.string(b"rubbish"))),
    }
    for name, data in bad.items():
        path = tmp_path / name
        path.write_bytes(data)
        yield path
    yield tmp_path / "missing"


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one_and_is_printed(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(name))
    shown = run("schema", name)
    assert shown.returncode == 0
    assert json.loads(shown.stdout) == schema_of(name)


def test_all_are_listed_and_an_unknown_one_is_refused() -> None:
    shown = run("schema")
    assert shown.returncode == 0
    assert [line.split()[0] for line in shown.stdout.splitlines()] == list(SCHEMAS)
    assert run("schema", "nothing").returncode == 2


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in {"report", "schema"}])
def test_every_command_has_a_schema(command: str) -> None:
    assert command in SCHEMAS


def test_a_field_that_no_schema_has_is_refused() -> None:
    document = json.loads(run("check-rdb", NEWEST, "--format", "json").stdout)
    assert not refused("check-rdb", document)
    document["files"][0]["new"] = 1
    assert refused("check-rdb", document)


@pytest.mark.parametrize("release", ["", "redis-6.2", "valkey-9.1"])
def test_check_rdb(release: str, tmp_path: Path) -> None:
    options = ["--for", release] if release else []
    holds("check-rdb", run("check-rdb", "--format", "json", *options, *inputs(tmp_path)).stdout)


def test_check_aof(tmp_path: Path) -> None:
    shown = run("check-aof", "--format", "json", "--history", *LOGS, *inputs(tmp_path))
    holds("check-aof", shown.stdout)
    holds("check-aof", run("check-aof", "--format", "json", AOF / "truncated.aof", "-o", tmp_path / "whole.aof").stdout)
    damaged = tmp_path / "damaged.aof"
    set_a = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
    damaged.write_bytes(set_a + b"rubbish\r\n" + set_a)
    holds("check-aof", run("check-aof", "--format", "json", "--fix", "--yes", "--salvage", damaged).stdout)


@pytest.mark.parametrize("options", [["--keys"], ["--limit", "3", "--key", "*"]])
def test_digest(options: list[str], tmp_path: Path) -> None:
    holds("digest", run("digest", "--format", "json", *options, *LOGS, *inputs(tmp_path)).stdout)


def test_verify(tmp_path: Path) -> None:
    options = ["--max-age", "1h", "--min-keys", "20", "--expect-key", "*a*", "--for", "redis-7.2", "--digest", "0" * 40]
    holds("verify", run("verify", "--format", "json", *options, *LOGS, *inputs(tmp_path)).stdout)
    directory = tmp_path / "server"
    directory.mkdir()
    (directory / "dump.rdb").write_bytes(NEWEST.read_bytes())
    conf = tmp_path / "redis.conf"
    for text in ("", "appendonly yes"):
        conf.write_text(text)
        holds("verify", run("verify", "--format", "json", "--conf", conf, directory).stdout)


@pytest.mark.parametrize("kind", SERVERS[:1], ids=lambda k: k.name)
def test_verify_boot(kind: ServerKind, tmp_path: Path) -> None:
    shown = run(
        "verify", "--format", "json", "--boot", program(kind), *LOGS, *SNAPSHOTS, NEWEST.parent, tmp_path / "missing"
    )
    holds("verify", shown.stdout)
    assert '"boot": {' in shown.stdout


@pytest.mark.parametrize("ending", [".rdb", ".aof", ".csv", ".jsonl.gz"])
def test_convert(ending: str, tmp_path: Path) -> None:
    for i, path in enumerate([*LOGS, *inputs(tmp_path)]):
        shown = run("convert", path, tmp_path / f"{i}{ending}", "--keep-going", "--format", "json")
        if shown.returncode != 2:
            holds("convert", shown.stdout)


def test_rewrite(tmp_path: Path) -> None:
    for i, path in enumerate(LOGS):
        shown = run("rewrite", path, "-o", tmp_path / str(i), "--format", "json", "--key", "*a*")
        if shown.stdout:
            holds("rewrite", shown.stdout)
    compact = tmp_path / str(LOGS.index(AOF / "multi-rdb"))
    holds("rewrite", run("rewrite", compact, "--in-place", "--format", "json").stdout)


@pytest.mark.parametrize("detail", [[], ["--values", "--detail", "--with-eviction", "--encodings"]])
def test_diff(detail: list[str]) -> None:
    for left, right in zip(SNAPSHOTS, [*SNAPSHOTS[1:], SNAPSHOTS[0]], strict=True):
        holds("diff", run("diff", left, right, "--format", "json", *detail).stdout)
        holds("diff-line", run("diff", left, right, "--format", "jsonl", *detail).stdout, lines=True)


def test_dump(tmp_path: Path) -> None:
    for path in [*LOGS, *inputs(tmp_path)]:
        for options in ([], ["--header"], ["--no-values"]):
            holds("dump", run("dump", path, "--format", "jsonl", *options).stdout, lines=True)
        shown = run("dump", path, "--format", "json").stdout
        if shown:
            holds("dump-json", shown)


def test_the_header_of_json_lines_has_the_number() -> None:
    shown = run("convert", NEWEST, "-", "--to", "jsonl")
    holds("dump", shown.stdout, lines=True)
    assert json.loads(shown.stdout.splitlines()[0])["schema"] == 1
    assert run("dump", NEWEST, "--format", "jsonl", "--header").stdout == shown.stdout


def test_history() -> None:
    told = 0
    for path in LOGS:
        shown = run("history", path, "--key", "*", "--format", "json").stdout
        holds("history", shown, lines=True)
        told += shown.count('{"schema": 1, ')
        for options in ([], ["--no-replay"]):
            shown = run("history", path, "--stats", "--format", "json", *options).stdout
            if shown:
                holds("history-stats", shown)
    assert told > 100


def test_info(tmp_path: Path) -> None:
    told = [*LOGS, *inputs(tmp_path)]
    for path in told:
        holds("info", run("info", path, "--format", "json").stdout)
    shown = run("info", *told, "--format", "json")
    holds("info", shown.stdout)
    assert json.loads(shown.stdout)["sum"]["keys"] > 500


def test_memory(tmp_path: Path) -> None:
    for path in [*LOGS, *inputs(tmp_path)]:
        for options in ([], ["--slots", "--patterns", "--by", "elements"], ["--prefix-sep", ""]):
            shown = run("memory", path, "--format", "json", *options)
            if shown.returncode != 2:
                holds("memory", shown.stdout)
        holds("memory-line", run("memory", path, "--format", "jsonl").stdout, lines=True)


def test_diff_memory() -> None:
    for left, right in zip(SNAPSHOTS, [*SNAPSHOTS[1:], SNAPSHOTS[0]], strict=True):
        holds("diff-memory", run("diff", left, right, "--memory", "--format", "json").stdout)


@pytest.mark.parametrize("options", [["--format", "jsonl"], ["--format", "jsonl", "--no-values"], ["--format", "json"]])
def test_the_first_record_of_a_dump_has_the_number(options: list[str]) -> None:
    for path in (NEWEST, AOF / "multi-rdb"):
        text = run("dump", path, *options).stdout
        records = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
        assert [record.get("schema") for record in records] == [1] + [None] * (len(records) - 1)


def test_records_of_another_schema_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    for number, code in (1, 0), (2, 1):
        path.write_text(f'{{"schema":{number},"db":0,"key":"k","type":"string","value":"v"}}\n')
        assert run("dump", path).returncode == code
