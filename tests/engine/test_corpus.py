"""Logs that real servers wrote, replayed: what each server said after loading its own must come out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rdbtool.aof.names import SKIP, STOP
from rdbtool.engine.encodings import type_name
from rdbtool.errors import printable
from rdbtool.findings import Severity
from rdbtool.inputs.replaying import Replayed, replay
from rdbtool.servers.releases import Release, release_named
from tests.engine.digests import digest_of_cell, digest_of_dataset
from tests.engine.object_encoding import encoding_name
from tests.rdb.expected import differences, prints_17_digits

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus" / "made"
LOGS = sorted(path for path in [*CORPUS.glob("*/*.aof"), *CORPUS.glob("*/multi-*")] if not path.name.endswith(".json"))
NOT_HEEDED = {("redis-1.3.12", "aof:str2"), ("redis-2.0.4", "aof:str2")}
"""Times after 2038, which these servers could not keep."""
WHEN_SEEN = re.compile(r"\}: (?:seen|active) -?\d+$")
"""When a consumer was last seen: of what commands tell, the time of loading."""
RELATIVE = "aof:setpx"
"""Logged with a relative time before Redis 4.0: each load gives another."""
PRE_RELEASE = "redis-7.0-rc2"
"""It keeps a packed -0, and mixes it into digests, like no release."""
BUILDS = {"redis-unstable": "redis-7.9", "valkey-unstable": "valkey-8.0"}
"""Development builds, by what they do."""


def release_of(name: str) -> Release:
    return release_named(BUILDS.get(name) or name.partition("-rc")[0])


def expected_of(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((path.parent / f"{path.name}.expected.json").read_text())
    return facts


def wrong_keys(result: Replayed, expected: dict[str, Any]) -> list[str]:
    dataset = result.dataset
    found = []
    for number, entries in expected["dbs"].items():
        keys = {printable(key, 1 << 30): key for key in dataset.dbs.get(int(number), {})}
        names = {entry["key"] for entry in entries if isinstance(entry["key"], str)}
        found += [f"{number}: only here: {name}" for name in keys if name not in names and len(name) < 1024]
        for entry in entries:
            if isinstance(entry["key"], dict):
                continue  # too long to be named there: the digest has it
            key = keys.get(entry["key"])
            if key is None:
                found.append(f"{number}: not here: {entry['key']}")
                continue
            cell = dataset.decoded(dataset.dbs[int(number)][key])
            if "value" in entry and (expected["server"] != PRE_RELEASE or '"-0"' not in json.dumps(entry["value"])):
                told = differences(entry, cell.value(), digits17=prints_17_digits(expected["server"]))
                found += [f"{number}: {what}" for what in told if not WHEN_SEEN.search(what)]
            ours: dict[str, object] = {
                "type": type_name(cell),
                "encoding": encoding_name(dataset.release, key, cell),
                "pexpiretime": cell.expire_at_ms,
                "debug_digest_value": digest_of_cell(dataset, cell),
            }
            if (
                entry.get("pexpiretime_source", "").startswith("approx")
                and abs(cell.expire_at_ms - entry["pexpiretime"]) < 2000
            ):
                del ours["pexpiretime"]  # worked out from a time to live there
            relative = entry["key"] == RELATIVE and "relative-expiry" in result.findings.counts
            if relative or (expected["server"], entry["key"]) in NOT_HEEDED:
                del ours["pexpiretime"]
            for name, value in ours.items():
                if name == "debug_digest_value" and expected["server"] == PRE_RELEASE:
                    continue
                if entry.get(name) is not None and entry[name] != value:
                    found.append(f"{number}: {entry['key']}: {name} {value}, expected {entry[name]}")
    return found


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus lies beside the checkout, where it is")
@pytest.mark.parametrize("path", LOGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_server_says_the_same_of_its_log(path: Path) -> None:
    expected = expected_of(path)
    result = replay(str(path), release=release_of(path.parent.name))
    assert not result.findings.of(Severity.ERROR)
    if path.parent.name != "redis-5.0.14":  # which writes an XADD with the ID 0-0 that it refuses
        assert not result.replay.failed, [f.message for f in result.findings.items][:5]
    assert wrong_keys(result, expected) == []
    if expected["debug_digest"] is not None and path.parent.name != PRE_RELEASE:
        assert digest_of_dataset(result.dataset) == expected["debug_digest"]
    libraries = {name.decode() for name in result.dataset.functions}
    assert libraries == {function["library_name"] for function in expected.get("functions", [])}


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus lies beside the checkout, where it is")
def test_the_newest_commands_leave_what_the_server_has() -> None:
    directory = CORPUS / "redis-8.6.3"
    keys = json.loads((directory / "new-types.expected.json").read_text())["keys"]
    del keys["vs"]  # a module's vector set
    result = replay(str(directory / "new-types-aof"), release=release_named("redis-8.6"), unknown=SKIP)
    assert not result.replay.failed, [f.message for f in result.findings.items]
    entries = [{"key": key, **facts} for key, facts in keys.items()]
    assert wrong_keys(result, {"server": "redis-8.6.3", "dbs": {"0": entries}}) == []


NEXT = ROOT.parent / "shared" / "corpus-next"
NEWEST_LOGS = sorted(path for path in NEXT.glob("*/*") if path.is_dir() and path.name != "bad") + sorted(
    NEXT.glob("*/*.aof")
)


@pytest.mark.skipif(not NEXT.exists(), reason="the corpus lies beside the checkout, where it is")
@pytest.mark.parametrize("path", NEWEST_LOGS, ids=lambda path: path.name)
def test_the_newest_servers_say_the_same_of_their_logs(path: Path) -> None:
    expected = expected_of(path)
    expected.setdefault("server", "valkey-9.2")
    skipped = "new-commands" in path.name  # they have commands on a vector set
    release = release_named("valkey-9.2" if "valkey" in path.parent.name else "redis-8.10")
    result = replay(str(path), release=release, unknown=SKIP if skipped else STOP)
    assert not result.replay.failed, [f.message for f in result.findings.items]
    vectors = {entry["key"] for keys in expected["dbs"].values() for entry in keys if entry["type"] == "vectorset"}
    for keys in expected["dbs"].values():
        keys[:] = [entry for entry in keys if entry["key"] not in vectors]
        for entry in keys:
            if entry.get("encoding", "").startswith("template"):
                del entry["encoding"]  # a replay keeps such hashes as any other
    assert [what for what in wrong_keys(result, expected) if what.rpartition(" ")[2] not in vectors] == []
    if not vectors and "debug_digest" in expected:
        assert digest_of_dataset(result.dataset) == expected["debug_digest"]
