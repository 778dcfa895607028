"""Files that real servers wrote, whole and broken."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rdbtool.errors import RdbToolError
from rdbtool.findings import Findings, Severity
from rdbtool.io.source import open_input
from rdbtool.io.window import window_over
from rdbtool.rdb.check import RdbFacts, verify_rdb
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.opcodes import REDIS, VALKEY
from rdbtool.rdb.types import TABLE
from tests.rdb.corpus import CORPUS, FIXTURES, expected_of, name_of, written_files

NOW_MS = 1_800_000_000_000  # January 2027


def verify(path: Path, **options: Any) -> tuple[RdbFacts, Findings]:
    findings = Findings()
    with open_input(str(path)) as source:
        return verify_rdb(source.window(), findings, now_ms=NOW_MS, **options), findings


def errors(findings: Findings) -> list[str]:
    return [f"{f.code} at {f.offset}: {f.message}" for f in findings.of(Severity.ERROR)]


def refused_as(path: Path) -> str:
    """Why servers of today refuse a file that one of its time wrote."""
    if path.parent.name == "redis-4.0-rc1" and path.name.startswith("module"):
        return "unsupported"  # its length cannot be told
    if path.parent.name == "redis-7.0-rc2" and expected_of(path).get("functions"):
        return "function-pre-release"
    return ""


@pytest.mark.parametrize("path", written_files(), ids=name_of)
def test_a_written_file_is_sound_and_holds_what_its_server_says(path: Path) -> None:
    facts, findings = verify(path)
    code = refused_as(path)
    assert [e for e in errors(findings) if not code or not e.startswith(code)] == []
    assert bool(code) == (findings.worst is Severity.ERROR)
    if code == "unsupported":
        return
    assert facts.complete
    assert facts.checksum in {"ok", "off", "none"}
    expected = expected_of(path)
    if "dbs" not in expected or path.name == "expire-beyond-2038.rdb":
        return
    keys = [key for entries in expected["dbs"].values() for key in entries]
    assert facts.databases == {int(db): n for db, n in expected["dbsize"].items() if n}
    assert facts.types == Counter("module" if key["type"] == "vectorset" else key["type"] for key in keys)
    assert facts.expires == sum(key["pexpiretime"] != -1 for key in keys)
    assert facts.subexpires == sum(at != -1 for key in keys for at in key.get("field_pexpiretime", {}).values())
    assert len(facts.functions) == len(expected.get("functions", []))
    if facts.writer and "by-hand" not in path.parent.name:
        assert facts.writer.split()[1] in expected["server_reported_version"] or "unstable" in path.parent.name


def test_seconds_beyond_2038_count_as_the_server_counted_them() -> None:
    """Redis 2.4 wrote expiries in 32 bits, so these overflowed; it dropped the keys when it loaded its own file."""
    path = FIXTURES / "redis-2.4.18" / "expire-beyond-2038.rdb"
    facts, _ = verify(path)
    assert facts.keys - facts.expired == sum(expected_of(path)["dbsize"].values())


def test_expired_keys_are_counted_but_not_as_damage() -> None:
    path = FIXTURES / "redis-7.0.15" / "expired.rdb"
    facts, findings = verify(path)
    now = json.loads((path.parent / "expired.rdb.expected-now.json").read_text())
    assert facts.keys - facts.expired == sum(now["dbsize"].values())
    assert "expired-keys" in findings.counts
    assert findings.worst is Severity.NOTE
    facts, findings = verify(path, keep_expired=True)
    assert facts.expired
    assert "expired-keys" not in findings.counts


def broken_files() -> Iterator[tuple[Path, dict[str, Any]]]:
    for name, verdict in json.loads((FIXTURES / "broken" / "verdicts.json").read_text()).items():
        yield FIXTURES / "broken" / name, verdict
    verdicts = CORPUS / "made-broken" / "rdb" / "verdicts.json"
    if verdicts.exists():
        for name, verdict in json.loads(verdicts.read_text()).items():
            server = next(s for s in verdict["server"] if "sanitize" in s)
            tool = "valkey-9.1.2" if "valkey" in server else "redis-7.4.1"
            found = re.search(r"DETECTED ---\n\[offset (\d+)\]", verdict["check_rdb"][tool]["output"])
            yield (
                CORPUS / "made-broken" / name,
                {
                    "what": verdict["what"],
                    "loads": verdict["server"][server]["starts"] is True,
                    "check_rdb_offset": int(found[1]) if found else None,
                },
            )


def test_the_verdict_on_broken_files_is_that_of_a_server_that_sanitizes() -> None:
    wrong = []
    n = 0
    for path, verdict in broken_files():
        _, findings = verify(path)
        n += 1
        if verdict["loads"] != (findings.worst is not Severity.ERROR):
            wrong.append(f"{path.name} ({verdict['what']}): server loads {verdict['loads']}, we {errors(findings)}")
    assert n >= 100
    assert wrong == []


def test_damage_is_found_where_it_is() -> None:
    """At or before the place where the server's tool, which reads whole values first, gives up; never behind it."""
    wrong = []
    for path, verdict in broken_files():
        _, findings = verify(path)
        theirs = verdict["check_rdb_offset"]
        ours = [f.offset for f in findings.of(Severity.ERROR)]
        if theirs is None or not ours:
            continue
        # They count what was read, so an error in a number of 8 bytes is 8 further on.
        if not min(ours) <= theirs:
            wrong.append(f"{path.name} ({verdict['what']}): check-rdb {theirs}, we {ours}")
        flipped = re.fullmatch(r"bit \d of byte (\d+) flipped", verdict["what"])
        if flipped and "nochecksum" in str(path) and not min(ours) <= theirs <= min(ours) + 60:
            wrong.append(f"{path.name} ({verdict['what']}): check-rdb {theirs}, we {ours}")
    assert wrong == []


def test_restore_payloads_are_refused_as_servers_refuse_them() -> None:
    folder = CORPUS / "restore-payloads"
    if not folder.exists():
        return  # their licence keeps them out of fixtures; test_verify_servers makes others
    wrong = []
    for payload in json.loads((folder / "expected.json").read_text())["payloads"]:
        raw = (folder / payload["file"]).read_bytes()
        version = int.from_bytes(raw[-10:-8], "little")
        findings = Findings()
        inspection = Inspection(findings)
        row = TABLE[VALKEY if version >= 80 else REDIS][raw[0]]
        assert row is not None
        try:
            row.verify(window_over(raw[1:-10]), inspection)
            refused = inspection.empty or findings.worst is Severity.ERROR
        except RdbToolError:
            refused = True
        for server, answers in payload["live_result"].items():
            answer = answers.get("sanitize yes, checksum not verified", "")
            if "payload version" in answer:
                continue
            if refused != ("Bad data format" in answer):
                wrong.append(f"{payload['file']}: {server} {answer}, we {errors(findings)}")
    assert wrong == []
