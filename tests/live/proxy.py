"""A proxy in front of a server that behaves badly after so many bytes."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Fault:
    """``what``: "cut" both connections, "stall" for ever, or send "garbage" instead, after ``at`` bytes; ``down``:
    counted are those that the server sends, and else those that it gets. Only the first connection has it.
    """

    what: str
    at: int
    down: bool = True
    garbage: bytes = b""


class Proxy(threading.Thread):
    """Passes connections on to the server at a Unix socket, and has one of them fail."""

    def __init__(self, path: str, fault: Fault) -> None:
        super().__init__(daemon=True)
        self.fault: Fault | None = fault
        self._path = path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._over = threading.Event()
        self._workers: list[threading.Thread] = []

    def run(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            fault, self.fault = self.fault, None
            worker = threading.Thread(target=self._serve, args=(client, fault), daemon=True)
            self._workers.append(worker)
            worker.start()

    def stop(self) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for worker in [*self._workers, self]:
            worker.join(timeout=30)
            assert not worker.is_alive()

    def _serve(self, client: socket.socket, fault: Fault | None) -> None:
        with contextlib.suppress(OSError), client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._path)
            left = -1 if fault is None else fault.at
            with selectors.DefaultSelector() as selector:
                selector.register(client, selectors.EVENT_READ)
                selector.register(server, selectors.EVENT_READ)
                while not self._over.is_set():
                    for key, _ in selector.select(0.05):
                        source = key.fileobj
                        data = source.recv(1 << 16)  # type: ignore[union-attr]
                        if not data:
                            return
                        down = source is server
                        if fault is not None and down == fault.down:
                            if len(data) > left:
                                (client if down else server).sendall(data[:left])
                                self._fail(client, fault)
                                return
                            left -= len(data)
                        (client if down else server).sendall(data)

    def _fail(self, client: socket.socket, fault: Fault) -> None:
        if fault.what == "garbage":
            client.sendall(fault.garbage)
        if fault.what != "cut":
            self._over.wait(20)


@contextlib.contextmanager
def failing(path: str, fault: Fault) -> Iterator[str]:
    """The URL of a proxy to the server at that socket."""
    proxy = Proxy(path, fault)
    proxy.start()
    try:
        yield proxy.url
    finally:
        proxy.stop()
