"""Workers of a Dask cluster, for units of work; everything about them is left to Dask, retries too."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import Any, Final, ParamSpec, TypeVar, final

from rdbtool import version_line
from rdbtool.errors import InputError, UnsupportedError, UsageError, printable_text
from rdbtool.extras import how_to_install

P = ParamSpec("P")
T = TypeVar("T")

SCHEMES: Final = {"dask": "tcp", "dask+tls": "tls"}
"""What an address begins with, and what Dask calls it."""
CONNECT_S: Final = 10
"""Seconds until a scheduler that does not answer counts as gone."""


def version() -> str:
    """Which rdbtool a worker has, without whether it is compiled."""
    return version_line().partition(" (")[0]


@final
class _Asked(Future[T]):
    """What a worker was asked for. ``future``: Dask's; ``lost``: what that raises where nobody could do it."""

    def __init__(self, future: Any, lost: tuple[type[Exception], ...]) -> None:  # noqa: ANN401 - Dask's
        super().__init__()
        self._future = future
        self._lost = lost

    def result(self, timeout: float | None = None) -> T:
        """Wait for it. Raises what the worker raised, and `BrokenExecutor` where none could do it."""
        try:
            made: T = self._future.result(timeout)
        except self._lost as e:
            raise BrokenExecutor(str(e)) from e
        return made

    def cancel(self) -> bool:
        """Take it back."""
        self._future.cancel()
        return True


@final
class Cluster(Executor):
    """The workers that the scheduler at ``address`` has, now and later: ``dask://HOST:PORT``, ``dask+tls://...``.

    They need the same rdbtool, and to see the files under the same names. A worker that dies is Dask's matter: it gives
    the unit to another one, and a unit that several died of breaks its future (`concurrent.futures.BrokenExecutor`), as
    all do where the scheduler is gone. Raises `UsageError`, `UnsupportedError`, and `InputError` where nobody answers.
    """

    def __init__(self, address: str) -> None:
        scheme, _, place = address.partition("://")
        if scheme not in SCHEMES or not place.rpartition(":")[2].isdigit():
            raise UsageError(f"no executor is '{address}': dask://HOST:PORT is the scheduler of a Dask cluster")
        try:
            import distributed
        except ImportError as e:
            raise UnsupportedError(f"a Dask cluster needs distributed: {how_to_install('dask')}") from e
        self.address = address
        gone = (distributed.scheduler.KilledWorker, distributed.comm.core.CommClosedError, CancelledError)
        self._lost: tuple[type[Exception], ...] = gone
        for name in list(logging.root.manager.loggerDict):
            if name.startswith(
                "distributed"
            ):  # each has a level of its own; what matters is told as an error of a file
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        connect: Any = distributed.Client
        try:
            self._client = connect(f"{SCHEMES[scheme]}://{place}", timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as e:
            raise InputError(f"no scheduler of a Dask cluster answers: {_one_line(e)}", path=address) from e
        try:
            self.count = sum(self._client.ncores().values())
            self._refuse_others()
        except BaseException:
            self._client.close()
            raise

    def _refuse_others(self) -> None:
        """Raise `UnsupportedError` for workers without rdbtool, or with another one."""
        told = self._client.run(version, on_error="return")
        for worker, answer in told.items():
            if answer != version():
                has = "no rdbtool" if isinstance(answer, Exception) else answer
                message = f"its worker {worker} has {has}, and this is {version()}"
                raise UnsupportedError(message, path=self.address)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let a worker call ``fn``, which is pickled, as is what it returns."""
        return _Asked(self._client.submit(fn, *args, pure=False, **kwargs), self._lost)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - Executor's
        """Leave the cluster; what was not done yet is cancelled there."""
        self._client.close()


def _one_line(error: BaseException) -> str:
    return printable_text(" ".join(str(error).split())) or type(error).__name__
