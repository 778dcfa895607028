"""What each format keeps: the table, what is written, and what is said to be lost agree, for every fact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rdbtool.io.output import Output
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.outputs.registry import BY_NAME, CONVERTED, DUMPED, FORMATS, keeps, make_exporter
from rdbtool.rdb.layout import facts
from rdbtool.rdb.targets import target, target_names
from rdbtool.tasks.convert import ConvertReport, convert
from rdbtool.tasks.dump import dump
from tests.outputs import every_fact
from tests.outputs.collected import Collected

RELEASES = ("redis-8.10", "valkey-9.2")
"""Two dialects: neither has all facts."""


def counted(lost: frozenset[str] | set[str]) -> set[str]:
    """Of facts that are lost, those that are counted: no part of another one, and nothing about the file."""
    return {fact for fact in lost - facts.ABOUT_THE_FILE if facts.PART_OF.get(fact) not in lost}


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("facts")
    made = {}
    for release in RELEASES:
        made[release] = directory / f"{release}.rdb"
        made[release].write_bytes(every_fact.snapshot(release))
    return made


def test_the_inputs_hold_every_fact(snapshots: dict[str, Path]) -> None:
    assert set().union(*(every_fact.in_snapshot(path.read_bytes()) for path in snapshots.values())) == facts.ALL


def run(source: Path, output: Path, options: OutputOptions) -> ConvertReport:
    report = convert([str(source)], str(output), options)
    assert report.outputs == [str(output)]
    return report


def read_back(output: Path, options: OutputOptions, release: str) -> set[str]:
    """The facts in what was written."""
    if options.format == "csv":
        return every_fact.in_rows(output.read_text().splitlines(keepends=True))
    if options.format == "aof-set":
        return every_fact.in_snapshot((output / "appendonly.aof.1.base.rdb").read_bytes())
    if options.format == "json":
        records = json.loads(output.read_text())
        output = output.with_suffix(".jsonl")
        output.write_text("".join(json.dumps(record) + "\n" for record in records))
    found = every_fact.read(output, release)
    if options.format in {"json", "jsonl"} and '"meta"' in output.read_text():
        found.add(facts.KEY_META)  # an Entry has no place for it
    return found


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", CONVERTED)
def test_what_is_missing_is_what_was_told(name: str, release: str, snapshots: dict[str, Path], tmp_path: Path) -> None:
    source = snapshots[release]
    options = OutputOptions(name, RdbOptions(target(release)))
    output = tmp_path / "set" if BY_NAME[name].directory else tmp_path / f"out{BY_NAME[name].endings[0]}"
    report = run(source, output, options)
    before, after = every_fact.in_snapshot(source.read_bytes()), read_back(output, options, release)
    assert after == before & keeps(options)
    assert report.losses.keys() == counted(before - after)
    assert report.loss == bool(report.losses)


@pytest.mark.parametrize("name", DUMPED)
def test_a_dump_tells_the_same_losses_unless_it_is_a_view(name: str, snapshots: dict[str, Path]) -> None:
    source = snapshots["redis-8.10"]
    options = OutputOptions(name, header=False)
    report = dump(str(source), make_exporter(_output(), options))
    lost = every_fact.in_snapshot(source.read_bytes()) - keeps(options)
    assert report.losses.keys() == (set() if BY_NAME[name].view else counted(lost))
    assert {f.code for f in report.findings.items} == ({"loss"} if report.losses else set())


def _output() -> Output:
    return Output(Collected())


@pytest.mark.parametrize("name", target_names())
@pytest.mark.parametrize("release", RELEASES)
def test_a_release_keeps_what_it_is_said_to_have(
    name: str, release: str, snapshots: dict[str, Path], tmp_path: Path
) -> None:
    source = snapshots[release]
    options = OutputOptions("rdb", RdbOptions(target(name)))
    report = run(source, tmp_path / "x.rdb", options)
    before = every_fact.in_snapshot(source.read_bytes())
    after = every_fact.in_snapshot((tmp_path / "x.rdb").read_bytes())
    assert after == before & keeps(options)
    assert report.losses.keys() == counted(before - after)


@pytest.mark.parametrize("name", target_names())
def test_commands_say_to_a_release_what_it_is_said_to_have(
    name: str, snapshots: dict[str, Path], tmp_path: Path
) -> None:
    options = OutputOptions("resp", RdbOptions(target(name)))
    report = run(snapshots["redis-8.10"], tmp_path / "x.resp", options)
    before = every_fact.in_snapshot(snapshots["redis-8.10"].read_bytes())
    assert report.losses.keys() == counted(before - keeps(options))


def test_a_part_of_what_is_not_kept_is_not_kept_either() -> None:
    for row in FORMATS:
        for part, whole in facts.PART_OF.items():
            assert part not in row.keeps or whole in row.keeps, (row.name, part)


def test_modules_that_are_dropped_are_losses(snapshots: dict[str, Path], tmp_path: Path) -> None:
    options = OutputOptions("rdb", RdbOptions(target("redis-8.10"), drop_modules=True))
    report = run(snapshots["redis-8.10"], tmp_path / "x.rdb", options)
    before = every_fact.in_snapshot(snapshots["redis-8.10"].read_bytes())
    assert report.losses.keys() == counted(before - keeps(options))
    assert facts.MODULE_VALUES in report.losses


def test_times_that_a_replay_made_are_no_loss(tmp_path: Path) -> None:
    log = tmp_path / "x.txt"
    log.write_text("XGROUP CREATE s g 0 MKSTREAM\nXGROUP CREATECONSUMER s g c\n")
    assert not run(log, tmp_path / "x.resp", OutputOptions("resp")).losses
    report = run(log, tmp_path / "x.csv", OutputOptions("csv"))
    assert report.losses == {facts.EMPTY_STREAMS: 1, facts.GROUPS: 1}
