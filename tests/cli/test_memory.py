"""`memory` and `diff --memory` as users see them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

import rdbtool
from tests.cli.running import run
from tests.rdb import craft

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
WHOLE = FIXTURES / "rdb" / "redis-7.4.1" / "small-plain.rdb"
LOG = FIXTURES / "aof" / "preamble+tail.aof"
HOSTILE = b'\x1b[31m</script>\n,"=1+1:x'


def text(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "commands"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def rows_of(shown: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(shown, newline="")))


def test_a_screen_tells_sums_by_type_prefix_and_expiry_and_the_largest_keys() -> None:
    shown = run("memory", WHOLE, "--top", "3")
    assert shown.returncode == 0
    assert shown.stderr == ""
    head, *lines = shown.stdout.splitlines()
    assert "in 115 keys on redis-7.4 (jemalloc)" in head
    for title in ("by type", "by encoding", "by database", "by prefix", "by expiry", "largest keys"):
        assert title in lines
    assert len(lines) - lines.index("largest keys") == 5
    assert "PARTIAL" not in shown.stdout


def test_sums_add_up_however_they_are_cut() -> None:
    facts = json.loads(run("memory", WHOLE, "--format", "json", "--slots", "--top", "1000").stdout)
    total = facts["total"]["bytes"]
    for name in ("types", "encodings", "databases"):
        assert sum(tally["bytes"] for tally in facts[name].values()) == total
    for name in ("expiries", "slots", "key_bytes", "key_elements"):
        assert sum(row["bytes"] for row in facts[name]) == total
        assert sum(row["keys"] for row in facts[name]) == 115
    assert facts["prefixes"]["bytes"] == total
    assert sum(key["bytes"] for key in facts["top"]) == total
    rows = [json.loads(line) for line in run("memory", WHOLE, "--format", "jsonl").stdout.splitlines()]
    assert sum(row["bytes"] for row in rows) == total


def test_csv_has_the_columns_of_redis_rdb_tools(tmp_path: Path) -> None:
    path = text(tmp_path, "SET a hello", "PEXPIREAT a 4102444800123", "RPUSH l 1 22 333", "HSET h f value g w")
    shown = run("memory", path, "--format", "csv", "--for", "redis-6.2")
    assert shown.returncode == 0
    first, *_ = shown.stdout.splitlines()
    assert first == "database,type,key,size_in_bytes,encoding,num_elements,len_largest_element,expiry"
    rows = {row["key"]: row for row in rows_of(shown.stdout)}
    assert rows["a"]["expiry"] == "2100-01-01T00:00:00.123000"
    assert (rows["a"]["encoding"], rows["a"]["num_elements"], rows["a"]["len_largest_element"]) == ("embstr", "5", "5")
    assert (rows["l"]["num_elements"], rows["l"]["len_largest_element"], rows["l"]["expiry"]) == ("3", "3", "")
    assert (rows["h"]["encoding"], rows["h"]["num_elements"], rows["h"]["len_largest_element"]) == ("ziplist", "2", "5")


def test_lines_of_single_keys_are_all_of_them_or_the_first(tmp_path: Path) -> None:
    assert len(rows_of(run("memory", WHOLE, "--format", "csv").stdout)) == 115
    first = rows_of(run("memory", WHOLE, "--format", "csv", "--top", "2", "--by", "elements").stdout)
    assert [row["num_elements"] for row in first] == ["42", "24"]


def test_the_release_changes_the_figures() -> None:
    told = {
        release: json.loads(run("memory", WHOLE, "--format", "json", "--for", release).stdout)["total"]["bytes"]
        for release in ("redis-6.2", "redis-7.0", "redis-7.2", "valkey-8.0", "valkey-9.1")
    }
    assert len(set(told.values())) == len(told)
    assert told["valkey-9.1"] < told["redis-6.2"]
    assert run("memory", WHOLE, "--for", "redis-x").returncode == 2
    assert run("memory", WHOLE, "--allocator", "x").returncode == 2


def test_filters_choose_the_keys() -> None:
    shown = json.loads(run("memory", WHOLE, "--format", "json", "--key", "str:*", "--db", "0", "--limit", "7").stdout)
    assert shown["total"]["keys"] == 7
    assert set(shown["types"]) == {"string"}
    assert "no key matches" in run("memory", WHOLE, "--key", "^str.*$").stderr


def test_prefixes_are_bounded_and_patterns_fold_ids(tmp_path: Path) -> None:
    path = text(tmp_path, *(f"SET user:{i}:name x" for i in range(200)), *(f"SET k{i} y" for i in range(5)))
    facts = json.loads(run("memory", path, "--format", "json", "--max-prefixes", "5").stdout)["prefixes"]
    assert facts["keys"] == 205
    (user,) = facts["prefixes"]
    assert (user["prefix"], user["keys"], user["other_keys"]) == ("user:", 200, 200)
    shown = run("memory", path, "--patterns", "--depth", "3").stdout
    assert "by pattern" in shown
    assert "user:{n}:name" in shown
    assert "k{n}" in shown
    assert "by prefix" not in run("memory", path, "--prefix-sep", "").stdout


def test_hot_and_cold_keys_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "used.rdb"
    records = [b"\xf9" + bytes((n,)) + craft.record(0, b"k%d" % n, craft.string(b"v")) for n in (3, 200, 77)]
    records += [b"\xf8" + craft.encode_length(n) + craft.record(0, b"i%d" % n, craft.string(b"v")) for n in (10, 5000)]
    path.write_bytes(craft.rdb(*records))
    hot = json.loads(run("memory", path, "--by", "freq", "--format", "json").stdout)["top"]
    assert [key["key"] for key in hot] == ["k200", "k77", "k3"]
    cold = run("memory", path, "--by", "idle").stdout
    assert cold.index("i5000") < cold.index("i10")
    assert "keys not used for longest" in cold


def test_a_damaged_file_is_partial_on_every_screen_and_exits_with_1(tmp_path: Path) -> None:
    path = tmp_path / "cut.rdb"
    path.write_bytes(WHOLE.read_bytes()[:6000])
    shown = run("memory", path)
    assert shown.returncode == 1
    assert shown.stdout.startswith("PARTIAL: only what could be read")
    titles = [line for line in shown.stdout.splitlines() if line.startswith(("by ", "largest"))]
    assert titles
    assert all(title.endswith("(partial)") for title in titles)
    assert "truncated" in shown.stderr
    facts = json.loads(run("memory", path, "--format", "json").stdout)
    assert facts["partial"]
    assert 0 < facts["total"]["keys"] < 115
    lines = run("memory", path, "--format", "csv")
    assert lines.returncode == 1
    assert len(rows_of(lines.stdout)) == facts["total"]["keys"]
    assert f"PARTIAL: only what could be read of {path} is counted" in lines.stderr


@pytest.mark.parametrize("name", ["c01-star-to-x.aof", "cut-01463.aof"])
def test_a_damaged_log_is_counted_up_to_there(name: str) -> None:
    shown = run("memory", FIXTURES / "aof" / "damaged" / name)
    assert shown.returncode == 1
    assert shown.stdout.startswith("PARTIAL")
    assert " in 0 keys" not in shown.stdout


def test_a_log_is_replayed_first_and_that_is_said() -> None:
    shown = run("memory", LOG)
    assert shown.returncode == 0
    assert "replayed first" in shown.stderr
    assert "MiB of memory" in shown.stderr
    replayed = json.loads(run("memory", LOG, "--format", "json").stdout)["total"]["keys"]
    assert replayed == len(run("dump", LOG, "--keys-only").stdout.splitlines())


def test_several_files_are_a_table_and_a_sum() -> None:
    shown = run("memory", WHOLE, LOG)
    assert "by file" in shown.stdout
    facts = json.loads(run("memory", WHOLE, LOG, "--format", "json").stdout)
    assert sum(file["keys"] for file in facts["files"]) == facts["total"]["keys"]
    assert sum(file["tables"] for file in facts["files"]) == facts["tables"]
    assert [file["release"] for file in facts["files"]] == ["redis-7.4", "redis-6.0"]


def test_no_name_drives_a_terminal_or_breaks_a_line(tmp_path: Path) -> None:
    path = tmp_path / "hostile.rdb"
    path.write_bytes(craft.rdb(craft.record(0, HOSTILE, craft.string(b"v" * 100))))
    for options in ([], ["--format", "json"], ["--format", "jsonl"], ["--patterns"]):
        shown = run("memory", path, *options)
        assert shown.returncode == 0
        assert b"\x1b" not in shown.output
    shown = run("memory", path, "--format", "csv", "--csv-safe")
    assert len(rows_of(shown.stdout)) == 1
    assert run("memory", path, "--csv-safe").returncode == 2


def test_compressed_or_from_standard_input_it_takes_what_the_file_takes(tmp_path: Path) -> None:
    empty = tmp_path / "empty.rdb"
    empty.write_bytes(craft.rdb())
    for source in (WHOLE, LOG, empty):
        path = tmp_path / f"{source.name}.gz"
        path.write_bytes(gzip.compress(source.read_bytes()))
        plain, *others = [
            json.loads(done.stdout)
            for done in (
                run("memory", source, "--format", "json"),
                run("memory", path, "--format", "json"),
                run("memory", "-", "--format", "json", stdin=source.read_bytes()),
                run("memory", "-", "--format", "json", stdin=path.read_bytes()),
            )
        ]
        for other in others:
            assert (other["total"], other["partial"]) == (plain["total"], False)
    path.write_bytes(gzip.compress(b"rubbish"))
    assert "neither an RDB" in run("memory", path).stderr


def test_of_what_is_damaged_it_takes_what_stands_behind_too_but_copies_nothing_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    records = [craft.record(0, b"key:%d" % n, craft.string(b"value")) for n in range(60)]
    damaged = craft.rdb(*records[:30], b"\xf0garbage", *records[30:])
    path = tmp_path / "x.rdb"
    path.write_bytes(damaged)
    shown = run("memory", path, "--format", "json")
    assert shown.returncode == 1
    assert json.loads(shown.stdout)["total"]["keys"] >= 59  # the one beside the damage may be lost
    packed = tmp_path / "x.rdb.gz"
    packed.write_bytes(gzip.compress(damaged))
    for shown in (run("memory", packed, "--format", "json"), run("memory", "-", "--format", "json", stdin=damaged)):
        document = json.loads(shown.stdout)
        assert (shown.returncode, document["total"]["keys"], document["partial"]) == (1, 30, True)


@pytest.mark.parametrize(("data", "code"), [(b"", 1), (b"rubbish" * 100, 1), (b"REDIS0099", 2)])
def test_what_is_no_snapshot_is_told(tmp_path: Path, data: bytes, code: int) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(data)
    shown = run("memory", path)
    assert shown.returncode == code
    assert shown.stderr
    assert run("memory", tmp_path / "missing").returncode == 2


def test_diff_tells_which_prefixes_grew(tmp_path: Path) -> None:
    before, after = tmp_path / "before.txt", tmp_path / "after.txt"
    before.write_text("SET user:1 x\nSET cart:1 y\nSET gone:1 z\n")
    after.write_text("SET user:1 x\nSET user:2 xx\nSET cart:1 y\n" + f"SET cart:2 {'y' * 5000}\n")
    shown = run("diff", before, after, "--memory")
    assert shown.returncode == 1
    names = [line.split()[0] for line in shown.stdout.splitlines() if ":" in line and "txt" not in line]
    assert names[0] == "cart:"
    assert sorted(names) == ["cart:", "gone:", "user:"]
    facts = json.loads(run("diff", before, after, "--memory", "--format", "json").stdout)
    assert {row["prefix"]: row["keys"] for row in facts["prefixes"]} == {
        "cart:": [1, 2],
        "user:": [1, 2],
        "gone:": [1, 0],
    }
    assert facts["total"]["grown"] == sum(row["grown"] for row in facts["prefixes"])
    assert run("diff", before, before, "--memory").returncode == 0
    assert run("diff", before, after, "--memory", "--format", "resp").returncode == 2


def test_that_no_key_has_a_frequency_is_said() -> None:
    assert "maxmemory-policy of LFU" in run("memory", WHOLE, "--by", "freq").stderr
    assert "maxmemory-policy of LRU" in run("memory", WHOLE, "--by", "idle").stderr


def test_it_is_a_library_too() -> None:
    report = rdbtool.memory([str(WHOLE)])
    assert report.contents.total.keys == 115
    assert rdbtool.info(str(WHOLE)).contents.total.bytes == report.contents.total.bytes
