"""Processes of this machine that do units of work side by side."""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar, final

from rdbtool.errors import LostWorkerError, reason
from rdbtool.io.signals import ENDING, held_back

P = ParamSpec("P")
T = TypeVar("T")

QUICK_S: Final = 0.2
"""A worker whose last task took less is given the next one before it has done the one that it works on."""
SMALL: Final = 1 << 15
"""Bytes of a call that a pipe holds, so that nobody waits for a worker that is busy to read it."""
KEPT: Final = 24 << 20
"""Bytes of memory that a worker keeps for what comes next instead of giving it back to the system: glibc goes by the
largest block that was ever freed, up to 32 MiB.
"""
LENGTH: Final = 8
"""Bytes that tell the length of a message, in front of it."""
SPAWNED: Final = """
import sys
sys.path[:] = sys.argv[5:]
from rdbtool.tasks.workers import Pipes, work
work(Pipes(*map(int, sys.argv[1:5])))
"""
_calls: Final[list[int]] = []
"""In a worker, the pipe that tasks come in."""


class Pipes(NamedTuple):
    """What connects a worker with the process that began it, at one side: tasks go through ``calls``, and what becomes
    of them through ``answers``; ``asked`` and ``told`` are the same for what is called meanwhile.
    """

    calls: int
    answers: int
    asked: int
    told: int

    def close(self) -> None:
        """Close this side."""
        for pipe in self:
            os.close(pipe)


