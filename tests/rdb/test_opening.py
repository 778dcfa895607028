"""`open_rdb`: the same events from wherever an RDB comes."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

import rdbtool
from rdbtool.errors import FormatError, InputError, TruncatedError
from rdbtool.rdb.events import End, Event, Header, SelectDb
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.opening import open_rdb
from tests.rdb.corpus import FIXTURES
from tests.rdb.craft import rdb, record, string

SMALL = FIXTURES / "redis-7.4.1" / "small-plain.rdb"


class Trickle(io.RawIOBase):
    """One byte per read."""

    def __init__(self, data: bytes) -> None:
        self.inner = io.BytesIO(data)

    def read(self, n: int = -1, /) -> bytes:
        return self.inner.read(min(n, 1))


def told(event: Event) -> tuple[str, bytes, bytes]:
    if isinstance(event, Frame):
        return type(event).__name__, event.key, event.raw()
    return type(event).__name__, b"", b""


@pytest.mark.parametrize("wrap", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_the_same_events_come_from_a_path_and_from_anything_that_reads(
    tmp_path: Path, wrap: Callable[[bytes], bytes]
) -> None:
    data = wrap(SMALL.read_bytes())
    path = tmp_path / "x"
    path.write_bytes(data)
    with open_rdb(SMALL) as events:
        expected = [told(event) for event in events]
    assert expected[0][0] == "Header"
    assert expected[-1][0] == "End"
    for source in (path, str(path), io.BytesIO(data), Trickle(data)):
        assert [told(event) for event in open_rdb(source)] == expected


def test_values_are_decoded_when_asked_for_and_only_then() -> None:
    data = rdb(record(0, b"whole", string(b"v")), record(2, b"set", b"\x02" + string(b"a") + string(b"a")))
    with open_rdb(io.BytesIO(data)) as events:
        assert isinstance(next(events), Header)
        assert isinstance(next(events), SelectDb)
        whole = next(events)
        assert isinstance(whole, Frame)
        assert whole.value() == b"v"
        damaged = next(events)
        assert isinstance(damaged, Frame)
        assert damaged.key == b"set"
        assert isinstance(next(events), End)
        assert list(events) == []


def test_errors_name_what_was_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.rdb"):
        open_rdb(tmp_path / "gone.rdb")
    path = tmp_path / "cut.rdb"
    path.write_bytes(SMALL.read_bytes()[:1000])
    with pytest.raises(TruncatedError, match=r"cut\.rdb"), open_rdb(path) as events:
        list(events)
    with pytest.raises(FormatError, match="input"):
        list(open_rdb(io.BytesIO(b"no snapshot at all")))


def test_the_library_names_are_loaded_when_asked_for() -> None:
    assert rdbtool.open_rdb is open_rdb
    assert rdbtool.check_rdb(str(SMALL)).sound
    code = "import rdbtool, sys; print({m for m in sys.modules if m.startswith('rdbtool.')} - {'rdbtool._compiled'})"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"
