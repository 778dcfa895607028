"""Files and places that were made to cost much time or memory, or to lead out of where they are."""

from __future__ import annotations

import csv
import io
import os
import re
import socket
import time
import tracemalloc
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from rdbtool.basics.lzf import compress
from rdbtool.model import Consumer, Entry, Group, Id, Pending, Stream
from rdbtool.rdb.values.idempotence import Idempotence
from rdbtool.rdb.values.stream_nodes import of_pair
from tests.aof.craft import command
from tests.rdb.colliding import colliding_ids
from tests.rdb.craft import encode_length, listpack, lzf, rdb, record, string
from tests.rdb.writing import written

from .running import run

COUNT: Final = 10_000


def stream_of(ids: list[Id]) -> Stream:
    """A stream of these entries, all of them pending, and recorded for a producer."""
    stream = Stream()
    stream.entries = [(entry, [b"f", b"v"]) for entry in ids]
    stream.last_id = ids[-1]
    stream.entries_added = len(ids)
    group = Group(ids[-1], len(ids))
    group.consumers[b"c"] = Consumer(1, 1)
    group.pending = [Pending(entry, b"c", 1, 1) for entry in ids]
    stream.groups[b"g"] = group
    state = Idempotence()
    state.configure(100, len(ids))
    for n, entry in enumerate(ids):
        state.remember(b"p", b"%d" % n, of_pair(entry))
    stream.idmp = state.encoded()
    return stream


def took(path: Path, folder: Path) -> dict[str, float]:
    """Seconds of CPU that each way through the program takes."""
    log = folder / "log.aof"
    lines = folder / "lines.jsonl"
    runs: list[tuple[int, list[object]]] = [
        (0, ["check-rdb", path]),
        (0, ["digest", path]),
        (0, ["diff", path, path]),
        (0, ["convert", path, lines]),
        (0, ["convert", lines, folder / "again.rdb", "--target", "redis-8.6"]),
        (3, ["convert", path, folder / "old.rdb", "--target", "redis-5.0"]),
        (0, ["convert", path, log, "--target", "redis-8.6"]),
        (0, ["digest", log]),
        (0, ["diff", log, lines]),
        (0, ["dump", path, "-f", "csv"]),
    ]
    seconds = {}
    for wanted, arguments in runs:
        start = time.process_time()
        done = run(*arguments)
        assert done.returncode in {wanted, 3}, (arguments, done)
        seconds[" ".join(map(str, arguments))] = time.process_time() - start
    return seconds


@pytest.mark.slow
def test_stream_ids_that_collide_take_no_longer(tmp_path: Path) -> None:
    """With pairs of integers as keys of a dict, each of these takes 10 seconds and more, and for twice the entries four
    times that.
    """
    crafted = colliding_ids(COUNT)
    assert len({hash(entry) for entry in crafted}) == 1
    usual = [(ms, 0) for ms in range(1, COUNT + 1)]
    seconds = []
    for name, ids in ("usual", usual), ("crafted", crafted):
        folder = tmp_path / name
        folder.mkdir()
        path = folder / "dump.rdb"
        path.write_bytes(written("redis-8.6", Entry(0, b"s", stream_of(ids)))[0])
        seconds.append(took(path, folder))
    for one, other in zip(*(part.values() for part in seconds), strict=True):
        assert other < 3 * one + 1, seconds


