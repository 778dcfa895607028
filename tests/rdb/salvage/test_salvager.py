"""What is found in damaged snapshots, made by hand."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest

from rdbtool.io.random_access import Pages
from rdbtool.io.window import window_over
from rdbtool.rdb.events import Function
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.opcodes import REDIS
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.salvage.effort import GRANTED, PER_BYTE, Effort
from rdbtool.rdb.salvage.salvaged import IN_A_ROW, TO_THE_END, Salvaged
from rdbtool.rdb.salvage.salvager import Salvager
from rdbtool.rdb.types import row_of
from tests.rdb.corpus import FIXTURES
from tests.rdb.craft import counted, encode_length, listpack, lzf, rdb, record, stream_id, stream_node, string, strings

PLAIN = FIXTURES / "redis-7.4.1" / "small-plain.rdb"
VALKEY = FIXTURES / "valkey-9.1.2" / "small-plain.rdb"
EXPIRY = b"\xfc" + struct.pack("<q", 4102444800000)


def salvaged(data: bytes, tmp_path: Path, *, partial: bool = False) -> tuple[Salvaged, dict[bytes, bytes]]:
    """What is found in ``data``, and the payloads of the keys that come back."""
    path = tmp_path / "damaged.rdb"
    path.write_bytes(data)
    with Pages(str(path)) as pages:
        result = Salvager(pages, partial=partial, undo=False).run()
        sound = _all(result, pages)
    keys = {}
    for event in RdbReader(window_over(sound), checksum=False):
        if isinstance(event, Frame):
            keys[event.key] = event.raw()
    return result, keys


def _all(result: Salvaged, pages: Pages) -> bytes:
    w = result.window(pages)
    out = b""
    while not w.at_end():
        out += w.take(w.end - w.pos)
    return out


def user(n: int) -> bytes:
    return record(0, b"user:%d" % n, string(b"value of %d" % n))


def users(first: int, last: int) -> bytes:
    return b"".join(user(n) for n in range(first, last))


def names(first: int, last: int) -> set[bytes]:
    return {b"user:%d" % n for n in range(first, last)}


def test_a_sound_file_is_whole(tmp_path: Path) -> None:
    for path in (PLAIN, VALKEY):
        data = path.read_bytes()
        result, keys = salvaged(data, tmp_path)
        assert result.whole
        assert not result.lost
        assert keys.keys() == {e.key for e in RdbReader(window_over(data)) if isinstance(e, Frame)}


def test_a_flip_in_a_length_costs_that_key_only(tmp_path: Path) -> None:
    data = bytearray(rdb(users(0, 40)))
    at = data.index(b"\x0bvalue of 20")
    data[at] ^= 32
    result, keys = salvaged(bytes(data), tmp_path)
    assert keys.keys() == names(0, 40) - {b"user:20"}
    assert [lost.keys for lost in result.lost] == [[b"user:20"]]
    assert result.runs[1].sure == TO_THE_END
    assert result.behind == 19


def test_what_is_behind_two_places_comes_back(tmp_path: Path) -> None:
    data = rdb(users(0, 20), b"\xc5\xc6 rubbish", users(20, 40), b"\xc5\xc6 rubbish", users(40, 60))
    result, keys = salvaged(data, tmp_path)
    assert keys.keys() == names(0, 60)
    assert [run.sure for run in result.runs[1:]] == [IN_A_ROW, TO_THE_END]


def test_a_stored_snapshot_gives_no_keys(tmp_path: Path) -> None:
    inner = rdb(*(record(0, b"inner:%d" % n, string(b"of the dump")) for n in range(300)))
    assert len(inner) > 1 << 12
    head = record(0, b"backup", b"")
    value = encode_length(len(inner)) + inner
    whole = rdb(users(0, 20), head + value, users(20, 40))
    assert salvaged(whole, tmp_path)[1].keys() == names(0, 40) | {b"backup"}
    damaged = whole.replace(head + value, b"\xc5" + head[1:] + value)
    result, keys = salvaged(damaged, tmp_path)
    assert keys.keys() == names(0, 40)
    assert result.lost_bytes == len(head + value)


def test_elements_of_a_large_list_are_no_keys(tmp_path: Path) -> None:
    rng = random.Random(5)
    for values in (
        [b"element:%d" % n for n in range(20_000)],
        [b"" if n % 2 else b"key:%d" % n for n in range(20_000)],
        [rng.randbytes(rng.randrange(30)) for _ in range(20_000)],
        [struct.pack("<i", n) for n in range(20_000)],
    ):
        payload = counted(*values)
        middle = len(payload) // 2
        payload = payload[:middle] + b"\xc9\xff\xff" + payload[middle:]
        _, keys = salvaged(rdb(users(0, 20), record(1, b"large", payload), users(20, 40)), tmp_path)
        assert keys.keys() == names(0, 40)


def test_values_of_zeros_and_noise_give_no_keys(tmp_path: Path) -> None:
    rng = random.Random(6)
    for noise in (bytes(100_000) + b"\x01", rng.randbytes(100_000), bytes(range(256)) * 400):
        _, keys = salvaged(rdb(users(0, 20), b"\xc5" + noise, users(20, 40)), tmp_path)
        assert keys.keys() == names(0, 40)


def test_an_expiry_whose_opcode_is_damaged_is_not_forgotten(tmp_path: Path) -> None:
    data = rdb(users(0, 20), EXPIRY, user(20), users(21, 40))
    at = data.index(EXPIRY)
    for bit in range(8):
        damaged = data[:at] + bytes((0xFC ^ 1 << bit,)) + data[at + 1 :]
        _, keys = salvaged(damaged, tmp_path)
        assert names(0, 20) | names(21, 40) == keys.keys() - {b"user:20"}
        if b"user:20" in keys:  # another opcode of the same length is in form
            assert bit in {3, 4}


def test_weak_evidence_takes_nothing(tmp_path: Path) -> None:
    result, keys = salvaged(rdb(users(0, 20), b"\xc5\xc6", user(20))[:-9] + b"\xc5 tail", tmp_path)
    assert keys.keys() == names(0, 20)
    assert (result.complete, len(result.runs)) == (False, 1)


def test_names_that_are_numbers_come_back_too(tmp_path: Path) -> None:
    many = [b"\0\xc1" + struct.pack("<h", 1000 + n) + string(b"v%d" % n) for n in range(200)]
    _, keys = salvaged(rdb(*many[:100], b"\xc5\xc6\xc7", *many[100:]), tmp_path)
    assert keys.keys() >= {b"%d" % n for n in range(1000, 1200)} - {b"1099", b"1100"}
    assert len(keys) >= 198


@pytest.mark.parametrize("path", [PLAIN, VALKEY], ids=["redis", "valkey"])
@pytest.mark.parametrize(
    "harm",
    [
        lambda data: bytes(9) + data[9:],
        lambda data: b"X" + data[1:],
        lambda data: data[:8] + b"?" + data[9:],
        lambda data: b"HTTP/1.1 200 OK\r\nContent-Length: 11354\r\n\r\n" + data,
        lambda data: b"\x00" * 4096 + data,
        lambda data: data + bytes(70_000),
        lambda data: b"$EOF:" + b"a" * 40 + b"\r\n" + data + b"a" * 40,
        lambda data: data[:-8],
        lambda data: data[:9] + b"\xfa\x09redXX" + data[14:],
    ],
    ids=["zeros", "letter", "version", "http", "leading zeros", "trailing zeros", "transfer", "no checksum", "aux"],
)
def test_all_keys_come_back_where_only_what_is_around_them_is_damaged(path: Path, harm: object, tmp_path: Path) -> None:
    data = path.read_bytes()
    assert callable(harm)
    result, _ = salvaged(data, tmp_path)
    again, _ = salvaged(harm(data), tmp_path)
    assert again.keys == result.keys
    assert (again.dialect, again.complete) == (result.dialect, True)


def test_a_selected_database_that_is_lost_is_told(tmp_path: Path) -> None:
    sizes = b"\xfb" + bytes((20, 0))
    data = rdb(sizes, users(0, 20), b"\xfe\x03", sizes, users(20, 40), magic=b"REDIS0010")
    at = data.index(b"\xfe\x03")
    flipped = salvaged(data[:at] + b"\xbe" + data[at + 1 :], tmp_path)[0]
    assert [(run.db, run.sure_of_db) for run in flipped.runs] == [(0, True), (3, True)]
    gone = salvaged(data[: at - 3] + bytes(40) + data[at + 37 :], tmp_path)[0]
    assert [(run.db, run.sure_of_db) for run in gone.runs] == [(0, True), (1, False)]


def test_functions_come_back_and_bad_ones_do_not(tmp_path: Path) -> None:
    good = b"#!lua name=good\nserver.register_function('f', function() end)"
    data = rdb(b"\xf5" + string(good), b"\xf5" + string(b"no library"), users(0, 20), b"\xc5\xc6", users(20, 40))
    path = tmp_path / "functions.rdb"
    path.write_bytes(data)
    with Pages(str(path)) as pages:
        result = Salvager(pages).run()
        found = [e.code for e in RdbReader(result.window(pages)) if isinstance(e, Function)]
    assert found == [good]
    assert "function-library" in {lost.code for lost in result.lost}


@pytest.mark.parametrize(
    ("byte", "payload", "kept"),
    [
        (1, b"\x03" + string(b"a") + lzf(b"\xff\xff", 9) + string(b"c"), b"\x02" + strings(b"a", b"c")),
        (2, b"\x03" + string(b"a") + lzf(b"\xff\xff", 9) + string(b"c"), b"\x02" + strings(b"c", b"a")),
        (
            4,
            b"\x03" + strings(b"f", b"x") + string(b"g") + lzf(b"\xff\xff", 9) + strings(b"h", b"y"),
            b"\x02" + strings(b"h", b"y", b"f", b"x"),
        ),
        (5, b"\x02" + lzf(b"\xff\xff", 9) + bytes(8) + string(b"m") + bytes(8), b"\x01" + string(b"m") + bytes(8)),
    ],
    ids=["list", "set", "hash", "zset"],
)
def test_readable_elements_of_a_bad_collection_are_kept_on_request(
    byte: int, payload: bytes, kept: bytes, tmp_path: Path
) -> None:
    data = rdb(users(0, 3), EXPIRY, record(byte, b"bad", payload), users(3, 6))
    assert b"bad" not in salvaged(data, tmp_path)[1]
    result, keys = salvaged(data, tmp_path, partial=True)
    assert keys[b"bad"] == kept
    assert result.lost[0].elements == kept[0]


@pytest.mark.parametrize(
    ("magic", "byte", "least", "field"),
    [
        (b"VALKEY080", 22, b"", lambda n, value: string(b"f%d" % n) + value + struct.pack("<q", 1 << 42)),
        (b"REDIS0012", 24, struct.pack("<q", 1 << 42), lambda n, value: b"\x01" + string(b"f%d" % n) + value),
    ],
    ids=["valkey", "redis"],
)
def test_fields_that_expire_are_kept_with_their_times(
    magic: bytes, byte: int, least: bytes, field: Callable[[int, bytes], bytes], tmp_path: Path
) -> None:
    good = [field(n, string(b"value %d" % n)) for n in range(4)]
    fields = b"".join(good[:2]) + field(9, lzf(b"\xff\xff", 9)) + b"".join(good[2:])
    data = rdb(users(0, 3), record(byte, b"bad", least + b"\x05" + fields), users(3, 6), magic=magic)
    assert b"bad" not in salvaged(data, tmp_path)[1]
    result, keys = salvaged(data, tmp_path, partial=True)
    assert keys[b"bad"] == least + b"\x04" + b"".join(good)
    assert result.lost[0].elements == 4


@pytest.mark.parametrize("least", [b"", struct.pack("<q", 1 << 42)], ids=["pre-release", "redis"])
def test_fields_that_expire_and_are_packed_are_kept_with_their_times(least: bytes, tmp_path: Path) -> None:
    fields = [item for n in range(6) for item in (b"f%d" % n, b"value %d" % n, 0 if n < 2 else (1 << 42) + n)]
    good = listpack(*fields)
    at = good.index(b"f4") - 1
    damaged = good[:at] + bytes((good[at] ^ 0x3F,)) + good[at + 1 :]
    byte = 25 if least else 23
    for payload in (string(damaged), string(good)[: at + 2]):
        data = rdb(users(0, 3), record(byte, b"bad", least + payload), magic=b"REDIS0012")
        if payload != string(damaged):
            data = data[: data.index(payload) + len(payload)]
        assert b"bad" not in salvaged(data, tmp_path)[1]
        result, keys = salvaged(data, tmp_path, partial=True)
        assert keys[b"bad"] == least + string(listpack(*fields[:12]))
        assert result.lost[-1].elements == 4


def test_nodes_of_a_stream_that_can_be_read_are_kept(tmp_path: Path) -> None:
    def node(ms: int) -> bytes:
        return string(stream_id(ms, 0)) + string(stream_node((0, 0, [b"v"]), (0, 1, [b"w"])))

    def payload(*nodes: bytes, entries: int) -> bytes:
        return bytes((len(nodes),)) + b"".join(nodes) + bytes((entries,)) + encode_length(1000) + b"\x01\x00"

    bad = string(stream_id(600, 0)) + lzf(b"\xff\xff", 9)
    data = rdb(users(0, 3), record(15, b"bad", payload(node(500), bad, node(700), entries=6)), users(3, 6))
    assert b"bad" not in salvaged(data, tmp_path)[1]
    result, keys = salvaged(data, tmp_path, partial=True)
    assert keys[b"bad"] == payload(node(500), node(700), entries=4)
    assert result.lost[0].elements == 4


def test_the_beginning_of_a_collection_that_is_cut_is_kept_on_request(tmp_path: Path) -> None:
    data = rdb(users(0, 3), record(1, b"cut list", counted(*(b"element %d" % n for n in range(50)))))
    result, keys = salvaged(data[:-300], tmp_path, partial=True)
    assert keys[b"cut list"].startswith(encode_length(result.lost[-1].elements) + string(b"element 0"))
    assert result.lost[-1].elements > 20
    assert b"cut list" not in salvaged(data[:-300], tmp_path)[1]


def test_the_size_of_a_database_where_a_run_begins_is_passed(tmp_path: Path) -> None:
    data = bytes.fromhex(
        "5245444953303030360b097365743a696e7436343808000000064ee3ba714c9c27685e00000000000000000000"
        "80ffffffff000000000000000005000000000040000000008000000000fffffffbffffff7fff000000000000"
    )
    found, keys = salvaged(data, tmp_path)
    assert (found.keys, keys) == (0, {})


def test_a_file_of_noise_gives_nothing(tmp_path: Path) -> None:
    for data in (b"", b"hello", random.Random(7).randbytes(50_000), bytes(50_000)):
        result, keys = salvaged(data, tmp_path)
        assert not keys
        assert not result.runs


@pytest.mark.slow
def test_it_takes_linear_time(tmp_path: Path) -> None:
    noise = random.Random(8).randbytes(1 << 20)
    result, keys = salvaged(rdb(users(0, 20), b"\xc5" + noise * 4, users(20, 40)), tmp_path)
    assert keys.keys() == names(0, 40)
    assert len(result.runs) == 2


@pytest.mark.slow
def test_many_breaks_take_linear_time(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        selected = (b"\xfe" + encode_length(2000 + n) + user(n) for n in range(count))
        data = rdb(*selected, magic=b"REDIS0009")[:-8] + b"no check"
        began = time.process_time()
        result, _ = salvaged(data, tmp_path)
        assert len(result.runs) > count - 10
        return time.process_time() - began

    few = min(seconds(300) for _ in range(3))
    assert seconds(2400) < 16 * few


def test_what_looks_like_large_collections_takes_no_longer_than_what_looks_like_small_ones(tmp_path: Path) -> None:
    took = []
    for count in (b"\x40\x40", b"\x60\x00"):
        path = tmp_path / "x.rdb"
        path.write_bytes(rdb(record(3, b"some:key", count + b"\x01a\x09")) * 300)
        before = process_time()
        with Pages(str(path)) as pages:
            Salvager(pages).run()
        took.append(process_time() - before)
    assert took[1] < 3 * took[0] + 0.5


def test_streams_with_a_flaw_in_every_few_bytes_take_linear_time(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        data = rdb(users(0, 20), b"\xc5" + b"615\x15" * count, users(20, 40))
        began = process_time()
        _, keys = salvaged(data, tmp_path)
        assert keys.keys() == names(0, 40)
        return process_time() - began

    few = min(seconds(1000) for _ in range(2))
    assert seconds(4000) < 10 * few


@pytest.mark.parametrize(
    "piece",
    [
        bytes.fromhex("a1010000010000000000000004000000"),  # records in a row, up to the end, of which little speaks
        b"\x01\x04    \x80\x00\x00\x10\x00",  # lists of thousands of elements in lists of thousands
        b"\x01",  # lists of one element, in six ways
        b"\x07\x04abcd\x81aaaaaaaa\x02\x02",  # modules' values
        b"\xfc\x00\x00\x00\x00\x00\x01\x00\x00",  # expiries in front of expiries
        b"\x00\x04abcd\x80\x00\x00\x20\x00",  # strings that are half as long as the file
        bytes.fromhex("620204014015200a0063200a80172022"),  # hashes and sets with long elements
        b"\x02\x04abcd\x40\x20\x5f\xff",  # sets of long members
        b"\x04\x04abcd\x02\x50\x00",  # hashes with long names of fields
        b"\x0a\x04abcd\xc3\x04\x80\x00\xff\xff\xff",  # what claims to be unpacked to much
    ],
    ids=["records", "lists", "ones", "modules", "expiries", "strings", "elements", "members", "fields", "packed"],
)
def test_work_at_one_place_is_bounded_by_what_was_passed(piece: bytes, tmp_path: Path) -> None:
    def steps(size: int) -> int:
        path = tmp_path / "damaged.rdb"
        path.write_bytes(rdb(users(0, 20), b"\xc5" + piece * (size // len(piece)))[:-9])
        with Pages(str(path)) as pages:
            salvager = Salvager(pages, undo=False)
            assert salvager.run().keys >= 19
            return int(salvager.effort.spent)

    once = steps(1 << 14)
    assert steps(1 << 15) < 3 * once + GRANTED
    assert once < GRANTED + (2 * PER_BYTE + 4) * (1 << 14)  # the last: of what may be done at any place


@pytest.mark.parametrize(
    ("name", "payload", "steps"),
    [
        ("set", b"\x02" + strings(b"a" * 64 * 100, b"b"), 102),
        ("hash", b"\x01" + strings(b"a" * 64 * 100, b"the value is passed" * 1000), 101),
        ("zset2", b"\x01" + string(b"a" * 64 * 100) + bytes(8), 101),
        ("list", b"\x01" + string(b"a" * 64 * 100), 1),
        ("list-quicklist", b"\x01" + string(b"a" * 64 * 100), 101),
        ("set", b"\x01" + lzf(bytes(64), 64 * 80), 81),
        ("set", b"\x01" + lzf(bytes(64), 1 << 40), 1 + 88),
    ],
    ids=["members", "fields", "scores", "elements", "nodes", "packed", "bomb"],
)
def test_elements_take_steps_by_their_bytes_where_those_are_looked_at(name: str, payload: bytes, steps: int) -> None:
    effort = Effort(0)
    assert effort.walk(window_over(payload), row_of(REDIS, name), 1 << 20)
    assert effort.spent == steps
