"""Snapshots in the envelope of Valkey 9.2."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import pytest

from rdbtool.errors import FormatError, RdbToolError, TruncatedError
from rdbtool.findings import Severity
from rdbtool.io.source import open_input, open_stream
from rdbtool.io.vcs import HEADER, VcsCompressor, VcsReader
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from rdbtool.tasks.check_rdb import check_rdb

FIXTURES = Path(__file__).parents[2] / "fixtures" / "rdb"
BAD = FIXTURES / "broken-vcs"
VERDICTS: dict[str, str] = json.loads((BAD / "verdicts.json").read_text())["files"]
PLAIN = FIXTURES / "valkey-9.1.2" / "small-plain.rdb"


def wrapped(data: bytes) -> bytes:
    compressor = VcsCompressor("out")
    return compressor.compress(data) + compressor.flush()


def keys_of(path: Path) -> list[tuple[int, bytes, int, bytes]]:
    with open_input(str(path)) as source:
        return [(e.db, e.key, e.expire_at_ms, e.raw()) for e in RdbReader(source.window()) if isinstance(e, Frame)]


def test_what_is_wrapped_is_read_as_if_it_were_not(tmp_path: Path) -> None:
    (tmp_path / "x.rdb").write_bytes(wrapped(PLAIN.read_bytes()))
    assert keys_of(tmp_path / "x.rdb") == keys_of(PLAIN) != []


@pytest.mark.parametrize("name", VERDICTS)
def test_damaged_envelopes_are_refused_as_the_server_does(name: str) -> None:
    report = check_rdb(str(BAD / name))
    assert bool(report.findings.of(Severity.ERROR)) == (not VERDICTS[name].startswith("loads")), report.findings.items


def test_damage_is_told_where_it_is_in_the_file_and_in_the_data() -> None:
    rng = random.Random(5)
    content = b"".join(rng.randbytes(40) + bytes(60) for _ in range(3000))
    data = wrapped(content)  # several blocks
    first = int.from_bytes(data[len(HEADER) + 7 :][:4], "little")
    second_block = len(HEADER) + 7 + 4 + first + 4
    damaged = bytearray(data)
    damaged[second_block + 40] ^= 1
    reader = VcsReader(io.BytesIO(bytes(damaged)), "x.rdb")
    given: list[bytes] = []
    with pytest.raises(FormatError, match=f"damaged at byte {second_block} of the file") as caught:
        given.extend(iter(lambda: reader.read(10_000), b""))
    assert sum(map(len, given)) == caught.value.offset > 0
    assert content.startswith(b"".join(given))


@pytest.mark.parametrize("cut", [1, 4, 6, 7, 9, 13, 14, 200, -1, -4, -5])
def test_what_is_cut_is_truncated(cut: int) -> None:
    data = wrapped(PLAIN.read_bytes())[:cut]
    if cut < 3:  # it could be anything yet
        with pytest.raises(RdbToolError):
            list(RdbReader(open_stream(io.BytesIO(data)).window()))
    else:
        with pytest.raises(TruncatedError):
            list(RdbReader(open_stream(io.BytesIO(data)).window()))


def test_a_log_behind_the_envelope_is_read_on(tmp_path: Path) -> None:
    from rdbtool.inputs.replaying import replay

    log = tmp_path / "x.aof"
    log.write_bytes(wrapped(PLAIN.read_bytes()) + b"*3\r\n$3\r\nSET\r\n$5\r\nadded\r\n$1\r\n1\r\n")
    dataset = replay(str(log)).dataset
    assert dataset.string(b"added") is not None
    assert sum(len(keys) for keys in dataset.dbs.values()) == len(keys_of(PLAIN)) + 1


def test_every_flipped_bit_of_a_frame_with_checksums_is_found() -> None:
    data = wrapped(b"VALKEY081" + b"\xfa\x01a\x01b" * 40 + b"\xff" + bytes(8))
    rng = random.Random(9)
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << rng.randrange(8)
        with pytest.raises(RdbToolError):
            list(RdbReader(open_stream(io.BytesIO(bytes(flipped))).window()))
