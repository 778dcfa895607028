from __future__ import annotations

import pytest

from tests.engine.commanding import Engine


def test_setbit_grows_and_answers_the_old_bit() -> None:
    e = Engine()
    assert e.all("SETBIT b 9 1", "SETBIT b 9 1", "SETBIT b 9 0", "SETBIT b 0 1") == [0, 1, 1, 0]
    assert e.string("b") == b"\x80\x00"


def test_a_bit_set_to_zero_creates_the_key() -> None:
    e = Engine()
    e.run("SETBIT b 17 0")
    assert e.string("b") == b"\0\0\0"


@pytest.mark.parametrize("offset", ["-1", "4294967296", "x", "1.5", "99999999999999999999"])
def test_an_offset_beyond_512_mb_is_refused(offset: str) -> None:
    e = Engine()
    assert e.run(f"SETBIT b {offset} 1") == "ERR bit offset is not an integer or out of range"
    assert not e.dataset.keys


def test_a_large_bitmap_is_changed_in_place() -> None:
    e = Engine()
    e.run("SETBIT b 8000000 1")
    for bit in range(0, 8000, 8):
        e.run(f"SETBIT b {bit} 1")
    data = e.string("b")
    assert len(data) == 1000001
    assert data[:1000] == b"\x80" * 1000
    assert data[-1] == 0x80


def test_bitop_pads_shorter_strings_with_zeros() -> None:
    e = Engine()
    e.run("SET a", b"\xff\x0f\xff")
    e.run("SET b", b"\x0f\x0f")
    lengths = e.all("BITOP AND and a b", "BITOP OR or a b", "BITOP XOR xor a b", "BITOP NOT not b")
    assert lengths == [3, 3, 3, 2]
    assert e.string("and") == b"\x0f\x0f\x00"
    assert e.string("or") == b"\xff\x0f\xff"
    assert e.string("xor") == b"\xf0\x00\xff"
    assert e.string("not") == b"\xf0\xf0"


def test_bitop_of_nothing_deletes_the_target() -> None:
    e = Engine()
    e.run("SET t x")
    assert e.run("BITOP OR t none nothing") == 0
    assert not e.dataset.keys


def test_the_newer_operations_of_bitop() -> None:
    e = Engine()
    e.run("SET x", b"\b11001100")
    e.run("SET x", bytes((0b11001100,)))
    e.run("SET y", bytes((0b10101010,)))
    e.run("SET z", bytes((0b11110000,)))
    e.all("BITOP DIFF a x y", "BITOP DIFF1 b x y", "BITOP ANDOR c x y z", "BITOP ONE d x y z")
    assert e.string("a") == bytes((0b01000100,))
    assert e.string("b") == bytes((0b00100010,))
    assert e.string("c") == bytes((0b11001000,))
    assert e.string("d") == bytes((0b00010110,))
    assert Engine("redis-8.0").run("BITOP DIFF a x y") == "ERR syntax error"
    assert Engine("valkey-9.1").run("BITOP ONE a x y") == "ERR syntax error"


def test_bitfield_reads_writes_and_counts_across_bytes() -> None:
    e = Engine()
    assert e.run("BITFIELD b SET u5 6 31 GET u5 6 GET i5 6 INCRBY u3 #3 9") == [0, 31, -1, 7]
    assert e.string("b") == b"\x03\xf0"


@pytest.mark.parametrize(
    ("overflow", "replies", "left"),
    [("WRAP", [0, -126], b"\x00\x82"), ("SAT", [255, 127], b"\xff\x7f"), ("FAIL", [None, None], b"\xff\x7e")],
)
def test_bitfield_overflows_as_told(overflow: str, replies: list[int | None], left: bytes) -> None:
    e = Engine()
    e.run("SET b", b"\xff\x7e")
    assert e.run(f"BITFIELD b OVERFLOW {overflow} INCRBY u8 0 1 INCRBY i8 8 4") == replies
    assert e.string("b") == left


def test_the_widest_integers_keep_all_their_bits() -> None:
    e = Engine()
    low = -(1 << 63)
    assert e.run(f"BITFIELD b SET i64 3 {low} GET i64 3 SET u63 70 9223372036854775807 GET u63 70") == [
        0,
        low,
        0,
        (1 << 63) - 1,
    ]


def test_bitfield_that_only_reads_creates_nothing() -> None:
    e = Engine()
    assert e.run("BITFIELD b GET u8 0") == [0]
    assert not e.dataset.keys


@pytest.mark.parametrize("kind", ["u64", "i65", "u0", "x8", "i"])
def test_no_such_integer_type(kind: str) -> None:
    assert str(Engine().run(f"BITFIELD b GET {kind} 0")).startswith("ERR Invalid bitfield type.")
