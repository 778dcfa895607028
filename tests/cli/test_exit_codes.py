"""Exit codes are decided in one place, and every subcommand gives the same one for the same reason."""

from __future__ import annotations

import ast
import itertools
import shutil
from pathlib import Path

import pytest

import rdbtool
from rdbtool.cli.app import COMMANDS
from rdbtool.engine import scripts
from rdbtool.errors import InputError
from rdbtool.exit_codes import PRECEDENCE, ExitCode, of_all, of_comparison, of_error, of_report, of_signal, of_verdict
from rdbtool.findings import Finding, Report, Severity
from tests.cli.running import run

ROOT = Path(__file__).resolve().parents[2]
FINE, PROBLEMS, FAILED, LOSS = ExitCode.FINE, ExitCode.PROBLEMS, ExitCode.FAILED, ExitCode.LOSS


def report(*, loss: bool = False, severity: Severity = Severity.NOTE, code: str = "x") -> Report:
    made = Report(loss=loss)
    made.findings.add(Finding(severity, code, "m"))
    return made


def test_what_a_report_amounts_to() -> None:
    assert of_report(report()) == 0
    assert of_report(report(severity=Severity.WARNING)) == 0
    assert of_report(report(severity=Severity.ERROR)) == 1
    assert of_report(report(), problems=True) == 1
    assert of_report(report(severity=Severity.ERROR, loss=True)) == 3
    assert of_report(report(severity=Severity.ERROR), loss=True) == 3
    assert of_report(report(severity=Severity.ERROR, loss=True, code="unreadable")) == 2


def test_what_a_comparison_amounts_to() -> None:
    assert [of_comparison(same=same, loss=loss) for same in (True, False) for loss in (False, True)] == [0, 3, 1, 3]


def test_what_a_verdict_amounts_to() -> None:
    assert [of_verdict(known=known, met=met) for known in (True, False) for met in (True, False)] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("m"), 2),
        (OSError("m"), 2),
        (MemoryError(), 2),
        (BrokenPipeError(), 0),
        (IndexError(), 70),
    ],
)
def test_what_an_error_amounts_to(error: BaseException, code: int) -> None:
    assert of_error(error) == code


@pytest.mark.parametrize("command", ["FOO.BAR a", "EVAL 'return 1' 0"], ids=["unknown", "not to be run here"])
def test_a_replay_that_stops_at_a_command_has_found_a_problem(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts, "is_available", lambda: False)
    path = tmp_path / "log.txt"
    path.write_text(f"SET a 1\n{command}\nSET b 1\n")
    output = tmp_path / "out.rdb"
    for words in (["dump", path], ["digest", path], ["convert", path, output], ["rewrite", path, "-o", output]):
        assert run(*words).returncode == PROBLEMS, words
        assert not output.exists()
    assert run("diff", path, path).returncode == FAILED  # that must not read as "different"


def test_signals_end_a_run_as_a_shell_tells_it() -> None:
    assert [of_signal(number) for number in (1, 2, 15)] == [129, 130, 143]


def test_of_several_inputs_the_first_in_the_order_of_precedence_decides() -> None:
    assert of_all([]) == 0
    for codes in itertools.product(PRECEDENCE, repeat=3):
        expected = 2 if 2 in codes else 3 if 3 in codes else 1 if 1 in codes else 0
        assert of_all(codes) == expected


def ends(tree: ast.AST) -> list[ast.Call | ast.Attribute]:
    """The places where the program is told to end."""
    names = {"typer.Exit", "sys.exit", "os._exit", "SystemExit", "exit", "quit"}
    called = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) in names]
    bare = [n.exc for n in ast.walk(tree) if isinstance(n, ast.Raise) and n.exc and ast.unparse(n.exc) in names]
    return [*called, *(node for node in bare if isinstance(node, (ast.Attribute, ast.Call)))]


def decided(node: ast.expr) -> bool:
    """Whether an exit code comes from `exit_codes`, or from an exit that is passed on."""
    text = ast.unparse(node)
    return text.startswith(("of_report(", "of_comparison(", "of_error(", "of_signal(", "of_all(")) or text == "end.code"


def test_no_exit_code_is_decided_elsewhere() -> None:
    found = 0
    for path in Path(rdbtool.__file__).parent.rglob("*.py"):
        for node in ends(ast.parse(path.read_text())):
            found += 1
            where = f"{path}:{node.lineno}: {ast.unparse(node)}"
            if ast.unparse(node) == "typer.Exit":
                continue  # of --version, which cannot go wrong
            assert isinstance(node, ast.Call), where
            assert len(node.args) == 1, where
            assert decided(node.args[0]), where
    assert found >= len(COMMANDS)


