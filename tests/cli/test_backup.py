"""``rdbtool backup`` and ``rdbtool health``: their options, formats and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import xmlschema
from prometheus_client.parser import text_string_to_metric_families

from rdbtool.cli.schemas import schema_of
from tests.cli.running import run
from tests.live.serving import AT_ONCE, free_port, url_of
from tests.servers.harness import SERVERS, ServerKind, program, running

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
SNAPSHOT = FIXTURES / "rdb/redis-7.4.1/small-plain.rdb"
JUNIT = xmlschema.XMLSchema(FIXTURES / "xml/junit-10.xsd")


def holds(name: str, text: str) -> None:
    jsonschema.Draft202012Validator(schema_of(name)).validate(json.loads(text))


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_server_is_backed_up_and_what_is_printed_is_what_the_schema_says(kind: ServerKind, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    with running(kind, data, "--appendonly", "yes", *AT_ONCE) as server:
        server.execute("SET", "k", "v")
        url = url_of(server)
        for source, name in ((url, "a-{keys}.rdb"), (data, "b-{digest}"), (data, "c")):
            for options in ([], ["--compress", "zstd"]):
                shown = run("backup", source, out / name, "--format", "json", "--min-keys", 1, *options)
                assert shown.returncode == 0, shown.stdout
                holds("backup", shown.stdout)
                path = json.loads(shown.stdout)["results"][0]["backup"]["path"]
                holds("backup-record", Path(f"{path}.json").read_text())
                assert run("verify", path).returncode == 0
        refused = run("backup", url, out / "d.rdb", "--min-keys", 2, "--format", "json")
        assert refused.returncode == 1
        holds("backup", refused.stdout)
    assert not (out / "d.rdb").exists()
    gone = run("backup", url, out / "d.rdb", "--format", "json")
    assert gone.returncode == 2
    holds("backup", gone.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_rehearsal_comes_before_the_name(kind: ServerKind, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    with running(kind, data, "--appendonly", "yes", *AT_ONCE) as server:
        server.execute("SET", "k", "v")
        for i, source in enumerate((url_of(server), data)):
            for compress in ("none", "gzip"):
                options = ("--compress", compress, "--boot", program(kind), "--format", "json")
                shown = run("backup", source, out / f"{i}-{compress}", *options)
                assert shown.returncode == 0, shown.stdout + shown.stderr
                (result,) = json.loads(shown.stdout)["results"]
                assert {"sound", "boot", "boot digest"} <= {check["name"] for check in result["checks"]}
                holds("backup", shown.stdout)
    other = next(one for one in SERVERS if one.name == "redis-6.2")
    if kind is not other and not kind.is_valkey:
        before = set(out.iterdir())
        shown = run("backup", data, out / "x", "--boot", program(other))
        assert shown.returncode == 2
        assert "Redis 6.2 knows no log of several files" in shown.stdout
        assert set(out.iterdir()) == before


def test_expectations_of_a_file_hold_for_the_destination(tmp_path: Path) -> None:
    config = tmp_path / "verify.toml"
    config.write_text('["users-*"]\nmin-keys = 1000\n')
    assert run("backup", SNAPSHOT, tmp_path / "users-{time}.rdb", "--config", config).returncode == 1
    assert run("backup", SNAPSHOT, tmp_path / "others-{time}.rdb", "--config", config).returncode == 0


def test_quiet_says_nothing_of_what_is_good(tmp_path: Path) -> None:
    done = run("backup", SNAPSHOT, tmp_path / "a.rdb", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run("backup", SNAPSHOT, tmp_path / "b.rdb", "--quiet", "--min-keys", 1000)
    assert done.returncode == 1
    assert "nothing was written, and no older backup removed" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [SNAPSHOT, "-"],
        [SNAPSHOT, "/dev/full"],
        [SNAPSHOT, "OUT/x-{name}.rdb"],
        [SNAPSHOT, "OUT/missing/x.rdb"],
        [FIXTURES / "xml", "OUT/x.rdb"],
        [SNAPSHOT, "OUT/x.rdb", "--keep", "0"],
        [SNAPSHOT, "OUT/x.rdb", "--against", SNAPSHOT],
        ["redis://", "OUT/x.rdb"],
    ],
)
def test_what_cannot_be_done_is_told_and_leaves_nothing(arguments: list[object], tmp_path: Path) -> None:
    done = run("backup", *[str(one).replace("OUT", str(tmp_path)) for one in arguments])
    assert done.returncode == 2
    assert done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.server
def test_health_has_the_formats_of_verify(tmp_path: Path) -> None:
    with running(SERVERS[0], tmp_path) as server:
        urls = (url_of(server), f"redis://127.0.0.1:{free_port()}")
        for asked, code in ((urls[:1], 1), (urls, 2)):
            shown = {form: run("health", *asked, "--format", form) for form in ("text", "json", "junit", "prometheus")}
            assert {done.returncode for done in shown.values()} == {code}
            holds("health", shown["json"].stdout)
            JUNIT.validate(shown["junit"].stdout)
            families = {f.name: f for f in text_string_to_metric_families(shown["prometheus"].stdout)}
            assert len(families["rdbtool_health_verdict"].samples) == len(asked)
            assert "FAILED  persistence" in shown["text"].stdout
        ignored = run("health", urls[0], "--ignore", "persistence", "--max-disk-used", "100%", "--quiet")
        assert (ignored.returncode, ignored.stdout) == (0, "")
        assert run("health", urls[0], "--ignore", "nothing").returncode == 2


@pytest.mark.server
def test_health_remembers_where_it_is_told_to(tmp_path: Path) -> None:
    data, state = tmp_path / "data", tmp_path / "state"
    data.mkdir()
    with running(SERVERS[0], data) as server:
        asked = ("health", url_of(server), "--state", state, "--ignore", "persistence", "--max-disk-used", "100%")
        assert run(*asked).returncode == 0
        seen = json.loads(state.read_text())["servers"]
        assert list(seen) == [url_of(server)]
        assert run(*asked).returncode == 0
        state.write_text("not ours")
        refused = run(*asked)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "is no state of rdbtool health" in refused.stderr
        assert state.read_text() == "not ours"
