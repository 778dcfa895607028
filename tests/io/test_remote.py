"""Files elsewhere, in fsspec's file system in memory, and in one that fails."""

from __future__ import annotations

import gzip
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rdbtool.errors import InputError, OutputError, UnsupportedError
from rdbtool.io import remote
from rdbtool.io.remote import AHEAD, RANGE, RemoteSink, expand, open_remote, without_secrets
from rdbtool.io.sink import commit_all, open_named
from rdbtool.io.source import Input, open_input

DATA = bytes(range(256)) * (5 * RANGE // 256) + b"end"


class Store(MemoryFileSystem):  # type: ignore[misc] # fsspec has no types
    """One that gives ranges side by side, and tells which were asked for; ``broken``: from which byte on it
    fails; ``together``: what the first two wait at for each other.
    """

    protocol = "az"  # a scheme whose own file system is not needed here
    async_impl = True
    cachable = False
    store: dict[str, Any] = {}  # noqa: RUF012 - as fsspec has it
    asked: list[int] = []  # noqa: RUF012
    together: threading.Barrier | None = None
    broken = -1
    replaced = False

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: object) -> bytes:
        assert start is not None
        self.asked.append(start)
        if self.together is not None and start < 2 * RANGE:
            self.together.wait(10)
        if 0 <= self.broken <= start:
            raise OSError("connection reset by https://user:secret@host/x?sig=secret of the peer")
        data: bytes = super().cat_file(path, start, end)
        return data

    def info(self, path: str, **_: object) -> dict[str, Any]:
        return {**super().info(path), "ETag": "b" if Store.replaced and self.asked else "a"}


@pytest.fixture(autouse=True)
def store() -> Iterator[None]:
    fsspec.register_implementation("az", Store, clobber=True)
    MemoryFileSystem.store.clear()
    Store.store.clear()
    Store.asked.clear()
    Store.together = None
    Store.broken = -1
    Store.replaced = False
    yield
    MemoryFileSystem.store.clear()


def put(url: str, data: bytes) -> str:
    with fsspec.open(url, "wb") as stream:
        stream.write(data)
    return url


def read(source: Input) -> None:
    """Read all of it."""
    while source.stream.read(1 << 20):
        pass


@pytest.mark.parametrize("scheme", ["memory", "az"])
@pytest.mark.parametrize("size", [0, 1, RANGE - 1, RANGE, RANGE + 1, len(DATA)])
def test_all_bytes_come_in_order(scheme: str, size: int) -> None:
    with open_input(put(f"{scheme}://b/x", DATA[:size])) as source:
        got = bytearray()
        while data := source.stream.read(100_000 + size // 7):
            got += data
        assert source.size == size
    assert bytes(got) == DATA[:size]


def test_ranges_are_fetched_ahead_and_no_more_than_that() -> None:
    url = put("az://b/x", DATA)
    Store.together = threading.Barrier(2)  # neither of the first two comes before the other was asked for
    with open_input(url) as source:
        assert source.stream.read(4) == DATA[:4]
        for _ in range(100):
            if len(Store.asked) > AHEAD:
                break
            time.sleep(0.01)
        assert sorted(Store.asked) == [i * RANGE for i in range(AHEAD + 1)]


def test_a_cut_in_the_middle_is_one_error_that_tells_no_secret() -> None:
    url = put("az://b/x", DATA)
    Store.broken = 2 * RANGE
    with open_input(url) as source, pytest.raises(InputError) as e:
        read(source)
    assert str(e.value) == (
        f"az://b/x: cannot read from byte {2 * RANGE:,} on: connection reset by https://host/x?... of the peer"
    )


def test_a_file_that_is_replaced_meanwhile_is_told() -> None:
    url = put("az://b/x", DATA)
    Store.replaced = True
    with open_input(url) as source, pytest.raises(InputError, match="replaced while it was read"):
        read(source)


def test_a_file_that_becomes_shorter_is_told() -> None:
    url = put("az://b/x", DATA)
    source = open_remote(url)
    next(iter(Store.store.values())).truncate(RANGE * 4 + 100)
    with source, pytest.raises(InputError, match="had 20,971,523 when it was opened"):
        read(source)


def test_compressed_files_are_told_by_their_bytes() -> None:
    with open_input(put("memory://b/x", gzip.compress(b"hello"))) as source:
        assert source.stream.read(100) == b"hello"


def test_what_is_not_there_is_one_line() -> None:
    with pytest.raises(InputError, match="memory://b/none: cannot open: there is no such file, directory or bucket"):
        open_input("memory://b/none")
    with pytest.raises(InputError, match="no file matches"):
        expand("memory://b/*.rdb")


def test_patterns_give_urls() -> None:
    for name in ("shard-2.rdb", "shard-1.rdb", "other"):
        put(f"memory://b/{name}", b"x")
    assert expand("memory://b/shard-*.rdb") == ["memory://b/shard-1.rdb", "memory://b/shard-2.rdb"]
    assert open_input(expand("memory://b/shard-?.rdb")[0]).stream.read(9) == b"x"


def test_an_output_is_there_when_it_is_whole() -> None:
    files = fsspec.filesystem("memory")
    sink = open_named("memory://b/out")
    sink.write(b"abc" * 1000)
    assert not files.exists("/b/out")
    commit_all([sink])
    assert files.cat("/b/out") == b"abc" * 1000
    assert files.find("/b") == ["/b/out"]
    dropped = RemoteSink("memory://b/out")
    dropped.write(b"new")
    dropped.abort()
    assert files.cat("/b/out") == b"abc" * 1000
    assert files.find("/b") == ["/b/out"]


def test_of_several_outputs_all_are_there_or_none(tmp_path: Path) -> None:
    here, there = open_named("memory://b/one"), open_named(str(tmp_path / "two"))
    (tmp_path / "two").mkdir()
    with pytest.raises(OutputError):
        commit_all([here, there])
    assert not fsspec.filesystem("memory").exists("/b/one")


def test_an_input_is_not_overwritten() -> None:
    with pytest.raises(OutputError, match="is an input"):
        open_named("memory://b/x", inputs=("memory://b/x",))


def test_without_fsspec_or_what_a_scheme_needs_a_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(UnsupportedError, match=r"gs:// needs a package that is not there: pip install '.*\[remote\]'"):
        open_input("gs://b/x")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UnsupportedError, match=r"files elsewhere need the extra: pip install '.*\[remote\]'"):
        open_input("memory://b/x")


def test_passwords_are_given_back_only_to_the_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def url_to_fs(url: str) -> tuple[object, str]:
        seen.append(url)
        raise PermissionError(f"no: {url}")

    monkeypatch.setattr(fsspec.core, "url_to_fs", url_to_fs)
    remote.keep_password("sftp://ann@host/x", "s%40cret")
    with pytest.raises(InputError) as e:
        open_input("sftp://ann@host/x")
    assert seen == ["sftp://ann:s%40cret@host/x"]
    assert "cret" not in str(e.value)


def test_what_lets_somebody_in_is_taken_out_of_messages() -> None:
    text = "GET https://a:b@h/x?X-Amz-Signature=abc failed, sftp://u@h/y too"
    assert without_secrets(text) == "GET https://h/x?... failed, sftp://h/y too"
