"""The table of incidents: what we say and do about each, against the servers there are."""

from __future__ import annotations

import re
import shlex
import shutil
from glob import glob
from pathlib import Path

import pytest

from rdbtool.errors import IncompleteError
from rdbtool.inputs.filters import select
from rdbtool.servers.releases import release_named
from rdbtool.tasks.check_aof import check_aof
from rdbtool.tasks.check_rdb import check_rdb
from rdbtool.tasks.digest import digest
from tests.cli.running import run as rdbtool
from tests.named import missing
from tests.servers.cases import (
    CASES,
    CHANCE,
    CLUSTERED,
    COVERED,
    ENDLESS,
    FATES,
    FIXTURES,
    PASSED_BY,
    RUNS,
    SHARED,
    UNSURE,
    Run,
    names,
)
from tests.servers.harness import SERVERS, ServerKind, server
from tests.servers.loading import load

HERE = names(CASES)
SNAPSHOTS = (".rdb", ".rdb.gz")
LOADABLE = [case for case in HERE if case.endswith((*SNAPSHOTS, ".aof")) or (CASES / case).is_dir()]
ALONE = [run for run in RUNS if set(run.case.split()) <= set(HERE)]
NEWEST = server("valkey-9.1")
NAME = re.compile(r"[\w*.-]+")


def place(case: str) -> Path:
    """Where the file is, or the directory of the set."""
    path = CASES / case
    inner = path / "appendonlydir"
    return inner if inner.exists() else path


def fate(case: str, release: str) -> tuple[bool | None, int, str]:
    """What we say: whether the release loads it, where it cuts it, and with which words it refuses it."""
    asked = [release_named(release)]
    if case.endswith(SNAPSHOTS):
        (told,) = check_rdb(str(place(case)), releases=asked).releases
        return told.loads, -1, ""
    (row,) = check_aof(str(place(case)), releases=asked).suitability
    return row.loads, row.cuts_at, row.words


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("case", [case for case in LOADABLE if case not in ENDLESS])
def test_a_case_is_judged_as_the_server_judges_it(case: str, kind: ServerKind, tmp_path: Path) -> None:
    path = place(case)
    if path.is_dir() and kind.version < (7, 0):
        assert fate(case, kind.name)[0] is False  # it passes sets by
        return
    clustered = kind.at_least("valkey", 9, 0) and case in CLUSTERED
    files = {"nodes.conf": CLUSTERED[case]} if clustered else {}
    outcome = load(kind, tmp_path / "server", path, *(("--cluster-enabled", "yes") if clustered else ()), files=files)
    loads, cuts_at, words = fate(case, kind.name)
    if loads is None:
        assert case in UNSURE
    elif case in PASSED_BY:
        assert (loads, outcome.loads, outcome.keys) == (False, True, 0)
        return
    else:
        assert loads == outcome.loads, outcome.log
    if not outcome.loads:
        assert words in outcome.log
        return
    if outcome.size >= 0 and not clustered:  # a node writes into its log how a migration ended
        assert outcome.size == (cuts_at if cuts_at >= 0 else size(path))
    # A server that loads a snapshot leaves out what has expired; a key of a case does so on 2026-11-28.
    loaded = select(expired=False) if case.endswith(SNAPSHOTS) else None
    try:
        ours = digest(str(path), release=release_named(kind.name), selection=loaded)
    except IncompleteError:
        assert any(run.case == case and run.code == 1 for run in RUNS)  # refused by name
        return
    assert ours.keys == outcome.keys
    if case not in CHANCE:
        assert ours.digest == outcome.digest


def size(path: Path) -> int:
    """Of the log, or of the last part of a set."""
    return (max(path.glob("*.incr.aof")) if path.is_dir() else path).stat().st_size


@pytest.mark.parametrize(
    ("case", "release", "loads", "cuts_at"),
    [
        (case, release, loads, cuts_at)
        for case, releases, loads, cuts_at in FATES
        if case in HERE
        for release in releases.split()
    ],
)
def test_releases_that_are_not_here_are_known_too(case: str, release: str, loads: bool, cuts_at: int) -> None:
    assert fate(case, release)[:2] == (loads, cuts_at)


