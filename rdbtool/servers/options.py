"""THE table of options that are newer than their commands: which release has them, and where they stand.

Only what servers log counts: how they rewrite a command before they log it decides that. A release that lacks an option
answers the command with an error while it loads the log, and goes on (seen of Redis 6.2 and 7.0 and Valkey 9.1). Those
that it passes over without harm are not here: Redis 6.2 does not look at the NX, XX, GT or LT of a logged PEXPIREAT,
which took effect when it was logged, nor at the counters of XSETID, which its streams do not have.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from .commands import COMMANDS
from .features import (
    AGGREGATE_COUNT,
    ASYNCHRONOUS_FLUSH,
    DELETION_POLICIES,
    ENTRIES_READ,
    IDEMPOTENT_PRODUCERS,
    KEEP_EXPIRY,
    MORE_BIT_OPERATIONS,
    OPTIONS_OF_6_2,
    RESTORE_METADATA,
    SET_IF,
    SET_IF_EQUAL,
    Feature,
    feature_of,
)
from .releases import Release

THRESHOLD: Final[i64] = -1
"""In place of a number of words: one, and before it perhaps ``=`` or ``~``."""
LONGEST: Final = 16
"""No option has more letters."""


@final
class Option:
    """A word that may stand in a command, and how many belong to it; ``feature``: None where it is as old as the
    command.
    """

    def __init__(self, name: bytes, takes: i64 = 0, feature: Feature | None = None) -> None:
        self.name = name
        self.takes: i64 = takes
        self.feature = feature


@final
class CommandOptions:
    """The options of a command, which end at the first word that is none.

    ``command``: the name of its row; ``first``: the place of the first option among its words, or from their end where
    it is negative; ``plain``: how many words it has without any, 0 where it always has one.
    """

    def __init__(self, command: bytes, first: i64, plain: i64, words: list[Option]) -> None:
        self.command = command
        self.title = command.replace(b"|", b" ").decode("latin-1")
        self.first: i64 = first
        self.plain: i64 = plain
        self.least: i64 = -COMMANDS[command].arity
        self.words = words

    def __reduce__(self) -> tuple[object, ...]:
        return _of_command, (self.command,)  # what comes out of a pickle is the row itself

    def lacking(self, found: int, release: Release) -> list[str]:
        """Those of the options ``found``, a bit for each of ``words``, that the release does not have."""
        return [
            word.name.decode("latin-1")
            for i, word in enumerate(self.words)
            if found >> i & 1 and word.feature is not None and not release.does(word.feature)
        ]

    def is_whole_in(self, release: Release) -> bool:
        """Whether the release has all of them."""
        return not self.lacking((1 << len(self.words)) - 1, release)

    def among(self, args: list[bytes]) -> i64:
        """Which of them a command has: a bit for each of ``words``, without those that are as old as the command."""
        n: i64 = len(args)
        i = self.first if self.first >= 0 else n + self.first
        found: i64 = 0
        while 0 < i < n:
            name = args[i].upper()
            at: i64 = 0
            for word in self.words:
                if word.name == name:
                    break
                at += 1
            else:
                break
            if word.feature is not None:
                found |= 1 << at
            i += 1
            if word.takes == THRESHOLD:
                i += 2 if i < n and args[i] in {b"=", b"~"} else 1
            else:
                i += word.takes
        return found


def _trimming() -> list[Option]:
    policies = feature_of(DELETION_POLICIES)
    return [
        Option(b"MAXLEN", THRESHOLD),
        Option(b"MINID", THRESHOLD, OPTIONS_OF_6_2),
        Option(b"LIMIT", 1, OPTIONS_OF_6_2),
        *(Option(name, 0, policies) for name in (b"KEEPREF", b"DELREF", b"ACKED")),
    ]


def _old(*names: bytes) -> list[Option]:
    return [Option(name) for name in names]


def _all() -> list[CommandOptions]:
    set_ = [
        Option(b"PXAT", 1, OPTIONS_OF_6_2),
        *(Option(b"EX", 1), Option(b"PX", 1), *_old(b"NX", b"XX")),
        *(Option(b"KEEPTTL", 0, KEEP_EXPIRY), Option(b"EXAT", 1, OPTIONS_OF_6_2), Option(b"GET", 0, OPTIONS_OF_6_2)),
        Option(b"IFEQ", 1, SET_IF_EQUAL),
        *(Option(name, 1, SET_IF) for name in (b"IFNE", b"IFDEQ", b"IFDNE")),
    ]
    zadd = [*_old(b"NX", b"XX", b"CH", b"INCR"), Option(b"GT", 0, OPTIONS_OF_6_2), Option(b"LT", 0, OPTIONS_OF_6_2)]
    producers = feature_of(IDEMPOTENT_PRODUCERS)
    xadd = [
        *_trimming(),
        Option(b"NOMKSTREAM", 0, OPTIONS_OF_6_2),
        *(Option(b"IDMP", 2, producers), Option(b"IDMPAUTO", 1, producers)),
    ]
    flush = [Option(b"ASYNC", 0, ASYNCHRONOUS_FLUSH), Option(b"SYNC", 0, OPTIONS_OF_6_2)]
    restore = [
        Option(b"REPLACE"),
        Option(b"ABSTTL", 0, RESTORE_METADATA),
        *(Option(name, 1, RESTORE_METADATA) for name in (b"IDLETIME", b"FREQ")),
    ]
    operations = feature_of(MORE_BIT_OPERATIONS)
    aggregate = [Option(b"AGGREGATE"), Option(b"COUNT", 0, AGGREGATE_COUNT)]
    group = [Option(b"MKSTREAM"), Option(b"ENTRIESREAD", 1, ENTRIES_READ)]
    return [
        CommandOptions(b"SET", 3, 3, set_),
        CommandOptions(b"ZADD", 2, 4, zadd),
        CommandOptions(b"GEOADD", 2, 5, [Option(name, 0, OPTIONS_OF_6_2) for name in (b"NX", b"XX", b"CH")]),
        CommandOptions(b"XADD", 2, 5, xadd),
        CommandOptions(b"XTRIM", 2, 0, _trimming()),
        CommandOptions(b"XGROUP|CREATE", 5, 5, group),
        CommandOptions(b"XGROUP|SETID", 5, 5, group),
        CommandOptions(b"BITOP", 1, 0, [Option(name, 0, operations) for name in (b"DIFF", b"DIFF1", b"ANDOR", b"ONE")]),
        CommandOptions(b"RESTORE", 4, 4, restore),
        CommandOptions(b"FLUSHALL", 1, 1, flush),
        CommandOptions(b"FLUSHDB", 1, 1, flush),
        CommandOptions(b"ZUNIONSTORE", -2, 4, aggregate),
        CommandOptions(b"ZINTERSTORE", -2, 4, aggregate),
    ]


OPTIONS: Final[dict[bytes, CommandOptions]] = {options.command: options for options in _all()}
"""By the name of the command's row."""


def _of_command(name: bytes) -> CommandOptions:
    return OPTIONS[name]
