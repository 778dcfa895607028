"""What an input is, told by its first bytes."""

from __future__ import annotations

import ast
import gzip
from pathlib import Path

import pytest

import rdbtool
from rdbtool.aof import detect as first_bytes
from rdbtool.inputs import detect
from rdbtool.inputs.detect import BASE, DIRECTORY, EMPTY, JSON_LINES, LOG, MANIFEST, OTHER, SNAPSHOT, TEXT
from rdbtool.io.window import Window, window_over
from tests.outputs.collected import Pieces
from tests.rdb import craft

PLAIN = craft.rdb(craft.record(0, b"k", craft.string(b"v")))
OF_A_LOG = craft.rdb(magic=b"REDIS0010\xfa" + craft.strings(b"aof-base", b"1"))

CASES = [
    (PLAIN, SNAPSHOT),
    (craft.rdb(magic=b"VALKEY080"), SNAPSHOT),
    (OF_A_LOG, BASE),
    (craft.rdb(magic=b"REDIS0009\xfa" + craft.strings(b"aof-preamble", b"1")), BASE),
    (craft.rdb(magic=b"REDIS0009\xfa" + craft.strings(b"aof-preamble", b"0")), SNAPSHOT),
    (b"REDIS", SNAPSHOT),
    (b"VALKEY", SNAPSHOT),
    (b"REDI", OTHER),
    (b"*1\r\n$4\r\nPING\r\n", LOG),
    (b"#TS:1\r\n*1\r\n$4\r\nPING\r\n", LOG),
    (b"*", LOG),
    (b"*3\r", LOG),
    (b"*3\r\n", LOG),
    (b"*1\n$4\nPING\n", LOG),
    (b"*\x81\r\n$4\r\nPING\r\n", LOG),
    (b"*2\r\n\xa44\r\nECHO\r\n$1\r\na\r\n", LOG),
    (b"*x" + PLAIN, OTHER),
    (b"* a line that somebody has put in front *\n" + PLAIN, OTHER),
    (b"*12 " + PLAIN, OTHER),
    (b'{"db":0}\n', JSON_LINES),
    (b"SET a 1\n", TEXT),
    (b"# what follows\nSET a 1\n", TEXT),
    (b"SET a\n", OTHER),
    (b"HELLO world\n", OTHER),
    (b"file x seq 1 type b\n", OTHER),
    (b"", EMPTY),
    (b"\0\0\0", OTHER),
]


@pytest.mark.parametrize(("data", "kind"), CASES)
def test_the_first_bytes_tell(data: bytes, kind: str, tmp_path: Path) -> None:
    assert detect.kind_at(window_over(data)) == kind
    assert detect.kind_at(Window(Pieces(data, 1), size=-1)) == kind
    path = tmp_path / "x"
    for stored in (data, gzip.compress(data)):
        path.write_bytes(stored)
        with detect.open_detected(str(path)) as opened:
            assert opened.kind == kind
            assert opened.window.take(len(data)) == data


def test_a_directory_and_a_manifest_are_told_by_what_they_are_called(tmp_path: Path) -> None:
    with detect.open_detected(str(tmp_path)) as opened:
        assert (opened.kind, opened.stream) == (DIRECTORY, None)
    path = tmp_path / "appendonly.aof.manifest"
    path.write_bytes(b"")
    with detect.open_detected(str(path)) as opened:
        assert opened.kind == MANIFEST
    assert first_bytes.kind_of(b"file x seq 1 type b\n") == first_bytes.MANIFEST
    assert first_bytes.kind_of(b"", str(path)) == first_bytes.MANIFEST
    assert first_bytes.kind_of(PLAIN, str(path)) == first_bytes.RDB


def test_inputs_do_not_know_outputs() -> None:
    for path in (Path(rdbtool.__file__).parent / "inputs").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("rdbtool.outputs"), path


def test_the_magic_stands_in_few_places() -> None:
    found = set()
    package = Path(rdbtool.__file__).parent
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in {b"REDIS", b"VALKEY"}:
                found.add(str(path.relative_to(package)))
    assert found == {"rdb/opcodes.py", "rdb/reader.py"}  # the reader compares it byte for byte, for the version behind
