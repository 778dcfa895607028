"""Compacting: what is written where, and that no crash leaves a set that does not load."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rdbtool.aof.manifest import parse
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.aof.resp import Command, CommandReader
from rdbtool.errors import InputError, OutputError, RdbToolError, UnsupportedError, UsageError
from rdbtool.inputs.filters import select
from rdbtool.inputs.replaying import replay
from rdbtool.io.lock import locked
from rdbtool.io.ownership import umask
from rdbtool.io.temporary import remove_all, sweep
from rdbtool.io.window import window_over
from rdbtool.model import MAX_FIELD_EXPIRY_SET
from rdbtool.rdb.targets import target
from rdbtool.tasks.digest import digest
from rdbtool.tasks.rewrite import RewriteForm, rewrite, rewrite_in_place
from tests.aof.craft import command, make_set
from tests.servers.harness import SERVERS, running

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures" / "aof"
LOG = command("SET", "a", "1") + command("SET", "a", "2") + command("HSET", "h", "f", "v") + command("DEL", "h")


def commands_of(data: bytes) -> list[list[bytes]]:
    reader = CommandReader(window_over(data))
    found = []
    while (event := reader.next()) is not None:
        assert isinstance(event, Command)
        found.append(event.args)
    return found


def files_of(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "old.aof"
    path.write_bytes(LOG)
    return str(path)


def test_a_directory_becomes_a_set_with_a_snapshot(log: str, tmp_path: Path) -> None:
    out = tmp_path / "appendonlydir"
    report = rewrite(log, str(out))
    assert sorted(files_of(out)) == [
        "appendonly.aof.1.base.rdb",
        "appendonly.aof.1.incr.aof",
        "appendonly.aof.manifest",
    ]
    assert (out / "appendonly.aof.1.incr.aof").read_bytes() == b""
    assert [f"{p.name} {p.type}" for p in parse((out / "appendonly.aof.manifest").read_bytes()).parts] == [
        "appendonly.aof.1.base.rdb b",
        "appendonly.aof.1.incr.aof i",
    ]
    assert (report.before_bytes, report.before_commands, report.keys) == (len(LOG), 4, 1)
    assert (report.after_bytes, report.after_commands) == (os.path.getsize(out / "appendonly.aof.1.base.rdb"), 0)
    assert os.stat(out).st_mode & 0o777 == os.stat(tmp_path).st_mode & 0o777 & ~umask()


def test_commands_are_those_of_a_rewrite(log: str, tmp_path: Path) -> None:
    out = tmp_path / "new.aof"
    report = rewrite(log, str(out), form=RewriteForm(resp=True))
    assert commands_of(out.read_bytes()) == [[b"SELECT", b"0"], [b"SET", b"a", b"2"]]
    assert (report.after_commands, report.after_bytes, report.target) == (2, out.stat().st_size, "")


def test_a_file_is_a_snapshot_and_nothing_behind_it(log: str, tmp_path: Path) -> None:
    out = tmp_path / "new.aof"
    rewrite(log, str(out), form=RewriteForm(to=target("redis-6.2")))
    assert out.read_bytes().startswith(b"REDIS0009")
    assert [key for _, key, _ in replay(str(out)).dataset.items()] == [b"a"]


def test_carried_commands_stand_behind_what_they_may_touch(tmp_path: Path) -> None:
    path = tmp_path / "old.aof"
    carried = [b"JSON.SET", b"j", b"$", b"1"]
    path.write_bytes(command("SELECT", "2") + command(*carried) + command("SET", "a", "1"))
    expected = [[b"SELECT", b"2"], carried]
    with pytest.raises(UnsupportedError):
        rewrite(str(path), str(tmp_path / "no"))
    assert not (tmp_path / "no").exists()
    rewrite(str(path), str(tmp_path / "set"), unknown="carry")
    assert commands_of((tmp_path / "set" / "appendonly.aof.1.incr.aof").read_bytes()) == expected
    rewrite(str(path), str(tmp_path / "new.aof"), unknown="carry", form=RewriteForm(resp=True))
    assert commands_of((tmp_path / "new.aof").read_bytes())[-2:] == expected


def test_a_base_of_a_server_is_written_for_that_server(tmp_path: Path) -> None:
    for name in ("multi-rdb", "preamble+tail.aof"):
        report = rewrite(str(FIXTURES / name), str(tmp_path / name.partition("+")[0]))
        assert report.target == {"multi-rdb": "valkey-9.1", "preamble+tail.aof": "redis-6.0"}[name]
        assert digest(str(tmp_path / name.partition("+")[0])).digest == digest(str(FIXTURES / name)).digest


def test_what_the_target_cannot_keep_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "old.aof"
    path.write_bytes(command("HSET", "h", "f", "v") + command("HPEXPIREAT", "h", "9999999999999", "FIELDS", "1", "f"))
    with pytest.raises(UnsupportedError, match="field expiries"):
        rewrite(str(path), str(tmp_path / "set"), form=RewriteForm(to=target("redis-7.0")))
    assert os.listdir(tmp_path) == ["old.aof"]
    rewrite(str(path), str(tmp_path / "set"), form=RewriteForm(to=target("redis-7.4")))


def test_a_field_expires_as_late_as_the_server_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "old.aof"
    late = str(MAX_FIELD_EXPIRY_SET + 1)
    path.write_bytes(command("HSET", "h", "f", "v") + command("HPEXPIREAT", "h", late, "FIELDS", "1", "f"))
    assert rewrite(str(path), str(tmp_path / "redis")).findings.counts == {"command-error": 1}
    assert rewrite(str(path), str(tmp_path / "valkey"), form=RewriteForm(to=target("valkey-9.1"))).findings.counts == {}


def test_expired_keys_are_left_out_on_request(tmp_path: Path) -> None:
    path = tmp_path / "old.aof"
    path.write_bytes(command("SET", "a", "1", "PXAT", "4999") + command("SET", "b", "1", "PXAT", "6000"))
    for resp in (False, True):
        out = str(tmp_path / f"{resp}.aof")
        report = rewrite(str(path), out, form=RewriteForm(resp=resp), selection=select(expired=False, now="5"))
        assert (report.keys, report.left_out) == (1, 1)
        assert [key for _, key, _ in replay(out).dataset.items()] == [b"b"]


@pytest.mark.parametrize("occupied", ["full", "file"])
def test_nothing_that_exists_is_written_over(log: str, tmp_path: Path, occupied: str) -> None:
    out = tmp_path / "out"
    if occupied == "full":
        out.mkdir()
        (out / "x").write_text("x")
    else:
        out.write_text("x")
    with pytest.raises(OutputError):
        rewrite(log, str(out))
    with pytest.raises(OutputError):
        rewrite(log, log)
    assert Path(log).read_bytes() == LOG


def test_the_point_in_time_is_what_is_written(log: str, tmp_path: Path) -> None:
    out = str(tmp_path / "new.aof")
    report = rewrite(log, out, point=PointInTime(before="DEL"))
    assert [key for _, key, _ in replay(out).dataset.items()] == [b"a", b"h"]
    assert "DEL" in report.stopped


# In place


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    return make_set(tmp_path / "set", base=LOG, one=command("SET", "b", "1"), two=command("SET", "c", "1"))


def test_in_place_a_new_base_stands_beside_the_old_files(parts: Path) -> None:
    before = files_of(parts)
    report = rewrite_in_place(str(parts))
    after = files_of(parts)
    manifest = parse(after["appendonly.aof.manifest"])
    assert [(p.name, p.type) for p in manifest.parts] == [
        ("appendonly.aof.2.base.rdb", "b"),
        ("appendonly.aof.1.base.aof", "h"),
        ("appendonly.aof.1.incr.aof", "h"),
        ("appendonly.aof.2.incr.aof", "h"),
        ("appendonly.aof.3.incr.aof", "i"),
    ]
    assert {name: after[name] for name in before if name.endswith(".aof")} == {
        name: data for name, data in before.items() if name.endswith(".aof")
    }
    assert len(report.history) == 3
    assert [key for _, key, _ in replay(str(parts)).dataset.items()] == [b"a", b"b", b"c"]
    again = rewrite_in_place(str(parts), purge_history=True)
    assert sorted(files_of(parts)) == [
        "appendonly.aof.3.base.rdb",
        "appendonly.aof.4.incr.aof",
        "appendonly.aof.manifest",
    ]
    assert len(again.removed) == 5
    assert [key for _, key, _ in replay(str(parts)).dataset.items()] == [b"a", b"b", b"c"]


def test_in_place_history_is_kept_where_not_all_of_it_was_used(parts: Path) -> None:
    last = parts / "appendonly.aof.2.incr.aof"
    last.write_bytes(last.read_bytes()[:-1])
    report = rewrite_in_place(str(parts), purge_history=True)
    assert report.loss
    assert last.exists()
    assert not report.removed


def test_in_place_is_about_sets(log: str) -> None:
    with pytest.raises(UsageError):
        rewrite_in_place(log)


def test_in_place_a_log_that_grows_meanwhile_is_left_alone(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import rdbtool.tasks.rewrite as module

    def appended(*args: object, **options: object) -> object:
        result = replay(*args, **options)  # type: ignore[arg-type]  # passed on as they came
        with open(parts / "appendonly.aof.2.incr.aof", "ab") as stream:
            stream.write(command("SET", "late", "1"))
        return result

    before = set(files_of(parts))
    monkeypatch.setattr(module, "replay", appended)
    with pytest.raises(OutputError, match="a server is writing to it"):
        rewrite_in_place(str(parts))
    assert set(files_of(parts)) == before
    assert b"late" in [key for _, key, _ in replay(str(parts)).dataset.items()]


@pytest.mark.server
def test_a_server_takes_over_where_the_rewrite_ended(tmp_path: Path) -> None:
    kind = next(k for k in SERVERS if k.version >= (7, 0))
    options = ("--appendonly", "yes", "--appendfsync", "no")
    with running(kind, tmp_path, *options) as server:
        server.send(*[("RPUSH", "l", i) for i in range(300)], *[("INCR", "n") for _ in range(300)])
        expected = server.digest()
    directory = tmp_path / "appendonlydir"
    rewrite_in_place(str(directory), form=RewriteForm(to=target(kind.name)))
    with running(kind, tmp_path, *options) as server:
        assert server.digest() == expected
        server.execute("SET", "more", "1")
        expected = server.digest()
    rewrite_in_place(str(directory), form=RewriteForm(resp=True), purge_history=True)
    with running(kind, tmp_path, *options) as server:
        assert server.digest() == expected
        server.execute("BGREWRITEAOF")
        server.execute("SET", "even more", "1")


def set_of_some_size(directory: Path, keys: int = 3000) -> tuple[Path, str]:
    rng = random.Random(7)
    data = b"".join(command("SET", f"key{i}", rng.randbytes(200)) for i in range(keys))
    path = make_set(directory, base=data, one=command("SET", "b", "1"))
    return path, digest(str(path)).digest


def in_place(path: Path) -> list[str]:
    return [sys.executable, "-m", "rdbtool", "rewrite", "--in-place", "--purge-history", str(path)]


@pytest.mark.cold
@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, 10, 100_000, 500_000])
def test_a_full_disk_leaves_the_old_set(tmp_path: Path, limit: int) -> None:
    path, expected = set_of_some_size(tmp_path / "set")
    before = files_of(path)

    def restrict() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(in_place(path), preexec_fn=restrict, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert files_of(path) == before
    assert digest(str(path)).digest == expected


def in_child(path: Path) -> int:
    """Start a rewrite in a child process, which ends with 0, or with 2 where it was refused; the process."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            rewrite_in_place(str(path), purge_history=True)
            code = 0
        except OutputError as e:
            code = 2 if "is being changed by" in e.message else 1
        finally:
            os._exit(code)
    return child


