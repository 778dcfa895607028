"""Logs of real incidents, where the folder that holds them is beside this clone."""

from __future__ import annotations

import pytest

from rdbtool.tasks.check_aof import check_aof
from rdbtool.tasks.repair_aof import plan_aof_repair
from tests.aof.craft import ROOT

CASES = ROOT.parent / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.exists(), reason="the folder of incidents is not beside this clone")


@pytest.mark.parametrize(
    ("name", "verdict", "code", "lost"),
    [
        ("aof/c05-renamed-set", "broken", "unknown-command", 0),
        ("aof/c05-keydb-expiremember.aof", "broken", "unknown-command", 0),
        ("aof/c06-json.aof", "broken", "unknown-command", 0),
        ("aof/c04-keydb-rreplay.aof", "broken", "nested-commands", 0),
        ("aof/c32-clusterslots.aof", "broken", "wrong-arity", 0),
        ("aof/c18-err.aof", "ok", "script", 0),
        ("aof/c33-select20.aof", "ok", "select-outside", 0),
        ("aof/c34-after.aof", "broken", "bad-timestamp", 9),
        ("aof/c07-lf.aof", "broken", "text-copy", 0),
        ("aof/c11-partexec.aof", "truncated", "truncated-command", 58),
        ("aof/c13-cat.aof", "broken", "second-snapshot", 128),
        ("verdict/preamble-torn.aof", "truncated", "truncated-command", 20),
        ("verdict/arity.aof", "broken", "wrong-arity", 0),
        ("aof/c38-b", "ok", "valkey-preamble", 0),
    ],
)
def test_an_incident_is_named_and_loses_what_is_damaged(name: str, verdict: str, code: str, lost: int) -> None:
    report = check_aof(str(CASES / name))
    assert report.verdict == verdict
    assert code in report.findings.counts
    assert plan_aof_repair(report, salvage=True).lost == lost


def test_what_was_acknowledged_behind_an_open_transaction_can_be_kept() -> None:
    report = check_aof(str(CASES / "aof" / "c11-after.aof"))
    assert plan_aof_repair(report, salvage=True, keep_open=True).lost == 48


@pytest.mark.parametrize("name", ["aof/c38-open", "verdict/vadd810", "verdict/himport810", "aof/newcomer-valkey-set"])
def test_a_log_of_a_release_is_whole(name: str) -> None:
    assert check_aof(str(CASES / name)).verdict == "ok"
