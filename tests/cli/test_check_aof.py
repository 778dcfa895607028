from __future__ import annotations

import gzip
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rdbtool.servers.releases import RELEASES
from tests.aof.craft import FIXTURES, ROOT, command, sets
from tests.cli import running
from tests.cli.running import Done

BAD = sets(2) + b"x" + sets(2)


def run(*arguments: object, stdin: bytes = b"") -> Done:
    """``rdbtool check-aof`` in this process, without a terminal."""
    return running.run("check-aof", *arguments, stdin=stdin)


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    return Path(shutil.copy(FIXTURES / "truncated.aof", tmp_path / "appendonly.aof"))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.aof"
    path.write_bytes(BAD)
    return path


def test_a_check_tells_the_verdict_the_place_and_what_to_do(truncated: Path) -> None:
    old = truncated.read_bytes()
    done = run(truncated)
    assert done.returncode == 1
    assert "truncated (Redis 8.10 and Valkey 9.2 cut its end and start)" in done.stdout
    assert "good up to 2,892" in done.stdout
    assert "45 commands, 3 transactions" in done.stdout
    assert f"rdbtool check-aof --fix {truncated}" in done.stdout
    assert truncated.read_bytes() == old


def test_a_whole_set_is_fine() -> None:
    done = run(FIXTURES / "multi")
    assert done.returncode == 0
    assert "ok (Redis 8.10 and Valkey 9.2 load it)" in done.stdout
    assert "error" not in done.stdout


def test_a_repair_shows_its_cut_and_the_way_back(truncated: Path) -> None:
    done = run("--fix", "--yes", truncated)
    assert done.returncode == 0, done.stderr
    assert "repaired" in done.stdout
    assert "drops 25 bytes of 2,917, keeps 2,892" in done.stdout
    assert f"cat {truncated}.cut-2892 >> {truncated}" in done.stdout
    assert truncated.stat().st_size == 2892
    assert run(truncated).returncode == 0


def test_loss_of_commands_is_exit_code_3(broken: Path) -> None:
    done = run("--fix", "--yes", broken)
    assert done.returncode == 3
    assert "2 readable commands" in done.stdout
    assert "SET key:0" in done.stdout
    assert broken.read_bytes() == sets(2)


def test_salvage_keeps_what_stands_behind_and_is_exit_code_3(broken: Path) -> None:
    done = run("--fix", "--salvage", "--yes", broken)
    assert done.returncode == 3
    assert broken.read_bytes() == sets(4)[: len(sets(2))] + sets(2)


def test_without_a_terminal_nothing_is_assumed(truncated: Path) -> None:
    done = run("--fix", truncated)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert truncated.stat().st_size == 2917


@pytest.mark.slow  # starts the program on a terminal
@pytest.mark.parametrize(("answer", "code", "size"), [(b"y\n", 0, 2892), (b"n\n", 2, 2917), (b"\n", 2, 2917)])
def test_on_a_terminal_it_asks(truncated: Path, answer: bytes, code: int, size: int) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rdbtool", "check-aof", "--fix", str(truncated)],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    os.write(ours, answer)
    _, errors = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert b"Cut 25 bytes? [y/N]" in errors
    assert process.returncode == code
    assert truncated.stat().st_size == size


