"""Lengths, strings and numbers."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbtool.errors import FormatError, RdbToolError, TruncatedError
from rdbtool.io.window import Window, window_over
from rdbtool.rdb.layout.primitives import (
    LZF,
    read_binary_double,
    read_count,
    read_double,
    read_length,
    read_length_or_encoding,
    read_ms,
    read_seconds,
    read_string,
    read_u64,
    skip_double,
    skip_string,
)
from tests.rdb.craft import encode_length, lzf, string


@given(st.integers(0, (1 << 63) - 1), st.binary(max_size=3))
def test_lengths_come_back(n: int, tail: bytes) -> None:
    w = window_over(encode_length(n) + tail)
    assert read_length(w) == n
    assert w.take(len(tail)) == tail


@given(st.integers(0, (1 << 64) - 1))
def test_numbers_of_64_bits_come_back(n: int) -> None:
    assert read_u64(window_over(encode_length(n))) == n


@pytest.mark.parametrize(
    ("data", "length"),
    [(b"\x3f", 63), (b"\x40\x40", 64), (b"\x7f\xff", 16383), (b"\x80\xff\xff\xff\xff", (1 << 32) - 1), (b"\xc3", LZF)],
)
def test_lengths_are_read_as_written(data: bytes, length: int) -> None:
    assert read_length_or_encoding(window_over(data)) == length


@pytest.mark.parametrize("data", [b"\x82", b"\xbf", b"\x81" + b"\xff" * 8])
def test_lengths_that_cannot_be_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_length(window_over(data))


@pytest.mark.parametrize("data", [b"", b"\x40", b"\x80\x00", b"\x81\x00\x00"])
def test_cut_lengths_are_truncations(data: bytes) -> None:
    with pytest.raises(TruncatedError):
        read_length(window_over(data))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x00", b""),
        (string(b"x" * 70), b"x" * 70),
        (b"\xc0\x80", b"-128"),
        (b"\xc1\xff\x7f", b"32767"),
        (b"\xc2" + struct.pack("<i", -(1 << 31)), b"-2147483648"),
        (lzf(b"\x02abc\x40\x02", 7), b"abcabca"),
    ],
)
def test_strings_in_all_encodings(data: bytes, text: bytes) -> None:
    w = window_over(data + b"tail")
    assert read_string(w) == text
    assert w.take(4) == b"tail"
    w = window_over(data + b"tail")
    skip_string(w)
    assert w.take(4) == b"tail"


@pytest.mark.parametrize("data", [b"\xc4", lzf(b"\x02ab", 3), lzf(b"\x00a", 2), lzf(b"\x00a\x20\x05", 5)])
def test_strings_that_cannot_be_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_string(window_over(data))


def test_no_memory_is_reserved_for_a_length_that_is_not_there() -> None:
    for data in (b"\x81" + struct.pack(">Q", 1 << 50) + b"x", b"\xc3\x02" + encode_length(1 << 50) + b"ab"):
        with pytest.raises(RdbToolError):
            read_string(window_over(data))
        with pytest.raises(RdbToolError):
            read_string(Window(None, data=data))


def test_counts_are_checked_against_what_is_left() -> None:
    assert read_count(window_over(b"\x03abc"), 1) == 3
    with pytest.raises(FormatError, match="4 items announced"):
        read_count(window_over(b"\x04abc"), 1)
    with pytest.raises(FormatError):
        read_count(window_over(b"\x02abc"), 2)


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"\xfe", math.inf), (b"\xff", -math.inf), (b"\x033.5", 3.5), (b"\x02-1", -1.0), (b"\x0417e3", 17e3)],
)
def test_scores_as_text(data: bytes, value: float) -> None:
    assert read_double(window_over(data)) == value
    w = window_over(data + b"x")
    skip_double(w)
    assert w.take(1) == b"x"


def test_a_score_can_be_nan_and_no_word() -> None:
    assert math.isnan(read_double(window_over(b"\xfd")))
    for text in (b"word", b"_1", b""):
        with pytest.raises(FormatError):
            read_double(window_over(bytes((len(text),)) + text))


@given(st.floats(allow_nan=False))
def test_binary_scores_come_back(value: float) -> None:
    assert read_binary_double(window_over(struct.pack("<d", value))) == value


def test_times_are_signed() -> None:
    assert read_ms(window_over(struct.pack("<q", -5))) == -5
    assert read_seconds(window_over(struct.pack("<i", -5))) == -5


@given(st.binary(max_size=30))
def test_any_bytes_give_a_string_or_one_error(data: bytes) -> None:
    for read in (read_string, skip_string):
        w = window_over(data)
        try:
            read(w)
        except RdbToolError as e:
            assert 0 <= e.offset <= len(data)  # noqa: PT017 - the error is what is tested, when there is one
