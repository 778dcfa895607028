"""What releases differ in: each feature has a name, and one row of `FEATURES` says which releases have it.

A feature is one bit, and a release keeps those it has as one number: `Release.has` costs no more than the
comparison of two numbers. Where another source is not named, the rows are from the servers' release notes and
sources, and the differential tests confirm those of the releases that run there.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

# What a snapshot holds.

CHECKSUMS: Final[i64] = 1 << 0
"""A snapshot ends with a checksum."""
STREAMS: Final[i64] = 1 << 1
ACCESS_TIMES: Final[i64] = 1 << 2
"""A snapshot tells how long a key has been idle, or how often it is used."""
MODULE_AUX: Final[i64] = 1 << 3
"""A snapshot holds what modules keep beside keys."""
LISTPACKS: Final[i64] = 1 << 4
"""Small hashes and sorted sets, and the nodes of lists, are listpacks and not ziplists."""
FUNCTIONS: Final[i64] = 1 << 5
PRE_RELEASE_FUNCTIONS: Final[i64] = 1 << 6
"""Function libraries as the release candidates of Redis 7.0 wrote them are loaded."""
STREAM_COUNTERS: Final[i64] = 1 << 7
"""A stream counts the entries ever added and knows the greatest deleted id, a group the entries it has read."""
SMALL_LISTPACKS: Final[i64] = 1 << 8
"""Small lists and sets are single listpacks."""
ACTIVE_TIMES: Final[i64] = 1 << 9
"""A consumer has, besides the time when it was last seen, one when it last got an entry."""
SHORTEST_SCORES: Final[i64] = 1 << 10
"""Scores are printed as the shortest text that stands for the double, and not with 17 digits."""
FIELD_EXPIRIES: Final[i64] = 1 << 11
"""Fields of hashes can expire."""
PLAIN_NODES: Final[i64] = 1 << 12
"""An element of a list that is longer than a node has one of its own; before, only one of 1 GiB or more."""
SLOT_INFO: Final[i64] = 1 << 13
"""A snapshot tells how many keys a slot of a cluster holds."""
SLOT_IMPORTS: Final[i64] = 1 << 14
"""A snapshot tells which slots are just being imported."""
CHECKS_SLOT_COUNTS: Final[i64] = 1 << 61
"""A field ``slot-info`` must hold three numbers, in a cluster or not (seen of Valkey 9.1)."""
VECTOR_SETS: Final[i64] = 1 << 15
KEY_METADATA: Final[i64] = 1 << 16
"""Modules can attach data to keys of any type."""
IDEMPOTENT_PRODUCERS: Final[i64] = 1 << 17
"""XADD takes IDMP and IDMPAUTO, and a stream keeps which messages it has got."""

MULTI_PART_LOGS: Final[i64] = 1 << 56
"""A log is a directory of files that a manifest names."""

# What loading a snapshot looks at.

LOOKS_INTO_VALUES: Final[i64] = 1 << 18
"""Packed values are looked at while loading, at least at their headers."""
CHECKS_ZIPLISTS_AND_STREAMS: Final[i64] = 1 << 19
"""Ziplists that are converted, and the counts and consumers of streams, are checked whatever the configuration."""
RELAXED_VERSION_CHECK: Final[i64] = 1 << 20
"""``rdb-version-check relaxed`` makes the server try snapshots of versions that it does not know."""
CHECKS_STREAM_COUNTERS: Final[i64] = 1 << 60
"""The counters of a stream and its groups must agree with its entries (redis#15124 and redis#15308), and the first
element of its nodes is checked (seen of Redis 8.10.2; 8.6.2 does not look at it).
"""
ALWAYS_SANITIZES: Final[i64] = 1 << 21
"""All of a packed value is checked whatever ``sanitize-dump-payload`` says."""

# How values are kept in memory, and what OBJECT ENCODING says.

PACKED_VALUES: Final[i64] = 1 << 22
"""Lists, sets and sorted sets have more than one encoding; before, only hashes and strings had."""
ZIPLIST_HASHES: Final[i64] = 1 << 23
"""Small hashes are ziplists and not zipmaps."""
EMBEDDED_STRINGS: Final[i64] = 1 << 24
"""A short string shares its allocation with its object."""
EMBEDDED_STRINGS_44: Final[i64] = 1 << 25
"""Strings of up to 44 bytes do, and not 39."""
QUICKLISTS: Final[i64] = 1 << 26
STREAM_ENCODING: Final[i64] = 1 << 27
"""OBJECT ENCODING has a name for streams."""
EMBEDDED_KEYS: Final[i64] = 1 << 28
"""A short string shares its allocation with its key as well."""
EMBEDDED_128: Final[i64] = 1 << 29
"""That allocation may have 128 bytes, and not 64."""
SMALL_OBJECT_HEADERS: Final[i64] = 1 << 30
"""The header of an object has 8 bytes, and not 16, where the value is embedded."""
INTEGER_SCORES: Final[i64] = 1 << 31
"""A packed sorted set keeps whole scores as integers, which have no negative zero."""
SIZE_HINTS: Final[i64] = 1 << 32
"""The number of arguments of a command that adds elements is a hint of the size to come."""
ZADD_LOOKS_AT_ALL_LENGTHS: Final[i64] = 1 << 33
"""ZADD chooses the encoding by the longest member it brings, and not by the first."""
HASH_LENGTHS_WHEN_SET: Final[i64] = 1 << 34
"""The lengths of a field and its value count when it is set. Before, HSET and HSETNX looked at them before all
else, and HINCRBY and HINCRBYFLOAT not at all."""

# What scripts see.

SORTED_SCRIPT_REPLIES: Final[i64] = 1 << 57
"""Replies of sets and of names come sorted, for the scripts themselves go to replicas."""
NEWER_SCRIPTS: Final[i64] = 1 << 58
"""Errors of `redis.call` are tables, a first line may begin with #!, and random numbers are not the same each time."""
VALKEY_SCRIPTS: Final[i64] = 1 << 59
"""`redis` is called `server` too."""

# What commands do.

NEWER_ERRORS: Final[i64] = 1 << 35
"""Error replies are worded as since Redis 7.0."""
CHECKS_COUNTS: Final[i64] = 1 << 36
"""ZPOPMIN and ZPOPMAX refuse a negative count; before, it meant none."""
CHECKS_DECREMENT: Final[i64] = 1 << 37
"""DECRBY refuses the lowest integer, which has no negation."""
UNITS_IN_ANY_CASE: Final[i64] = 1 << 38
"""Geo commands take units in upper case."""
SEARCH_COVERS_BOX: Final[i64] = 1 << 39
"""The cells that a geo search looks into must cover the bounding box (Redis 6.2.7)."""
MERIDIAN_DISTANCE: Final[i64] = 1 << 40
"""The distance of two points on one meridian is computed from their latitudes alone."""
NAMES_MISSING_MEMBER: Final[i64] = 1 << 41
"""Geo searches say which member it is that does not exist."""
FAST_FLOAT: Final[i64] = 1 << 42
"""Doubles are read by fast_float; before, by C's strtod, which takes hexadecimal digits and spaces in front."""
NEGATIVE_OFFSETS: Final[i64] = 1 << 43
"""A negative offset of LIMIT counts from the far end of the range, in a skiplist."""
GETEX_READS_TIME_FIRST: Final[i64] = 1 << 44
"""GETEX checks the time before it looks for the key."""
MORE_BIT_OPERATIONS: Final[i64] = 1 << 45
"""BITOP takes DIFF, DIFF1, ANDOR and ONE."""
PARTIAL_IDS: Final[i64] = 1 << 46
"""XADD takes ``ms-*``."""
XSETID_READS_ID_FIRST: Final[i64] = 1 << 47
"""XSETID checks its arguments before it looks for the key."""
XSETID_CHECKS_DELETED: Final[i64] = 1 << 48
"""XSETID refuses an id that is smaller than the greatest deleted one."""
DELETION_POLICIES: Final[i64] = 1 << 49
"""XADD and XTRIM take KEEPREF, DELREF and ACKED."""
POLICIES_TRIM_EXACTLY: Final[i64] = 1 << 50
"""With a policy that looks at groups, ``~`` means nothing (seen of Redis 8.6.2); before, it kept all nodes (8.2.3)."""
CLAIMS_DROP_DELETED: Final[i64] = 1 << 51
"""Claiming an entry that is no longer there drops it from what is pending."""
CLAIMS_CREATE_CONSUMERS: Final[i64] = 1 << 52
"""XCLAIM, XAUTOCLAIM and XREADGROUP create the consumer even if it gets nothing."""
COUNTS_FROM_LAST_READ: Final[i64] = 1 << 53
"""A group's count of entries read is sure where nothing was deleted behind the last entry that it has read."""
CAPS_ENTRIES_READ: Final[i64] = 1 << 54
"""A group cannot be said to have read more entries than were added."""
LAST_ENTRY_ID: Final[i64] = 1 << 55
"""XREAD takes ``+`` for the last entry, so XREADGROUP says why it does not."""


@final
class Feature:
    """A feature, and the releases that have it.

    ``bit``: one of the constants above, 0 for a feature that `Release.has` is not asked for; ``redis``, ``valkey``: the
    first release of the product with it, as major and minor version, None if there is none; ``redis_until``: the first
    release of Redis that has it no longer.
    """

    def __init__(
        self,
        bit: i64,
        *,
        redis: tuple[int, int] | None = None,
        redis_until: tuple[int, int] | None = None,
        valkey: tuple[int, int] | None = None,
    ) -> None:
        self.bit: i64 = bit
        self.redis = redis
        self.redis_until = redis_until
        self.valkey = valkey

    def is_in(self, valkey: bool, version: tuple[int, int]) -> bool:
        """Whether that release of Redis, or of Valkey, has it."""
        since = self.valkey if valkey else self.redis
        if since is None or version < since:
            return False
        return valkey or self.redis_until is None or version < self.redis_until


FIRST_VALKEY: Final = (7, 2)
"""The first release of Valkey, which has what Redis 7.2 had."""

FEATURES: Final = (
    Feature(PACKED_VALUES, redis=(2, 2), valkey=FIRST_VALKEY),
    Feature(CHECKSUMS, redis=(2, 6), valkey=FIRST_VALKEY),
    Feature(ZIPLIST_HASHES, redis=(2, 6), valkey=FIRST_VALKEY),
    Feature(EMBEDDED_STRINGS, redis=(3, 0), valkey=FIRST_VALKEY),
    Feature(EMBEDDED_STRINGS_44, redis=(3, 2), valkey=FIRST_VALKEY),
    Feature(QUICKLISTS, redis=(3, 2), valkey=FIRST_VALKEY),
    Feature(STREAMS, redis=(5, 0), valkey=FIRST_VALKEY),
    Feature(ACCESS_TIMES, redis=(5, 0), valkey=FIRST_VALKEY),
    Feature(MODULE_AUX, redis=(5, 0), valkey=FIRST_VALKEY),
    Feature(STREAM_ENCODING, redis=(6, 0), valkey=FIRST_VALKEY),
    Feature(LOOKS_INTO_VALUES, redis=(6, 2), valkey=FIRST_VALKEY),
    Feature(SEARCH_COVERS_BOX, redis=(6, 2), valkey=FIRST_VALKEY),
    Feature(LISTPACKS, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(MULTI_PART_LOGS, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(FUNCTIONS, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(PRE_RELEASE_FUNCTIONS, redis=(7, 0), redis_until=(7, 2)),
    Feature(STREAM_COUNTERS, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(CHECKS_ZIPLISTS_AND_STREAMS, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(INTEGER_SCORES, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(HASH_LENGTHS_WHEN_SET, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(SORTED_SCRIPT_REPLIES, redis=(2, 6), redis_until=(5, 0)),
    Feature(NEWER_SCRIPTS, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(VALKEY_SCRIPTS, valkey=(8, 0)),
    Feature(CHECKS_SLOT_COUNTS, valkey=(8, 0)),
    Feature(NEWER_ERRORS, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(CHECKS_COUNTS, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(CHECKS_DECREMENT, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(UNITS_IN_ANY_CASE, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(PARTIAL_IDS, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(XSETID_READS_ID_FIRST, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(CLAIMS_DROP_DELETED, redis=(7, 0), valkey=FIRST_VALKEY),
    Feature(SMALL_LISTPACKS, redis=(7, 2), valkey=FIRST_VALKEY),
    Feature(ACTIVE_TIMES, redis=(7, 2), valkey=FIRST_VALKEY),
    Feature(SHORTEST_SCORES, redis=(7, 2), valkey=FIRST_VALKEY),
    Feature(SIZE_HINTS, redis=(7, 2), valkey=FIRST_VALKEY),
    Feature(MERIDIAN_DISTANCE, redis=(7, 2), valkey=FIRST_VALKEY),
    Feature(XSETID_CHECKS_DELETED, redis=(7, 2), valkey=FIRST_VALKEY),
    Feature(CLAIMS_CREATE_CONSUMERS, redis=(7, 2), valkey=FIRST_VALKEY),
    Feature(FIELD_EXPIRIES, redis=(7, 4), valkey=(9, 0)),
    Feature(PLAIN_NODES, redis=(7, 4), valkey=(8, 0)),
    Feature(LAST_ENTRY_ID, redis=(7, 4), valkey=(8, 0)),
    Feature(NEGATIVE_OFFSETS, redis=(7, 4), redis_until=(8, 2), valkey=(8, 0)),
    Feature(SLOT_INFO, redis=(7, 4)),
    Feature(VECTOR_SETS, redis=(8, 0)),
    Feature(FAST_FLOAT, redis=(8, 0), valkey=(9, 0)),
    Feature(COUNTS_FROM_LAST_READ, redis=(8, 0), valkey=(8, 1)),
    Feature(EMBEDDED_KEYS, redis=(8, 2), valkey=(8, 1)),
    Feature(MORE_BIT_OPERATIONS, redis=(8, 2)),
    Feature(DELETION_POLICIES, redis=(8, 2)),
    Feature(CAPS_ENTRIES_READ, redis=(8, 2)),
    Feature(POLICIES_TRIM_EXACTLY, redis=(8, 4)),
    Feature(IDEMPOTENT_PRODUCERS, redis=(8, 6)),
    Feature(KEY_METADATA, redis=(8, 6)),
    Feature(CHECKS_STREAM_COUNTERS, redis=(8, 10)),
    Feature(ZADD_LOOKS_AT_ALL_LENGTHS, valkey=(8, 1)),
    Feature(RELAXED_VERSION_CHECK, valkey=(8, 1)),
    Feature(SLOT_IMPORTS, valkey=(9, 0)),
    Feature(EMBEDDED_128, valkey=(9, 0)),
    Feature(GETEX_READS_TIME_FIRST, valkey=(9, 0)),
    Feature(NAMES_MISSING_MEMBER, valkey=(9, 0)),
    Feature(SMALL_OBJECT_HEADERS, valkey=(9, 1)),
    Feature(ALWAYS_SANITIZES, valkey=(9, 1)),
)
"""THE table of what releases differ in, in the order in which Redis got it, and then what only Valkey has."""

# Types. These are looked up once a file, so they need no bit.

ARRAYS: Final = Feature(0, redis=(8, 8))
HASH_TEMPLATES: Final = Feature(0, redis=(8, 10))
"""Hashes can share the names of their fields."""
RELEASED_ENTRIES: Final = Feature(0, redis=(8, 8))
"""XNACK gives pending entries of a stream back, which nobody owns then."""
SLOT_COUNTS_PASSED: Final = Feature(0, redis=(7, 4), valkey=(8, 0))
"""Opcode 244, the keys of a slot, is known: Redis 6.2 and 7.0 refuse it, Valkey 9.1 passes it in every file."""
PATH_HASHES: Final = Feature(0, valkey=(9, 2))
LZ4_SNAPSHOTS: Final = Feature(0, valkey=(9, 2))
"""A whole snapshot can be compressed (``rdbcompression lz4``)."""

# What options commands take (`options`). These are looked up once a file, so they need no bit.

AGGREGATE_COUNT: Final = Feature(0, redis=(8, 8))
"""ZUNIONSTORE and its kin take AGGREGATE COUNT."""
ASYNCHRONOUS_FLUSH: Final = Feature(0, redis=(4, 0), valkey=FIRST_VALKEY)
RESTORE_METADATA: Final = Feature(0, redis=(5, 0), valkey=FIRST_VALKEY)
"""RESTORE takes ABSTTL, IDLETIME and FREQ."""
KEEP_EXPIRY: Final = Feature(0, redis=(6, 0), valkey=FIRST_VALKEY)
"""SET takes KEEPTTL."""
OPTIONS_OF_6_2: Final = Feature(0, redis=(6, 2), valkey=FIRST_VALKEY)
"""SET takes GET, EXAT and PXAT, ZADD GT and LT, GEOADD NX, XX and CH, XADD NOMKSTREAM and MINID, FLUSHALL SYNC."""
ENTRIES_READ: Final = Feature(0, redis=(7, 0), valkey=FIRST_VALKEY)
"""XGROUP takes ENTRIESREAD."""
SET_IF_EQUAL: Final = Feature(0, redis=(8, 4), valkey=(8, 1))
"""SET takes IFEQ."""
SET_IF_NOT_EQUAL: Final = Feature(0, redis=(8, 4), valkey=(9, 2))
"""SET takes IFNE."""
SET_IF_DIGEST: Final = Feature(0, redis=(8, 4))
"""SET takes IFDEQ and IFDNE."""
POP_COUNT: Final = Feature(0, redis=(6, 2), valkey=FIRST_VALKEY)
"""LPOP and RPOP take a count; before, what stood there was not looked at in a log."""
MOVE_REPLACES: Final = Feature(0, valkey=(9, 2))
"""MOVE takes REPLACE; before, it was not looked at in a log, or made it a bad one (`CHECKS_ARITY_IN_LOG`)."""
SEARCH_ANY: Final = Feature(0, redis=(6, 2), valkey=FIRST_VALKEY)
"""The COUNT of GEORADIUS takes ANY."""
SEARCH_POLYGON: Final = Feature(0, valkey=(9, 0))
"""GEOSEARCH and GEOSEARCHSTORE take BYPOLYGON."""

SCATTERED_TABLES: Final = Feature(0, valkey=(9, 0))
"""The keys of a table of Lua are in another order than in any other Lua 5.1 (seen of Valkey 9.0 and 9.1)."""

# What loading a log does. These are looked up once a file, so they need no bit.

LOG_SNAPSHOTS: Final = Feature(0, redis=(4, 0), valkey=FIRST_VALKEY)
"""A log may begin with a snapshot."""
LOG_ANNOTATIONS: Final = Feature(0, redis=(7, 0), valkey=FIRST_VALKEY)
"""Lines that begin with # are passed; before, they made the file a bad one."""
LONG_LINES: Final = Feature(0, redis=(7, 0), valkey=FIRST_VALKEY)
"""Header lines of a log are read 1,023 bytes at once; before, 127. What is longer is taken for what follows."""
LOOKS_UP_SUBCOMMANDS: Final = Feature(0, redis=(7, 0), valkey=FIRST_VALKEY)
"""A subcommand that is not there is an unknown command; before, an error that is logged."""
SCRIPT_ERRORS_CRASH: Final = Feature(0, redis=(7, 0), valkey=FIRST_VALKEY)
"""A command that fails in a script crashes a server that loads its log (seen of Redis 7.0 and Valkey 9.1)."""
CHECKS_ARITY_IN_LOG: Final = Feature(0, valkey=(8, 1))
"""A command with too few or too many words makes the log a bad one; before, it was run, to an error or a crash."""
CUTS_TO_WHOLE_STATE: Final = Feature(0, valkey=(9, 1))
"""A log that ends within a command is cut so that what is left is whole: behind the snapshot it begins with, before an
open MULTI. Without it (seen of Redis 6.2 to 8.10 and Valkey 8.1), where no command follows the snapshot it is cut to
nothing, snapshot and all, and within a transaction behind its last whole command, so that MULTI stays open.
"""
CUTS_CORRUPT_TAIL: Final = Feature(0, redis=(8, 4))
"""``aof-load-corrupt-tail-max-size`` makes the server cut damage at the end of a log by itself."""

BUILT_IN_MODULES: Final[dict[str, i64]] = {"vectorset": VECTOR_SETS}
"""Module types that need no module, and the feature that a release with them has."""


def feature_of(bit: i64) -> Feature:
    """The row of a feature with a bit."""
    return next(feature for feature in FEATURES if feature.bit == bit)


def features_of(valkey: bool, version: tuple[int, int]) -> i64:
    """The bits of all features of a release."""
    bits: i64 = 0
    for feature in FEATURES:
        if feature.is_in(valkey, version):
            bits |= feature.bit
    return bits