def named(run: Run) -> str:
    return f"{run.case}-{run.command}"


@pytest.mark.parametrize("run", ALONE, ids=named)
def test_what_comes_of_a_case(run: Run, tmp_path: Path) -> None:
    carry_out(run, tmp_path)


@pytest.mark.server
@pytest.mark.parametrize("run", [run for run in ALONE if run.keys >= 0], ids=named)
def test_what_is_written_of_a_case_loads_in_a_server_that_looks_at_everything(run: Run, tmp_path: Path) -> None:
    carry_out(run, tmp_path)
    outcome = load(NEWEST, tmp_path / "server", tmp_path / "out.rdb")
    (told,) = check_rdb(str(tmp_path / "out.rdb"), releases=[release_named(NEWEST.name)]).releases
    assert outcome.loads == told.loads
    if outcome.loads:
        assert outcome.digest == digest(str(tmp_path / "out.rdb"), release=release_named(NEWEST.name)).digest
    else:
        assert all("RDB version" in reason or "type" in reason for reason in told.reasons), told.reasons


def carry_out(run: Run, tmp_path: Path) -> None:
    copies = []
    for case in run.case.split():
        copy = tmp_path / case
        copy.parent.mkdir(exist_ok=True)
        copies.append(copy)
        if (CASES / case).is_dir():
            shutil.copytree(CASES / case, copy)
        else:
            shutil.copy(CASES / case, copy)
    before = bytes_of(copies)
    words = shlex.split(run.command.format(*copies).replace("OUT", f"{tmp_path}/out"))
    done = rdbtool(*(path for word in words for path in (sorted(glob(word)) if "*" in word else [word])))
    told = done.output.decode("utf-8", "surrogateescape") + done.stderr
    assert done.returncode == run.code, told
    assert re.search(run.says, told, re.MULTILINE), told
    assert (bytes_of(copies) == before) != ("repaired" in run.says)
    output = tmp_path / "out.rdb"
    assert output.exists() == (run.keys >= 0)
    if output.exists():
        report = check_rdb(str(output))
        assert report.sound
        assert report.facts is not None
        assert report.facts.keys == run.keys


def bytes_of(copies: list[Path]) -> list[bytes]:
    paths = [path for copy in copies for path in (copy, *sorted(copy.rglob("*")))]
    return [path.read_bytes() for path in paths if path.is_file()]


def rows() -> list[str]:
    """What the README says of each case: the first cell of each row."""
    lines = (SHARED / "README.md").read_text().splitlines()
    cells = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    return [cell for cell in cells if cell != "case"]


def named_in(part: str) -> set[str]:
    """Cases that a text names."""
    found = set()
    for name in NAME.findall(part):
        pattern = re.compile(re.escape(name.removesuffix(".aof")).replace(r"\*", ".*") + r"(\.\w+)?")
        found |= {case for case in HERE if pattern.fullmatch(case.split("/")[1])}
    return found


only_beside = pytest.mark.skipif(not SHARED.exists(), reason="the folder of incidents is not beside this clone")


@only_beside
def test_every_row_of_the_readme_has_a_test() -> None:
    run = {case for run in RUNS for case in run.case.split()}
    assert len(rows()) > 50
    for row in rows():
        for part in row.split("; "):
            told = named_in(part) & run
            assert told or any(part.startswith(beginning) for rows in COVERED.values() for beginning in rows), part


def test_tests_that_are_named_are_there() -> None:
    assert not missing({path: rows.values() for path, rows in COVERED.items()})


@only_beside
def test_no_case_is_left_out() -> None:
    run = {case for run in RUNS for case in run.case.split()}
    assert set(HERE) - run == ENDLESS
    assert run <= set(HERE)
    assert {case for case, *_ in FATES} <= set(HERE)
    assert set().union(UNSURE, PASSED_BY, ENDLESS, CHANCE, CLUSTERED) <= set(HERE)


@only_beside
def test_fixtures_are_the_same_files() -> None:
    for case in names(FIXTURES):
        assert bytes_of([FIXTURES / case]) == bytes_of([SHARED / case]), case
