"""``rdbtool dump`` as it is typed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from rdbtool.cli.progress import progress_line
from rdbtool.outputs.registry import DUMPED
from tests.cli import running
from tests.outputs.collected import entries_of
from tests.rdb import craft
from tests.rdb.corpus import FIXTURES

ALL = FIXTURES / "redis-7.4.1" / "small-nochecksum.rdb"


def run(*arguments: object, stdin: bytes = b"") -> tuple[int, bytes, str]:
    done = running.run("dump", *arguments, stdin=stdin)
    return done.returncode, done.output, done.stderr


def small(path: Path) -> Path:
    path.write_bytes(
        craft.rdb(
            craft.record(0, b"user:1", craft.string(b"x")),
            craft.record(1, b"queue", craft.counted(b"a", b"b")),
            craft.record(0, b"bin\xff", craft.string(b"\n")),
        )
    )
    return path


def test_without_a_terminal_it_is_json_lines(tmp_path: Path) -> None:
    code, out, err = run(small(tmp_path / "x.rdb"))
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"schema": 1, "db": 0, "key": "user:1", "type": "string", "value": "x"},
        {"db": 0, "key": "queue", "type": "list", "value": ["a", "b"]},
        {"db": 0, "key": "base64:Ymlu/w==", "type": "string", "value": "\n"},
    ]


@pytest.mark.parametrize("form", DUMPED)
def test_every_format_is_written_and_its_losses_are_told(form: str) -> None:
    code, out, err = run(ALL, "-f", form)
    assert len(out) > 1000
    lost = {"csv": "stream groups: 5", "resp": "consumer seen times: 5"}.get(form)
    assert code == (0 if lost is None else 3)
    assert err == "" if lost is None else f"warning loss: {lost}; what is written cannot say it\n" in err


def test_keys_alone(tmp_path: Path) -> None:
    path = small(tmp_path / "x.rdb")
    assert run(path, "--keys-only")[1] == b"user:1\nqueue\nbase64:Ymlu/w==\n"
    assert run(path, "--keys-only", "-0")[1] == b"user:1\0queue\0bin\xff\0"
    assert run(path, "--keys-only", "--bytes", "hex")[1].split()[0] == b"757365723a31"
    assert run(path, "--keys-only", "--key", "user:*", "--db", "0", "--type", "string")[1] == b"user:1\n"
    assert run(path, "--keys-only", "--limit", "1")[1] == b"user:1\n"
    assert run(path, "--keys-only", "--key-regex", "^q|\xff")[1] == b"queue\n"


def test_a_named_key_is_shown_whole_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    path = small(tmp_path / "x.rdb")
    code, out, err = run(path, "queue")
    assert code == 0
    assert out == b"queue (db 0, list)\n  0) a\n  1) b\n  -- 2 elements, 5 bytes in the file\n\n"
    code, out, err = run(path, "base64:Ymlu/w==", "nothing")
    assert code == 1
    assert out.startswith(b"bin\\xff (db 0, string)\n  \\n\n")
    assert "no-such-key" in err
    assert "nothing" in err


def test_every_key_can_be_shown_to_people() -> None:
    names = {entry.key for entry in entries_of(ALL)}
    shown = run(ALL, *["base64:" + b64encode(name).decode() for name in names])
    assert shown[0] == 0
    assert shown[1].count(b"  -- ") >= len(names)
    assert b"\x1b" not in shown[1]


def test_standard_input_is_read(tmp_path: Path) -> None:
    shown = run("-", "--keys-only", stdin=small(tmp_path / "x.rdb").read_bytes())
    assert shown == (0, b"user:1\nqueue\nbase64:Ymlu/w==\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-0"],
        ["--keys-only", "-f", "csv"],
        ["--bytes", "rot13"],
        ["--ttl", "soon"],
        ["--slot", "99999"],
        ["-f", "json", "--no-values"],
    ],
)
def test_options_that_make_no_sense_exit_with_2(arguments: list[str], tmp_path: Path) -> None:
    code, out, err = run(small(tmp_path / "x.rdb"), *arguments)
    assert (code, out) == (2, b"")
    assert err.startswith("rdbtool: ")


@pytest.mark.parametrize("name", ["missing.rdb", "directory"])
def test_what_cannot_be_read_exits_with_2(name: str, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    code, _, err = run(tmp_path / name)
    assert code == 2
    assert name in err


def test_an_unreadable_file_exits_with_2(tmp_path: Path) -> None:
    path = small(tmp_path / "x.rdb")
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything: a directory in place of the file does the same
        path.unlink()
        path.mkdir()
    assert run(path)[0] == 2


def test_damage_exits_with_1_after_what_can_be_read(tmp_path: Path) -> None:
    path = small(tmp_path / "x.rdb")
    path.write_bytes(path.read_bytes()[:-12])
    code, out, err = run(path, "--keys-only")
    assert code == 1
    assert out in {b"user:1\nqueue\nbase64:Ymlu/w==\n", b"user:1\nqueue\n"}
    assert "offset" in err


def test_damaged_keys_are_left_out_with_3(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(
        craft.rdb(craft.record(16, b"bad", craft.string(b"rubbish")), craft.record(0, b"good", craft.string(b"1")))
    )
    code, out, err = run(path, "--keep-going")
    assert code == 3
    assert json.loads(out)["key"] == "good"
    assert "'bad'" in err


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(craft.rdb(*[craft.record(0, b"key:%d" % n, craft.string(b"x" * 500)) for n in range(9000)]))
    command = f"{sys.executable} -m rdbtool dump {path} | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False)
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""
    assert done.returncode == 0


def on_a_terminal(*arguments: object) -> tuple[int, bytes]:
    """Run with standard output on a terminal; exit code and what it showed."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "rdbtool", "dump", *map(str, arguments)]
    with subprocess.Popen(command, stdout=slave, stderr=slave, stdin=subprocess.DEVNULL) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                more = os.read(master, 1 << 16)
            except OSError:  # how Linux tells that the other end is closed
                break
            if not more:
                break
            shown += more
    os.close(master)
    return process.returncode, shown


def test_on_a_terminal_it_is_a_table_and_nothing_drives_it(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(craft.rdb(craft.record(0, b"k\x1b[2J", craft.string(b"\x1b]0;x\x07"))))
    code, shown = on_a_terminal(path)
    assert code == 0
    assert b"elements" in shown
    assert b"\x1b[2J" not in shown
    assert b"\x1b]" not in shown
    assert b"k\\x1b[2J" in shown


@pytest.mark.parametrize("arguments", [["-f", "resp"], ["--keys-only", "-0"]])
def test_binary_output_refuses_a_terminal(arguments: list[str], tmp_path: Path) -> None:
    code, shown = on_a_terminal(small(tmp_path / "x.rdb"), *arguments)
    assert code == 2
    assert b"terminal" in shown
    assert b"user:1" not in shown


def test_progress_says_how_much_is_left() -> None:
    assert progress_line(1 << 30, 4 << 30, 10.0) == "25 %, 1.0 GiB of 4.0 GiB, 102.4 MiB/s, 0:30 left"
    assert progress_line(1 << 30, -1, 10.0) == "1.0 GiB, 102.4 MiB/s"
    assert progress_line(1, 10_000_000, 3600.0).endswith(" left")