@pytest.mark.cold
@pytest.mark.slow
def test_two_at_once_leave_a_set_that_loads(tmp_path: Path) -> None:
    """Started at a growing distance from each other, until the second begins where the first has ended."""
    made, expected = set_of_some_size(tmp_path / "made")
    path = tmp_path / "set"
    outcomes = []
    whole = 0.0
    for trial in range(-1, 25):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(made, path)
        begun = time.monotonic()
        children = [in_child(path)]
        if trial < 0:  # alone, to see how long it takes
            os.waitpid(children[0], 0)
            whole = time.monotonic() - begun
            continue
        time.sleep(whole * trial / 20)
        children.append(in_child(path))
        outcomes.append(sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
        assert outcomes[-1] in ([0, 0], [0, 2])
        assert digest(str(path)).digest == expected, trial
        assert len(os.listdir(path)) == 3


def test_while_another_changes_the_directory_nothing_is_touched(tmp_path: Path) -> None:
    path, _ = set_of_some_size(tmp_path / "set", keys=3)
    before = files_of(path)
    with locked(str(path)):
        child = in_child(path)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert files_of(path) == before


@pytest.mark.server
def test_the_log_of_a_running_server_is_left_alone_unless_forced(tmp_path: Path) -> None:
    kind = next(k for k in SERVERS if k.version >= (7, 0))
    with running(kind, tmp_path, "--appendonly", "yes") as server:
        server.execute("SET", "a", "1")
        directory = tmp_path / "appendonlydir"
        before = files_of(directory)
        with pytest.raises(OutputError, match=r"process \d+ .*has it open for writing"):
            rewrite_in_place(str(directory))
        assert files_of(directory) == before
        report = rewrite_in_place(str(directory), force=True)
        assert [f.code for f in report.findings.items] == ["open-for-writing"]


def test_in_place_nothing_that_leads_out_of_the_directory_is_changed(parts: Path, tmp_path: Path) -> None:
    last = parts / "appendonly.aof.2.incr.aof"
    outside = tmp_path / "outside"
    last.rename(outside)
    last.symlink_to(outside)
    before = files_of(parts)
    with pytest.raises(UsageError, match="leads out of the directory"):
        rewrite_in_place(str(parts))
    assert files_of(parts) == before


def test_a_part_that_is_no_file_is_refused(parts: Path) -> None:
    last = parts / "appendonly.aof.2.incr.aof"
    last.unlink()
    os.mkfifo(last)
    for job in (rewrite_in_place, replay):
        with pytest.raises(InputError, match="no plain file"):
            job(str(parts))


def test_in_place_the_new_files_are_as_open_as_the_old(parts: Path) -> None:
    for path in parts.iterdir():
        path.chmod(0o640)
    rewrite_in_place(str(parts), purge_history=True)
    assert {path.stat().st_mode & 0o777 for path in parts.iterdir()} == {0o640}


def test_a_new_directory_is_as_open_as_the_one_that_was_read(parts: Path, tmp_path: Path) -> None:
    for mode, files in ((0o700, 0o600), (0o750, 0o640)):
        parts.chmod(mode)
        for path in parts.iterdir():
            path.chmod(files)
        out = tmp_path / f"{mode}"
        rewrite(str(parts), str(out))
        assert out.stat().st_mode & 0o777 == mode
        assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {files}


FAULTS = ("open", "fsync", "replace", "link", "unlink", "fchmod", "fchown", "listdir", "stat")


def interrupt() -> BaseException:
    return KeyboardInterrupt()


def failure() -> BaseException:
    return OSError(5, "Input/output error")


@pytest.mark.usefixtures("nobody_writes")
@pytest.mark.cold
@pytest.mark.slow
@pytest.mark.parametrize(("error", "lasting"), [(interrupt, False), (failure, False), (failure, True)])
def test_a_fault_at_any_call_leaves_a_set_that_loads_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Callable[[], BaseException], lasting: bool
) -> None:
    made = make_set(tmp_path / "made", base=LOG, one=command("SET", "b", "1"))
    expected = digest(str(made)).digest
    old = files_of(made)
    path = tmp_path / "set"
    left = 0
    failed: list[str] = []

    def wrap(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            nonlocal left
            if str(args[0]).startswith("/proc"):
                return real(*args, **options)
            left -= 1
            if left == 0 or (lasting and failed):
                failed.append(name)
                raise error()
            return real(*args, **options)

        return call

    for n in range(1, 2000):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(made, path)
        left = n
        failed.clear()
        caught = ""
        with monkeypatch.context() as patch:
            for name in FAULTS:
                patch.setattr(os, name, wrap(name, getattr(os, name)))
            try:
                report = rewrite_in_place(str(path))
            except (RdbToolError, OSError, KeyboardInterrupt) as e:
                caught = repr(e)
        if not failed:
            assert not caught
            break
        assert digest(str(path)).digest == expected, (n, failed)
        if error is interrupt or "unlink" in failed:
            remove_all()  # as the program does at its end
        if "unlink" in failed:
            sweep(str(path))  # as the next run does
        after = files_of(path)
        assert not [name for name in after if name.endswith("rdbtool-tmp")], (n, failed)
        if not caught:
            assert "not-synced" in report.findings.counts or after.keys() > old.keys(), (n, failed)
        elif error is failure and "unlink" not in failed:
            assert after == old, (n, failed, caught)
    assert n > 20


@pytest.mark.cold
@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_set_that_loads(tmp_path: Path) -> None:
    """Killed after more and more time, until it gets to its end."""
    made, expected = set_of_some_size(tmp_path / "made")
    delay = 0.0
    killed = 0
    path = tmp_path / "set"
    while True:
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(made, path)
        process = subprocess.Popen(in_place(path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started = time.monotonic()
        seen = set(os.listdir(path))
        while process.poll() is None and set(os.listdir(path)) == seen:
            time.sleep(0.0005)  # the first new file: from here on it matters
        time.sleep(delay)
        process.kill()
        process.wait()
        killed += process.returncode != 0
        assert digest(str(path)).digest == expected, delay
        if process.returncode == 0:
            break
        delay = 2 * delay + 0.002
        assert time.monotonic() - started < 30
    assert killed