HOSTILE: Final = {
    "a string of 2^63 bytes": (0, b"\x81" + (1 << 63).to_bytes(8, "big") + b"x"),
    "a list of 2^63 elements": (1, b"\x81" + (1 << 63).to_bytes(8, "big") + b"\x01x"),
    "a hash of 2^63 fields": (4, b"\x81" + (1 << 63).to_bytes(8, "big") + b"\x01x\x01y"),
    "a stream of 2^63 nodes": (15, b"\x81" + (1 << 63).to_bytes(8, "big")),
    "a compressed string of 2^62 bytes": (0, b"\xc3" + encode_length(5) + encode_length(1 << 62) + b"\0a\xe0\x15\0"),
    "a compressed string of 1 GiB": (0, lzf(b"\0a\xe0\x15\0", 1 << 30)),
    "a listpack that claims 65,534 elements": (16, string(listpack(b"f", b"v", count=65534))),
    "a module that has no end": (7, b"\x81" + bytes(8) + b"\x02\x01" * 1000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_sizes_that_are_not_there_are_refused_and_take_no_memory(name: str, tmp_path: Path) -> None:
    type_byte, value = HOSTILE[name]
    path = tmp_path / "dump.rdb"
    path.write_bytes(rdb(record(type_byte, b"k", value)))
    for words in (["check-rdb", path], ["digest", path], ["convert", path, tmp_path / "out.jsonl"], ["dump", path]):
        tracemalloc.start()
        try:
            done = run(*words)
            assert tracemalloc.get_traced_memory()[1] < 64 << 20
        finally:
            tracemalloc.stop()
        assert done.returncode in {1, 2}, (words, done)
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


def crafted(name: str, count: int) -> bytes:
    """A sound file with very many of something, or one that stands for much more than it holds."""
    if name == "bomb.rdb":
        packed = compress(bytes(count * 100))
        assert packed is not None
        return rdb(record(0, b"bomb", lzf(packed, count * 100)))
    if name == "consumers.rdb":
        consumers = b"".join(string(b"c%d" % n) + bytes(8) + b"\0" for n in range(count))
        stream = bytes(4) + b"\x01" + string(b"g") + bytes(3) + encode_length(count) + consumers
        return rdb(record(15, b"stream", stream), magic=b"REDIS0009")
    if name == "nodes.rdb":
        nodes = (b"\x02" + string(listpack(b"%d" % n)) for n in range(count))
        return rdb(record(18, b"list", encode_length(count) + b"".join(nodes)))
    if name == "transactions.aof":
        return (command("MULTI") + command("EXEC")) * count
    members = b"".join(b"$%d\r\n%d\r\n" % (len(str(n)), n) for n in range(count))
    return b"*%d\r\n$4\r\nSADD\r\n$1\r\ns\r\n" % (count + 2) + members


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("bomb.rdb", 16 << 20),
        ("consumers.rdb", 32 << 20),
        ("nodes.rdb", 16 << 20),
        ("transactions.aof", 16 << 20),
        ("arguments.aof", 64 << 20),
    ],
)
def test_very_many_of_something_take_linear_time_and_little_memory(
    name: str, most: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A million of each, and ten million arguments, with --long."""
    few = 250_000 if request.config.getoption("--long") else 12_000
    few *= 10 if name == "arguments.aof" and request.config.getoption("--long") else 1
    seconds = []
    for count in (few, 4 * few):
        path = tmp_path / f"{count}{name}"
        path.write_bytes(crafted(name, count))
        start = time.process_time()
        assert run("check-rdb" if name.endswith(".rdb") else "check-aof", path).returncode == 0
        assert run("digest", path).returncode == 0
        seconds.append(time.process_time() - start)
    assert seconds[1] < 8 * seconds[0] + 1, seconds
    path = tmp_path / f"{few}{name}"
    tracemalloc.start()
    try:
        for words in (["check-rdb" if name.endswith(".rdb") else "check-aof", path], ["digest", path]):
            assert run(*words).returncode == 0
            assert tracemalloc.get_traced_memory()[1] < most * (few // 12_000), words
            tracemalloc.reset_peak()
    finally:
        tracemalloc.stop()


def test_a_listpack_need_not_say_how_many_it_holds(tmp_path: Path) -> None:
    """65,535 means that nobody knows: servers count."""
    path = tmp_path / "dump.rdb"
    path.write_bytes(rdb(record(20, b"s", string(listpack(1, 2, 3, count=65535)))))
    assert run("check-rdb", path).returncode == 0
    assert b'"value":["1","2","3"]' in run("dump", path).output


def test_a_string_stands_for_no_more_than_lzf_can(tmp_path: Path) -> None:
    """Three bytes of LZF stand for 264 at most: a size beyond that is a lie, and no memory is taken for it."""
    path = tmp_path / "dump.rdb"
    path.write_bytes(rdb(record(0, b"k", lzf(b"\0a\xe0\xff\0", 400))))
    done = run("digest", path)
    assert done.returncode == 2
    assert "LZF" in done.stderr


@pytest.mark.parametrize("words", [("SETRANGE", "a", "536870911", "x"), ("SETBIT", "a", "4294967295", "1")])
def test_what_a_command_would_take_is_said_where_it_is_over_the_limit(words: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "far.aof"
    path.write_bytes(command("SET", "a", "1") + command(*words))
    for arguments in (["digest", path], ["convert", path, tmp_path / "out.rdb"], ["dump", path]):
        tracemalloc.start()
        try:
            done = run(*arguments, "--memory-limit", "64MiB")
            assert tracemalloc.get_traced_memory()[1] < 32 << 20
        finally:
            tracemalloc.stop()
        assert done.returncode == 2, done
        assert f"a value of 536870912 bytes takes more memory than the {64 << 20} bytes there are" in done.stderr
        assert f"offset {len(command('SET', 'a', '1'))}" in done.stderr
    assert not (tmp_path / "out.rdb").exists()


def part_of_a_set(folder: Path, name: str) -> Path:
    """A set in ``folder`` whose only part is called ``name`` in the manifest."""
    folder.mkdir()
    (folder / "appendonly.aof.manifest").write_text(f"file {name} seq 1 type i\n")
    return folder


@pytest.mark.parametrize("name", ["../outside.aof", "/etc/passwd", "sub/x.aof", "..\\outside.aof", "."])
def test_a_manifest_names_nothing_outside_its_directory(name: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.aof"
    outside.write_bytes(command("SET", "a", "1") + b"*9")
    folder = part_of_a_set(tmp_path / "set", name)
    for words in (
        ["check-aof", folder],
        ["check-aof", folder, "--fix", "--yes"],
        ["digest", folder],
        ["convert", folder, tmp_path / "out.rdb"],
        ["rewrite", folder, "--in-place"],
    ):
        done = run(*words)
        assert done.returncode in {1, 2}, (words, done)
        assert "Traceback" not in done.stderr
        assert outside.read_bytes().endswith(b"*9")
    assert not (tmp_path / "out.rdb").exists()


def test_a_part_that_is_a_link_out_of_the_directory_is_not_changed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.aof"
    outside.write_bytes(command("SET", "a", "1") + b"*9")
    folder = part_of_a_set(tmp_path / "set", "appendonly.aof.1.incr.aof")
    (folder / "appendonly.aof.1.incr.aof").symlink_to(outside)
    for words in (["check-aof", folder, "--fix", "--yes"], ["rewrite", folder, "--in-place"]):
        assert run(*words).returncode in {1, 2}, words
        assert outside.read_bytes().endswith(b"*9")


@pytest.mark.parametrize("what", ["fifo", "device", "directory", "socket"])
def test_what_is_no_file_as_a_part_of_a_set_is_refused_in_a_moment(what: str, tmp_path: Path) -> None:
    folder = part_of_a_set(tmp_path / "set", "appendonly.aof.1.incr.aof")
    part = folder / "appendonly.aof.1.incr.aof"
    if what == "fifo":
        os.mkfifo(part)
    elif what == "device":
        part.symlink_to("/dev/zero")
    elif what == "directory":
        part.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(part))
    for words in (["check-aof", folder], ["check-aof", folder, "--fix", "--yes"], ["digest", folder], ["dump", folder]):
        done = run(*words)
        assert done.returncode in {1, 2}, (words, done)
        assert "appendonly.aof.1.incr.aof" in done.stderr + done.stdout
        assert "Traceback" not in done.stderr


def test_no_name_in_a_manifest_does_anything_where_it_is_shown(tmp_path: Path) -> None:
    (tmp_path / "appendonly.aof.1.incr.aof").write_bytes(command("SET", "a", "b"))
    lines = b"file \x1b[31m\xffx.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
    (tmp_path / "appendonly.aof.manifest").write_bytes(lines)
    for words in (
        ["check-aof"],
        ["check-aof", "--format", "json"],
        ["verify"],
        ["dump"],
        ["check-aof", "--for", "all"],
    ):
        done = run(*words, tmp_path)
        assert done.returncode in {1, 2}, done
        assert "\x1b" not in done.stdout + done.stderr


def test_a_device_is_not_taken_for_an_empty_file(tmp_path: Path) -> None:
    for words in (["check-rdb"], ["check-aof"], ["dump"], ["digest"], ["convert", tmp_path / "x.rdb"]):
        done = run(words[0], "/dev/zero", *words[1:])
        assert done.returncode in {1, 2}
        assert re.search(r"byte 0x00|its first 512 bytes are zeros", done.stdout + done.stderr)
    for words in (["check-rdb", "--salvage", "-o", tmp_path / "x.rdb"], ["dump", "--keep-going"]):
        done = run(*words, "/dev/zero")
        assert (done.returncode, done.stdout) == (2, "")
        assert "/dev/zero: is a device, which may have no end" in done.stderr
    assert run("check-aof", "/dev/null").returncode == 0
    assert os.listdir(tmp_path) == []


def test_a_directory_in_which_nothing_can_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    """As a user who may not write there: root may write everywhere."""
    path = tmp_path / "dump.rdb"
    path.write_bytes(rdb(record(0, b"k", b"\x01v")))
    log = tmp_path / "log.aof"
    log.write_bytes(command("SET", "a", "1") + b"*9")
    for made in (path, log):
        made.chmod(0o644)
    child = os.fork()
    if child == 0:
        code = 70
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            else:
                tmp_path.chmod(0o555)
            outcomes = [
                run("convert", path, tmp_path / "out.jsonl"),
                run("check-rdb", path, "--salvage", "-o", tmp_path / "out.rdb"),
                run("check-aof", log, "--fix", "--yes"),
                run("rewrite", log, "-o", tmp_path / "set"),
            ]
            fine = all(o.returncode == 2 and o.stderr.count("Permission denied") == 1 for o in outcomes)
            code = 0 if fine else 1
            if not fine:
                print(outcomes)
        finally:
            os._exit(code)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        tmp_path.chmod(0o755)
    assert log.read_bytes().endswith(b"*9")
    assert {entry.name for entry in tmp_path.iterdir()} == {"dump.rdb", "log.aof"}


NAMES: Final = (
    b"esc\x1b[31mred\x1b]0;title\x07",
    b"new\nline\r\nkey",
    b"nul\0byte",
    b"rtl\xe2\x80\xaegnp.exe",
    b"isolate\xe2\x81\xa6",
    b"c1\xc2\x9b31m",
    b"\x9b31m",
    b"del\x7f",
    b"=cmd|' /C calc'!A0",
    b"+1+1",
    b"@SUM(1)",
    b"\ttab",
    b"<script>alert(1)</script>",
    b"a\"b'c&d]]>",
    b'label"} 1',
)
"""Of keys: each does something somewhere where it is shown as it is."""
RAW: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What no text for people may hold. Lines of dump, diff and CSV are data where no terminal is: test_terminal.py."""


@pytest.mark.parametrize(
    "words",
    [
        ("check-rdb", "good.rdb"),
        ("check-rdb", "bad.rdb"),
        ("check-rdb", "bad.rdb", "--salvage", "-o", "saved.rdb"),
        ("dump", "good.rdb", "-f", "table"),
        ("dump", "bad.rdb"),
        ("info", "good.rdb"),
        ("memory", "good.rdb"),
        ("memory", "good.rdb", "--prefix"),
        ("digest", "good.rdb", "--keys"),
        ("check-aof", "log.aof"),
        ("digest", "log.aof"),
        ("history", "log.aof", "esc\\x1b[31mred\\x1b]0;title\\x07"),
        ("verify", "bad.rdb"),
        ("verify", "bad.rdb", "--format", "junit"),
        ("verify", "bad.rdb", "--format", "prometheus"),
        ("convert", "bad.rdb", "out.jsonl"),
        ("rewrite", "log.aof", "-o", "set"),
    ],
    ids=" ".join,
)
def test_no_name_of_a_key_or_command_does_anything_where_it_is_shown(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.rdb").write_bytes(rdb(*(record(0, name, string(b"v:" + name)) for name in NAMES)))
    Path("bad.rdb").write_bytes(rdb(*(record(0, name, lzf(b"\xff\xff", 9)) for name in NAMES)))
    log = b""
    for name in NAMES:
        log += b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\n1\r\n" % (len(name), name)
        log += b"*3\r\n$5\r\nLPUSH\r\n$%d\r\n%s\r\n$1\r\n1\r\n" % (len(name), name)
    Path("log.aof").write_bytes(log + b"*2\r\n$5\r\nB\x1b[1m\r\n$1\r\n\x1b\r\n")
    done = run(*words)
    text = done.output.decode("utf-8", "surrogateescape") + done.stderr
    assert text
    assert not RAW.search(text)
    if "junit" in words:
        ET.fromstring(done.stdout)
        assert "<script" not in text


def test_a_page_shows_names_and_runs_none(tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(rdb(*(record(0, name, string(b"v" * 100)) for name in NAMES)))
    page = tmp_path / "page.html"
    assert run("report", path, "-o", page).returncode == 0
    text = page.read_text()
    assert "<script>alert(1)" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_formulas_in_csv_are_text_on_request(tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(rdb(*(record(0, name, string(name)) for name in NAMES)))
    done = run("dump", path, "-f", "csv", "--csv-safe")
    assert done.returncode == 0
    for row in csv.reader(io.StringIO(done.output.decode("utf-8", "surrogateescape"), newline="")):
        assert not any(cell.startswith(("=", "+", "@", "-", "\t", "\r")) for cell in row), row


DIGITS = "1" + "0" * 5000
"""Of a number that Python does not read."""


def digits(name: str) -> bytes:
    """Files that hold them."""
    number = DIGITS.encode()
    if name == "keys.txt":
        return b'SET a 1\nEVAL "return 1" %b\n' % number
    aux = [(b"ctime", number), (b"used-mem", number), (b"redis-ver", b"7.0.15"), (b"aof-base", b"1")]
    data = b"REDIS0010" + b"".join(b"\xfa" + string(field) + string(value) for field, value in aux)
    data += b"\xfe\x00" + b"\x00\x01a\x01b" + b"\xff" + bytes(8)
    if name == "log.aof":
        data += b"#TS:1600000000\r\n" + command("SET", "q", "1") + b"#TS:1600000005\r\n" + command("SET", "z", "1")
    return data


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check-aof", "log.aof"], 0),
        (["check-aof", "log.aof", "--until", "1600000001"], 0),
        (["info", "dump.rdb"], 0),
        (["verify", "dump.rdb", "--min-keys", "2"], 1),
        (["dump", "keys.txt", "--from", "commands"], 0),
        (["dump", "dump.rdb", "--slots", DIGITS], 2),
        (["convert", "dump.rdb", "out", "--to", "rdb", "--split", DIGITS], 2),
        (["convert", "dump.rdb", "out", "--to", "rdb", "--split", "\N{SUPERSCRIPT TWO}"], 2),
        (["dump", "log.aof", "--before-command", "SET", "--nth", DIGITS], 2),
        (["memory", "dump.rdb", "--memory-limit", DIGITS], 2),
        (["convert", "dump.rdb", "out", "--to", "rdb", "--shift-ttl", DIGITS], 2),
    ],
)
def test_numbers_of_thousands_of_digits_are_an_answer_or_one_line(words: list[str], code: int, tmp_path: Path) -> None:
    for name in ("dump.rdb", "log.aof", "keys.txt"):
        (tmp_path / name).write_bytes(digits(name))
    done = run(*(tmp_path / word if word in {"out", "dump.rdb", "log.aof", "keys.txt"} else word for word in words))
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") <= 5
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "record",
    [
        '{"db":%s,"key":"a","type":"string","value":"x"}',
        '{"db":0,"key":"a","type":"string","value":"x","expire_at_ms":%s}',
        '{"db":0,"key":"a","type":"zset","value":[["m",%s]]}',
        '{"db":0,"key":"a","type":"stream","value":{"entries":[["%s-1",[["f","v"]]]],"last_id":"5-5"}}',
    ],
)
def test_numbers_of_thousands_of_digits_in_json_lines_are_told_with_their_line(record: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.jsonl"
    path.write_text(record % DIGITS + "\n")
    done = run("dump", path)
    assert done.returncode == 1, done.stderr
    assert "line 1" in done.stderr


def test_a_manifest_is_rebuilt_from_a_base_that_tells_no_time(tmp_path: Path) -> None:
    (tmp_path / "appendonly.aof.1.base.rdb").write_bytes(digits("dump.rdb"))
    (tmp_path / "appendonly.aof.2.incr.aof").write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
    (tmp_path / "appendonly.aof.manifest").write_bytes(b"")
    assert run("check-aof", tmp_path, "--fix", "--yes").returncode == 0
    assert run("check-aof", tmp_path).returncode == 0
