"""THE table of releases of Redis and Valkey: which RDB each writes, how it packs values, what it can do.

A new release is one row of `RELEASES`; what is new in it is a row of `features.FEATURES`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import UsageError, printable_text

from .features import BUILT_IN_MODULES, Feature, features_of
from .limits import Limits

REDIS: Final[i64] = 0
VALKEY: Final[i64] = 1
"""Dialects, by the magic a file begins with. The same byte can mean different things in each."""
DIALECT_NAMES: Final = ("redis", "valkey")
"""The names of the dialects, and of the products."""

CHECKSUM_SINCE: Final[i64] = 5
"""The first RDB version that ends with a checksum."""
UNCHECKED_DUMPS_SINCE: Final[i64] = 13
"""The RDB version of Redis 8.6, which takes 0 in a DUMP payload for no checksum, and writes that into its own logs."""
LAST_SHARED: Final[i64] = 11
"""The last RDB version that Redis and Valkey have in common; both write it with the magic of Redis.

Valkey counts on from 80 with its own magic, and refuses Redis' 12 to 79 unless told otherwise
(``rdb-version-check relaxed``).
"""
FIELDS_EXPIRE_SINCE: Final[i64] = 12
"""From this RDB version on, fields of Redis's hashes may expire."""
KEY_METADATA_SINCE: Final[i64] = 13
"""The first RDB version of Redis in which the opcode 243 is metadata of modules at a key."""
HASH_TEMPLATES_SINCE: Final[i64] = 15
"""The first RDB version of Redis in which the opcode 242 is a template of hashes."""
UPDATES_SINCE: Final[i64] = 81
"""The first RDB version of Valkey in which the opcode 242 is a command."""
FIRST_OF_VALKEY: Final[i64] = 80
"""The first RDB version of Valkey's own."""


@final
class Release:
    """A release of a server, such as Redis 7.0, with all its patches.

    ``product``: ``redis`` or ``valkey``, and ``valkey`` whether it is that; ``number``: ``7.0``; ``name``:
    ``redis-7.0``; ``version``: (major, minor); ``rdb_version``: what it writes, and the newest it loads; ``dialect``:
    of the files it writes; ``limits``: its default configuration; ``is_written``: whether snapshots can be written
    for it; ``features``: bits (`features`).
    """

    def __init__(
        self,
        product: str,
        version: tuple[int, int],
        rdb_version: int,
        dialect: int = REDIS,
        *,
        limits: Limits,
        is_written: bool = True,
    ) -> None:
        major, minor = version
        self.product = product
        self.valkey = product == DIALECT_NAMES[VALKEY]
        self.number = f"{major}.{minor}"
        self.name = f"{product}-{self.number}"
        self.version = version
        self.rdb_version: i64 = rdb_version
        self.dialect: i64 = dialect
        self.limits = limits
        self.is_written = is_written
        self.features: i64 = features_of(self.valkey, version)

    def __reduce__(self) -> tuple[object, ...]:
        return release_named, (self.name,)  # what comes out of a pickle is the release itself

    @property
    def title(self) -> str:
        """The name as prose has it: ``Redis 7.0``."""
        return f"{self.product.capitalize()} {self.number}"

    def has(self, feature: i64) -> bool:
        """Whether it has that feature, a constant of `features`."""
        return self.features & feature != 0

    def does(self, feature: Feature) -> bool:
        """Whether it has a feature without a bit."""
        return feature.is_in(self.valkey, self.version)

    def has_module(self, name: str) -> bool:
        """Whether that module type is part of it. Others it can load as well, where the module is installed."""
        return name in BUILT_IN_MODULES and self.has(BUILT_IN_MODULES[name])

    def loads(self, dialect: int, rdb_version: int) -> bool:
        """Whether it accepts the header of such a file."""
        if dialect == self.dialect:
            return rdb_version <= self.rdb_version
        return self.dialect == VALKEY and rdb_version <= LAST_SHARED


