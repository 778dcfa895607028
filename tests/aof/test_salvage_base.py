"""Bases, preambles and manifests that are damaged: mended, and taken with --keep-going."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import jsonschema
import pytest

from rdbtool.aof.rebuilding import rebuild
from rdbtool.cli.schemas import schema_of
from rdbtool.errors import UsageError
from rdbtool.tasks.digest import digest
from tests.aof.craft import sets
from tests.cli.running import run
from tests.servers.harness import SERVERS, ServerKind, running

FIXTURES = Path(__file__).parents[2] / "fixtures" / "aof"
SET = FIXTURES / "multi-rdb"
HYBRID = FIXTURES / "preamble+tail.aof"


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A set whose base has a sector of zeros."""
    made = tmp_path / "set"
    shutil.copytree(SET, made)
    base = made / "appendonly.aof.2.base.rdb"
    data = base.read_bytes()
    base.write_bytes(data[:6000] + bytes(512) + data[6512:])
    return made


def test_a_damaged_base_is_mended_and_the_log_applied(damaged: Path) -> None:
    assert run("check-aof", damaged).returncode == 1
    assert run("check-aof", damaged, "--fix", "--yes").returncode == 2
    before = (damaged / "appendonly.aof.2.base.rdb").read_bytes()
    done = run("check-aof", damaged, "--fix", "--salvage", "--yes")
    assert done.returncode == 3
    assert "of the snapshot come back" in done.stdout
    assert run("check-aof", damaged).returncode == 0
    undo = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("{ ")]
    assert os.system(undo[0]) == 0
    assert (damaged / "appendonly.aof.2.base.rdb").read_bytes() == before