def test_a_copy_needs_no_question(truncated: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.aof"
    done = run("-o", copy, truncated)
    assert done.returncode == 0, done.stderr
    assert copy.stat().st_size == 2892
    assert truncated.stat().st_size == 2917
    assert run("-o", truncated, truncated).returncode == 2


def test_a_bound_on_loss_is_kept(truncated: Path) -> None:
    assert run("--fix", "--yes", "--max-loss", 24, truncated).returncode == 2
    assert truncated.stat().st_size == 2917
    assert run("--fix", "--yes", "--max-loss", 25, truncated).returncode == 0


@pytest.mark.parametrize(
    ("option", "time", "size"),
    [
        ("--until", "1795211481", 1404),
        ("--until", "2026-11-20T21:51:21Z", 1404),
        ("--until", "2026-11-20T22:51:21+01:00", 1404),
        ("--until", "2026-11-20 21:51:22", 2785),
        ("--truncate-to-timestamp", "1795211481", 1404),
    ],
)
def test_a_log_is_cut_at_a_time(tmp_path: Path, option: str, time: str, size: int) -> None:
    path = Path(shutil.copy(FIXTURES / "damaged/whole.aof", tmp_path / "x.aof"))
    path.chmod(0o644)
    shown = run(option, time, path)
    assert "the cut after 2026-11-20T21:51:2" in shown.stdout
    assert path.stat().st_size == 2924
    done = run("--fix", "--yes", option, time, path)
    assert done.returncode == 0, done.stderr
    assert path.stat().st_size == size


@pytest.mark.parametrize(
    "arguments",
    [
        ["--salvage"],
        ["--yes"],
        ["--until", "noon", "--fix"],
        ["--until", "", "--fix", "--yes"],
        ["--until", "1", "--truncate-to-timestamp", "1", "--fix"],
        ["-o", "x", "second.aof"],
        ["-o", "-"],
        ["--fix", "--yes", "-o", ""],
    ],
)
def test_options_that_make_no_sense_are_refused(truncated: Path, arguments: list[str]) -> None:
    done = run(*arguments, truncated)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert truncated.stat().st_size == 2917


def test_json_has_the_same_facts(broken: Path, truncated: Path) -> None:
    done = run("--format", "json", broken, truncated, FIXTURES / "multi")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["schema"] == 1
    assert [f["verdict"] for f in report["files"]] == ["broken", "truncated", "ok"]
    first = report["files"][0]
    assert first["files"][0]["good_up_to"] == len(sets(2))
    assert first["files"][0]["readable_behind_the_damage"] == 2
    assert first["findings"][0]["code"] == "bad-prefix"
    fixed = json.loads(run("--format", "json", "--fix", "--yes", "--salvage", broken).stdout)
    assert fixed["files"][0]["plan"]["files"][0]["cuts"][0]["start"] == len(sets(2))
    assert fixed["files"][0]["repair"]["loss"] is True


def test_very_many_cuts_are_shown_and_listed_in_part(tmp_path: Path) -> None:
    log = tmp_path / "x.aof"
    log.write_bytes((b"*0\r\n" + sets(1)) * 1200)
    words = (log, "--salvage", "--yes", "--max-loss", "1000000", "-o", tmp_path / "copy.aof")
    done = run(*words)
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) < 60
    last = f"{1199 * (4 + len(sets(1))):,}"
    assert f"and at 1,180 places more, the last at {last}: " in done.stdout
    report = json.loads(run(*words, "--format", "json").stdout)
    file = report["files"][0]["plan"]["files"][0]
    assert (len(file["cuts"]), file["more_cuts"]) == (1000, 200)
    report = json.loads(run(*words, "--format", "json", "--all-findings").stdout)
    file = report["files"][0]["plan"]["files"][0]
    assert (len(file["cuts"]), file["more_cuts"]) == (1200, 0)


def test_the_worst_of_several_decides(truncated: Path, tmp_path: Path) -> None:
    assert run(FIXTURES / "multi", truncated).returncode == 1
    done = run(truncated, tmp_path / "gone.aof", FIXTURES / "multi")
    assert done.returncode == 2
    assert "gone.aof" in done.stderr
    assert "ok (Redis 8.10 and Valkey 9.2 load it)" in done.stdout


def test_no_file_can_drive_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "e\x1b[31mvil.aof"
    path.write_bytes(command("\x1b[2JSET", "k", "v") + b"\x1b" + command("SET", "\x1b]0;x\x07", "v"))
    for arguments in ([path], ["--fix", "--yes", path]):
        done = run(*arguments)
        assert "\x1b" not in done.stdout + done.stderr
        assert "\\x1b" in done.stdout


def test_standard_input_is_checked() -> None:
    done = run("-", stdin=BAD)
    assert done.returncode == 1
    assert "standard input" in done.stdout
    assert run("--fix", "--yes", "-", stdin=BAD).returncode == 2


