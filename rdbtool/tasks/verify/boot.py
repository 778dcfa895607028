"""Start a real server on a copy of a backup, which is gone afterwards, whatever happens."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from rdbtool.basics.numbers import natural
from rdbtool.errors import OutputError, UsageError, reason
from rdbtool.inputs.detect import Progress
from rdbtool.io.signals import ENDING, held_back
from rdbtool.io.temporary import Temporary
from rdbtool.servers.features import MULTI_PART_LOGS
from rdbtool.servers.releases import Release, find_release

from .client import Client, GoneError, RefusedError
from .copy import make_copy, make_private, plan_copy
from .server_config import ServerConfig

TIMEOUT_S: Final = 3600
POLL_S: Final = 0.02
TOLD_LINES: Final = 10
"""Lines of the server's log that are shown, the last of those that matter."""
READ_BYTES: Final = 1 << 20
"""Of a log, at most: a server that refuses many commands writes a line for each."""
SHORT: Final = 50
"""Bytes of a directory's path to which those of a socket's fit, which are about a hundred in all."""
LOG: Final = "server.log"
OUTPUT: Final = "server.out"
"""What it prints before it writes its log: what is wrong with its configuration."""
NOISE: Final = ("oO0OoO0OoO0Oo", "overcommit", "Transparent Huge Pages", "TCP backlog", "xen' clocksource")
"""Lines of every start."""
_VERSION: Final = re.compile(r"v=(\d+)\.(\d+)\.(\d+)")
_LINE: Final = re.compile(r"\d+:[A-Z] \d+ \w+ \d+ [\d:.]+ (?P<level>[.\-*#]) (?P<text>.*)")
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class BootOptions:
    """``program``: of the server; ``config``: what it needs of its real configuration; ``timeout_s`` for loading;
    ``directory``: where the copy goes, as `make_copy` has it; ``databases`` it has, None for as many as by default.
    """

    program: str
    config: ServerConfig | None = None
    timeout_s: int = TIMEOUT_S
    directory: str = ""
    databases: int | None = None


@dataclass(slots=True)
class Booted:
    """A server that was started on a copy. ``title``: what it is; ``client``: None where it did not load the copy,
    for the reason ``refusal``. It runs in ``directory``.

    ``started_ms`` and ``ready_ms``: Unix times between which it loaded; ``is_log``: it loaded a log; ``shared``: the
    copy shares the blocks of the original; ``no_debug``: why DEBUG cannot be used, or "".
    """

    title: str
    release: Release
    directory: str
    is_log: bool
    shared: bool
    started_ms: int
    client: Client | None = None
    refusal: str = ""
    ready_ms: int = 0
    no_debug: str = ""

    def log(self) -> list[str]:
        """The lines of its log that say what became of it."""
        return _told(self.directory)

    @property
    def load_s(self) -> float:
        """Seconds from its start until it had loaded."""
        return (self.ready_ms - self.started_ms) / 1000


def program_release(program: str) -> tuple[str, Release]:
    """What a server program says that it is: for people, and as a release. Raises `UsageError`."""
    try:
        shown = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as e:
        raise UsageError(f"cannot run it: {reason(e)}", path=program) from e
    found = _VERSION.search(shown)
    brand = "valkey" if "valkey" in shown.lower() else "redis"
    release = find_release(f"{brand}-{found[1]}.{found[2]}") if found else None
    if found is None or release is None:
        raise UsageError("is no server program: --version does not say which", path=program)
    return f"{brand.capitalize()} {found[1]}.{found[2]}.{found[3]}", release


@contextlib.contextmanager
def booted(path: str, options: BootOptions, progress: Progress | None = None) -> Iterator[Booted]:
    """Copy what is at ``path``, start the server on the copy, and wait until it has loaded it or has not.

    At the end the server is stopped and the copy removed; should this process be killed, Linux ends the server too, and
    the next run removes the copy. Raises `InputError`, `OutputError` where the copy cannot be written, `UsageError`,
    `UnsupportedError` where the server knows no such logs.
    """
    title, release = program_release(options.program)
    plan = plan_copy(path, release)
    copy, shared = make_copy(plan, options.directory, progress)
    with _removed(copy), _removed(make_private(_short_directory())) as sockets:
        server = Booted(title, release, copy.path, plan.is_log, shared, int(time.time() * 1000))
        address = os.path.join(sockets.path, "s")
        process: subprocess.Popen[bytes] | None = None
        try:
            with held_back():  # a server that nobody knows could not be stopped
                process = _start(options, release, copy.path, {"unixsocket": address, **plan.settings})
            _wait(server, process, address, options, progress)
            yield server
        finally:
            _stop(server, process)


@contextlib.contextmanager
def _removed(made: Temporary) -> Iterator[Temporary]:
    try:
        yield made
    finally:
        made.remove()


