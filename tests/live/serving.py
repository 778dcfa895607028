"""Servers of tests that can be reached over TCP, and such as behave badly."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from rdbtool.live.connection import Connection
from rdbtool.live.replication import Snapshot
from tests.servers.harness import SERVERS, Server

WITH_TLS = [kind for kind in SERVERS if kind.has_tls()]
AT_ONCE = ("--repl-diskless-sync-delay", "0")
"""A server begins the snapshot for a replica without waiting for others."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificates(directory: Path) -> dict[str, Path]:
    """Files with a certificate authority, and a certificate of its for this machine, with the key."""
    import trustme  # it does not come as a wheel for every machine

    authority = trustme.CA()
    files = {name: directory / f"{name}.pem" for name in ("ca", "cert", "key")}
    own = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(files["ca"])
    own.private_key_pem.write_to_path(files["key"])
    for blob in own.cert_chain_pems:
        blob.write_to_path(files["cert"], append=True)
    return files


def with_tls(port: int, files: dict[str, Path]) -> list[str]:
    """Options of a server that wants certificates, and has these."""
    options = ["--tls-port", str(port), "--tls-cert-file", str(files["cert"]), "--tls-key-file", str(files["key"])]
    return [*options, "--tls-ca-cert-file", str(files["ca"])]


def url_of(server: Server) -> str:
    return f"unix://{server._path}"


def received(connection: Connection) -> bytes:
    """All bytes of a snapshot."""
    snapshot = Snapshot(connection)
    parts = []
    while part := snapshot.read(1 << 16):
        parts.append(part)
    return b"".join(parts)


@contextlib.contextmanager
def tls_in_front(server: Server, context: ssl.SSLContext) -> Iterator[str]:
    """The URL of a server behind something that speaks TLS for it, as stunnel does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pass_on(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def connect(accepted: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            accepted,
            context.wrap_socket(accepted, server_side=True) as outer,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as inner,
        ):
            inner.connect(server._path)
            back = threading.Thread(target=pass_on, args=(inner, outer), daemon=True)
            back.start()
            pass_on(outer, inner)
            back.join()

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            links.append(threading.Thread(target=connect, args=(accepted,), daemon=True))
            links[-1].start()

    links: list[threading.Thread] = []
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"rediss://localhost:{listener.getsockname()[1]}"
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in (thread, *links):
            one.join(timeout=30)
            assert not one.is_alive()


@contextlib.contextmanager
def pretending(answer: Callable[[socket.socket], object], until: bytes = b"PSYNC") -> Iterator[str]:
    """The URL of a server that answers everything with OK, and the command ``until`` with what ``answer`` does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            with client:
                while until not in (sent := client.recv(1 << 16)):
                    if not sent:
                        return
                    client.sendall(b"+OK\r\n" * sent.count(b"*"))
                answer(client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # a close alone does not end an accept
        listener.close()
        thread.join(timeout=30)
        assert not thread.is_alive()
