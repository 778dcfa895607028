"""How judgements are shown: a line per expectation, or JSON, JUnit, or Prometheus text."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

import typer

from rdbtool.exit_codes import ExitCode, of_verdict
from rdbtool.tasks.judgement import MET, UNKNOWN, UNMET, Judgement, verdict_of

from .render import findings_lines, paint, print_json, show_path

MARKS: Final = {MET: "ok", UNMET: "FAILED", UNKNOWN: "UNKNOWN"}
COLOURS: Final = {MET: "green", UNMET: "red", UNKNOWN: "red"}
VERDICTS: Final = {MET: "good", UNMET: "not as expected", UNKNOWN: "not known"}


class JudgementFormat(StrEnum):
    """How judgements are written."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    PROMETHEUS = "prometheus"


JudgementFormatOption = Annotated[
    JudgementFormat,
    typer.Option(
        "--format",
        "-f",
        help="Text for people; JSON; JUnit for GitLab, Jenkins and GitHub; Prometheus for node_exporter's textfile "
        "collector.",
    ),
]


def show(command: str, judgements: Sequence[Judgement], form: JudgementFormat) -> None:
    """Print all judgements of ``command``. Text is better printed one by one, by `show_text`."""
    if form is JudgementFormat.TEXT:
        for judgement in judgements:
            show_text(judgement)
    elif form is JudgementFormat.JSON:
        print_json(command, {"verdict": verdict_of(judgements), "results": [j.as_json() for j in judgements]})
    elif form is JudgementFormat.JUNIT:
        from .junit import junit_text

        sys.stdout.write(junit_text(command, judgements))
    else:
        from .prometheus import prometheus_text

        sys.stdout.write(prometheus_text(command, judgements))


def code_of(judgement: Judgement) -> ExitCode:
    """0: all is met, 1: something is not, 2: something could not be looked at."""
    return of_verdict(known=judgement.verdict != UNKNOWN, met=judgement.verdict == MET)


def show_text(judgement: Judgement) -> None:
    """Print a judgement for people: what is not met stands last."""
    verdict = judgement.verdict
    print(f"{paint(show_path(judgement.subject), 'bold')}: {paint(VERDICTS[verdict], COLOURS[verdict])}")
    for note in judgement.notes:
        print(f"  {show_path(note)}")
    for line in findings_lines(judgement.findings):
        print(f"  {line}")
    checks = judgement.ordered
    width = max((len(show_path(check.name)) for check in checks), default=0)
    for check in checks:
        mark = paint(f"{MARKS[check.verdict]:<7}", COLOURS[check.verdict])
        name = show_path(check.name).ljust(width)
        expected = "" if check.met else f" (expected: {show_path(check.expected)})"
        print(f"  {mark} {name}  {show_path(check.found)}{expected}")
    if judgement.error is not None:
        print(f"  {paint(MARKS[UNKNOWN], 'red')} {judgement.error}")
    if judgement.steps:
        print(f"{show_path(judgement.steps_to)}:")
    for number, step in enumerate(judgement.steps, 1):
        print(f"  {number}. {show_path(step)}")
