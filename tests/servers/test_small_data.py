"""The files that tell what an element costs hold the encodings that they are named after."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool import open_rdb
from rdbtool.rdb.frame import Frame
from tests.bench import small_data
from tests.bench.small_data import KINDS, small_rdb_file
from tests.servers.harness import server, servers

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_data, "CACHE", tmp_path)


def encodings(path: Path) -> list[str]:
    with open_rdb(str(path)) as events:
        return [event.type.name for event in events if isinstance(event, Frame)]


@pytest.mark.skipif(all(kind.name != "redis-7.0" for kind in servers()), reason="encodings are those of Redis 7.0")
def test_each_kind_is_of_its_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_data, "bench_server", lambda: server("redis-7.0"))
    for kind in KINDS:
        for elements in (2, kind.most):
            assert encodings(kind.file(3, elements)) == [kind.name.partition(",")[0]] * 3, kind.name


def test_the_mix_has_every_type_and_is_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encodings(small_rdb_file(1))
    assert len({name.partition("-")[0] for name in first}) >= 6
    again = tmp_path / "again"
    again.mkdir()
    monkeypatch.setattr(small_data, "CACHE", again)
    assert sorted(first) == sorted(encodings(small_rdb_file(1)))
