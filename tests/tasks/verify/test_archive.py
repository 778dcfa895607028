"""Backups in tar archives."""

from __future__ import annotations

import gzip
import io
import os
import random
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from rdbtool.tasks.judgement import Judgement
from rdbtool.tasks.verify.boot import BootOptions
from rdbtool.tasks.verify.expectations import NOTHING, Expectations, expectations
from rdbtool.tasks.verify.run import VerifyOptions, verify, verify_all
from tests.cli.running import run
from tests.servers.harness import program, server

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
SNAPSHOT = FIXTURES / "rdb/redis-7.0.15/small-plain.rdb"
SET = FIXTURES / "aof/multi"
LOG = FIXTURES / "aof/preamble+tail.aof"


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    yield directory
    assert os.listdir(directory) == []


def tar(*files: tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1_700_000_000
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def files_of(directory: Path, name: str, *, order: int = 0) -> list[tuple[str, bytes]]:
    files = [(f"{name}/{path.name}", path.read_bytes()) for path in sorted(directory.iterdir())]
    if order:
        random.Random(order).shuffle(files)
    return files


def judged(path: Path, data: bytes, wanted: Expectations = NOTHING) -> dict[str, Judgement]:
    path.write_bytes(data)
    found = verify_all(str(path), lambda _: wanted)
    return {one.subject.removeprefix(f"{path}/"): one for one in found}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize(
    ("ending", "pack"),
    [(".tar", bytes), (".tar.gz", gzip.compress), (".tar.zst", zstandard.ZstdCompressor().compress)],
)
def test_what_is_in_an_archive_is_judged_like_files(ending: str, pack: type[bytes], form: int, tmp_path: Path) -> None:
    data = tar(
        ("data/dump.rdb", SNAPSHOT.read_bytes()),
        ("data/notes.txt", b"*"),
        ("data/redis.conf", b"# Redis configuration\n"),
        ("data/packed.rdb.gz", gzip.compress(SNAPSHOT.read_bytes())),
        ("data/old.aof", LOG.read_bytes()),
        *files_of(SET, "data/appendonlydir"),
        form=form,
    )
    found = judged(tmp_path / f"backup{ending}", pack(data))
    assert list(found) == ["data/dump.rdb", "data/packed.rdb.gz", "data/old.aof", "data/appendonlydir"]
    for one, path in zip(found.values(), [SNAPSHOT, SNAPSHOT, LOG, SET], strict=True):
        alone = verify(str(path))
        assert one.verdict == alone.verdict == "met"
        assert [c.as_json() for c in one.checks] == [c.as_json() for c in alone.checks]
        assert one.kind == alone.kind
        assert [m for m in one.measures if "age" not in m.name] == [m for m in alone.measures if "age" not in m.name]


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("cut", ["last", "middle", "base"])
def test_the_order_of_parts_does_not_matter(order: int, cut: str, tmp_path: Path) -> None:
    """A cut in the last part is the server's to mend, one before that is not."""
    directory = tmp_path / "set"
    directory.mkdir()
    names = sorted(path.name for path in SET.iterdir())
    aof = [name for name in names if "incr" in name]
    chosen = {"last": aof[-1], "middle": aof[0], "base": next(name for name in names if "base" in name)}[cut]
    for name in names:
        data = (SET / name).read_bytes()
        (directory / name).write_bytes(data[:-3] if name == chosen else data)
    alone = verify(str(directory))
    (one,) = judged(tmp_path / "x.tar", tar(*files_of(directory, "d", order=order))).values()
    assert one.verdict == alone.verdict == "unmet"
    told = [(f.code, f.message.partition("; ")[0], f.offset) for f in one.findings.items]
    assert told == [(f.code, f.message.partition("; ")[0], f.offset) for f in alone.findings.items]


def test_a_part_that_is_not_there_and_a_manifest_that_is_not(tmp_path: Path) -> None:
    files = files_of(SET, "d")
    (one,) = judged(tmp_path / "x.tar", tar(*[f for f in files if "3.incr" not in f[0]])).values()
    assert "missing-file" in one.findings.counts
    (one,) = judged(tmp_path / "y.tar", tar(*[f for f in files if "manifest" not in f[0]])).values()
    assert "no-manifest" in one.findings.counts
    bad = [(name, b"rubbish" if "manifest" in name else data) for name, data in files]
    (one,) = judged(tmp_path / "z.tar", tar(*bad)).values()
    assert "bad-manifest" in one.findings.counts
    assert "no-manifest" not in one.findings.counts
    assert one.verdict == "unmet"


def test_logs_whose_keys_are_counted_are_unpacked_and_snapshots_are_not(tmp_path: Path) -> None:
    wanted = expectations(min_keys=1, keys=["*>=5"], digest="0" * 40)
    data = tar(*files_of(SET, "a", order=1), ("dump.rdb", SNAPSHOT.read_bytes()), ("l.aof", LOG.read_bytes()))
    found = judged(tmp_path / "x.tar", data, wanted)
    assert set(found) == {"a", "dump.rdb", "l.aof"}
    for name, path in {"a": SET, "dump.rdb": SNAPSHOT, "l.aof": LOG}.items():
        alone = verify(str(path), wanted)
        assert [c.as_json() for c in found[name].checks] == [c.as_json() for c in alone.checks]
        assert found[name].subject == str(tmp_path / "x.tar" / name)


@pytest.mark.server
def test_a_server_is_started_on_what_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(
        gzip.compress(tar(*files_of(FIXTURES / "aof/multi-rdb", "a"), ("dump.rdb", SNAPSHOT.read_bytes())))
    )
    options = VerifyOptions(boot=BootOptions(program(server("valkey-9.1"))))
    found = list(verify_all(str(path), lambda _: NOTHING, options))
    assert [one.verdict for one in found] == ["met", "met"]
    assert all("boot digest" in {check.name for check in one.checks} for one in found)


def test_an_archive_is_read_from_a_pipe() -> None:
    shown = run("verify", "-", stdin=tar(("dump.rdb", SNAPSHOT.read_bytes()), *files_of(SET, "a")))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "dump.rdb: good" in shown.stdout


def test_an_archive_without_backups_does_not_meet_what_is_expected(tmp_path: Path) -> None:
    (one,) = judged(tmp_path / "x.tar", tar(("notes.txt", b"hello"))).values()
    assert one.verdict == "unmet"
    assert one.checks[0].name == "present"


def test_names_that_lead_out_of_the_archive_write_nothing_there(tmp_path: Path, nothing_stays: Path) -> None:
    data = tar(
        ("../../evil/appendonly.aof.1.incr.aof", b"*1\r\n$4\r\nPING\r\n"),
        ("../../evil/appendonly.aof.manifest", b"file appendonly.aof.1.incr.aof seq 1 type i\n"),
        ("/etc/x.aof", LOG.read_bytes()),
    )
    found = judged(tmp_path / "x.tar", data, expectations(min_keys=1))
    assert len(found) == 2
    assert not (tmp_path.parent / "evil").exists()
    assert not Path("/etc/x.aof").exists()


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_damaged_there_is_an_answer(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    data = bytearray(tar(("dump.rdb", SNAPSHOT.read_bytes()), *files_of(SET, "a")))
    if seed % 3 == 0:
        del data[rng.randrange(len(data)) :]
    else:
        for _ in range(rng.randrange(1, 200)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    packed = gzip.compress(bytes(data)) if seed % 2 else bytes(data)
    for one in judged(tmp_path / "x.tar", packed, expectations(min_keys=1) if seed % 5 else NOTHING).values():
        assert one.verdict in {"met", "unmet", "unknown"}


def test_a_cut_archive_is_not_known_to_be_good(tmp_path: Path) -> None:
    whole = tar(("dump.rdb", SNAPSHOT.read_bytes()), ("second.rdb", SNAPSHOT.read_bytes()))
    found = judged(tmp_path / "x.tar", whole[: len(whole) // 3])
    assert "unknown" in {one.verdict for one in found.values()}
