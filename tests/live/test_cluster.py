"""Clusters as sources and as destinations: each key from and to the master of its slot, also while slots move."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.errors import UsageError
from rdbtool.io.source import open_input
from rdbtool.live import load as load_module
from rdbtool.live.address import Scan
from rdbtool.live.cluster import Cluster, masters
from rdbtool.live.connection import Connection
from rdbtool.live.load import LoadOptions
from rdbtool.live.source import register
from rdbtool.servers.slots import hash_slot
from rdbtool.tasks.check_rdb import check_rdb
from rdbtool.tasks.digest import digest
from rdbtool.tasks.load import load
from tests.live.clusters import SPANS, cluster
from tests.rdb import craft
from tests.servers.harness import SERVERS, Server, ServerKind

KEYS = [b"key:%d" % n for n in range(600)]
LIBRARY = "#!lua name=lib\nserver.register_function('f', function() return 1 end)"
of_clusters = pytest.mark.parametrize("kind", [k for k in SERVERS if k.version >= (7, 0, 0)], ids=lambda k: k.name)


def snapshot(path: Path) -> Path:
    path.write_bytes(craft.rdb(*[craft.record(0, key, craft.string(key * 9)) for key in KEYS]))
    return path


def size(nodes: list[Server]) -> list[int]:
    return [int(node.execute("DBSIZE")) for node in nodes]  # type: ignore[arg-type]


def turned(connection: Connection, url: str) -> Cluster:
    """A cluster in which each slot is said to be where the one before is."""
    found = masters(connection, url)
    return Cluster(found.urls, [(node + 1) % len(found.urls) for node in found.slots])


@of_clusters
def test_each_key_goes_to_the_master_of_its_slot_and_comes_from_there(kind: ServerKind, tmp_path: Path) -> None:
    path = snapshot(tmp_path / "x.rdb")
    with cluster(kind, tmp_path) as (nodes, urls):
        with pytest.raises(UsageError, match="--cluster"):
            load(path, urls[0])
        report = load(path, urls[1], LoadOptions(cluster=True), verify=True)
        assert (report.loaded, report.failed_keys) == (len(KEYS), 0)
        assert report.verified == {"compared": len(KEYS), "different": 0, "missing": 0}
        expected = [sum(first <= hash_slot(key) <= last for key in KEYS) for first, last in SPANS]
        assert size(nodes) == expected
        if kind.is_valkey:
            for node in nodes:
                node.execute("FUNCTION", "LOAD", LIBRARY)
        for scan in (None, Scan()):
            register(scan=scan, cluster=True)
            assert digest(urls[2]).digest == digest(path).digest
            checked = check_rdb(urls[0])
            assert not checked.findings.counts
            assert checked.facts is not None
            assert len(checked.facts.functions) == kind.is_valkey
            with open_input(urls[0]) as opened:
                parts = []
                while part := opened.stream.read(1000):
                    parts.append(part)
            assert b"".join(parts).count(b"redis-bits") == 1
        with pytest.raises(UsageError, match="it has"):
            load(path, urls[0], LoadOptions(cluster=True))


@of_clusters
def test_slots_that_move_meanwhile_are_followed(kind: ServerKind, tmp_path: Path) -> None:
    path = snapshot(tmp_path / "x.rdb")
    with cluster(kind, tmp_path) as (nodes, urls):
        ids = [node.execute("CLUSTER", "MYID") for node in nodes]
        moving = [hash_slot(key) for key in KEYS[:40] if hash_slot(key) <= SPANS[0][1]]
        assert moving
        for slot in moving:  # ASK: the first node has none of these keys, and the second takes them
            nodes[1].execute("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])  # type: ignore[arg-type]
            nodes[0].execute("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])  # type: ignore[arg-type]
        report = load(path, urls[0], LoadOptions(cluster=True, rate=2000))
        assert (report.loaded, report.failed_keys) == (len(KEYS), 0)
        assert sum(size(nodes)) == len(KEYS)
        for slot in moving:
            for node in (nodes[1], nodes[0], nodes[2]):
                node.execute("CLUSTER", "SETSLOT", slot, "NODE", ids[1])  # type: ignore[arg-type]
        again = load(path, urls[0], LoadOptions("skip", into_nonempty=True, cluster=True))
        assert (again.loaded, again.conflicts) == (0, len(KEYS))


@of_clusters
@pytest.mark.parametrize("commands", [False, True], ids=["restore", "commands"])
def test_long_values_are_sent_again_where_their_slots_have_gone(
    kind: ServerKind, commands: bool, tmp_path: Path
) -> None:
    path = tmp_path / "long.rdb"
    value = craft.string(b"x" * 5_000_000)
    path.write_bytes(craft.rdb(*[craft.record(0, b"long:%d" % n, value) for n in range(4)]))
    slots = [hash_slot(b"long:%d" % n) for n in range(4)]
    owner = [next(n for n, (first, last) in enumerate(SPANS) if first <= slot <= last) for slot in slots]
    assert len(set(owner)) > 1
    with cluster(kind, tmp_path) as (nodes, urls):
        ids = [node.execute("CLUSTER", "MYID") for node in nodes]
        for slot, at in zip(slots[:2], owner[:2], strict=True):  # ASK for two of them
            other = (at + 1) % 3
            nodes[other].execute("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[at])  # type: ignore[arg-type]
            nodes[at].execute("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[other])  # type: ignore[arg-type]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(load_module, "masters", turned)  # MOVED for all
            report = load(path, urls[0], LoadOptions(cluster=True, commands=commands))
        assert (report.loaded, report.failed_keys) == (4, 0)
        assert sum(size(nodes)) == 4
        for n, (slot, at) in enumerate(zip(slots[:2], owner[:2], strict=True)):
            node = nodes[(at + 1) % 3]
            node.execute("CLUSTER", "SETSLOT", slot, "NODE", ids[(at + 1) % 3])  # type: ignore[arg-type]
            assert node.execute("STRLEN", b"long:%d" % n) == 5_000_000


@of_clusters
@pytest.mark.parametrize("commands", [False, True], ids=["restore", "commands"])
def test_a_slot_that_is_elsewhere_than_told_is_found(kind: ServerKind, commands: bool, tmp_path: Path) -> None:
    path = snapshot(tmp_path / "x.rdb")
    with cluster(kind, tmp_path) as (nodes, urls), pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_module, "masters", turned)
        report = load(path, urls[0], LoadOptions(cluster=True, commands=commands))
        assert (report.loaded, report.failed_keys) == (len(KEYS), 0)
        assert sum(size(nodes)) == len(KEYS)