def test_what_is_no_log_is_not_emptied(tmp_path: Path) -> None:
    for text in (b"hello\n", b"\0" * 5000, bytes(range(200, 256)) * 20):
        path = tmp_path / "redis.conf"
        path.write_bytes(text)
        done = run(path)
        assert done.returncode == 1
        assert "is it an append-only file" in done.stdout
        assert "--fix" not in done.stdout
        for options in (["--fix", "--yes"], ["--fix", "--yes", "--salvage"]):
            done = run(*options, path)
            assert done.returncode == 2
            assert "no append-only file" in done.stderr
            assert path.read_bytes() == text
            assert os.listdir(tmp_path) == ["redis.conf"]


def test_the_beginning_of_a_log_is_cut_whatever_is_left(tmp_path: Path) -> None:
    for text in (b"*", b"*3\r\n$3", b"R", b"REDI", b"#TS:1", b"*3\n$3\n"):
        path = tmp_path / "appendonly.aof"
        path.write_bytes(text)
        assert run("--fix", "--yes", path).returncode == 0, text
        assert path.read_bytes() == b""


def test_a_damaged_manifest_is_told_as_such_and_never_cut(tmp_path: Path) -> None:
    directory = Path(shutil.copytree(FIXTURES / "multi", tmp_path / "appendonlydir"))
    manifest = directory / "appendonly.aof.manifest"
    for head in (b"filx", b"\0\0\0\0", b"*1\r\n"):
        manifest.chmod(0o644)
        text = head + (FIXTURES / "multi/appendonly.aof.manifest").read_bytes()[4:]
        manifest.write_bytes(text)
        for path in (directory, manifest):
            done = run(path)
            assert done.returncode == 1
            assert "bad-manifest" in done.stdout
            assert "to repair" not in done.stdout
            assert run("--fix", path).returncode == 2  # nobody can be asked
            assert manifest.read_bytes() == text


@pytest.mark.parametrize("odd", [command("bla", "foo"), command("GET", "a", "b"), command("JSON.SET", "a", "$", "1")])
@pytest.mark.parametrize("options", [["--fix"], ["--fix", "--salvage"]])
def test_a_command_that_can_be_read_is_cut_only_if_that_is_asked_for(
    tmp_path: Path, odd: bytes, options: list[str]
) -> None:
    path = tmp_path / "x y.aof"
    data = sets(2) + odd + sets(1)
    path.write_bytes(data)
    done = run(path)
    assert done.returncode == 1
    assert "--fix" not in done.stdout
    assert run(*options, "--yes", path).returncode == 1
    assert path.read_bytes() == data
    # Behind damage it stays as well, and what is left is still refused by stock servers.
    path.write_bytes(data + b"x")
    assert run(*options, "--yes", path).returncode in {1, 3}
    assert path.read_bytes() == data
    assert run(*options, "--yes", "--fix-unknown", path).returncode == 3
    assert path.read_bytes() == sets(2) + (sets(1) if "--salvage" in options else b"")


