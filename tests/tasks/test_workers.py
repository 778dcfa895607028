"""Workers do units in order, and one that dies is told by the name of what it worked on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pytest

from rdbtool.errors import FormatError, LostWorkerError
from rdbtool.tasks.units import Unit, in_order
from rdbtool.tasks.workers import Workers


def doubled(name: str, part: int, _: Any) -> int:
    time.sleep(0.02 if part % 3 == 0 else 0)
    return part * 2


def damaged(name: str, part: int, _: Any) -> int:
    if part == 2:
        raise FormatError("not so", path=name, offset=7, key=b"k")
    return part


def killed(name: str, part: int, _: Any) -> int:
    if part == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return part


def buggy(name: str, part: int, _: Any) -> int:
    return 1 // part


def unpicklable(name: str, part: int, _: Any) -> Any:
    return lambda: part


def long(name: str, part: int, _: Any) -> int:
    time.sleep(60)
    return part


@pytest.mark.parametrize("kind", [Workers, ThreadPoolExecutor])
def test_units_come_back_in_their_order_and_are_begun_no_earlier_than_told(kind: type[Any]) -> None:
    made: list[int] = []

    def units() -> Any:
        for part in range(30):
            made.append(part)
            yield Unit(doubled, "input", part)

    executor: Executor
    with kind(3) as executor:
        for i, (unit, result) in enumerate(in_order(executor, units(), ahead=4)):
            assert (unit.part, result) == (i, 2 * i)
            assert len(made) <= i + 4
    assert len(made) == 30


def test_an_error_of_an_input_is_that_of_its_unit_and_the_others_go_on() -> None:
    with Workers(2) as workers:
        results = [result for _, result in in_order(workers, [Unit(damaged, "x.rdb", i) for i in range(4)], 4)]
    error = results.pop(2)
    assert results == [0, 1, 3]
    assert isinstance(error, FormatError)
    assert (error.path, error.offset, error.key, error.message) == ("x.rdb", 7, b"k", "not so")


def test_a_worker_that_is_killed_is_an_error_of_its_unit_alone() -> None:
    with Workers(2) as workers:
        results = [result for _, result in in_order(workers, [Unit(killed, f"{i}.rdb", i) for i in range(6)], 6)]
    lost = results.pop(1)
    assert isinstance(lost, LostWorkerError)
    assert lost.path == "1.rdb"
    assert results == [0, 2, 3, 4, 5]


def test_where_no_worker_is_left_all_units_are_errors() -> None:
    with Workers(1) as workers:
        results = [result for _, result in in_order(workers, [Unit(killed, f"{i}.rdb", i) for i in range(1, 4)], 2)]
    assert all(isinstance(r, LostWorkerError) for r in results)
    assert [r.path for r in results if isinstance(r, LostWorkerError)] == ["1.rdb", "2.rdb", "3.rdb"]


def test_a_bug_is_raised_with_the_place_in_the_worker() -> None:
    with Workers(2) as workers, pytest.raises(ZeroDivisionError) as caught:
        list(in_order(workers, [Unit(buggy, "x", 0)], 2))
    assert "in buggy" in caught.value.__notes__[0]


def test_what_cannot_be_pickled_is_an_error_and_no_hang() -> None:
    with Workers(2) as workers:
        with pytest.raises(TypeError, match="cannot be sent"):
            list(in_order(workers, [Unit(unpicklable, "x", 0)], 2))
        with pytest.raises(AttributeError):
            list(in_order(workers, [Unit(lambda *_: 1, "x", 0)], 2))
        assert [r for _, r in in_order(workers, [Unit(doubled, "x", 4)], 2)] == [8]


def test_cancelled_tasks_are_passed_over_and_large_ones_wait_for_an_idle_worker() -> None:
    with Workers(1) as workers:
        for _ in range(3):
            workers.submit(abs, -1).result()  # it is quick from now on, and is given tasks ahead
        first, second, third = (workers.submit(time.sleep, 0.1) for _ in range(3))
        large = workers.submit(len, bytes(1 << 20))
        last = workers.submit(abs, -2)
        assert third.cancel()
        assert not first.cancel()
        assert last.result(timeout=20) == 2
        assert (first.done(), second.done(), third.cancelled(), large.result()) == (True, True, True, 1 << 20)


def test_results_of_any_size_come_while_tasks_of_any_size_go() -> None:
    blocks = [bytes([i]) * (i << 18) for i in range(12)]
    with Workers(2) as workers:
        tasks = [workers.submit(bytes, block) for block in blocks]
        assert [task.result() for task in reversed(tasks)] == blocks[::-1]


def test_what_is_not_done_in_time_is_told_and_goes_on() -> None:
    with Workers(1) as workers:
        task = workers.submit(time.sleep, 0.3)
        with pytest.raises(TimeoutError):
            task.result(timeout=0.01)
        assert task.exception() is None


def test_leaving_ends_workers_that_are_busy() -> None:
    start = time.monotonic()
    with Workers(2) as workers:
        workers.submit(Unit(long, "x", 1))
        pid = workers.submit(os.getpid).result()
    assert time.monotonic() - start < 10
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_when_the_process_that_began_them_is_killed(number: signal.Signals) -> None:
    code = """
        import os, sys, time
        from rdbtool.tasks.workers import Workers
        workers = Workers(2)
        busy = workers.submit(time.sleep, 60)
        print(workers.submit(os.getpid).result(), *workers.pids, flush=True)
        busy.result()
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = {int(pid) for pid in process.stdout.readline().split()}
        process.send_signal(number)
        process.wait(timeout=10)
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") and _runs(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker lives on"
        time.sleep(0.02)
    assert len(pids) == 2


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_leaves_its_workers_alone_ends_all_the_same() -> None:
    program = "from rdbtool.tasks.workers import Workers\nworkers = Workers(2)\nprint(workers.submit(abs, -3).result())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")
