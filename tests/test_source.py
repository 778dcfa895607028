"""Windows over any source, and opening of inputs."""

from __future__ import annotations

import gzip
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from rdbtool.errors import InputError, RdbToolError, TruncatedError
from rdbtool.source import CHUNK, Window, open_input, window_over


class Trickle:
    """A source that gives out few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self.data = data
        self.step = step
        self.asked = 0

    def read(self, n: int, /) -> bytes:
        self.asked = max(self.asked, n)
        out, self.data = self.data[: min(n, self.step)], self.data[min(n, self.step) :]
        return out


@pytest.mark.parametrize("step", [1, 2, 7, CHUNK])
def test_a_window_gives_the_same_bytes_however_the_source_delivers_them(step: int) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    data = rng.randbytes(5000)
    window = Window(Trickle(data, step))
    seen: list[bytes] = []
    window.observe(seen.append)
    at = 0
    while not window.at_end():
        assert window.offset() == at
        n = min(rng.randint(1, 400), len(data) - at)
        if rng.random() < 0.3:
            window.skip(n)
        elif rng.random() < 0.2:
            window.pin = window.pos
            window.skip(n)
            assert window.unpin() == data[at : at + n]
        else:
            assert window.take(n) == data[at : at + n]
        at += n
    window.report()
    assert b"".join(seen) == data
    assert at == len(data)


def test_a_length_beyond_a_known_size_is_refused_without_reading() -> None:
    source = Trickle(b"x" * 100, 100)
    window = Window(source, size=100, path="f")
    with pytest.raises(TruncatedError) as e:
        window.take(1 << 60)
    assert source.asked == 0
    assert (e.value.path, e.value.offset) == ("f", 0)


def test_a_length_beyond_an_unknown_size_reads_to_the_end_and_no_further() -> None:
    window = Window(Trickle(b"x" * 100, 10))
    window.skip(10)
    with pytest.raises(TruncatedError) as e:
        window.take(1 << 60)
    assert e.value.offset == 10
    window = Window(Trickle(b"x" * 100, 10))
    with pytest.raises(TruncatedError):
        window.skip(101)


def test_offsets_count_from_the_given_base() -> None:
    window = window_over(b"abc", base=1000)
    window.skip(2)
    assert window.offset() == 1002
    with pytest.raises(TruncatedError) as e:
        window.take(2)
    assert e.value.offset == 1002


@pytest.mark.parametrize("wrap", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_inputs_are_opened_by_their_first_bytes(tmp_path: Path, wrap: Callable[[bytes], bytes]) -> None:
    data = random.Random(1).randbytes(3_000_000) + b"a" * 3_000_000
    path = tmp_path / "file"
    path.write_bytes(wrap(data))
    with open_input(str(path)) as opened:
        window = opened.window()
        assert window.take(len(data)) == data
        assert window.at_end()


def test_several_gzip_members_are_one_input(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"one") + gzip.compress(b"two") + bytes(20))
    with open_input(str(path)) as opened:
        assert opened.window().take(6) == b"onetwo"


@pytest.mark.parametrize(
    "wrap", [gzip.compress, zstandard.ZstdCompressor(write_checksum=True).compress], ids=["gzip", "zstd"]
)
def test_damaged_compression_is_an_error_that_names_the_file(tmp_path: Path, wrap: Callable[[bytes], bytes]) -> None:
    whole = wrap(random.Random(2).randbytes(200_000))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    path = tmp_path / "file"
    for damaged in (whole[: len(whole) // 2], bytes(flipped)):
        path.write_bytes(damaged)
        with open_input(str(path)) as opened:
            window = opened.window()
            with pytest.raises(RdbToolError) as e:
                window.skip(200_001)
        assert e.value.path == str(path)


def frames(text: bytes) -> bytes:
    """A zstd stream of two frames, with and without a checksum, and one between that is skipped."""
    first = zstandard.ZstdCompressor(write_checksum=True).compress(text)
    second = zstandard.ZstdCompressor(write_content_size=False).compress(text)
    return first + b"\x5a\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"skipped" + second


def drained(window: Window) -> bool:
    """Whether the window's input can be read to its end, or else is said to be cut short."""
    try:
        while not window.at_end():
            window.skip(window.end - window.pos)
    except InputError as e:
        return "cut short" not in e.message
    return True


@pytest.mark.parametrize("wrap", [lambda text: gzip.compress(text) * 2, frames], ids=["gzip", "zstd"])
def test_compression_that_is_cut_short_is_told_wherever_it_is_cut(
    tmp_path: Path, wrap: Callable[[bytes], bytes]
) -> None:
    text = bytes(random.Random(3).randbytes(300)) + bytes(300_000)
    whole = wrap(text)
    path = tmp_path / "file"
    ends = []
    for size in (*range(4, len(whole)), len(whole)):
        path.write_bytes(whole[:size])
        with open_input(str(path)) as opened:
            if drained(opened.window()):
                ends.append(size)
    assert len(ends) == (3 if wrap is frames else 2), ends
    assert ends[-1] == len(whole)


def test_what_cannot_be_opened_or_read_is_an_input_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(InputError) as e:
            open_input(str(path))
        assert str(path) in str(e.value)
    socket_path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(socket_path)
        with pytest.raises(InputError):
            open_input(socket_path)


def test_a_pipe_is_an_input(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = f"open({str(fifo)!r}, 'wb').write(b'hello')"
    with subprocess.Popen([sys.executable, "-c", code]), open_input(str(fifo)) as opened:
        assert opened.size == -1
        assert opened.window().take(5) == b"hello"
