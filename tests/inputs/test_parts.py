"""Parts of one set that are given without their manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rdbtool.errors import UsageError
from rdbtool.inputs.parts import set_of
from rdbtool.outputs.options import OutputOptions
from rdbtool.tasks.convert import convert
from rdbtool.tasks.digest import digest
from rdbtool.tasks.rewrite import rewrite
from tests.aof.craft import command

LATER = [command("DEL", "gone") + command("SET", "new", "1"), command("DEL", "new") + command("SET", "last", "1")]


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    first = tmp_path / "first.aof"
    first.write_bytes(command("SET", "gone", "1") + command("SET", "kept", "1"))
    rewrite(str(first), str(tmp_path / "set"))
    base = tmp_path / "set" / "appendonly.aof.1.base.rdb"
    (tmp_path / "set" / "appendonly.aof.manifest").unlink()
    increments = [tmp_path / "set" / f"appendonly.aof.{n}.incr.aof" for n in (1, 2)]
    for path, data in zip(increments, LATER, strict=True):
        path.write_bytes(data)
    return [base, *increments]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_parts_are_replayed_in_their_order_and_not_merged(tmp_path: Path, parts: list[Path], order: list[int]) -> None:
    out = tmp_path / "out.rdb"
    report = convert([str(parts[i]) for i in order], str(out), OutputOptions("rdb"))
    assert report.written == 2
    assert digest(str(out)).digest == digest(str(parts[0].parent)).digest
    assert "one-set" in report.findings.counts


def test_a_base_is_known_by_what_it_says_of_itself(tmp_path: Path, parts: list[Path]) -> None:
    renamed = [tmp_path / name for name in ("backup.rdb", "one.log", "two.log")]
    for path, name in zip(parts, renamed, strict=True):
        shutil.copy(path, name)
    out = tmp_path / "out.rdb"
    assert convert([str(renamed[i]) for i in (1, 0, 2)], str(out), OutputOptions("rdb")).written == 2
    assert digest(str(out)).digest == digest(str(parts[0].parent)).digest


def test_two_bases_are_refused(tmp_path: Path, parts: list[Path]) -> None:
    other = tmp_path / "other.rdb"
    shutil.copy(parts[0], other)
    with pytest.raises(UsageError, match="directory of each set"):
        set_of([str(parts[0]), str(other), str(parts[1])])


def test_other_inputs_are_merged(tmp_path: Path, parts: list[Path]) -> None:
    plain = tmp_path / "plain.rdb"
    log = tmp_path / "a.aof"
    log.write_bytes(command("SET", "a", "1"))
    convert([str(log)], str(plain), OutputOptions("rdb"))
    log.write_bytes(command("SET", "b", "1"))
    assert set_of([str(plain), str(log)]) is None
    assert convert([str(plain), str(log)], str(tmp_path / "out.rdb"), OutputOptions("rdb")).written == 2
    assert set_of([str(parts[0])]) is None