def test_a_server_that_has_a_command_loads_it(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(sets(2) + command("xflush") + command("KEYDB", "k", "v"))
    assert run(path).returncode == 1
    assert run("--allow", "KeyDB", "--allow", "XFLUSH", path).returncode == 0
    assert run("--allow", "KeyDB", "--rename", "xflush=FLUSHALL", path).returncode == 0
    path.write_bytes(command("xset", "k"))
    done = run("--rename", "XSET=SET", path)
    assert "wrong-arity" in done.stdout


def test_what_was_written_behind_an_open_transaction_is_kept_if_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    select = command("SELECT", "0")
    torn = command("MULTI") + command("SET", "in", "transaction")
    path.write_bytes(sets(2) + torn + select + sets(3))
    done = run(path)
    assert "it holds 5 whole commands" in done.stdout
    assert "--salvage --keep-open-transaction" in done.stdout
    assert run("--fix", "--salvage", "--keep-open-transaction", "--yes", path).returncode == 3
    assert path.read_bytes() == sets(2) + select + sets(3)
    # Without a SELECT that tells the two apart, only MULTI goes; one right behind it is the transaction's own.
    path.write_bytes(sets(2) + command("MULTI") + select + sets(3))
    done = run("--fix", "--salvage", "--keep-open-transaction", "--yes", path)
    assert "a part of the transaction may be among it" in done.stdout
    assert path.read_bytes() == sets(2) + select + sets(3)
    assert run("--keep-open-transaction", path).returncode == 2


def test_a_transaction_that_damage_ends_goes_whole_though_open_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(sets(1) + command("MULTI") + sets(2) + b"x" + command("EXEC") + sets(1))
    assert run("--fix", "--salvage", "--keep-open-transaction", "--yes", path).returncode == 3
    assert path.read_bytes() == sets(1) + sets(1)


def test_releases_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(sets(1) + command("HSETEX", "h", "FIELDS", "1", "f", "v"))
    assert run(path).returncode == 0
    done = run("--for", "7.0", "--for", "valkey-9.1.2", path)
    assert done.returncode == 1
    assert "redis-7.0   no              Unknown command 'HSETEX'" in done.stdout
    assert "valkey-9.1  yes" in done.stdout
    (file,) = json.loads(run("--for", "all", "--format", "json", path).stdout)["files"]
    loads = {row["release"]: row["loads"] for row in file["for"]}
    assert list(loads) == [release.name for release in RELEASES]
    assert (loads["redis-7.4"], loads["redis-8.0"], loads["valkey-8.1"], loads["valkey-9.0"]) == (
        False,
        True,
        False,
        True,
    )
    assert run("--for", "redis-99", path).returncode == 2


def test_many_findings_of_a_kind_are_one_line_unless_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(b"".join(command(f"X{i}", "a") for i in range(1500)))
    lines = [line for line in run(path).stdout.splitlines() if "unknown-command" in line]
    assert len(lines) == 1
    assert "(1,500 like this, the last at offset" in lines[0]
    lines = [line for line in run("--all-findings", path).stdout.splitlines() if "unknown-command" in line]
    assert len(lines) == 1500


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (bytes(257) + b"ustar" + bytes(500) + sets(5), "tar"),
        (b"PK\x03\x04" + sets(5), "zip"),
        (b"BZh9" + sets(5), "bzip2"),
        (b"\xfd7zXZ\0" + sets(5), "xz"),
        (b"<!DOCTYPE html>" + sets(5), "HTML"),
    ],
)
def test_what_is_something_else_is_named_and_left_alone(tmp_path: Path, data: bytes, word: str) -> None:
    path = tmp_path / "x"
    for content, name in ((data, "x"), (gzip.compress(data), "x.gz")):
        path = tmp_path / name
        path.write_bytes(content)
        done = run(path)
        assert done.returncode == 1
        assert word in done.stdout
        assert "--fix" not in done.stdout
        assert run("--fix", "--yes", path).returncode == 2
        assert path.read_bytes() == content


def test_a_second_snapshot_is_named(tmp_path: Path) -> None:
    one = (FIXTURES / "preamble+tail.aof").read_bytes()
    path = tmp_path / "x.aof"
    path.write_bytes(one + one)
    done = run(path)
    assert f"second-snapshot at offset {len(one)}" in done.stdout


def test_the_files_beside_a_damaged_manifest_are_checked(tmp_path: Path) -> None:
    directory = Path(shutil.copytree(FIXTURES / "multi", tmp_path / "appendonlydir"))
    (directory / "appendonly.aof.manifest").chmod(0o644)
    (directory / "appendonly.aof.manifest").write_bytes(b"")
    done = run(directory)
    assert done.returncode == 1
    assert "bad-manifest" in done.stdout
    assert done.stdout.count(": ok") == 5
    assert run("--fix", "--yes", directory).returncode == 0
    assert run(directory).returncode == 0