_ZIPMAPS: Final = Limits(hash_entries=64, hash_value=512, set_intset_entries=0, zset_entries=0, set_entries=0)
_ZIPLISTS: Final = Limits(zset_entries=0, set_entries=0)
_PACKED_ZSETS: Final = Limits(set_entries=0)
_PACKED_SETS: Final = Limits()
"""The default configurations, by what was new in them."""

RELEASES: Final = (
    Release("redis", (2, 0), 1, limits=_ZIPMAPS, is_written=False),
    Release("redis", (2, 2), 1, limits=_ZIPLISTS, is_written=False),
    Release("redis", (2, 4), 2, limits=_PACKED_ZSETS, is_written=False),
    Release("redis", (2, 6), 6, limits=_PACKED_ZSETS, is_written=False),
    Release("redis", (2, 8), 6, limits=_PACKED_ZSETS, is_written=False),
    Release("redis", (3, 0), 6, limits=_PACKED_ZSETS, is_written=False),
    Release("redis", (3, 2), 7, limits=_PACKED_ZSETS, is_written=False),
    Release("redis", (4, 0), 8, limits=_PACKED_ZSETS),
    Release("redis", (5, 0), 9, limits=_PACKED_ZSETS),
    Release("redis", (6, 0), 9, limits=_PACKED_ZSETS),
    Release("redis", (6, 2), 9, limits=_PACKED_ZSETS),
    Release("redis", (7, 0), 10, limits=_PACKED_ZSETS),
    Release("redis", (7, 2), 11, limits=_PACKED_SETS),
    Release("redis", (7, 4), 12, limits=_PACKED_SETS),
    Release("redis", (8, 0), 12, limits=_PACKED_SETS),
    Release("redis", (8, 2), 12, limits=_PACKED_SETS),
    Release("redis", (8, 4), 12, limits=_PACKED_SETS),
    Release("redis", (8, 6), 13, limits=_PACKED_SETS),
    Release("redis", (8, 8), 14, limits=_PACKED_SETS),
    Release("redis", (8, 10), 15, limits=_PACKED_SETS),
    Release("valkey", (7, 2), 11, limits=_PACKED_SETS),
    Release("valkey", (8, 0), 11, limits=_PACKED_SETS),
    Release("valkey", (8, 1), 11, limits=_PACKED_SETS),
    Release("valkey", (9, 0), 80, VALKEY, limits=_PACKED_SETS),
    Release("valkey", (9, 1), 80, VALKEY, limits=_PACKED_SETS),
    Release("valkey", (9, 2), 81, VALKEY, limits=_PACKED_SETS),
)
"""Oldest first, by product. The RDB versions of Redis 8.8 and Valkey 9.2 are from release notes and sources."""


def _newest_read(dialect: int) -> int:
    """The newest RDB version of a dialect that some release writes."""
    return max(int(r.rdb_version) for r in RELEASES if r.dialect == dialect)


MAX_RDB_VERSION: Final = (_newest_read(REDIS), _newest_read(VALKEY))
"""The newest RDB version that is read, by dialect."""


def oldest_with(feature: i64) -> Release:
    """The first release of the table, of Redis if it ever had it, with that feature."""
    return next(r for r in RELEASES if r.has(feature))


def oldest_doing(feature: Feature) -> Release:
    """The same for a feature without a bit."""
    return next(r for r in RELEASES if r.does(feature))


def newest(product: str, *, without: i64 = 0) -> Release:
    """The newest release of a product that snapshots can be written for, and that lacks the feature ``without``."""
    return [r for r in RELEASES if r.product == product and r.is_written and not r.has(without)][-1]


def written_span() -> str:
    """What snapshots can be written for, as prose: from the oldest to the newest release of each product."""
    spans = []
    for product in DIALECT_NAMES:
        names = [r.name for r in RELEASES if r.product == product and r.is_written]
        spans.append(f"{names[0]} to {names[-1]}")
    return ", ".join(spans)


NEWEST: Final = newest(DIALECT_NAMES[REDIS])
"""The release that is followed where nothing tells the server."""

SHARED: Final = next(r for r in RELEASES if r.rdb_version == LAST_SHARED)
"""The release to write for where any server may be the reader: the newest snapshot that both products load."""


