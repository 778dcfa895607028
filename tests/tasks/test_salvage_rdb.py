"""What check-rdb --salvage writes: all that can be read, in a file that servers load."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from rdbtool.errors import FormatError, InputError, UsageError
from rdbtool.exit_codes import ExitCode, of_report
from rdbtool.io.source import open_input
from rdbtool.io.vcs import VcsCompressor
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from rdbtool.tasks.check_rdb import check_rdb
from rdbtool.tasks.salvage_rdb import SalvageRdbReport, salvage_rdb
from tests.cli.running import run
from tests.rdb.corpus import FIXTURES
from tests.rdb.craft import rdb, record, string
from tests.servers.harness import SERVERS, ServerKind, running

PLAIN = FIXTURES / "redis-7.0.15" / "small-plain.rdb"
CRLF = FIXTURES / "broken" / "7.4.1-nochecksum-crlf.rdb"
WHOLE = FIXTURES / "broken" / "7.4.1-nochecksum-whole.rdb"


def saved(data: bytes, tmp_path: Path) -> tuple[SalvageRdbReport, dict[tuple[int, bytes], bytes]]:
    source = tmp_path / "damaged.rdb"
    source.write_bytes(data)
    output = tmp_path / "saved.rdb"
    report = salvage_rdb(str(source), str(output))
    assert check_rdb(str(output)).sound
    return report, keys_of(output)


def keys_of(path: Path) -> dict[tuple[int, bytes], bytes]:
    with open_input(str(path)) as source:
        return {(int(e.db), e.key): e.raw() for e in RdbReader(source.window()) if isinstance(e, Frame)}


def flipped() -> bytes:
    """A file with a flip in the middle of a value, in its compressed length, and a checksum that does not tell it."""
    data = bytearray(PLAIN.read_bytes())
    at = data.index(b"str:lzf3000") + len(b"str:lzf3000") + 1
    data[at] ^= 8
    data[-2:] = b"no"
    return bytes(data)


def test_a_flip_in_a_value_costs_that_key_alone(tmp_path: Path) -> None:
    before = keys_of(PLAIN)
    report, after = saved(flipped(), tmp_path)
    assert before.keys() - after.keys() == {(0, b"str:lzf3000")}
    assert all(before[name] == value for name, value in after.items())
    assert of_report(report) == ExitCode.LOSS
    assert report.written == len(after)
    assert any(b"str:lzf3000" in lost.keys for lost in report.result.lost)


def test_a_sound_file_is_copied_without_loss(tmp_path: Path) -> None:
    report, after = saved(PLAIN.read_bytes(), tmp_path)
    assert of_report(report) == ExitCode.FINE
    assert after == keys_of(PLAIN)


def test_more_loss_than_allowed_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "damaged.rdb"
    source.write_bytes(flipped())
    with pytest.raises(UsageError, match="would be lost, more than the 10 allowed"):
        salvage_rdb(str(source), str(tmp_path / "out.rdb"), max_lost=10)
    assert not (tmp_path / "out.rdb").exists()
    salvage_rdb(str(source), str(tmp_path / "out.rdb"), max_lost=1000)


def test_what_holds_no_record_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"no snapshot", bytes(10_000)):
        source = tmp_path / "other.rdb"
        source.write_bytes(data)
        with pytest.raises(FormatError, match="no records of an RDB can be found"):
            salvage_rdb(str(source), str(tmp_path / "out.rdb"))


def test_line_ends_are_turned_back(tmp_path: Path) -> None:
    report, after = saved(CRLF.read_bytes(), tmp_path)
    assert report.result.line_ends
    assert after == keys_of(WHOLE)


def test_a_compressed_file_is_read_as_far_as_it_can_be_unpacked(tmp_path: Path) -> None:
    packed = gzip.compress(PLAIN.read_bytes())
    _, after = saved(packed, tmp_path)
    assert after == keys_of(PLAIN)
    _, part = saved(packed[: len(packed) // 2], tmp_path)
    assert 10 < len(part) < len(after)


def test_a_key_that_comes_twice_is_taken_once(tmp_path: Path) -> None:
    a = record(0, b"a", string(b"first"))
    report, after = saved(rdb(a, record(0, b"a", string(b"second"))), tmp_path)
    assert after == {(0, b"a"): string(b"first")}
    assert (report.dropped, of_report(report)) == (1, ExitCode.LOSS)


def test_a_wrong_checksum_alone_is_told_and_nothing_is_left_out(tmp_path: Path) -> None:
    data = PLAIN.read_bytes()
    report, after = saved(data[:-1] + bytes((data[-1] ^ 3,)), tmp_path)
    assert after == keys_of(PLAIN)
    assert of_report(report) == ExitCode.LOSS
    (finding,) = report.findings.items
    assert "every record is in form: at most" in finding.message


@pytest.mark.server
@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_servers_load_what_is_saved(kind: ServerKind, tmp_path: Path) -> None:
    whole = FIXTURES / "redis-5.0.14" / "small-plain.rdb"
    data = whole.read_bytes()
    cases = [data[:3000], data[:2500] + bytes(512) + data[3012:], data[:4000] + b"inserted" + data[4000:], data[9:]]
    for i, harmed in enumerate(cases):
        source = tmp_path / "damaged.rdb"
        source.write_bytes(harmed)
        work = tmp_path / str(i)
        work.mkdir()
        report = salvage_rdb(str(source), str(work / "dump.rdb"), partial=True)
        kept = keys_of(work / "dump.rdb")
        with running(kind, work) as server:
            loaded = server.execute("DBSIZE")
            assert loaded == len([name for name in kept if name[0] == 0])
        assert report.written == len(kept)


@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_of_a_snapshot_in_a_damaged_envelope_what_was_unpacked_is_saved(damage: str, tmp_path: Path) -> None:
    noise = random.Random(1)
    records = [record(0, b"key:%d" % i, string(noise.randbytes(1000))) for i in range(500)]
    packed = VcsCompressor("x")
    data = packed.compress(rdb(*records, magic=b"VALKEY081")) + packed.flush()
    at = len(data) * 2 // 3
    broken = data[:at] + (b"" if damage == "cut" else bytes([data[at] ^ 1]) + data[at + 1 :])
    report, keys = saved(broken, tmp_path)
    assert 250 < len(keys) < 334
    assert of_report(report) == ExitCode.LOSS
    (told,) = [finding for finding in report.findings.items if finding.code == "packed"]
    assert told.message.startswith("what follows could not be unpacked: ")
    with pytest.raises(InputError, match="nothing of it can be unpacked: "):
        saved(data[:100], tmp_path)
    assert run("check-rdb", tmp_path / "damaged.rdb", "--salvage", "-o", tmp_path / "x").stderr.count("\n") == 1