def test_parts_without_a_manifest_are_told_by_name(tmp_path: Path) -> None:
    directory = Path(shutil.copytree(FIXTURES / "multi", tmp_path / "appendonlydir"))
    (directory / "appendonly.aof.manifest").unlink()
    done = run(f"{directory}/")
    assert done.returncode == 1
    assert "base    appendonly.aof.3.base.aof" in done.stdout
    assert "no-manifest appendonlydir:" in done.stdout
    assert "to repair" not in done.stdout


def test_what_a_repair_means_for_the_order_is_told_by_file(tmp_path: Path) -> None:
    directory = Path(shutil.copytree(FIXTURES / "multi", tmp_path / "appendonlydir"))
    for name in ("appendonly.aof.3.incr.aof", "appendonly.aof.5.incr.aof"):
        path = directory / name
        path.chmod(0o644)
        path.write_bytes(path.read_bytes() + b"!")
    done = run("--fix", "--yes", directory)
    assert done.returncode == 0, done.stderr
    for name in ("appendonly.aof.3.incr.aof", "appendonly.aof.5.incr.aof"):
        assert f"order {name}: not the last file: what follows in the set, up to 'appendonly.aof.6" in done.stdout


def test_what_is_cut_goes_where_it_is_told_to(truncated: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    old = truncated.read_bytes()
    done = run("--fix", "--yes", "--save-cut", place, truncated)
    assert f"cat {place}/appendonly.aof.cut-2892 >> {truncated}" in done.stdout
    assert (place / "appendonly.aof.cut-2892").read_bytes() == old[2892:]
    truncated.write_bytes(old)
    done = run("--fix", "--yes", "--no-save-cut", truncated)
    assert done.returncode == 0
    assert "to undo it" not in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["appendonly.aof", "place"]


@pytest.mark.parametrize(
    "options",
    [
        ["--save-cut", "."],
        ["--force"],
        ["--no-save-cut", "-o", "x"],
        ["--fix", "--yes", "--save-cut", ".", "--no-save-cut"],
        ["--fix", "--yes", "--save-cut", "/no/such/place"],
        ["-o", "/dev/stdout"],
    ],
)
def test_options_about_saving_that_make_no_sense_are_refused(truncated: Path, options: list[str]) -> None:
    assert run(*options, truncated).returncode == 2
    assert truncated.stat().st_size == 2917


def test_a_copy_overwrites_a_file_only_if_forced(tmp_path: Path, truncated: Path) -> None:
    output = tmp_path / "copy.aof"
    assert run("-o", output, truncated).returncode == 0
    output.write_bytes(b"precious")
    done = run("-o", output, truncated)
    assert (done.returncode, "--force overwrites it" in done.stderr) == (2, True)
    assert output.read_bytes() == b"precious"
    for word in ("--force", "--yes"):
        output.write_bytes(b"precious")
        assert run("-o", output, word, truncated).returncode == 0
        assert output.stat().st_size == 2892


def test_a_log_that_is_being_written_is_repaired_only_if_forced(truncated: Path) -> None:
    code = "import sys; stream = open(sys.argv[1], 'ab'); print(flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", code, str(truncated)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        done = run("--fix", "--yes", truncated)
        assert done.returncode == 2
        assert "--force" in done.stderr
        assert truncated.stat().st_size == 2917
        done = run("--fix", "--yes", "--force", truncated)
        assert done.returncode == 0
        assert "open-for-writing" in done.stdout
        process.kill()


def test_a_copy_as_text_is_never_cut_where_its_line_ends_can_be_turned_back(tmp_path: Path) -> None:
    path, copy = tmp_path / "x.aof", tmp_path / "copy.aof"
    path.write_bytes(sets(5).replace(b"\r\n", b"\n"))
    done = run(path)
    assert f"rdbtool check-aof {path} -o COPY" in done.stdout
    assert "--fix" not in done.stdout
    assert run("--fix", "--yes", path).returncode == 2
    assert path.read_bytes() == sets(5).replace(b"\r\n", b"\n")
    assert run(path, "-o", copy).returncode == 0
    assert copy.read_bytes() == sets(5)
