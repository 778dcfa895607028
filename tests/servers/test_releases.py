"""The tables of releases and features, and that everybody agrees with them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rdbtool.errors import UsageError
from rdbtool.inputs.filters import LIMITS
from rdbtool.outputs.rdb import target_of
from rdbtool.rdb.layout.codes import CODES
from rdbtool.rdb.layout.stream import STREAM_VERSIONS
from rdbtool.rdb.opcodes import REDIS, VALKEY
from rdbtool.rdb.targets import Target, loads_type, target, target_names, version_names
from rdbtool.rdb.types import TABLE, row_of
from rdbtool.servers import features
from rdbtool.servers.features import FEATURES
from rdbtool.servers.limits import Limits
from rdbtool.servers.releases import (
    MAX_RDB_VERSION,
    NEWEST,
    RELEASES,
    SHARED,
    Release,
    newest,
    oldest_with,
    release_named,
    releases_asked,
    writer_of,
    written_span,
)
from tests.engine import object_encoding
from tests.servers.harness import SERVERS, ServerKind, running

PACKAGE = Path(features.__file__).resolve().parents[1]

BITS = {name: int(bit) for name, bit in vars(features).items() if name.isupper() and isinstance(bit, int)}
"""The constants of features by name."""

ONLY_BEFORE_RELEASE = {4}
"""RDB versions that only development builds wrote: those before Redis 2.6."""


def test_releases_are_found_by_name() -> None:
    assert release_named("redis-7.0").rdb_version == 10
    assert release_named(" Valkey-9.1.2 ").name == "valkey-9.1"
    assert release_named("redis-8.10").name == "redis-8.10"
    assert release_named("redis-7").name == target("redis-7").name == releases_asked("redis-7")[0].name == "redis-7.4"
    assert release_named("7.0").name == release_named("7.0.15").name == target("7.0").name == "redis-7.0"
    assert release_named("9").name == "valkey-9.2"
    assert release_named("redis-9").version == (9, 0)
    for ambiguous in ("7.2", "8"):
        with pytest.raises(UsageError, match=f"'{ambiguous}' may be redis-.* or valkey-.*: say which"):
            target(ambiguous)
    assert len({r.name for r in RELEASES}) == len(RELEASES)
    for name in ("redis-1.0", "redis-7.05", "valkey-7.0"):
        assert release_named(name) not in RELEASES
        with pytest.raises(UsageError, match=f"unknown release '{name}'; known are redis-2"):
            release_named(name, listed=True)


@pytest.mark.parametrize(
    "name",
    ["", "redis", "kvrocks-2.0", "rdb-10", "redis--7.0", "redis-x", "redis-\u00b2.8", "redis-7.\u0663", "redis-7."],
)
def test_what_names_no_release_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"unknown release '.*'; known are redis-2.*valkey-9\.1"):
        release_named(name)


@pytest.mark.parametrize(
    ("version", "name"),
    [(b"7.0.15", "redis-7.0"), (b"6", "redis-6.0"), (b"8.10.2", "redis-8.10"), (b"255.255.255", NEWEST.name)],
)
def test_a_snapshot_tells_its_writer(version: bytes, name: str) -> None:
    writer = writer_of({b"redis-ver": version, b"redis-bits": b"64"})
    assert writer is not None
    assert writer.name == name


def test_a_snapshot_of_valkey_tells_its_writer() -> None:
    for version, name in ((b"8.1.4", "valkey-8.1"), (b"255.255.255", newest("valkey").name)):
        writer = writer_of({b"valkey-ver": version})
        assert writer is not None
        assert writer.name == name


@pytest.mark.parametrize(
    "version", ["", "x", "\u00b2.8", "7.\u0663", "9" * 30, "1" * 5000, "7.", "-7.0"], ids=lambda v: v[:5]
)
def test_what_is_no_version_tells_nothing(version: str) -> None:
    assert writer_of({b"redis-ver": version.encode("latin-1", "replace")}) is None
    assert writer_of({}) is None


def test_a_release_between_two_of_the_table_is_like_the_first_but_for_what_came_between() -> None:
    between = release_named("redis-7.3")
    before, after = release_named("redis-7.2"), release_named("redis-7.4")
    assert (between.rdb_version, between.limits, between.features) == (11, before.limits, before.features)
    assert before.features != after.features
    beyond = release_named("redis-99.0")
    assert (beyond.rdb_version, beyond.features) == (
        RELEASES_OF["redis"][-1].rdb_version,
        RELEASES_OF["redis"][-1].features,
    )
    assert not beyond.is_written
    assert release_named("redis-1.2").limits is RELEASES[0].limits


RELEASES_OF = {product: [r for r in RELEASES if r.product == product] for product in ("redis", "valkey")}


def test_the_table_is_in_order() -> None:
    assert list(RELEASES) == RELEASES_OF["redis"] + RELEASES_OF["valkey"]
    for releases in RELEASES_OF.values():
        assert [r.version for r in releases] == sorted({r.version for r in releases})
        assert [r.rdb_version for r in releases] == sorted(r.rdb_version for r in releases)
        written = [r.is_written for r in releases]
        first = written.index(True)
        assert written[first:] == sorted(written[first:], reverse=True)
    assert (NEWEST.product, SHARED.rdb_version) == ("redis", 11)


def test_features_are_single_bits_with_one_row_each() -> None:
    assert sorted(BITS.values()) == [1 << n for n in range(len(BITS))]
    assert len(BITS) < 63
    assert sorted(int(feature.bit) for feature in FEATURES) == sorted(BITS.values())


def test_features_come_with_a_release_of_the_table() -> None:
    known = {product: {r.version for r in releases} for product, releases in RELEASES_OF.items()}
    for feature in FEATURES:
        assert feature.redis or feature.valkey
        assert {feature.redis, feature.redis_until} - {None} <= known["redis"]
        assert {feature.valkey} - {None} <= known["valkey"]
        first = oldest_with(feature.bit)
        assert first.version == (feature.valkey if first.valkey else feature.redis)


def test_every_feature_makes_a_difference_somewhere() -> None:
    used: set[str] = set()
    # How a server keeps a value in memory shows in what it writes, or only in what it says of it.
    for path in [*PACKAGE.rglob("*.py"), Path(object_encoding.__file__)]:
        if path.parent.name != "servers":
            used |= {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
            used |= {n.attr for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)}
    used |= {name for name, bit in BITS.items() if bit in features.BUILT_IN_MODULES.values()}
    assert used.issuperset(BITS)


WITH_FEATURE = {
    "stream-listpacks": "STREAMS",
    "stream-listpacks2": "STREAM_COUNTERS",
    "stream-listpacks3": "ACTIVE_TIMES",
    "stream-listpacks4": "IDEMPOTENT_PRODUCERS",
    "hash-listpack": "LISTPACKS",
    "zset-listpack": "LISTPACKS",
    "list-quicklist": "QUICKLISTS",
    "list-quicklist2": "LISTPACKS",
    "set-listpack": "SMALL_LISTPACKS",
    "hash-metadata": "FIELD_EXPIRIES",
    "hash-listpack-ex": "FIELD_EXPIRIES",
    "hash2": "FIELD_EXPIRIES",
}
"""Types of values that are there because of a feature."""


@pytest.mark.parametrize("release", RELEASES, ids=lambda r: r.name)
def test_types_and_features_agree(release: Release) -> None:
    for row in TABLE[release.dialect]:
        if row is not None and row.name in WITH_FEATURE:
            assert loads_type(release, row) is release.has(BITS[WITH_FEATURE[row.name]]), row.name
    names = {row.name for table in TABLE for row in table if row is not None}
    assert names.issuperset(WITH_FEATURE)


def test_each_type_was_written_by_a_release() -> None:
    for dialect, rows in enumerate(TABLE):
        written = {int(r.rdb_version) for r in RELEASES if r.dialect == dialect} | ONLY_BEFORE_RELEASE
        if dialect == VALKEY:
            written |= {int(r.rdb_version) for r in RELEASES if r.dialect == REDIS}
        for row in rows:
            assert row is None or row.since in written, row.name
            assert row is None or row.since <= MAX_RDB_VERSION[dialect]


def test_releases_know_their_types() -> None:
    assert loads_type(release_named("redis-2.4"), row_of(REDIS, "hash-zipmap"))
    assert not loads_type(release_named("redis-2.2"), row_of(REDIS, "hash-zipmap"))
    assert not loads_type(release_named("redis-2.4"), row_of(REDIS, "hash-ziplist"))
    assert loads_type(release_named("redis-7.4"), row_of(REDIS, "hash-listpack-ex"))
    assert not loads_type(release_named("valkey-9.1"), row_of(REDIS, "hash-listpack-ex"))
    assert not loads_type(release_named("redis-8.4"), row_of(VALKEY, "hash2"))
    assert loads_type(release_named("valkey-9.0"), row_of(VALKEY, "hash2"))
    assert not loads_type(release_named("valkey-8.1"), row_of(VALKEY, "hash2"))
    assert loads_type(release_named("valkey-9.0"), row_of(REDIS, "stream-listpacks3"))


@pytest.mark.parametrize(
    ("name", "version", "loads"),
    [
        ("valkey-9.1", (VALKEY, 80), True),
        ("valkey-9.1", (REDIS, 11), True),
        ("valkey-9.1", (REDIS, 12), False),
        ("valkey-8.1", (VALKEY, 80), False),
        ("redis-7.2", (REDIS, 11), True),
        ("redis-7.2", (REDIS, 12), False),
        ("redis-8.6", (VALKEY, 80), False),
    ],
)
def test_releases_know_the_versions_they_load(name: str, version: tuple[int, int], loads: bool) -> None:
    assert release_named(name).loads(*version) is loads


def test_targets_are_the_releases_that_are_written() -> None:
    written = [r for r in RELEASES if r.is_written]
    assert target_names() == [r.name for r in written]
    for release in written:
        made = target(release.name)
        assert (made.name, made.release) == (release.name, release)
        bare = target(f"rdb-{release.rdb_version}")
        assert (bare.name, bare.rdb_version) == (f"rdb-{release.rdb_version}", release.rdb_version)
        assert all(bare.release.version <= r.version for r in written if r.rdb_version == bare.rdb_version)
    assert version_names() == [*(f"rdb-{n}" for n in range(8, 16)), "rdb-80", "rdb-81"]
    for name in ("redis-3.2", "redis-7.3", "rdb-7", "rdb-16", "rdb-82", "rdb-", "x"):
        with pytest.raises(UsageError, match=f"unknown target '{name}'; known are redis-4.0.*, rdb-8.*rdb-81"):
            target(name)


def test_what_is_written_is_said_where_people_look() -> None:
    assert written_span() == f"redis-4.0 to {NEWEST.name}, valkey-7.2 to {newest('valkey').name}"
    spans = {p: [r.number for r in RELEASES_OF[p] if r.is_written] for p in RELEASES_OF}
    (redis_first, *_, redis_last), (valkey_first, *_, valkey_last) = spans.values()
    text = " ".join((Path(__file__).resolve().parents[2] / "README.md").read_text().split())
    written = f"Redis {redis_first} to {redis_last} and Valkey {valkey_first} to {valkey_last}"
    assert f"It writes RDB files for {written}" in text
    assert f"to {redis_last} and Valkey {valkey_first} to {valkey_last} (the compressed ones too)" in text


def test_a_release_writes_no_type_that_it_does_not_load() -> None:
    for release in RELEASES:
        if release.is_written:
            made = Target(release.name, release)
            for row in TABLE[release.dialect]:
                assert row is None or made.loads(row) is loads_type(release, row)


def test_limits_can_be_set_by_name() -> None:
    assert {name for name in dir(Limits()) if not name.startswith("_")} == set(LIMITS)


CONFIGURED = {
    "hash_entries": "hash-max-{}-entries",
    "hash_value": "hash-max-{}-value",
    "zset_entries": "zset-max-{}-entries",
    "zset_value": "zset-max-{}-value",
    "set_intset_entries": "set-max-intset-entries",
    "set_entries": "set-max-listpack-entries",
    "set_value": "set-max-listpack-value",
    "stream_node_bytes": "stream-node-max-bytes",
    "stream_node_entries": "stream-node-max-entries",
}


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_limits_are_the_defaults_of_servers(kind: ServerKind, tmp_path: Path) -> None:
    release = release_named(kind.name)
    packed = "listpack" if release.has(features.LISTPACKS) else "ziplist"
    with running(kind, tmp_path) as server:
        for name, setting in CONFIGURED.items():
            reply = server.execute("CONFIG", "GET", setting.format(packed))
            assert isinstance(reply, list)
            known = b"%d" % getattr(release.limits, name)
            assert reply[1:] == [known] or (reply == [] and not release.has(features.SMALL_LISTPACKS)), name
        assert server.execute("CONFIG", "GET", f"list-max-{packed}-size") == [f"list-max-{packed}-size".encode(), b"-2"]


def test_codes_ask_for_features_of_the_table() -> None:
    for code in CODES.values():
        assert code.since in {0, *BITS.values()}
        assert code.until in {0, *BITS.values()}


def test_a_missing_target_is_the_writer_or_near() -> None:
    from rdbtool.inputs.keys import Facts

    assert target_of(Facts()).release is SHARED
    assert target_of(Facts(REDIS, 16)).name == "rdb-15"
    assert target_of(Facts(VALKEY, 82)).name == "rdb-81"
    assert target_of(Facts(REDIS, 1)).name == "rdb-8"


NAME_OF_RELEASE = re.compile(r"(redis|valkey|rdb)-[0-9]+(\.[0-9]+)*")


def version_numbers(path: Path) -> Iterator[int]:
    """The lines on which a version is compared with a number, or a release is named."""
    tree = ast.parse(path.read_text())
    numbers = {
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and is_number(node.value)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(name_of(side).endswith("version") for side in sides) and any(
                is_number(side) or name_of(side) in numbers for side in sides
            ):
                yield node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME_OF_RELEASE.fullmatch(node.value):
            yield node.lineno


def name_of(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def is_number(node: ast.AST | None) -> bool:
    """Whether it is a literal version: not 0, which stands for none, nor one that the name of a stream type counts."""
    if isinstance(node, ast.Tuple):
        return all(isinstance(part, ast.Constant) for part in node.elts)
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value >= len(STREAM_VERSIONS)


def test_version_numbers_stand_nowhere_else() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "servers"
        for line in version_numbers(path)
    }
    assert found == set()


@pytest.mark.parametrize(
    ("names", "releases"),
    [
        (["redis-7.0"], ["redis-7.0"]),
        (["Redis-7.0.15"], ["redis-7.0"]),
        (["redis-7"], ["redis-7.4"]),
        (["7.0"], ["redis-7.0"]),
        (["8.0"], ["redis-8.0", "valkey-8.0"]),
        (["9"], ["valkey-9.2"]),
        (["valkey-9.1", "redis-6.2", "6.2"], ["redis-6.2", "valkey-9.1"]),
        (["all"], [r.name for r in RELEASES]),
    ],
)
def test_releases_are_named_as_people_name_them(names: list[str], releases: list[str]) -> None:
    assert [r.name for r in releases_asked(names)] == releases


@pytest.mark.parametrize("name", ["", "redis", "redis-7.9", "7.9", "dragonfly-1.0", "redis-x"])
def test_what_is_no_release_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        releases_asked([name])
