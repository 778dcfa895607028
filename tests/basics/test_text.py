"""The rule from bytes to text, and JSON made by it."""

from __future__ import annotations

import json
import math
import random
import struct

import pytest
from librt.strings import BytesWriter

from rdbtool.aof.command_writer import write_header
from rdbtool.basics import text
from rdbtool.basics.decimals import write_decimal_text
from rdbtool.basics.numbers import natural
from rdbtool.basics.writing import decimal_size, write_integer, write_part
from rdbtool.errors import UsageError
from rdbtool.io.output import Output
from rdbtool.outputs import json_text
from tests.outputs.collected import Collected

SEED = 20260101


def some_bytes(rng: random.Random) -> bytes:
    """Binary, UTF-8 of all lengths, printable text, and text that looks marked; now and then one byte is changed."""
    n = rng.randrange(40)
    kind = rng.randrange(4)
    if kind == 0:
        data = rng.randbytes(n)
    elif kind == 1:
        ranges = ((0, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000))
        data = "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(n)).encode()
    elif kind == 2:
        data = bytes(rng.randrange(32, 127) for _ in range(n))
    else:
        data = b"base64:" + rng.randbytes(rng.randrange(3))
    if data and rng.random() < 0.2:
        at = rng.randrange(len(data))
        data = data[:at] + rng.randbytes(1) + data[at + 1 :]
    return data


def json_string(data: bytes, mode: int, write: object = None) -> bytes:
    sink = Collected()
    o = Output(sink)
    (json_text._write_long if write else json_text.write_string)(o, b"##" + data + b"#", 2, 2 + len(data), mode)
    o.flush()
    return sink.getvalue()


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_utf8_is_told_as_python_tells_it() -> None:
    rng = random.Random(SEED)
    for _ in range(3000):
        data = some_bytes(rng)
        assert text.is_utf8(b"\xff" + data + b"\xff", 1, 1 + len(data)) == is_utf8(data), (SEED, data)


@pytest.mark.parametrize(
    "data", [b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf"]
)
def test_overlong_forms_surrogates_and_beyond_unicode_are_not_utf8(data: bytes) -> None:
    assert not text.is_utf8(data, 0, len(data))
    assert text.to_text(data, text.AUTO).startswith(b"base64:")


@pytest.mark.parametrize("mode", [text.AUTO, text.BASE64, text.HEX, text.ESCAPE])
def test_text_of_every_lossless_mode_reads_back(mode: int) -> None:
    rng = random.Random(SEED)
    for _ in range(1500):
        data = some_bytes(rng)
        for written in (text.to_text(data, mode), text.to_line(data, mode)):
            assert text.from_text(written.decode(), mode) == data, (SEED, data)


def test_auto_leaves_utf8_alone_and_marks_the_rest() -> None:
    assert text.to_text("grüß".encode(), text.AUTO) == "grüß".encode()
    assert text.to_text(b"\xff", text.AUTO) == b"base64:/w=="
    assert text.to_text(b"base64:", text.AUTO) == b"base64:YmFzZTY0Og=="


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("base64:a", text.AUTO),
        ("\udc80", text.AUTO),
        ("a b", text.BASE64),
        ("ü", text.BASE64),
        ("0g", text.HEX),
        ("\\x0", text.ESCAPE),
        ("\\", text.ESCAPE),
        ("\\n", text.ESCAPE),
        ("\\x+1", text.ESCAPE),
        ("ü", text.ESCAPE),
    ],
)
def test_text_that_stands_for_nothing_is_refused(written: str, mode: int) -> None:
    with pytest.raises(ValueError):
        text.from_text(written, mode)


@pytest.mark.parametrize("mode", range(5))
def test_a_line_has_no_control_characters(mode: int) -> None:
    rng = random.Random(SEED)
    nasty = [b"\x1b[31m", b"a\nb", b"\x7f", "\x9b31m".encode(), "\u2028".encode(), b"\xff\n", b"\0"]
    for data in nasty + [some_bytes(rng) for _ in range(1000)]:
        for line in (text.to_line(data, mode), text.to_people(data, mode)):
            shown = line.decode()
            assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" for c in shown), (SEED, data)


def test_people_see_what_is_not_text_escaped() -> None:
    assert text.to_people(b"a\\\n\xff\x1b" + "ü".encode(), text.AUTO) == "a\\\\\\n\\xff\\x1bü".encode()