LOG = ROOT / "fixtures" / "aof"
RDB = ROOT / "fixtures" / "rdb" / "redis-7.4.1" / "small-plain.rdb"


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, dict[str, Path]]:
    """By kind of file: a good one, a bad one, a missing one."""
    bad_rdb = tmp_path / "bad.rdb"
    bad_rdb.write_bytes(RDB.read_bytes()[:-30])
    bad_log = tmp_path / "bad.aof"
    bad_log.write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\nx*1\r\n$4\r\nPING\r\n")
    return {
        "aof": {
            "good": Path(shutil.copytree(LOG / "multi-rdb", tmp_path / "good")),
            "bad": bad_log,
            "missing": tmp_path / "no.aof",
        },
        "rdb": {"good": RDB, "bad": bad_rdb, "missing": tmp_path / "no.rdb"},
        "name": {"good": Path("check-aof"), "bad": Path("check"), "missing": Path("no")},
    }


ROWS: dict[str, tuple[str, list[str], list[str], dict[str, ExitCode]]] = {
    # command: kind of input, words before and behind it, codes
    "backup": ("rdb", [], ["OUT.rdb"], {"good": FINE, "bad": PROBLEMS, "missing": FAILED}),
    "check-aof": ("aof", [], [], {"good": FINE, "bad": PROBLEMS, "missing": FAILED}),
    "check-rdb": ("rdb", [], [], {"good": FINE, "bad": PROBLEMS, "missing": FAILED}),
    "convert": ("rdb", [], ["OUT.jsonl", "--force"], {"good": FINE, "bad": PROBLEMS, "missing": FAILED}),
    "diff": ("rdb", [str(RDB)], [], {"good": FINE, "bad": FAILED, "missing": FAILED}),
    "digest": ("rdb", [], [], {"good": FINE, "bad": FAILED, "missing": FAILED}),
    "dump": ("rdb", [], [], {"good": FINE, "bad": PROBLEMS, "missing": FAILED}),
    "health": ("rdb", [], [], {"good": FAILED, "bad": FAILED, "missing": FAILED}),
    "history": ("aof", ["--key", "*"], [], {"good": FINE, "bad": FAILED, "missing": FAILED}),
    "info": ("rdb", [], [], {"good": FINE, "bad": PROBLEMS, "missing": FAILED}),
    "load": ("rdb", [], ["redis://localhost:1"], {"good": FAILED, "bad": FAILED, "missing": FAILED}),
    "memory": ("rdb", [], [], {"good": FINE, "bad": PROBLEMS, "missing": FAILED}),
    "report": ("rdb", [], ["-o", "OUT.html", "--force"], {"good": FINE, "bad": PROBLEMS, "missing": FAILED}),
    "schema": ("name", [], [], {"good": FINE, "bad": FAILED, "missing": FAILED}),
    "rewrite": ("aof", [], ["-o", "OUT.aof", "--force"], {"good": FINE, "bad": FAILED, "missing": FAILED}),
    "verify": ("rdb", [], [], {"good": FINE, "bad": PROBLEMS, "missing": FAILED}),
}


def test_every_subcommand_has_a_row() -> None:
    assert sorted(ROWS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_good_bad_and_missing_inputs(name: str, inputs: dict[str, dict[str, Path]], tmp_path: Path) -> None:
    kind, before, behind, codes = ROWS[name]
    words = [word.replace("OUT", str(tmp_path / "out")) for word in behind]
    for which, code in codes.items():
        done = run(name, *before, inputs[kind][which], *words)
        assert done.returncode == code, (which, done.stderr)


@pytest.mark.parametrize("name", ["check-aof", "check-rdb", "digest", "info", "memory", "verify"])
@pytest.mark.parametrize("order", list(itertools.permutations(["good", "bad", "missing"])), ids="-".join)
def test_of_several_inputs_one_that_could_not_be_done_decides(
    name: str, order: tuple[str, ...], inputs: dict[str, dict[str, Path]]
) -> None:
    kind, _, _, codes = ROWS[name]
    assert run(name, *(inputs[kind][which] for which in order)).returncode == 2
    pair = [which for which in order if which != "missing"]
    assert run(name, *(inputs[kind][which] for which in pair)).returncode == of_all(codes[which] for which in pair)


def test_a_repair_with_loss_does_not_hide_what_could_not_be_done(inputs: dict[str, dict[str, Path]]) -> None:
    bad, missing = inputs["aof"]["bad"], inputs["aof"]["missing"]
    data = bad.read_bytes()
    assert run("check-aof", "--fix", "--yes", bad, missing).returncode == 2
    bad.write_bytes(data)
    assert run("check-aof", "--fix", "--yes", missing, bad).returncode == 2
    bad.write_bytes(data)
    assert run("check-aof", "--fix", "--yes", inputs["aof"]["good"], bad).returncode == 3
