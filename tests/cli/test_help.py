"""Help, the options that every subcommand has, and what each subcommand has to tell of itself."""

from __future__ import annotations

import importlib
import io
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from rdbtool.cli import console, progress
from rdbtool.cli.app import COMMANDS, pages
from rdbtool.cli.pages import Page
from rdbtool.cli.usage import OPTIONS_PANEL, PANELS, Usage
from tests.cli.running import run

ROOT = Path(__file__).resolve().parents[2]
RDB = ROOT / "fixtures/rdb/redis-7.4.1/small-plain.rdb"
LOG = ROOT / "fixtures/aof/truncated.aof"
MOST_OPTIONS = 12
SUMMARY = 67
"""Characters that fit beside a command's name in 80 columns."""


def page(name: str) -> Page:
    return next(page for page in pages() if page.name == f"rdbtool {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_what_help_needs(name: str) -> None:
    """What a subcommand's module in rdbtool/cli must have; see `rdbtool.cli.usage`."""
    module = importlib.import_module(f"rdbtool.cli.{name.replace('-', '_')}")
    where = f"rdbtool/cli/{name.replace('-', '_')}.py"
    usage = getattr(module, "USAGE", None)
    assert isinstance(usage, Usage), f"{where} needs USAGE: Final = Usage(example=..., fine=..., ...)"
    assert usage.example.startswith(f"rdbtool {name} "), f"{where}: USAGE.example is a command line of {name}"
    text = module.command.__doc__ or ""
    summary = text.partition("\n\n")[0].strip()
    assert summary.endswith("."), f"{where}: the docstring of command begins with a sentence and a blank line"
    assert len(summary) <= SUMMARY, f"{where}: the first sentence has to fit in one line of {SUMMARY} characters"
    assert "xit code" not in text, f"{where}: exit codes are told by USAGE, not by the docstring"
    told = page(name)
    strange = {option.panel for option in told.options} - set(PANELS)
    assert not strange, f"{where}: rich_help_panel {strange} is none of PANELS in rdbtool/cli/usage.py"
    first = [option.names[-1] for option in told.options if option.panel == OPTIONS_PANEL]
    assert len(first) <= MOST_OPTIONS, f"{where}: options that few need get a rich_help_panel of PANELS: {first}"
    silent = [option.names for option in told.options if not option.help]
    assert not silent, f"{where}: options without help: {silent}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(RDB, tmp_path / "dump.rdb")
    shutil.copy(LOG, tmp_path / "appendonly.aof")
    shutil.copytree(ROOT / "fixtures/aof/multi", tmp_path / "appendonlydir")
    monkeypatch.chdir(tmp_path)
    usage = importlib.import_module(f"rdbtool.cli.{name.replace('-', '_')}").USAGE
    done = run(*shlex.split(usage.example)[1:])
    failed = set() if "redis://" in usage.example else {2}  # there may be no server
    assert done.returncode in {int(code) for code, _ in usage.exit_codes()} - failed, done.stderr


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_wraps_where_the_terminal_does(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = run(*([name] if name else []), "--help").stdout.splitlines()
    assert "\x1b" not in "".join(lines)
    assert [line for line in lines if len(line) > width and "rdbtool" not in line] == []
    assert max(map(len, lines)) > width - 20


def test_an_option_is_shown_with_its_value_and_what_stands_if_it_is_not_given() -> None:
    shown = run("check-rdb", "--help").stdout
    assert "-f, --format text|json" in shown
    assert "[default: 16]" in shown
    assert shown.index("--for RELEASE") < shown.index("How the server is set up") < shown.index("--databases")
    for line in ("  rdbtool check-rdb dump.rdb --for redis-7.0", "  0  sound", "  1  damaged"):
        assert line in shown


def test_wrong_options_are_told_without_a_frame() -> None:
    told = run("dump", "--nosuch").stderr
    assert told.splitlines()[0] == "Usage: rdbtool dump [OPTION]... PATH [KEY]..."
    assert "No such option: --nosuch" in told
    assert told.isascii()


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, False),
    ],
)
def test_colours_are_for_terminals_and_whoever_forces_them(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in run("check-rdb", RDB).stdout) == coloured
    assert ("\x1b[" in run("--help").stdout) == coloured


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_a_terminal_gets_colours_unless_it_wants_none(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert console.colours_wanted(Terminal()) == coloured


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_quiet_and_show_progress(name: str) -> None:
    names = [name for option in page(name).options for name in option.names]
    assert {"-q", "--quiet", "--progress", "-h", "--help"} <= set(names)
    assert len(names) == len(set(names))


def test_a_quiet_check_tells_only_of_problems(tmp_path: Path) -> None:
    good = run("check-rdb", "-q", RDB)
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    bad = tmp_path / "bad.rdb"
    bad.write_bytes(RDB.read_bytes()[:-20])
    assert run("check-rdb", "--quiet", bad).stdout == run("check-rdb", bad).stdout != ""
    assert run("check-aof", "-q", LOG).stdout == run("check-aof", LOG).stdout != ""
    assert run("check-aof", "-q", tmp_path / "gone").stderr.count("\n") == 1
    assert run("check-rdb", "-q", "--format", "json", RDB).stdout == run("check-rdb", "--format", "json", RDB).stdout


def test_a_quiet_repair_tells_what_it_cut_and_how_to_undo_it(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    shutil.copy(LOG, path)
    done = run("check-aof", "-q", "--fix", "--yes", path)
    assert done.returncode == 0
    assert "to undo it:" in done.stdout
    assert run("check-aof", "-q", "--fix", "--yes", path).stdout == ""


def test_a_quiet_rewrite_writes_its_result() -> None:
    aof = ROOT / "fixtures/aof/multi-rdb"
    for where in ("-", "/dev/stdout"):
        loud = run("rewrite", aof, "-o", where, "--resp")
        quiet = run("rewrite", "-q", aof, "-o", where, "--resp")
        assert quiet.output == loud.output != b""
        assert quiet.returncode == loud.returncode


def test_what_was_asked_for_is_printed_by_quiet_commands_too(tmp_path: Path) -> None:
    for arguments in (["dump", RDB], ["digest", RDB], ["diff", RDB, RDB], ["schema"]):
        assert run(*arguments, "-q").stdout == run(*arguments).stdout != ""
    converted = run("convert", RDB, tmp_path / "new.rdb", "-q")
    assert (converted.returncode, converted.stdout, converted.stderr) == (0, "", "")
    lossy = run("convert", RDB, tmp_path / "old.rdb", "-q", "--target", "redis-6.2")
    assert lossy.returncode == 3
    assert "warning loss" in lossy.stderr
    assert "written to" not in lossy.stderr


@pytest.mark.parametrize(
    ("arguments", "terminal", "shown"),
    [
        ([], False, ""),
        (["--progress", "on"], False, "\n"),
        (["--progress", "off"], True, ""),
        (["-q"], True, ""),
        ([], True, "\x1b[K"),
        (["-q", "--progress", "on"], True, "\x1b[K"),
    ],
    ids=str,
)
def test_progress_is_shown_where_it_is_wanted(
    arguments: list[str], terminal: bool, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "AFTER_S", 0.0)
    errors = Terminal() if terminal else io.StringIO()
    seen: list[Any] = []

    def record(*_: object, **__: object) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", errors)
            with progress.Progress() as told:
                told(1, 2)
        return seen

    monkeypatch.setattr("rdbtool.cli.check_rdb.releases_asked", record)
    run("check-rdb", *arguments, RDB)
    assert ("50 %" in errors.getvalue()) == bool(shown)
    assert shown in errors.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        ["check-rdb", RDB],
        ["check-aof", LOG],
        ["convert", LOG, "-", "--to", "jsonl"],
        ["digest", LOG],
        ["dump", LOG],
        ["diff", LOG, LOG],
        ["history", LOG, "--key", "a"],
        ["history", LOG, "--stats"],
        ["history", LOG, "--stats", "--no-replay"],
        ["rewrite", LOG, "-o", "-"],
        ["digest", ROOT / "fixtures/aof/multi-rdb"],
    ],
    ids=str,
)
def test_whatever_reads_files_shows_progress(arguments: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "AFTER_S", 0.0)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    told = run(*arguments, "--progress", "on").stderr
    assert "100 %, " in told
    assert run(*arguments).stderr == "".join(line for line in told.splitlines(keepends=True) if " %, " not in line)