def is_worker() -> bool:
    """Whether this process is a worker itself."""
    return bool(_calls)


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@final
class _Task(Future[T]):
    """A call, pickled, and what becomes of it. Who waits for it lets the answers of all workers in meanwhile."""

    def __init__(self, workers: Workers) -> None:
        super().__init__()
        self.call = b""
        self._workers = workers

    def result(self, timeout: float | None = None) -> T:
        """Wait for it. Raises what the call raised, `BrokenExecutor`, and `TimeoutError` after so many seconds."""
        self._workers.serve(self, timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for it, and tell what `result` raises. Raises `TimeoutError` after so many seconds."""
        self._workers.serve(self, timeout)
        return super().exception(0)


@final
class _Worker:
    """A process, and the ``pipes`` to it and from it. ``tasks``: what it was given and has not answered; it works on
    the first of them, since ``begun_s``. ``reap``: waits for its end.
    """

    def __init__(self, pid: int, pipes: Pipes, reap: Callable[[], object]) -> None:
        self.pid = pid
        self.pipes = pipes
        self.reap = reap
        self.tasks: deque[_Task[Any]] = deque()
        self.begun_s = 0.0
        self.is_quick = False


@final
class Workers(Executor):
    """``count`` processes, for what `concurrent.futures.ProcessPoolExecutor` does not do: it ends all of them at once
    where one dies, so that nobody can tell what that one had worked on, and has no way to end those that are busy.

    They begin with the first task, and have all modules then that this process has. No thread serves them: they are
    given tasks, and heard, while somebody submits a task or waits for one; one thread is to do that. One that dies
    breaks the future that it worked on (`BrokenExecutor`); the others go on, and where none is left, the other futures
    break too. `shutdown`, and leaving the context, ends all of them, busy or not; so does the end of this process,
    whatever it dies of. Signals that end the program are left to this process to answer.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._waiting: deque[_Task[Any]] = deque()
        self._workers: dict[int, _Worker] = {}
        """By the descriptor that their answers come from."""
        self._poll = select.poll()
        self._begun = False
        self._ended = False

    @property
    def pids(self) -> list[int]:
        """Of those that have begun and live."""
        return [worker.pid for worker in self._workers.values()]

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let a worker call ``fn``, which is pickled, as is what it returns. Raises `LostWorkerError` where the system
        begins no process.
        """
        if self._ended:
            raise RuntimeError("the workers have been ended")
        task: _Task[T] = _Task(self)
        try:
            task.call = pickle.dumps((fn, args, kwargs), pickle.HIGHEST_PROTOCOL)
        except Exception as e:  # noqa: BLE001 - what cannot be pickled says so in many ways
            task.set_exception(e)
            return task
        if not self._begun:
            self._begun = True
            try:
                self._begin()
            except OSError as e:
                self.shutdown()
                raise LostWorkerError(f"cannot begin a process: {reason(e)}; --jobs 1 needs none") from e
        if not self._workers:
            raise BrokenExecutor("no worker is left")
        self._waiting.append(task)
        self._give_out()
        return task

    def serve(self, task: Future[Any], timeout: float | None) -> None:
        """Hear workers, and give out tasks, until ``task`` is done, but not longer than so many seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while not task.done():
            left = None if until is None else max(until - time.monotonic(), 0) * 1000
            heard = self._poll.poll(left)
            for answers, _ in heard:
                self._take(self._workers[answers])
            if not heard and left == 0:
                return
            self._give_out()

    def ask(self, pid: int, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Let one worker call ``fn`` at once, beside the task that it works on, and wait for it. Raises what the call
        raises, and `BrokenExecutor` where that worker has ended.
        """
        worker = next((worker for worker in self._workers.values() if worker.pid == pid), None)
        if worker is None:
            raise BrokenExecutor("a worker died")
        try:
            _send(worker.pipes.asked, pickle.dumps((fn, args, kwargs), pickle.HIGHEST_PROTOCOL))
            done, result = pickle.loads(_receive(worker.pipes.told))  # noqa: S301 - of a process that this one began
        except (EOFError, BrokenPipeError) as e:
            raise BrokenExecutor("a worker died") from e
        if not done:
            raise result
        answer: T = result
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - Executor's
        """End all workers, those that are busy too: their futures break."""
        self._ended = True
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        for worker in list(self._workers.values()):
            self._lose(worker)

    def _begin(self) -> None:
        # A copy of this process is there in a millisecond; it is safe while no other thread runs.
        begin = _fork if sys.platform == "linux" and threading.active_count() == 1 else _spawn
        with held_back():
            for _ in range(self.count):
                ours, theirs = _connected()
                others = [pipe for worker in self._workers.values() for pipe in worker.pipes]
                try:
                    pid, reap = begin(theirs, [*ours, *others])
                except OSError:
                    ours.close()
                    raise
                finally:
                    theirs.close()
                self._workers[ours.answers] = _Worker(pid, ours, reap)
                self._poll.register(ours.answers, select.POLLIN)

    def _give_out(self) -> None:
        """Give a task to each worker that has none, then one more to those that are soon done."""
        for held in (0, 1):
            for worker in self._workers.values():
                if len(worker.tasks) != held or (held and not worker.is_quick):
                    continue
                task = self._next()
                if task is None:
                    return
                if held and len(task.call) > SMALL:
                    self._waiting.appendleft(task)
                    return
                if not held:
                    worker.begun_s = time.monotonic()
                worker.tasks.append(task)
                with suppress(BrokenPipeError):  # it is dead then, as the end of its answers will tell
                    _send(worker.pipes.calls, task.call)

    def _next(self) -> _Task[Any] | None:
        """The next task that nobody has cancelled."""
        while self._waiting:
            task = self._waiting.popleft()
            if task.running() or task.set_running_or_notify_cancel():
                return task
        return None

    def _take(self, worker: _Worker) -> None:
        try:
            answer = _receive(worker.pipes.answers)
        except EOFError:
            self._lose(worker)
            return
        now = time.monotonic()
        worker.is_quick = now - worker.begun_s < QUICK_S
        worker.begun_s = now
        task = worker.tasks.popleft()
        try:
            done, result = pickle.loads(answer)  # noqa: S301 - of a process that this one began
        except Exception as e:  # noqa: BLE001 - what cannot be unpickled says so in many ways
            done, result = False, e
        if done:
            task.set_result(result)
        else:
            task.set_exception(result)

    def _lose(self, worker: _Worker) -> None:
        """Forget a worker that has ended. What it had not begun is left to others."""
        del self._workers[worker.pipes.answers]
        self._poll.unregister(worker.pipes.answers)
        worker.pipes.close()
        worker.reap()
        if worker.tasks:
            worker.tasks.popleft().set_exception(BrokenExecutor("a worker died"))
        self._waiting.extendleft(worker.tasks)
        while not self._workers and (task := self._next()) is not None:
            task.set_exception(BrokenExecutor("no worker is left"))


def _send(pipe: int, message: bytes) -> None:
    """Raises `BrokenPipeError`."""
    view = memoryview(len(message).to_bytes(LENGTH, "little") + message)
    while view:
        view = view[os.write(pipe, view) :]


def _receive(pipe: int) -> bytes:
    """Raises `EOFError` where whoever sends has ended."""
    return _read(pipe, int.from_bytes(_read(pipe, LENGTH), "little"))


def _read(pipe: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.read(pipe, size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _connected() -> tuple[Pipes, Pipes]:
    """Both sides of what connects two processes: that of the one that asks, and that of the worker."""
    calls, to_worker = os.pipe()
    from_worker, answers = os.pipe()
    asked, to_beside = os.pipe()
    from_beside, told = os.pipe()
    return Pipes(to_worker, from_worker, to_beside, from_beside), Pipes(calls, answers, asked, told)


def _fork(theirs: Pipes, ours: list[int]) -> tuple[int, Callable[[], object]]:
    """Begin a worker as a copy of this process: its number, and what waits for its end."""
    pid = os.fork()
    if pid == 0:
        for pipe in ours:
            os.close(pipe)  # else nobody would see the end of whoever is at the other side
        work(theirs)
    return pid, partial(os.waitpid, pid, 0)


def _spawn(theirs: Pipes, _: list[int]) -> tuple[int, Callable[[], object]]:
    """The same, as a process that loads what it needs."""
    from subprocess import DEVNULL, Popen

    call = [sys.executable, "-c", SPAWNED, *map(str, theirs), *sys.path]
    process = Popen(call, stdin=DEVNULL, pass_fds=theirs)  # noqa: S603 - this interpreter
    return process.pid, process.wait


def work(pipes: Pipes) -> None:
    """What a worker does: call what comes, send what that returns or raises. It ends with the process that began it."""
    _calls.append(pipes.calls)
    bytes(KEPT)
    try:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        threading.Thread(target=_serve, args=(pipes.asked, pipes.told), daemon=True).start()
        _serve(pipes.calls, pipes.answers)
    finally:
        _end()


def _serve(calls: int, answers: int) -> None:
    """Call what comes, and end this process when nobody asks any more."""
    try:
        while True:
            _send(answers, _answer(_receive(calls)))
    except (EOFError, BrokenPipeError):
        pass
    except BaseException:  # noqa: BLE001 - nothing of the process that was copied may go on here
        traceback.print_exc()
    finally:
        _end()


def _answer(call: bytes) -> bytes:
    """Whether a call returned, and what it returned or raised, pickled."""
    try:
        function, args, kwargs = pickle.loads(call)  # noqa: S301 - of the process that began this one
        answer = True, function(*args, **kwargs)
    except Exception as e:  # noqa: BLE001 - it is raised in the process that asked
        e.add_note(f"in a worker:\n{traceback.format_exc()}")
        answer = False, e
    try:
        return pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
    except (TypeError, AttributeError, RecursionError, pickle.PicklingError) as e:
        return pickle.dumps((False, TypeError(f"{answer[1]!r} cannot be sent: {e}")))


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)  # nobody asks for an exit code