def test_an_unknown_mode_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="auto, utf8, base64, hex, escape"):
        text.mode_of("rot13")


@pytest.mark.parametrize("mode", range(5))
def test_json_strings_hold_the_text(mode: int) -> None:
    rng = random.Random(SEED)
    for _ in range(2000):
        data = some_bytes(rng)
        written = json_string(data, mode)
        assert json.loads(written).encode() == text.to_text(data, mode), (SEED, data)
        assert json.loads(json_string(data, mode, write="long")) == json.loads(written), (SEED, data)


def test_long_strings_go_out_in_pieces_and_stay_whole() -> None:
    for data in (b"x" * 1_100_000 + "ü".encode() * 20, b"\xff" * 1_100_000, b"x" * 1_050_000 + b'"' * 9):
        assert json.loads(json_string(data, text.AUTO)).encode() == text.to_text(data, text.AUTO)


def some_double(rng: random.Random) -> float:
    kind = rng.randrange(6)
    if kind == 0:
        x = rng.randrange(10**9) / 1000
    elif kind == 1:
        x = rng.randrange(10 ** rng.randrange(1, 16)) / 10 ** rng.randrange(1, 20)
    elif kind == 2:
        x = struct.unpack("<d", rng.randbytes(8))[0]
    elif kind == 3:
        x = rng.random() * 10.0 ** rng.randrange(-8, 18)
    elif kind == 4:
        x = float(rng.randrange(10**19))
    else:
        x = rng.choice((0.0, math.inf, 1e-4, 1e-5, 2.0**53, 1e15, 123456789.125))
    return -x if rng.random() < 0.3 else x


def test_numbers_read_back_to_the_bit_and_are_the_shortest() -> None:
    rng = random.Random(SEED)
    for _ in range(5000):
        x = some_double(rng)
        out = BytesWriter()
        json_text.write_number(out, x)
        read = json.loads(out.getvalue())
        assert repr(float(read)) == repr(x), (SEED, x)
        assert len(out.getvalue().strip(b'"')) <= len(repr(x)), (SEED, x)


def test_decimal_text_becomes_what_its_double_is_written_as() -> None:
    rng = random.Random(SEED)
    quick = 0
    for _ in range(8000):
        x = some_double(rng)
        printed = rng.choice((f"{x:.17g}", f"{x:.16g}", repr(x), f"{x:.12f}")).encode()
        out = BytesWriter()
        if len(printed) < 40 and write_decimal_text(out, b"#" + printed + b"#", 1, 1 + len(printed)):
            quick += 1
            plain = BytesWriter()
            json_text.write_number(plain, float(printed))
            assert out.getvalue() == plain.getvalue(), (SEED, printed)
    assert quick > 2000


def test_integers_are_written_in_decimal() -> None:
    rng = random.Random(SEED)
    edges = [0, 9, 10, 99_999_999, 100_000_000, (1 << 63) - 1, -(1 << 63), -999_999_999_999_999_999]
    for n in edges + [rng.randrange(-(1 << 63), 1 << 63) >> rng.randrange(64) for _ in range(1000)]:
        out = BytesWriter()
        write_integer(out, n)
        assert out.getvalue() == b"%d" % n
        assert decimal_size(n) == len(b"%d" % n)


def test_parts_are_written_as_they_stand() -> None:
    data = bytes(range(256)) * 3
    for start in range(20):
        for size in (*range(40), 255, 256, 257, 700):
            out = BytesWriter()
            out.append(7)
            write_part(out, data, start, start + size)
            assert out.getvalue() == b"\7" + data[start : start + size]
    for end in range(12):  # at the beginning and at the end of the data
        for start in range(end):
            out = BytesWriter()
            write_part(out, data[:end], start, end)
            assert out.getvalue() == data[start:end]


def test_headers_announce_their_number() -> None:
    for n in (*range(1200), 99_999, 1 << 40):
        out = BytesWriter()
        write_header(out, 42, n)
        assert out.getvalue() == b"*%d\r\n" % n


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        (b"17", 17),
        ("007", 7),
        ("9" * 19, 10**19 - 1),
        ("9" * 20, -1),
        (b"1" * 5000, -1),
        ("", -1),
        (b"-1", -1),
    ]
    + [(text, -1) for text in (" 1", "1_0", "+1", "1.0", "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT ONE}", b"\xb2")],
)
def test_a_number_is_made_of_a_few_digits_and_nothing_else(text: str | bytes, number: int) -> None:
    assert natural(text) == number