def _short_directory() -> str:
    """A directory for a socket."""
    directory = tempfile.gettempdir()
    return directory if len(os.fsencode(directory)) < SHORT else "/tmp"  # noqa: S108 - a private one is made in it


def _start(options: BootOptions, release: Release, directory: str, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [options.program]
    if options.config is not None:
        conf = os.path.join(directory, "server.conf")
        try:
            with open(conf, "wb") as stream:
                stream.write(options.config.for_rehearsal())
        except OSError as e:
            raise OutputError(f"cannot write: {reason(e)}", path=conf) from e
        command.append(conf)
    own = {
        "port": "0",
        "unixsocketperm": "700",
        "dir": directory,
        "save": "",
        "appendonly": "no",
        "auto-aof-rewrite-percentage": "0",
        "daemonize": "no",
        "pidfile": os.path.join(directory, "server.pid"),
        "logfile": LOG,
        "loglevel": "notice",
    }
    if options.databases is not None:
        own["databases"] = str(options.databases)
    if release.has(MULTI_PART_LOGS):
        own["enable-debug-command"] = "yes"  # Redis 7.0 brought both
    for name, value in {**own, **settings}.items():
        command += [f"--{name}", value]
    try:
        with open(os.path.join(directory, OUTPUT), "wb") as output:
            return subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for this program, which ends the server
                preexec_fn=_end_with_parent(),  # noqa: PLW1509 - two system calls, and no threads here
            )
    except OSError as e:
        raise UsageError(f"cannot run it: {reason(e)}", path=options.program) from e


def _end_with_parent() -> Callable[[], None]:
    """What a child does first: it takes signals again, and on Linux it is to end when this process is killed."""
    prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None

    def begin() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)

    return begin


def _wait(
    server: Booted, process: subprocess.Popen[bytes], address: str, options: BootOptions, progress: Progress | None
) -> None:
    """Wait until the server has loaded, has ended, or the time is over."""
    renamed = {} if options.config is None else options.config.renamed
    until = time.monotonic() + options.timeout_s
    client: Client | None = None
    try:
        while True:
            if process.poll() is not None:
                server.refusal = _ending(process.returncode)
                return
            if time.monotonic() > until:
                server.refusal = f"it had not loaded it after {options.timeout_s} s (--boot-timeout)"
                return
            try:
                if client is None:
                    client = Client(address, renamed, options.timeout_s)
                if _has_loaded(client, progress):
                    server.ready_ms = int(time.time() * 1000)
                    _keep_still(server, client)
                    server.client, client = client, None
                    return
            except GoneError:
                if client is not None:
                    client.close()
                    client = None
            time.sleep(POLL_S)
    finally:
        if client is not None:
            client.close()


def _has_loaded(client: Client, progress: Progress | None) -> bool:
    """Whether the server has loaded. Raises `GoneError`."""
    try:
        if not client.has("INFO"):
            client.call("PING")
            return True
        state = client.info("persistence")
    except RefusedError as e:
        return not str(e).startswith("LOADING")
    loaded = state.get("loading_loaded_bytes", "")
    if progress is not None and natural(loaded) >= 0:
        progress(natural(loaded), natural(state.get("loading_total_bytes", "")))
    return state.get("loading") == "0"


def _keep_still(server: Booted, client: Client) -> None:
    """Keep the server from removing what expires by itself, so that what it holds can be compared."""
    if not client.has("DEBUG"):
        server.no_debug = "its configuration takes the command away"
        return
    try:
        client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    except RefusedError as e:
        server.no_debug = str(e)


def _ending(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it crashed ({signal.Signals(-code).name})"
    except ValueError:
        return f"it was ended by signal {-code}"


def _told(directory: str) -> list[str]:
    """The lines of the server's log in its directory that say what became of it."""
    lines = _lines(os.path.join(directory, LOG))
    if not lines:
        return _lines(os.path.join(directory, OUTPUT))[-TOLD_LINES:]
    end = next((i for i, line in enumerate(lines) if "STACK TRACE" in line), len(lines))
    start = next((i + 1 for i, line in enumerate(lines) if "Server initialized" in line), 0)
    found = [m for line in lines[start:end] if (m := _LINE.fullmatch(line))]
    said = [m["text"] for m in found if not any(noise in m["text"] for noise in NOISE)]
    warnings = [m["text"] for m in found if m["level"] == "#" and m["text"] in said]
    return (warnings or said)[-TOLD_LINES:]


def _lines(path: str) -> list[str]:
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - READ_BYTES))
            return [line for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return []


def _stop(server: Booted, process: subprocess.Popen[bytes] | None) -> None:
    """Stop the server, whatever state it is in."""
    with held_back():
        if server.client is not None:
            server.client.close()
        if process is not None:
            process.kill()  # it has nothing of its own to save
            process.wait()
