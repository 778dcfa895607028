"""What is judged is told to people, programs, CI systems and Prometheus alike."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.running import Done, run

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
SNAPSHOT = FIXTURES / "rdb/redis-7.4.1/small-plain.rdb"
TRUNCATED = FIXTURES / "aof/truncated.aof"
JUNIT = xmlschema.XMLSchema(FIXTURES / "xml/junit-10.xsd")
ODD = 'odd"\\\n\x1b[31m\x00'.replace("\x00", "\x01")


def verify(*arguments: object) -> Done:
    return run("verify", *arguments)


def test_a_line_per_expectation_the_failed_ones_last() -> None:
    shown = verify(SNAPSHOT, "--min-keys", 1000, "--expect-key", "set*>=3")
    assert shown.returncode == 1
    lines = [line.split() for line in shown.stdout.splitlines()[1:]]
    marks = [line[0] for line in lines if line[0] in {"ok", "FAILED"}]
    assert marks == ["ok", "ok", "FAILED"]
    assert "115 keys (expected: at least 1,000)" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([SNAPSHOT], 0),
        ([SNAPSHOT, "--min-keys", "116"], 1),
        ([TRUNCATED], 1),
        ([FIXTURES / "missing"], 2),
        ([SNAPSHOT, TRUNCATED, FIXTURES / "missing"], 2),
    ],
)
def test_every_format_has_the_same_exit_code(arguments: list[object], code: int) -> None:
    for form in ("text", "json", "junit", "prometheus"):
        assert verify(*arguments, "--format", form).returncode == code


def test_json_tells_each_check_what_was_expected_and_found() -> None:
    document = json.loads(verify(SNAPSHOT, "--min-keys", 116, "--format", "json").stdout)
    (result,) = document["results"]
    assert document["verdict"] == result["verdict"] == "unmet"
    assert {"name": "min-keys", "expected": "at least 116", "found": "115 keys", "verdict": "unmet"} in result["checks"]
    assert result["measures"]["keys"] == 115


def test_junit_is_what_its_schema_wants(tmp_path: Path) -> None:
    odd = tmp_path / ODD
    odd.write_bytes(TRUNCATED.read_bytes())
    shown = verify(SNAPSHOT, odd, tmp_path / "missing", "--expect-key", "\x02<&>", "--format", "junit").stdout
    JUNIT.validate(shown)
    suites = ET.fromstring(shown).findall("testsuite")
    counts = [(suite.get("tests"), suite.get("failures"), suite.get("errors")) for suite in suites]
    assert counts == [("2", "1", "0"), ("2", "2", "0"), ("1", "0", "1")]


def test_no_sample_stands_there_twice() -> None:
    twice = ["--expect-key", "set*", "--expect-key", "set*>=100"]
    shown = verify(SNAPSHOT, SNAPSHOT, *twice, "--format", "prometheus").stdout
    labelled = [line.rpartition(" ")[0] for line in shown.splitlines() if not line.startswith("#")]
    assert len(labelled) == len(set(labelled))
    assert f'rdbtool_verify_check_met{{subject="{SNAPSHOT}",check="expect-key set*"}} 0' in shown


def test_prometheus_text_is_parsed(tmp_path: Path) -> None:
    odd = tmp_path / ODD
    odd.write_bytes(TRUNCATED.read_bytes())
    shown = verify(SNAPSHOT, odd, tmp_path / "missing", "--min-keys", 26, "--format", "prometheus").stdout
    families = {family.name: family for family in text_string_to_metric_families(shown)}
    verdicts = {s.labels["subject"]: s.value for s in families["rdbtool_verify_verdict"].samples}
    assert list(verdicts.values()) == [0, 1, 2]
    assert {s.value for s in families["rdbtool_verify_keys"].samples} == {115, 26}
    assert all(family.type == "gauge" and family.documentation for family in families.values())
    met = {
        s.labels["check"]: s.value
        for s in families["rdbtool_verify_check_met"].samples
        if s.labels["subject"] != str(SNAPSHOT)
    }
    assert met == {"sound": 0, "min-keys": 1}
