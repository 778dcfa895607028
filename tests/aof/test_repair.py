from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from rdbtool.aof.layout import locate
from rdbtool.aof.repair.plan import RepairPlan
from rdbtool.errors import FormatError, OutputError, RdbToolError, UsageError
from rdbtool.exit_codes import of_report
from rdbtool.io.temporary import remove_all
from rdbtool.tasks.check_aof import check_aof
from rdbtool.tasks.repair_aof import plan_aof_repair, repair_aof
from tests.aof.craft import EXEC, FIXTURES, MULTI, command, sets

GOOD = sets(3)
BAD = b"x" + command("SET", "key", "value")[1:]
CALLS = ("open", "pread", "fsync", "ftruncate", "replace", "rename", "link", "unlink", "chmod", "fchmod", "mkdir")


def plan(path: Path, *, salvage: bool = False, until: int = -1) -> RepairPlan:
    return plan_aof_repair(check_aof(str(path), until=until), salvage=salvage, until=until)


def visible(path: Path) -> list[bytes]:
    """What a server that starts now would read, file by file."""
    return [Path(file.path).read_bytes() for file in locate(str(path)).files if not file.missing]


def single(directory: Path) -> Path:
    path = directory / "appendonly.aof"
    path.write_bytes(GOOD + BAD + GOOD)
    return path


def multi(directory: Path) -> Path:
    directory = directory / "appendonlydir"
    directory.mkdir()
    (directory / "a.1.base.aof").write_bytes(b"#TS:100\r\n" + GOOD + BAD + GOOD)
    (directory / "a.1.incr.aof").write_bytes(b"#TS:200\r\n" + GOOD + b"#TS:210\r\n" + BAD + GOOD)
    (directory / "a.2.incr.aof").write_bytes(b"#TS:300\r\n" + GOOD)
    (directory / "a.manifest").write_bytes(
        b"file a.1.base.aof seq 1 type b\n# kept\nfile a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i x y\n"
    )
    return directory


def timed(directory: Path) -> Path:
    directory = multi(directory)
    (directory / "a.1.base.aof").write_bytes(b"#TS:100\r\n" + GOOD)
    (directory / "a.1.incr.aof").write_bytes(b"#TS:200\r\n" + GOOD + b"#TS:210\r\n" + GOOD)
    return directory


def test_the_tail_is_cut_where_the_file_is_and_can_be_put_back(tmp_path: Path) -> None:
    path = single(tmp_path)
    inode = path.stat().st_ino
    old = path.read_bytes()
    done = repair_aof(plan(path))
    assert path.read_bytes() == GOOD
    assert path.stat().st_ino == inode
    saved = tmp_path / f"appendonly.aof.cut-{len(GOOD)}"
    assert saved.read_bytes() == old[len(GOOD) :]
    assert done.loss
    subprocess.run(done.undo[0], shell=True, check=True)
    assert path.read_bytes() == old


def test_a_region_is_dropped_and_can_be_put_back(tmp_path: Path) -> None:
    path = tmp_path / "it's.aof"
    old = GOOD + BAD + GOOD + BAD + GOOD
    path.write_bytes(old)
    path.chmod(0o640)
    done = repair_aof(plan(path, salvage=True))
    assert path.read_bytes() == GOOD * 3
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "it's.aof",
        f"it's.aof.cut-{len(GOOD)}",
        f"it's.aof.cut-{len(GOOD + BAD + GOOD)}",
    ]
    assert done.loss
    subprocess.run(done.undo[0], shell=True, check=True)
    assert path.read_bytes() == old


def test_a_saved_cut_is_never_written_over(tmp_path: Path) -> None:
    path = single(tmp_path)
    first = tmp_path / f"appendonly.aof.cut-{len(GOOD)}"
    first.write_bytes(b"from an earlier repair")
    repair_aof(plan(path))
    assert first.read_bytes() == b"from an earlier repair"
    assert Path(f"{first}.1").read_bytes() == BAD + GOOD


def test_many_regions_keep_the_whole_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    old = (GOOD + b"!") * 150
    path.write_bytes(old)
    done = repair_aof(plan(path, salvage=True))
    assert path.read_bytes() == GOOD * 150
    assert (tmp_path / "x.aof.cut-0").read_bytes() == old
    subprocess.run(done.undo[0], shell=True, check=True)
    assert path.read_bytes() == old


def test_a_select_that_goes_is_put_in_the_place_of_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    middle = MULTI + command("SELECT", "7") + BAD + EXEC
    path.write_bytes(command("SELECT", "1") + GOOD + middle + GOOD)
    salvage = plan(path, salvage=True)
    repair_aof(salvage)
    assert path.read_bytes() == command("SELECT", "1") + GOOD + command("SELECT", "7") + GOOD
    assert "select-kept" in [f.code for f in salvage.findings.items]


