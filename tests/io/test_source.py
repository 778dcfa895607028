"""Windows over any source, and opening of inputs."""

from __future__ import annotations

import gc
import gzip
import os
import random
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from rdbtool.errors import InputError, RdbToolError, TruncatedError, UnsupportedError
from rdbtool.io.random_access import LOOKS, PORTION, Pages, Stored
from rdbtool.io.source import open_input
from rdbtool.io.window import CHUNK, Window, window_over


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


@pytest.mark.slow  # a file is opened for each of its bytes
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


def stored_file(path: Path, data: bytes) -> Stored:
    path.write_bytes(data)
    with open_input(str(path)) as opened:
        stored = opened.window().stored()
    assert stored is not None
    return stored


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_stored_file_gives_its_payloads_in_any_order_and_any_number_of_times(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    data = rng.randbytes(6 * CHUNK)
    stored = stored_file(tmp_path / "f", data)
    at = 0
    for _ in range(3000):
        if rng.random() < 0.2:
            at = rng.randrange(len(data))
        elif rng.random() < 0.2:
            at = min(len(data), at + rng.choice([1, 50, CHUNK // 8, CHUNK]))
        n = min(rng.choice([0, 1, 10, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK]), len(data) - at)
        window = stored.window_at(at, n)
        assert window.offset() == at
        passed = rng.randint(0, n)
        assert window.take(passed) == data[at : at + passed]
        if rng.random() < 0.8:
            assert window.take(n - passed) == data[at + passed : at + n]
            at += n


def test_payloads_in_the_order_of_the_file_are_read_in_chunks_and_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = stored_file(tmp_path / "f", bytes(8 * CHUNK))
    asked: list[int] = []
    pread = os.pread

    def counted(handle: int, n: int, offset: int) -> bytes:
        asked.append(n)
        return pread(handle, n, offset)

    monkeypatch.setattr(os, "pread", counted)
    for at in (5 * CHUNK, 3 * CHUNK, 7 * CHUNK, 100, 6 * CHUNK, 3 * CHUNK):
        stored.window_at(at, 10).take(10)
    assert asked == [10] * 6
    asked.clear()
    for at in range(0, 8 * CHUNK - 100, 100):
        stored.window_at(at, 90).take(90)
    assert len(asked) <= 10
    assert sum(asked) <= 9 * CHUNK


def test_a_stored_file_survives_what_happens_to_its_name(tmp_path: Path) -> None:
    path = tmp_path / "f"
    stored = stored_file(path, b"the old one")
    other = tmp_path / "other"
    other.write_bytes(b"another")
    os.replace(other, path)
    assert stored.window_at(4, 7).take(7) == b"old one"
    path.unlink()
    assert stored.window_at(0, 3).take(3) == b"the"


def test_a_stored_file_may_grow_but_not_shrink_or_change(tmp_path: Path) -> None:
    path = tmp_path / "f"
    data = random.Random(4).randbytes(4 * CHUNK)
    for sequential in (False, True):
        stored = stored_file(path, data)
        if sequential:
            stored.window_at(10, 2 * CHUNK).take(100)
        with path.open("ab") as f:
            f.write(b"more")
        assert stored.window_at(200, 10).take(10) == data[200:210]
        os.truncate(path, CHUNK)
        with pytest.raises(InputError, match="became shorter") as e:
            stored.window_at(3 * CHUNK, 10).take(10)
        assert (e.value.path, e.value.offset) == (str(path), 3 * CHUNK)
        stored = stored_file(path, data)
        with path.open("r+b") as f:
            f.write(b"another beginning")
        os.utime(path, ns=(1, 1))
        with pytest.raises(InputError, match="was changed") as e:
            stored.window_at(CHUNK, CHUNK + 1).take(10)
        assert (e.value.path, e.value.offset) == (str(path), CHUNK)
        with pytest.raises(InputError, match="was changed"):
            _ = [stored.window_at((n % 2 + 2) * CHUNK, 10) for n in range(LOOKS)]


def test_a_stored_file_gives_nothing_else_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "f"
    data = random.Random(5).randbytes(4 * CHUNK)
    stored = stored_file(path, data)
    stored.window_at(0, 2 * CHUNK).take(10)
    os.truncate(path, CHUNK)
    for _ in range(3):
        with pytest.raises(InputError, match="became shorter"):
            stored.window_at(CHUNK + 100, 10).take(10)


def test_a_stored_file_is_closed_when_nobody_needs_it(tmp_path: Path) -> None:
    before = descriptors()
    gc.disable()
    try:
        stored = stored_file(tmp_path / "f", bytes(CHUNK))
        window = stored.window_at(0, 10)
        window = stored.window_at(20, 10)
        assert descriptors() == before + 1
        del stored
        assert window.take(10) == bytes(10)
        del window
        assert descriptors() == before
    finally:
        gc.enable()


def test_what_cannot_be_read_twice_is_not_stored(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(gzip.compress(bytes(100)))
    with open_input(str(path)) as opened:
        assert opened.window().stored() is None
    path.write_bytes(bytes(100))
    with open_input(str(path)) as opened:
        window = opened.window()
    assert window.stored() is None
    reading, writing = os.pipe()
    os.write(writing, b"hello")
    os.close(writing)
    with open_input(f"/dev/fd/{reading}") as opened:
        assert opened.window().stored() is None
    os.close(reading)
    assert window_over(b"bytes").stored() is None


def test_too_many_open_files_are_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(100))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open_input(str(path)) as opened:
        window = opened.window()
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            with pytest.raises(InputError, match="cannot keep it open: Too many open files") as e:
                window.stored()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert e.value.path == str(path)


def test_pages_give_the_bytes_of_any_place_and_windows_over_any_part(tmp_path: Path) -> None:
    data = random.Random(6).randbytes(700_000)
    path = tmp_path / "f"
    path.write_bytes(data)
    before = descriptors()
    with Pages(str(path)) as pages:
        for at, n in ((0, 10), (699_990, 100), (300_000, 300_000), (5, 1), (800_000, 5)):
            assert pages.take(at, n) == data[at : at + n]
        assert pages.find(data[650_000:650_020], 0, len(data)) == 650_000
        assert [pages.byte(at) for at in (0, 699_999, 700_000)] == [data[0], data[-1], -1]
        window = pages.window(1000, 1000 + 2 * PORTION)
        assert window.take(2 * PORTION) == data[1000 : 1000 + 2 * PORTION]
        assert window.at_end()
        os.truncate(path, 400_000)
        with pytest.raises(InputError, match="became shorter") as e:
            pages.take(500_000, 10)
        assert (e.value.path, e.value.offset) == (str(path), 500_000)
    assert descriptors() == before


def test_a_file_that_nothing_here_unpacks_does_not_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.rdb.zst"
    path.write_bytes(zstandard.compress(b"REDIS0009"))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression", None)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UnsupportedError):
        open_input(str(path))
    assert len(os.listdir("/proc/self/fd")) == before
