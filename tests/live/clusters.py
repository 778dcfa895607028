"""Clusters of three masters, made of servers on this machine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from rdbtool.servers.slots import SLOTS
from tests.live.serving import AT_ONCE, free_port
from tests.servers.harness import Server, ServerKind, running

SPANS = ((0, 5460), (5461, 10922), (10923, SLOTS - 1))


@contextlib.contextmanager
def cluster(kind: ServerKind, directory: Path) -> Iterator[tuple[list[Server], list[str]]]:
    """Three masters that know each other, and their URLs."""
    with contextlib.ExitStack() as stack:
        nodes, ports = [], []
        for n in range(len(SPANS)):
            place = directory / f"node{n}"
            place.mkdir()
            port, bus = free_port(), free_port()
            options = ["--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(bus), *AT_ONCE]
            nodes.append(stack.enter_context(running(kind, place, *options)))
            ports.append((port, bus))
        for node, (first, last) in zip(nodes, SPANS, strict=True):
            node.execute("CLUSTER", "ADDSLOTSRANGE", first, last)
        for n, (port, bus) in enumerate(ports):
            if n:
                nodes[0].execute("CLUSTER", "MEET", "127.0.0.1", port, bus)
        deadline = time.monotonic() + 60
        while not all(_is_ready(node) for node in nodes):
            assert time.monotonic() < deadline, "the nodes do not find each other"
            time.sleep(0.05)
        yield nodes, [f"redis://127.0.0.1:{port}" for port, _ in ports]


def _is_ready(node: Server) -> bool:
    info = node.execute("CLUSTER", "INFO")
    slots = node.execute("CLUSTER", "SLOTS")
    assert isinstance(info, bytes)
    return b"cluster_state:ok" in info and isinstance(slots, list) and len(slots) == len(SPANS)
