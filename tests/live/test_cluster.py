"""Clusters as sources and as destinations: each key from and to the master of its slot, also while slots move."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.errors import UsageError
from rdbtool.io.source import open_input
from rdbtool.live.address import Scan
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
def test_a_slot_that_is_elsewhere_than_told_is_found(kind: ServerKind, tmp_path: Path) -> None:
    from rdbtool.live import cluster as told
    from rdbtool.tasks import load as task

    path = snapshot(tmp_path / "x.rdb")
    with cluster(kind, tmp_path) as (nodes, urls), pytest.MonkeyPatch.context() as patch:
        real = told.masters

        def turned(*args: object) -> told.Cluster:
            found = real(*args)  # type: ignore[arg-type]
            return told.Cluster(found.urls, [(node + 1) % len(found.urls) for node in found.slots])

        patch.setattr("rdbtool.live.load.masters", turned)
        report = task.load(path, urls[0], LoadOptions(cluster=True))
        assert (report.loaded, report.failed_keys) == (len(KEYS), 0)
        assert sum(size(nodes)) == len(KEYS)