def test_what_mends_it_and_what_keeps_going_take_the_same(damaged: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert run("check-aof", damaged, "--salvage", "-o", copy).returncode == 3
    converted = tmp_path / "converted.rdb"
    assert run("convert", damaged, converted, "--keep-going").returncode == 3
    rewritten = tmp_path / "rewritten"
    assert run("rewrite", damaged, "-o", rewritten, "--keep-going").returncode == 3
    shown = run("dump", damaged, "--keep-going", "--keys-only")
    assert shown.returncode == 3
    keys = digest(str(copy)).keys
    assert keys > 100
    assert digest(str(converted)).digest == digest(str(copy)).digest == digest(str(rewritten)).digest
    assert len(shown.stdout.splitlines()) >= keys


def test_a_damaged_preamble_is_mended_with_the_log_behind_it(tmp_path: Path) -> None:
    data = HYBRID.read_bytes()
    damaged = tmp_path / "hybrid.aof"
    damaged.write_bytes(data[:3000] + b"inserted" + data[3010:])
    copy = tmp_path / "copy.aof"
    assert run("check-aof", damaged, "--salvage", "-o", copy).returncode == 3
    assert run("check-aof", copy).returncode == 0
    whole = run("dump", HYBRID, "--keys-only").stdout.splitlines()
    back = run("dump", copy, "--keys-only").stdout.splitlines()
    assert len(whole) - len(back) <= 2
    assert set(back) <= set(whole)


def test_a_preamble_without_its_header_is_mended_and_never_cut(tmp_path: Path) -> None:
    log, copy = tmp_path / "x.aof", tmp_path / "copy.aof"
    log.write_bytes(bytes(9) + HYBRID.read_bytes()[9:])
    told = run("check-aof", log)
    assert told.returncode == 1
    assert "lost-header at offset 0" in told.stdout
    assert "check-aof --fix --salvage" in told.stdout.splitlines()[-1]
    assert run("check-aof", log, "-o", copy).returncode == 2
    assert not copy.exists()
    assert run("check-aof", log, "--salvage", "-o", copy).returncode == 3
    assert run("dump", log, "--keep-going", "-o", tmp_path / "x.jsonl").returncode == 3
    for path in (copy, tmp_path / "x.jsonl"):
        assert "the same, 146 keys" in run("diff", HYBRID, path).stdout


def test_a_base_without_keys_does_not_keep_its_log_back(tmp_path: Path) -> None:
    """As where a log is begun anew: the base is empty, and all data stand in the increment."""
    made = tmp_path / "set"
    shutil.copytree(SET, made)
    (made / "appendonly.aof.manifest").write_bytes(
        b"file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
    )
    same = digest(str(made), release="valkey-9.1").digest
    base = made / "appendonly.aof.1.base.rdb"
    data = base.read_bytes()
    for damaged in (data[:40] + data[46:], data[:50]):
        base.write_bytes(damaged)
        copies = [tmp_path / f"copy{len(damaged)}", tmp_path / f"x{len(damaged)}.rdb"]
        assert run("check-aof", made, "--salvage", "-o", copies[0]).returncode == 3
        assert run("convert", made, copies[1], "--keep-going").returncode == 3
        for copy in copies:
            assert digest(str(copy), release="valkey-9.1").digest == same


def test_a_base_of_which_nothing_can_be_read_has_no_way_out(tmp_path: Path) -> None:
    made = tmp_path / "set"
    shutil.copytree(SET, made)
    (made / "appendonly.aof.2.base.rdb").write_bytes(bytes(range(200, 256)) * 90)
    assert "--salvage" not in run("check-aof", made).stdout
    assert run("check-aof", made, "--salvage", "-o", tmp_path / "copy").returncode == 2


@pytest.mark.parametrize("name", ["appendonly.aof.2.base.rdb", "appendonly.aof.2.base.aof"])
def test_a_base_of_nuls_is_lost_and_the_increments_are_kept(name: str, tmp_path: Path) -> None:
    made, copy = tmp_path / "set", tmp_path / "copy"
    made.mkdir()
    (made / "appendonly.aof.manifest").write_text(f"file {name} seq 2 type b\nfile a.1.incr.aof seq 1 type i\n")
    (made / name).write_bytes(bytes(5000))
    (made / "a.1.incr.aof").write_bytes(sets(5))
    told = run("check-aof", made)
    assert told.returncode == 1
    assert "zeroed at offset 0: the base has nothing but NULs in it: all that it held is lost" in told.stdout
    assert "check-aof --fix --salvage" in told.stdout.splitlines()[-1]
    assert run("check-aof", made, "--fix", "--yes").returncode == 2
    assert run("check-aof", made, "--fix", "--salvage").returncode == 2  # nobody can be asked
    assert run("check-aof", made, "--salvage", "--max-loss", "4999", "-o", copy).returncode == 2
    done = run("check-aof", made, "--salvage", "-o", copy)
    assert done.returncode == 3
    assert "nothing of the base comes back: it had nothing but NULs in it" in done.stdout
    assert run("check-aof", copy).returncode == 0
    assert run("dump", made).returncode == 1
    shown = run("dump", made, "--keep-going", "--keys-only")
    assert shown.returncode == 3
    assert shown.stdout == run("dump", copy, "--keys-only").stdout
    assert len(shown.stdout.splitlines()) == 5
    assert run("check-aof", made, "--fix", "--salvage", "--yes").returncode == 3
    assert run("check-aof", made).returncode == 0


def test_a_base_without_its_header_is_read_as_what_it_is(tmp_path: Path) -> None:
    made = tmp_path / "set"
    shutil.copytree(SET, made)
    base = made / "appendonly.aof.2.base.rdb"
    base.write_bytes(bytes(40) + base.read_bytes()[40:])  # with the field that names the server
    assert run("check-aof", made, "--salvage", "-o", tmp_path / "copy").returncode == 3
    digests = [digest(str(path), release="valkey-9.1").digest for path in (tmp_path / "copy", SET)]
    assert digests[0] == digests[1]


@pytest.mark.server
@pytest.mark.parametrize("kind", [k for k in SERVERS if k.is_valkey], ids=lambda kind: kind.name)
def test_servers_load_a_mended_set(kind: ServerKind, damaged: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    assert run("check-aof", damaged, "--salvage", "-o", work / "appendonlydir").returncode == 3
    with running(kind, work, "--appendonly", "yes") as server:
        size = server.execute("DBSIZE")
        assert isinstance(size, int)
        assert size > 100


@pytest.mark.parametrize("text", [None, b"", b"file appendonly.aof.2.base.rdb seq", b"\0" * 100])
def test_a_manifest_is_rebuilt_from_the_files(text: bytes | None, tmp_path: Path) -> None:
    made = tmp_path / "set"
    shutil.copytree(SET, made)
    manifest = made / "appendonly.aof.manifest"
    for name in ("appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof"):
        (made / name).unlink()
    whole = digest(str(SET)).digest
    manifest.unlink()
    if text is not None:
        manifest.write_bytes(text)
    told = run("check-aof", made).stdout.splitlines()
    assert ("start empty" in told[0] or "starts empty" in told[0]) == (text is None)
    assert ("refuse" in told[0]) == (text is not None)
    assert "to rebuild the manifest" in told[-1]
    assert run("check-aof", made, "--fix").returncode == 2
    done = run("check-aof", made, "--fix", "--yes", "--format", "json")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    jsonschema.Draft202012Validator(schema_of("check-aof")).validate(document)
    assert document["files"][0]["rebuilt_manifest"]["lines"] == [
        "file appendonly.aof.2.base.rdb seq 2 type b",
        "file appendonly.aof.2.incr.aof seq 2 type i",
    ]
    assert digest(str(made)).digest == whole


def test_of_two_bases_the_later_one_counts_with_what_was_written_since(tmp_path: Path) -> None:
    made = tmp_path / "set"
    shutil.copytree(SET, made)
    (made / "appendonly.aof.manifest").unlink()
    os.utime(made / "appendonly.aof.1.incr.aof", (1_000_000_000, 1_000_000_000))
    rebuilt = rebuild(str(made))
    assert [part.name for part in rebuilt.parts] == ["appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof"]
    assert {name for name, _ in rebuilt.left_out} == {"appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof"}


def test_what_was_written_before_the_base_is_left_out_whenever_it_was_copied(tmp_path: Path) -> None:
    made = tmp_path / "set"
    shutil.copytree(SET, made, copy_function=shutil.copyfile)
    (made / "appendonly.aof.manifest").write_bytes(b"")
    rebuilt = rebuild(str(made))
    assert [part.name for part in rebuilt.parts] == ["appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof"]
    assert run("check-aof", made, "--fix", "--yes").returncode == 3
    assert digest(str(made)).digest == digest(str(SET)).digest


def test_an_increment_of_a_lower_number_is_kept_where_there_is_no_other(tmp_path: Path) -> None:
    made = tmp_path / "set"
    shutil.copytree(SET, made, copy_function=shutil.copyfile)
    for name in ("appendonly.aof.manifest", "appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof"):
        (made / name).unlink()
    (made / "appendonly.aof.2.incr.aof").rename(made / "appendonly.aof.1.incr.aof")
    assert [part.name for part in rebuild(str(made)).parts] == [
        "appendonly.aof.2.base.rdb",
        "appendonly.aof.1.incr.aof",
    ]


def test_of_increments_behind_a_base_the_time_tells_which_a_rewrite_has_replaced(tmp_path: Path) -> None:
    made = tmp_path / "set"
    shutil.copytree(SET, made)
    (made / "appendonly.aof.manifest").unlink()
    (made / "appendonly.aof.1.incr.aof").rename(made / "appendonly.aof.3.incr.aof")
    os.utime(made / "appendonly.aof.2.incr.aof", (1_000_000_000, 1_000_000_000))
    rebuilt = rebuild(str(made))
    assert [part.name for part in rebuilt.parts] == ["appendonly.aof.2.base.rdb", "appendonly.aof.3.incr.aof"]


def test_files_whose_names_tell_nothing_are_no_set(tmp_path: Path) -> None:
    (tmp_path / "x.manifest").write_bytes(b"")
    with pytest.raises(UsageError, match="nothing tells what it held"):
        rebuild(str(tmp_path / "x.manifest"))