def test_a_damaged_select_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(GOOD + b"x" + command("SELECT", "7")[1:] + GOOD)
    assert "database-uncertain" in [f.code for f in plan(path, salvage=True).findings.items]


def test_any_file_of_a_set_is_repaired_and_the_order_is_told(tmp_path: Path) -> None:
    directory = multi(tmp_path)
    todo = plan(directory)
    assert [f.code for f in todo.findings.items] == ["order", "order"]
    repair_aof(todo)
    assert visible(directory) == [b"#TS:100\r\n" + GOOD, b"#TS:200\r\n" + GOOD + b"#TS:210\r\n", b"#TS:300\r\n" + GOOD]
    assert not list(directory.glob("*.before-repair"))
    assert b"# kept" in (directory / "a.manifest").read_bytes()


def test_a_cut_at_a_time_reaches_across_the_set(tmp_path: Path) -> None:
    directory = timed(tmp_path)
    done = repair_aof(plan(directory, until=205))
    assert visible(directory) == [b"#TS:100\r\n" + GOOD, b"#TS:200\r\n" + GOOD]
    assert (directory / "a.2.incr.aof").exists()
    assert not done.loss
    for line in done.undo:
        subprocess.run(line, shell=True, check=True)
    assert visible(directory) == visible(timed(_fresh(tmp_path)))


def test_a_file_that_is_later_altogether_leaves_the_manifest(tmp_path: Path) -> None:
    directory = timed(tmp_path)
    repair_aof(plan(directory, until=150))
    assert visible(directory) == [b"#TS:100\r\n" + GOOD]
    assert (directory / "a.1.incr.aof").stat().st_size > 0
    assert (directory / "a.manifest").read_bytes() == b"file a.1.base.aof seq 1 type b\n# kept\n"


def test_a_cut_at_a_time_never_splits_a_transaction(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    head = b"#TS:100\r\n" + GOOD
    path.write_bytes(head + MULTI + GOOD + b"#TS:200\r\n" + GOOD + EXEC)
    repair_aof(plan(path, until=150))
    assert path.read_bytes() == head


@pytest.mark.parametrize(
    ("data", "until", "message"),
    [
        (GOOD, 100, "no timestamp annotations"),
        (b"#TS:200\r\n" + GOOD, 100, "nothing in it is as old"),
    ],
)
def test_a_time_that_cannot_be_reached_is_refused(tmp_path: Path, data: bytes, until: int, message: str) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=message):
        plan(path, until=until)
    assert path.read_bytes() == data


