"""No terminal acts on what a file holds."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rdbtool.io.terminal import ForTerminal
from tests.cli.running import run
from tests.rdb import craft

EVIL = [
    b"\x1b[31mred\x07",
    b"\xc2\x9b31m",
    b"\xe2\x80\xaeevil",
    b"\x7fdel",
    b"a\rb",
    b"\xe2\x80\xa8line",
    b"\xef\xbb\xbf",
]
EVIL += [b"\xe2\x81\xa6isolate", b"\xf3\xa0\x81\x81tag"]
COLOURS = re.compile(r"\x1b\[[0-9]*m")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "evil.rdb"
    records = [craft.record(0, name, craft.string(name)) for name in EVIL]
    records += [craft.record(1, b"l" + name, craft.counted(name, name)) for name in EVIL]
    path.write_bytes(craft.rdb(*records))
    (tmp_path / "empty.rdb").write_bytes(craft.rdb())
    return path


def on_terminal(*arguments: object) -> str:
    """What a terminal gets."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "rdbtool", *map(str, arguments)]
    with subprocess.Popen(command, stdout=slave, stderr=slave, stdin=subprocess.DEVNULL) as process:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that nobody holds the other end
            while data := os.read(master, 1 << 16):
                shown += data
    os.close(master)
    assert process.returncode in {0, 1, 3}, shown
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.slow  # starts the program on a terminal, many times
@pytest.mark.parametrize(
    "arguments",
    [
        *[["dump", "EVIL", "-f", form] for form in ("csv", "json", "jsonl", "table")],
        ["dump", "EVIL", "-f", "csv", "--no-values"],
        ["dump", "EVIL", "-f", "jsonl", "--bytes", "utf8"],
        ["dump", "EVIL", "--keys-only"],
        ["dump", "EVIL", "--keys-only", "--bytes", "utf8"],
        ["convert", "EVIL", "-", "--to", "jsonl"],
        ["convert", "EVIL", "-", "--to", "csv"],
        *[["diff", "EMPTY", "EVIL", "-f", form] for form in ("text", "json", "jsonl", "commands")],
        ["diff", "EMPTY", "EVIL", "-f", "jsonl", "--values", "--detail"],
        ["digest", "EVIL", "--keys"],
        ["check-rdb", "EVIL", "--format", "json"],
    ],
    ids=" ".join,
)
def test_nothing_that_a_terminal_acts_on_reaches_it(arguments: list[str], path: Path) -> None:
    files = {"EVIL": path, "EMPTY": path.parent / "empty.rdb"}
    shown = COLOURS.sub("", on_terminal(*[files.get(word, word) for word in arguments]))
    assert "evil" in shown or "check-rdb" in shown
    assert [c for c in shown if not c.isprintable() and c != "\n"] == []


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_on_a_terminal_json_means_the_same(form: str, path: Path) -> None:
    shown, piped = on_terminal("dump", path, "-f", form), run("dump", path, "-f", form).stdout
    texts = [(shown, piped)] if form == "json" else list(zip(shown.splitlines(), piped.split("\n"), strict=False))
    assert len(texts) == (1 if form == "json" else 2 * len(EVIL))
    for one, other in texts:
        assert json.loads(one) == json.loads(other)


def test_a_character_may_come_in_parts() -> None:
    got = bytearray()
    out = ForTerminal(type("Sink", (), {"write": staticmethod(got.extend)})(), as_json=False)
    for byte in "a\u202e\u20ac\U000e0001\x1b\u0085z\n".encode():
        out.write(bytes([byte]))
    assert got.decode() == "a\\u202e€\\U000e0001\\x1b\\u0085z\n"


FORMULAS = [b"=1+1", b"+cmd", b"-2+3", b"@SUM(A1)", b"\t=1", b"\r=1"]


def test_csv_is_safe_for_spreadsheets_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    plain = [b"-5", b"+1.5e3", b"a=b", b""]
    path.write_bytes(
        craft.rdb(
            *[craft.record(0, text, craft.string(text)) for text in FORMULAS],
            craft.record(1, b"plain", craft.counted(*plain)),
            craft.record(
                4, b"=h", craft.counted(b"=f", b"=v")[:1].replace(b"\x02", b"\x01") + craft.strings(b"=f", b"=v")
            ),
        )
    )
    import csv

    for arguments in (["dump", path, "-f", "csv"], ["convert", path, "-", "--to", "csv"]):
        safe = run(*arguments, "--csv-safe")
        cells = [cell for row in csv.reader(safe.stdout.split("\n")) for cell in row]
        assert not [cell for cell in cells if cell[:1] in {"=", "@", "\t", "\r"}]
        assert {"'=1+1", "'+cmd", "'-2+3", "'=f", "'=v", "'=h", "-5", "+1.5e3", "a=b"} <= set(cells)
        assert "'" not in run(*arguments).stdout
    assert "'=h" in run("dump", path, "-f", "csv", "--no-values", "--csv-safe").stdout
    assert run("dump", path, "--csv-safe", "-f", "jsonl").returncode == 2