def find_release(name: str) -> Release | None:
    """The one release that a name stands for, as `releases_asked` has them; None for what is no name of one.

    One that the table does not have is like the one before it, but for the features that came between them. Raises
    `UsageError` for a number alone that both products have.
    """
    asked = _asked(name.strip().lower())
    if len(asked) > 1:
        raise UsageError(f"'{printable_text(name)}' may be {' or '.join(asked)}: say which")
    if asked:
        return next(r for r in RELEASES if r.name == asked[0])
    product, _, number = name.strip().lower().partition("-")
    version = _version_of(number)
    return None if version is None or product not in DIALECT_NAMES else _release(product, version)


def release_named(name: str, *, listed: bool = False) -> Release:
    """The same; ``listed``: only one of the table will do. Raises `UsageError`, which lists those of the table."""
    release = find_release(name)
    if release is None or (listed and release not in RELEASES):
        raise UsageError(f"unknown release '{name}'; known are {', '.join(r.name for r in RELEASES)}")
    return release


ALL: Final = "all"
"""In place of a name: every release of the table."""


def release_of(name: str | Release) -> Release:
    """The release itself, or the one of that name. Raises `UsageError` as `release_named` does."""
    return name if isinstance(name, Release) else release_named(name)


def releases_asked(names: Iterable[str | Release]) -> tuple[Release, ...]:
    """The releases that names stand for, in the order of the table, each once, behind those that are releases already.

    A single name may stand for itself. A name is one of a release, as ``redis-7.0``; with a patch number, as
    ``redis-7.0.15``; a major version alone, as ``redis-7``, is its newest release; a number alone, as ``7.0``, is that
    of either product; `ALL` are all. Raises `UsageError`.
    """
    asked: set[str] = set()
    given: list[Release] = []
    for name in [names] if isinstance(names, str) else names:
        if isinstance(name, Release):
            given.append(name)
            continue
        bare = name.strip().lower()
        found = [r.name for r in RELEASES] if bare == ALL else _asked(bare)
        if not found:
            known = ", ".join(r.name for r in RELEASES)
            raise UsageError(f"unknown release '{printable_text(name)}'; known are {known}, and {ALL}")
        asked.update(found)
    return (*given, *(r for r in RELEASES if r.name in asked))


def _asked(name: str) -> list[str]:
    """The names in the table of the releases that a name stands for."""
    product, dash, number = name.rpartition("-")
    version = _version_of(number)
    if version is None or (dash and product not in DIALECT_NAMES):
        return []
    of_product = [r for r in RELEASES if product in {"", r.product}]
    if "." in number:
        return [r.name for r in of_product if r.version == version]
    majors = {r.product: r.name for r in of_product if r.version[0] == version[0]}
    return list(majors.values())


def newest_of_each() -> tuple[Release, ...]:
    """The newest release of each product, whether or not snapshots are written for it."""
    return tuple({r.product: r for r in RELEASES}.values())


def writer_of(aux: dict[bytes, bytes]) -> Release | None:
    """The release that wrote a snapshot with these auxiliary fields; None where they do not say.

    A development build, whose version is 255.255.255, is taken for the newest release of its product.
    """
    product = DIALECT_NAMES[VALKEY if b"valkey-ver" in aux else REDIS]
    version = _version_of(aux.get(f"{product}-ver".encode(), b"").decode("latin-1"))
    if version is None:
        return None
    return newest(product) if version[0] == 255 else _release(product, version)


def _release(product: str, version: tuple[int, int]) -> Release:
    """The release of that version: of the table, or like the one before it there."""
    of_product = [r for r in RELEASES if r.product == product]
    like = of_product[0]
    for release in of_product:
        if release.version == version:
            return release
        if release.version < version:
            like = release
    return Release(product, version, like.rdb_version, like.dialect, limits=like.limits, is_written=False)


def _version_of(text: str) -> tuple[int, int] | None:
    """``7.0.15`` as (7, 0); None for what is no version."""
    major, dot, rest = text.partition(".")
    minor = rest.partition(".")[0] if dot else "0"
    if not _is_number(major) or not _is_number(minor):
        return None
    return int(major), int(minor)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 5