def test_an_annotation_without_end_is_cut_because_a_server_would_append_to_it(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(GOOD + b"#TS:17")
    repair_aof(plan(path))
    assert path.read_bytes() == GOOD


def test_what_no_cut_repairs_is_refused(tmp_path: Path) -> None:
    directory = Path(shutil.copytree(FIXTURES / "multi-rdb", tmp_path / "set"))
    base = directory / "appendonly.aof.2.base.rdb"
    base.write_bytes(base.read_bytes()[:-20])
    with pytest.raises(UsageError, match="no cut repairs"):
        plan(directory)
    base.unlink()
    with pytest.raises(UsageError, match="not there"):
        plan(directory)


def test_more_than_the_allowed_loss_is_refused(tmp_path: Path) -> None:
    path = single(tmp_path)
    lost = len(BAD + GOOD)
    with pytest.raises(UsageError, match=f"{lost} bytes"):
        plan_aof_repair(check_aof(str(path)), max_loss=lost - 1)
    assert plan_aof_repair(check_aof(str(path)), max_loss=lost).lost == lost


def test_a_file_that_has_grown_since_the_check_is_left_alone(tmp_path: Path) -> None:
    path = single(tmp_path)
    todo = plan(path)
    with path.open("ab") as stream:
        stream.write(GOOD)
    old = path.read_bytes()
    with pytest.raises(OutputError, match="stop the server"):
        repair_aof(todo)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["appendonly.aof"]


def test_a_copy_leaves_the_input_alone(tmp_path: Path) -> None:
    path = single(tmp_path)
    old = path.read_bytes()
    repair_aof(plan(path), output=str(tmp_path / "copy.aof"))
    assert path.read_bytes() == old
    assert (tmp_path / "copy.aof").read_bytes() == GOOD
    with pytest.raises(OutputError, match="input"):
        repair_aof(plan(path), output=str(path))
    assert path.read_bytes() == old


def test_a_copy_of_a_set_is_a_directory(tmp_path: Path) -> None:
    directory = multi(tmp_path)
    old = visible(directory)
    copy = tmp_path / "copy"
    repair_aof(plan(directory, salvage=True), output=str(copy))
    assert visible(directory) == old
    assert visible(copy) == [b"#TS:100\r\n" + GOOD * 2, b"#TS:200\r\n" + GOOD + b"#TS:210\r\n" + GOOD, old[2]]
    with pytest.raises(OutputError, match="not empty"):
        repair_aof(plan(directory), output=str(copy))


def _fresh(tmp_path: Path) -> Path:
    number = len(list(tmp_path.iterdir()))
    path = tmp_path / f"fresh-{number}"
    path.mkdir()
    return path


def no_sync(fd: object) -> None:
    """What a killed process has written is there without a sync, which would only take time here."""


class Killer:
    """Ends the process at the n-th call of a system function."""

    def __init__(self, n: int) -> None:
        self.left = n

    def wrap(self, function: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            self.left -= 1
            if self.left == 0:
                os._exit(9)
            return function(*args, **kwargs)

        return wrapped

    def install(self) -> None:
        os.fsync = no_sync
        for name in CALLS:
            setattr(os, name, self.wrap(getattr(os, name)))


def in_child(job: Callable[[], object], prepare: Callable[[], object]) -> int:
    """Run ``job`` in a child after ``prepare``; its exit code: 9 killed, 1 an error of ours, 0 done."""
    child = os.fork()
    if child == 0:
        code = 7
        try:
            prepare()
            job()
            code = 0
        except RdbToolError:
            code = 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def limit_files(size: int) -> None:
    """As if the file system were full: no file may become larger."""
    os.fsync = no_sync
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


SCENES: dict[str, tuple[Callable[[Path], Path], dict[str, int]]] = {
    "tail": (single, {}),
    "regions": (single, {"salvage": True}),
    "set": (multi, {}),
    "set-regions": (multi, {"salvage": True}),
    "time": (timed, {"until": 205}),
    "time-manifest": (timed, {"until": 150}),
}


@pytest.mark.cold
@pytest.mark.usefixtures("nobody_writes")
@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_a_kill_at_any_step_leaves_the_old_or_the_new_state(tmp_path: Path, scene: str) -> None:
    build, options = SCENES[scene]
    salvage, until = bool(options.get("salvage")), options.get("until", -1)
    old = visible(build(_fresh(tmp_path)))
    target = build(_fresh(tmp_path))
    repair_aof(plan(target, salvage=salvage, until=until))
    new = visible(target)
    assert new != old
    outcomes = []
    for n in range(1, 400):
        path = build(_fresh(tmp_path))
        todo = plan(path, salvage=salvage, until=until)
        code = in_child(partial(repair_aof, todo), Killer(n).install)
        state = visible(path)
        assert state in (old, new), f"killed at call {n}: neither the old nor the new state"
        outcomes.append(state == new)
        if code == 0:
            break
        assert code == 9
        # What a kill leaves behind does not keep a second repair from finishing the job.
        if state == old and n % 4 == 0:
            repair_aof(plan(path, salvage=salvage, until=until))
            assert visible(path) == new
    else:
        pytest.fail("the repair never came to its end")
    assert outcomes == sorted(outcomes), "once new, the state stays new"
    assert not all(outcomes)


@pytest.mark.cold
@pytest.mark.usefixtures("nobody_writes")
@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_a_full_file_system_leaves_the_old_state_and_an_error(tmp_path: Path, scene: str) -> None:
    build, options = SCENES[scene]
    salvage, until = bool(options.get("salvage")), options.get("until", -1)
    old = visible(build(_fresh(tmp_path)))
    failed = 0
    for limit in range(0, 400, 13):
        path = build(_fresh(tmp_path))
        before = sorted(p.name for p in path.parent.rglob("*"))
        todo = plan(path, salvage=salvage, until=until)
        code = in_child(partial(repair_aof, todo), partial(limit_files, limit))
        assert code in (0, 1)
        if code == 1:
            failed += 1
            assert visible(path) == old
            left = [p.name for p in path.parent.rglob("*") if p.name not in before]
            assert all(".cut-" in name for name in left), left
        else:
            assert visible(path) != old
    assert failed


def test_cuts_that_cannot_all_be_saved_are_not_left(tmp_path: Path) -> None:
    directory = multi(tmp_path)
    (directory / "a.1.incr.aof").write_bytes(GOOD + BAD + GOOD * 10)
    old = {p.name: p.read_bytes() for p in directory.iterdir()}
    todo = plan(directory)
    assert todo.files[0].lost < 200 < todo.files[1].lost
    assert in_child(partial(repair_aof, todo), partial(limit_files, 200)) == 1
    assert {p.name: p.read_bytes() for p in directory.iterdir()} == old


def test_a_full_file_system_leaves_no_copy(tmp_path: Path) -> None:
    path = multi(tmp_path)
    todo = plan(path)
    copy = tmp_path / "copy"
    code = in_child(partial(repair_aof, todo, output=str(copy)), partial(limit_files, 50))
    assert code == 1
    assert [p.name for p in tmp_path.iterdir()] == ["appendonlydir"]


@pytest.mark.cold
@pytest.mark.usefixtures("nobody_writes")
def test_a_kill_while_a_copy_is_written_leaves_no_copy(tmp_path: Path) -> None:
    path = multi(tmp_path)
    todo = plan(path)
    copy = tmp_path / "copy"
    for n in range(1, 200):
        code = in_child(partial(repair_aof, todo, output=str(copy)), Killer(n).install)
        if copy.exists():
            assert visible(copy) == [
                b"#TS:100\r\n" + GOOD,
                b"#TS:200\r\n" + GOOD + b"#TS:210\r\n",
                b"#TS:300\r\n" + GOOD,
            ]
            break
        assert code == 9
    else:
        pytest.fail("no copy came out")


def test_a_damaged_manifest_is_not_repaired(tmp_path: Path) -> None:
    directory = multi(tmp_path)
    manifest = directory / "a.manifest"
    manifest.write_bytes(manifest.read_bytes()[:-1])
    with pytest.raises(FormatError):
        locate(str(directory))
    with pytest.raises(UsageError, match="manifest is damaged"):
        plan(directory)


def test_the_way_back_works_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = timed(tmp_path)
    old = visible(directory), (directory / "a.manifest").read_bytes()
    monkeypatch.chdir(tmp_path)
    done = repair_aof(plan(Path(directory.name), until=205))
    monkeypatch.chdir("/")
    for line in done.undo:
        subprocess.run(line, shell=True, check=True)
    assert (visible(directory), (directory / "a.manifest").read_bytes()) == old


def second_names(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir() if "before-repair" in p.name)


@pytest.mark.cold
@pytest.mark.usefixtures("nobody_writes")
@pytest.mark.slow
@pytest.mark.parametrize("scene", ["set", "set-regions", "time"])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("error", [lambda: OSError(5, "Input/output error"), KeyboardInterrupt], ids=["error", "break"])
def test_a_fault_at_any_call_leaves_the_old_or_the_new_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene: str, lasting: bool, error: Callable[[], BaseException]
) -> None:
    build, options = SCENES[scene]
    salvage, until = bool(options.get("salvage")), options.get("until", -1)
    old = visible(build(_fresh(tmp_path)))
    target = build(_fresh(tmp_path))
    repair_aof(plan(target, salvage=salvage, until=until))
    new = visible(target)
    left = 0
    failed: list[str] = []

    def wrap(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            nonlocal left
            left -= not str(args[0]).startswith("/proc")
            if left == 0 or (lasting and failed):
                failed.append(name)
                raise error()
            return real(*args, **options)

        return call

    for n in range(1, 400):
        path = build(_fresh(tmp_path))
        todo = plan(path, salvage=salvage, until=until)
        left = n
        failed.clear()
        done = None
        with monkeypatch.context() as patch:
            for name in (*CALLS, "fchown"):
                patch.setattr(os, name, wrap(name, getattr(os, name)))
            try:
                done = repair_aof(todo)
            except (RdbToolError, KeyboardInterrupt):
                done = None
        remove_all()  # as the program does at its end
        state = visible(path)
        assert state in (old, new), (n, failed)
        if not failed:
            assert done is not None
            break
        if done is not None:
            assert state == new, (n, failed)
            assert done.undo
        # The next run finishes the job, and clears away what is left of this one.
        if state == old:
            repair_aof(plan(path, salvage=salvage, until=until))
            assert visible(path) == new, (n, failed)
        assert b"before-repair" not in (path / "a.manifest").read_bytes() or state == new, (n, failed)
        if state == old:
            assert not second_names(path), (n, failed)
            assert not [p.name for p in path.iterdir() if p.name.endswith("rdbtool-tmp")]
    else:
        pytest.fail("the repair never came to its end")
    assert n > 20


@pytest.mark.cold
@pytest.mark.usefixtures("nobody_writes")
@pytest.mark.slow
def test_what_a_kill_leaves_the_next_run_finishes(tmp_path: Path) -> None:
    target = multi(_fresh(tmp_path))
    repair_aof(plan(target))
    new = visible(target)
    manifest = (target / "a.manifest").read_bytes()
    names = 0
    for n in range(1, 400):
        path = multi(_fresh(tmp_path))
        code = in_child(partial(repair_aof, plan(path)), Killer(n).install)
        names += b"before-repair" in (path / "a.manifest").read_bytes()
        if visible(path) != new:
            repair_aof(plan(path))
        assert visible(path) == new, n
        if code == 0:
            break
        if b"before-repair" not in (path / "a.manifest").read_bytes():
            continue
        pytest.fail(f"killed at {n}: the manifest still holds a second name")
    assert names, "no kill came between"
    assert (target / "a.manifest").read_bytes() == manifest
    assert not second_names(path)


def test_a_directory_that_cannot_be_synced_is_told_with_the_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = single(tmp_path)
    old = path.read_bytes()
    todo = plan(path, salvage=True)
    fsync = os.fsync
    replaced = False
    replace = os.replace

    def fail_after_the_replacement(handle: int) -> None:
        if replaced and os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(5, "Input/output error")
        fsync(handle)

    def note(*names: str) -> None:
        nonlocal replaced
        replace(*names)
        replaced = True

    monkeypatch.setattr(os, "fsync", fail_after_the_replacement)
    monkeypatch.setattr(os, "replace", note)
    done = repair_aof(todo)
    assert "not-synced" in done.findings.counts
    assert of_report(done) == 2
    assert path.read_bytes() == GOOD * 2
    subprocess.run(done.undo[0], shell=True, check=True)
    assert path.read_bytes() == old


def test_cuts_are_saved_where_asked_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    for salvage in (False, True):
        path = single(tmp_path)
        old = path.read_bytes()
        done = repair_aof(plan(path, salvage=salvage), save_to=str(tmp_path / "place"))
        assert sorted(p.name for p in tmp_path.iterdir()) == ["appendonly.aof", "place"]
        subprocess.run(done.undo[0], shell=True, check=True)
        assert path.read_bytes() == old
        assert repair_aof(plan(path, salvage=salvage), save=False).undo == []
        assert sorted(p.name for p in tmp_path.iterdir()) == ["appendonly.aof", "place"]


def test_without_room_for_the_cut_it_is_repaired_where_nothing_is_to_be_saved(tmp_path: Path) -> None:
    path = single(tmp_path)
    todo = plan(path)
    assert in_child(partial(repair_aof, todo), partial(limit_files, 0)) == 1
    assert in_child(partial(repair_aof, todo, save=False), partial(limit_files, 0)) == 0
    assert path.read_bytes() == GOOD


def test_parts_that_lead_out_of_the_directory_are_refused(tmp_path: Path) -> None:
    directory = multi(tmp_path)
    outside = tmp_path / "redis.conf"
    part = directory / "a.2.incr.aof"
    for text in (b"bind 127.0.0.1\n", GOOD + BAD):
        outside.write_bytes(text)
        part.unlink()
        part.symlink_to(outside)
        with pytest.raises(UsageError, match=r"leads out|no append-only file"):
            repair_aof(plan(directory))
        assert outside.read_bytes() == text
    part.unlink()
    part.write_bytes(b"bind 127.0.0.1\n")
    with pytest.raises(UsageError, match="no append-only file"):
        plan(directory)


def test_a_log_that_a_process_has_open_is_left_alone_unless_forced(tmp_path: Path) -> None:
    path = single(tmp_path)
    code = "import sys; stream = open(sys.argv[1], 'ab'); print(flush=True); sys.stdin.read()"
    command_line = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        todo = plan(path)
        with pytest.raises(OutputError, match=f"process {process.pid} .*has it open for writing"):
            repair_aof(todo)
        assert [p.name for p in tmp_path.iterdir()] == ["appendonly.aof"]
        done = repair_aof(todo, force=True)
        process.kill()
    assert "open-for-writing" in done.findings.counts
    assert path.read_bytes() == GOOD


def test_a_set_that_another_run_has_changed_is_left_alone(tmp_path: Path) -> None:
    directory = multi(tmp_path)
    todo = plan(directory)
    manifest = directory / "a.manifest"
    manifest.write_bytes(manifest.read_bytes() + b"file a.3.incr.aof seq 3 type i\n")
    (directory / "a.3.incr.aof").write_bytes(GOOD)
    before = {p.name: p.read_bytes() for p in directory.iterdir()}
    with pytest.raises(OutputError, match="has changed since"):
        repair_aof(todo)
    assert {p.name: p.read_bytes() for p in directory.iterdir()} == before
