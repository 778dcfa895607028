"""Processes of this machine that do units of work side by side."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any, ParamSpec, TypeVar, final

from rdbtool.io.signals import ENDING, held_back

P = ParamSpec("P")
T = TypeVar("T")


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@final
class _Task:
    """Something to be called, and the future of what it returns."""

    def __init__(self, call: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]) -> None:
        self.call = call
        self.future: Future[Any] = Future()


@final
class _Worker:
    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self.process = process
        self.connection = connection
        self.task: _Task | None = None


@final
class Workers(Executor):
    """``count`` processes that are there at once, for what `concurrent.futures.ProcessPoolExecutor` does not do: it
    ends all of them at once where one dies, so that nobody can tell what that one had worked on, and has no way to end
    those that are busy.

    One that dies breaks the future that it worked on (`BrokenProcessPool`); the others go on, and where none is left,
    the other futures break too. `shutdown`, and leaving the context, ends all of them, busy or not; so does the end of
    this process, whatever it dies of. Signals that end the program are left to this process to answer.
    """

    def __init__(self, count: int) -> None:
        # A copy of this process is there in a millisecond, with all modules; it is safe while no other thread runs.
        forked = sys.platform == "linux" and threading.active_count() == 1
        context: Any = multiprocessing.get_context("fork" if forked else "spawn")
        self.count = count
        self._lock = threading.Lock()
        self._waiting: deque[_Task] = deque()
        self._workers: list[_Worker] = []
        self._processes: list[BaseProcess] = []
        self._ended = False
        self._wake, self._woken = os.pipe()
        with held_back():
            for _ in range(count):
                ours, theirs = multiprocessing.Pipe()
                inherited = [worker.connection for worker in self._workers] + [ours] if forked else []
                process = context.Process(target=_work, args=(theirs, inherited), daemon=True)
                process.start()
                theirs.close()
                self._processes.append(process)
                self._workers.append(_Worker(process, ours))
        # Where nobody left the context, multiprocessing would ask them to end, which they do not heed, and wait.
        self._at_exit = Finalize(self, _kill, (self._processes,), exitpriority=100)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let a worker call ``fn``, which is pickled, as is what it returns."""
        task = _Task((fn, args, kwargs))
        with self._lock:
            if not self._workers:
                raise BrokenProcessPool("no worker is left")
            if self._ended:
                raise RuntimeError("the workers have been ended")
            self._waiting.append(task)
        os.write(self._woken, b"w")
        return task.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - Executor's
        """End all workers, those that are busy too: their futures break."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        os.write(self._woken, b"w")
        self._thread.join()
        self._at_exit.cancel()
        for process in self._processes:
            process.join()
            process.close()
        os.close(self._wake)
        os.close(self._woken)

    def _serve(self) -> None:
        """Give out tasks and take results, until there are no workers."""
        while self._workers:
            self._give_out()
            ready = wait([self._wake, *(worker.connection for worker in self._workers)])
            if self._wake in ready:
                os.read(self._wake, 4096)
                if self._ended:
                    for worker in self._workers:
                        worker.process.kill()
            for worker in [worker for worker in self._workers if worker.connection in ready]:
                self._take(worker)
        while self._waiting:
            task = self._waiting.popleft()
            if task.future.set_running_or_notify_cancel():
                task.future.set_exception(BrokenProcessPool("no worker is left"))

    def _give_out(self) -> None:
        for worker in self._workers:
            while worker.task is None:
                with self._lock:
                    if self._ended or not self._waiting:
                        return
                    task = self._waiting.popleft()
                if not task.future.set_running_or_notify_cancel():
                    continue
                try:
                    worker.connection.send(task.call)
                except OSError:
                    pass  # it is dead: `_take` finds out
                except Exception as e:  # noqa: BLE001 - what cannot be pickled says so in many ways
                    task.future.set_exception(e)
                    continue
                worker.task = task

    def _take(self, worker: _Worker) -> None:
        try:
            done, result = worker.connection.recv()
        except (EOFError, OSError):
            with self._lock:
                self._workers.remove(worker)
            worker.connection.close()
            worker.process.kill()
            if worker.task is not None:
                worker.task.future.set_exception(BrokenProcessPool("a worker died"))
            return
        except Exception as e:  # noqa: BLE001 - what cannot be unpickled says so in many ways
            done, result = False, e
        task, worker.task = worker.task, None
        assert task is not None
        if done:
            task.future.set_result(result)
        else:
            task.future.set_exception(result)


def _kill(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.kill()


def _work(connection: Connection, inherited: list[Connection]) -> None:
    """What a worker does: call what comes, send what that returns or raises."""
    for other in inherited:
        other.close()  # else nobody would see the end of whoever is at the other side
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            call = connection.recv_bytes()
        except EOFError:
            return
        try:
            function, args, kwargs = pickle.loads(call)  # noqa: S301 - of the process that began this one
            answer = True, function(*args, **kwargs)
        except Exception as e:  # noqa: BLE001 - it is raised in the process that asked
            e.add_note(f"in a worker:\n{traceback.format_exc()}")
            answer = False, e
        try:
            connection.send(answer)
        except (TypeError, AttributeError, RecursionError, pickle.PicklingError) as e:
            connection.send((False, TypeError(f"{answer[1]!r} cannot be sent: {e}")))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)  # nobody asks for an exit code any more
