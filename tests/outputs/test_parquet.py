"""Parquet, read back by pyarrow: rows per key agree with `memory`, rows per element with CSV."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from rdbtool.basics.text import AUTO, to_text
from rdbtool.outputs.columns import Doubles, Integers, Repeated, Strings
from rdbtool.servers.slots import hash_slot
from tests.cli.running import run
from tests.rdb import craft
from tests.rdb.corpus import FIXTURES, name_of, written_files

FILES = [
    path
    for path in written_files()
    if FIXTURES in path.parents and path.stat().st_size < 1 << 18 and "4.0-rc1" not in str(path)
]
NEWEST = FIXTURES / "redis-7.4.1" / "small-plain.rdb"


def rows_of(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.ParquetFile(path).read().to_pylist()
    return rows


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_rows_per_key_are_what_memory_says(path: Path, tmp_path: Path) -> None:
    output = tmp_path / "keys.parquet"
    assert run("dump", path, "-o", output).returncode in {0, 1}
    measured = run("memory", path, "--format", "jsonl").output.splitlines()
    if not output.exists():
        assert "error" in run("dump", path, "-o", output).stderr
        return
    rows = rows_of(output)
    assert len(rows) == len(measured)
    for row, line in zip(rows, measured, strict=True):
        said = json.loads(line)
        assert (row["db"], row["key"], row["type"], row["encoding"]) == tuple(
            said[name] for name in ("db", "key", "type", "encoding")
        )
        assert (row["bytes"], row["memory"], row["elements"]) == (said["size"], said["bytes"], said["elements"])
        for name in ("expire_at_ms", "idle_s", "freq"):
            assert row[name] == said.get(name)
        assert to_text(row["key_bytes"], AUTO).decode() == row["key"]
        assert row["slot"] == hash_slot(row["key_bytes"])
        head, colon, _ = row["key_bytes"].partition(b":")
        assert row["prefix"] == (to_text(head + colon, AUTO).decode() if colon else None)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_rows_per_element_are_those_of_csv(path: Path, tmp_path: Path) -> None:
    output = tmp_path / "elements.parquet"
    done, text = run("dump", path, "--values", "-o", output), run("dump", path, "-f", "csv")
    if not output.exists():
        assert text.returncode == done.returncode == 1
        return
    assert done.returncode == text.returncode
    assert [line for line in done.stderr.splitlines() if "loss" in line] == [
        line for line in text.stderr.splitlines() if "loss" in line
    ]
    rows = rows_of(output)
    lines = list(csv.DictReader(io.StringIO(text.stdout, newline="")))
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        assert (str(row["db"]), row["key"], row["type"]) == (line["db"], line["key"], line["type"])
        places = [row["index"], row["entry_id"], row["path"]]
        assert next((str(place) for place in places if place is not None), "") == line["position"]
        assert (row["field"] or "") == line["field"]
        if row["score"] is not None:
            assert row["score"] == float(line["value"])
        else:
            assert row["value"] == line["value"]
        for name, text_name in (("expire_at_ms", "expire_at_ms"), ("field_expire_at_ms", "field_expire_at_ms")):
            assert ("" if row[name] is None else str(row[name])) == line[text_name]
        for name in ("field", "value"):
            data = row[f"{name}_bytes"]
            assert data is None or row["type"].startswith("module") or to_text(data, AUTO).decode() == row[name]


def test_decoded_keys_get_rows_too(tmp_path: Path) -> None:
    output = tmp_path / "x.parquet"
    assert run("dump", "-", "-f", "parquet", "-o", output, stdin=b"RPUSH l:1 a b\nSET n 12 PX 100000\n").returncode == 0
    rows = {row["key"]: row for row in rows_of(output)}
    assert (rows["l:1"]["elements"], rows["l:1"]["type"], rows["l:1"]["prefix"]) == (2, "list", "l:")
    assert rows["n"]["encoding"] == "int"
    assert rows["n"]["expire_at_ms"] > 0


def test_it_goes_to_standard_output_and_says_who_wrote_the_input() -> None:
    done = run("dump", NEWEST, "-f", "parquet")
    file = parquet.ParquetFile(io.BytesIO(done.output))
    assert file.metadata.num_rows == 115
    assert file.metadata.metadata[b"rdbtool.aux.redis-ver"] == b"7.4.1"
    assert all(not pa.types.is_dictionary(field.type) for field in file.schema_arrow)


@pytest.mark.slow
def test_few_rows_are_in_memory(tmp_path: Path) -> None:
    path, output = tmp_path / "x.rdb", tmp_path / "x.parquet"
    values = [bytes([65 + i]) * 3_000_000 for i in range(20)]
    path.write_bytes(craft.rdb(craft.record(1, b"l", craft.counted(*values)), craft.record(0, b"s", craft.string(b""))))
    assert run("dump", path, "--values", "-o", output).returncode == 0
    file = parquet.ParquetFile(output)
    assert file.num_row_groups > 5
    assert [row["value_bytes"] for row in rows_of(output)] == [*values, b""]
    assert [row["index"] for row in rows_of(output)] == [*range(20), None]


def test_nothing_is_written_of_a_damaged_file_unless_damage_is_left_out(tmp_path: Path) -> None:
    path, output = tmp_path / "x.rdb", tmp_path / "new" / "x.parquet"
    good = craft.record(0, b"a:1", craft.string(b"x")), craft.record(1, b"b", craft.counted(b"y", b"z"))
    bad = craft.record(10, b"bad", craft.string(b"\x0c\0\0\0\2\0\x81a\2\x81b\7\xff"))
    path.write_bytes(craft.rdb(good[0], bad, good[1]))
    cut = tmp_path / "cut.rdb"
    cut.write_bytes(path.read_bytes()[:-12])
    for source, more in ((path, ["--values"]), (cut, ["--values"]), (cut, [])):
        done = run("dump", source, "-f", "parquet", "-o", output, *more)
        assert done.returncode == 1
        assert "nothing was written" in done.stderr
        assert list(tmp_path.rglob("*.parquet")) == []
    for more in ([], ["--values"]):
        done = run("dump", path, "-f", "parquet", "-o", output, "--keep-going", "--force", *more)
        assert done.returncode == 3
        assert sorted({row["key"] for row in rows_of(output)}) == ["a:1", "b"]


def test_without_pyarrow_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = run("dump", NEWEST, "-o", tmp_path / "x.parquet")
    assert done.returncode == 2
    assert done.stderr == "rdbtool: Parquet needs pyarrow: pip install 'rdbtoolkit[parquet]'\n"
    assert not (tmp_path / "x.parquet").exists()


def test_convert_says_which_command_writes_it(tmp_path: Path) -> None:
    done = run("convert", NEWEST, tmp_path / "x.parquet")
    assert done.returncode == 2
    assert "dump --format parquet" in done.stderr


def test_columns_take_back_what_came_since_the_mark() -> None:
    numbers, doubles, texts, names = Integers("n"), Doubles("x"), Strings("s", text=True), Repeated("r", text=False)
    for i in range(21):
        if i in {3, 16}:
            for column in (numbers, doubles, texts, names):
                column.mark()
        numbers.add_known(-1 if i % 5 == 0 else i)
        doubles.add_none() if i % 2 else doubles.add(i / 2)
        texts.add_none() if i % 7 == 0 else texts.add(b"%d" % i)
        names.add(b"one" if i < 5 else b"two")
    for column in (numbers, doubles, texts, names):
        column.take_back()
    assert numbers.array(pa).to_pylist() == [None if i % 5 == 0 else i for i in range(16)]
    assert doubles.array(pa).to_pylist() == [None if i % 2 else i / 2 for i in range(16)]
    assert texts.array(pa).to_pylist() == [None if i % 7 == 0 else str(i) for i in range(16)]
    assert names.array(pa).to_pylist() == [b"one"] * 5 + [b"two"] * 11
    names.add(b"three")
    names.take_back()
    assert names.array(pa).to_pylist() == []
