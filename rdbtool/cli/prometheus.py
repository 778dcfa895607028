"""Judgements as Prometheus' text, for the textfile collector of node_exporter."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from rdbtool.tasks.judgement import MET, UNKNOWN, UNMET, Judgement

from .render import show_path

MET_NAME: Final = "check_met"


def prometheus_text(command: str, judgements: Sequence[Judgement]) -> str:
    """Gauges, each named after ``command``: the verdicts, and what was measured."""
    families: dict[str, tuple[str, dict[str, float]]] = {}

    def add(name: str, meaning: str, labels: dict[str, str], value: float) -> None:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        full = f"rdbtool_{command}_{name}"
        samples = families.setdefault(full, (meaning, {}))[1]
        labelled = f"{full}{{{shown}}}" if shown else full
        # A sample may stand there once only; of two that say whether something is met, the worse one does.
        samples[labelled] = min(value, samples.get(labelled, value)) if name == MET_NAME else value

    add("run_timestamp_seconds", "When this was found out, a Unix time.", {}, int(time.time()))
    for judgement in judgements:
        subject = {"subject": show_path(judgement.subject)}
        code = (MET, UNMET, UNKNOWN).index(judgement.verdict)
        add("verdict", "0: all expectations are met, 1: one is not, 2: it could not be looked at.", subject, code)
        for check in judgement.checks:
            meaning = "1: this expectation is met, 0: it is not, or could not be looked at."
            add(MET_NAME, meaning, {**subject, "check": show_path(check.name)}, check.verdict == MET)
        for measure in judgement.measures:
            add(measure.name, measure.meaning, subject, measure.value)
    lines = []
    for full, (meaning, samples) in families.items():
        lines += [f"# HELP {full} {meaning}", f"# TYPE {full} gauge"]
        lines += [f"{labelled} {value:.17g}" for labelled, value in samples.items()]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
