"""Small files with damage in them, and whether a server and rdbtool say the same of one."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from rdbtool.basics.crc64 import crc64
from rdbtool.errors import FormatError, RdbToolError
from rdbtool.findings import Severity
from rdbtool.inputs.detect import SNAPSHOT, open_detected
from rdbtool.inputs.filters import select
from rdbtool.inputs.replaying import replay
from rdbtool.inputs.selection import Selection
from rdbtool.model import Hash
from rdbtool.rdb.opcodes import VALKEY
from rdbtool.rdb.targets import loads_type
from rdbtool.rdb.types import TABLE
from rdbtool.servers.features import LONG_LINES
from rdbtool.servers.releases import Release, release_named
from rdbtool.tasks.check_aof import check_aof
from rdbtool.tasks.check_rdb import check_rdb
from rdbtool.tasks.digest import DigestReport, digest
from tests.aof.craft import FIXTURES as LOGS
from tests.aof.craft import command, damage
from tests.rdb.corpus import BROKEN, FIXTURES
from tests.rdb.craft import encode_length, record, string
from tests.rdb.mutation import SAMPLES, damaged
from tests.servers.harness import ServerKind
from tests.servers.loading import Outcome, load

SMALL: Final = 1500
"""Bytes of the largest file of the fixtures that is taken as it is."""
PATIENCE: Final = 5
"""Seconds after which a server does not come to an end."""
NO_NUMBER: Final = "a packed score that is no number: servers make one of it, we refuse it"
NO_ORDER: Final = "stream entries out of order: what the server finds of them depends on where it looks"
ODD_VERSION: Final = "a version in the header that is no number: servers take the digits it begins with, we refuse it"
NO_MEMORY: Final = "an argument of more bytes than the machine has: only a server built with jemalloc reserves them"
ENDLESS: Final = "an array with far indexes: DEBUG DIGEST takes a step for every index"
FIELDS_EXPIRE: Final = "fields of a hash that have expired: Redis drops them at some time after it has loaded them"
OF_MODULES: Final = "a value of a module, whose form and digest only the module knows"
LONG_LINE: Final = "a header line of 128 bytes or more: a replay takes it as servers since 7.0 do"
FAR: Final = 4_000_000_000_000
"""Milliseconds of a time that does not come."""
QUICK: Final = ("--crash-memcheck-enabled", "no")
"""A server that crashes does not test the memory of the machine first."""


@dataclass
class Answers:
    """What was asked of one server: how many files, how many of them it loads, the kinds of those of which the two may
    say different things, and the disagreements.
    """

    asked: int = 0
    loaded: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def excuse(self, kind: str) -> None:
        """Count a file of one of the kinds."""
        self.kinds[kind] = self.kinds.get(kind, 0) + 1


def snapshot(rng: random.Random, release: Release) -> bytes:
    """A sound snapshot that ``release`` loads: one of the fixtures, or some samples in a file of their own."""
    fixtures = _fixtures(release.name)
    if fixtures and rng.random() < 0.3:
        return rng.choice(fixtures).read_bytes()
    native = release.dialect == VALKEY and rng.random() < 0.6
    version = int(release.rdb_version) if native or release.dialect != VALKEY else 11
    dialect = VALKEY if native else 0
    out = (b"VALKEY%03d" if native else b"REDIS%04d") % version
    if rng.random() < 0.5:
        out += b"\xfa" + string(b"redis-ver") + string(b"6.0.0") + b"\xfa" + string(b"ctime") + b"\xc2\x00\x00\x00\x60"
    db = 0
    rows = [row for row in TABLE[dialect] if row is not None and row.name in SAMPLES and row.is_loaded(version)]
    rows = [row for row in rows if not row.name.startswith("module") and (not native or loads_type(release, row))]
    for n in range(rng.choice((1, 1, 1, 2, 3))):
        if n == 0 or rng.random() < 0.2:
            out += b"\xfe" + encode_length(db)
            db += 1
            if rng.random() < 0.5:
                out += b"\xfb\x03\x01"
        if rng.random() < 0.3:
            out += b"\xfc" + FAR.to_bytes(8, "little")
        if rng.random() < 0.2:
            out += rng.choice((b"\xf9\x07", b"\xf8\x20"))
        row = rng.choice(rows)
        out += record(row.byte, b"key%d" % n, rng.choice(SAMPLES[row.name]))
    out += b"\xff"
    return out + crc64(out).to_bytes(8, "little")


@cache
def _fixtures(release: str) -> list[Path]:
    found = []
    for path in sorted(FIXTURES.glob("*/*.rdb")):
        if path.parent.name in BROKEN or path.stat().st_size > SMALL:
            continue
        (told,) = check_rdb(str(path), releases=[release]).releases
        if told.loads:
            found.append(path)
    return found


def mended(data: bytes) -> bytes:
    """With the checksum that it needs, where its end is where an end should be."""
    return data[:-8] + crc64(data[:-8]).to_bytes(8, "little")


COMMANDS: Final = [
    ("SET", "a", "1"),
    ("SET", "b", "text", "PXAT", str(FAR)),
    ("INCR", "a"),
    ("APPEND", "b", "more"),
    ("SETRANGE", "b", "6", "xyz"),
    ("INCRBYFLOAT", "f", "3.25"),
    ("MSET", "c", "1", "d", "2"),
    ("DEL", "c"),
    ("PEXPIREAT", "d", str(FAR)),
    ("PERSIST", "d"),
    ("RENAME", "d", "e"),
    ("RPUSH", "l", "1", "two", "3"),
    ("LPUSH", "l", "zero"),
    ("LPOP", "l"),
    ("LREM", "l", "1", "two"),
    ("LINSERT", "l", "BEFORE", "3", "x"),
    ("LTRIM", "l", "0", "5"),
    ("SADD", "s", "1", "2", "3"),
    ("SADD", "t", "a", "b", "3"),
    ("SREM", "s", "2"),
    ("SMOVE", "s", "t", "1"),
    ("SUNIONSTORE", "u", "s", "t"),
    ("HSET", "h", "f", "v", "g", "1"),
    ("HINCRBY", "h", "g", "5"),
    ("HDEL", "h", "f"),
    ("ZADD", "z", "1.5", "a", "-inf", "b", "3", "c"),
    ("ZINCRBY", "z", "2", "a"),
    ("ZREM", "z", "c"),
    ("ZUNIONSTORE", "y", "2", "z", "s", "WEIGHTS", "2", "1"),
    ("ZREMRANGEBYSCORE", "y", "(1", "+inf"),
    ("GEOADD", "geo", "13.36", "38.11", "P"),
    ("PFADD", "p", "a", "b", "c"),
    ("SETBIT", "bits", "77", "1"),
    ("BITOP", "NOT", "bits2", "bits"),
    ("BITFIELD", "bits", "SET", "u8", "0", "200"),
    ("XADD", "x", "1-1", "f", "v"),
    ("XADD", "x", "MAXLEN", "=", "5", "2-1", "f", "w", "g", "x"),
    ("XDEL", "x", "1-1"),
    ("XGROUP", "CREATE", "x", "grp", "0"),
    ("XCLAIM", "x", "grp", "me", "0", "2-1", "TIME", "1600000000000", "RETRYCOUNT", "1", "FORCE", "JUSTID"),
    ("XACK", "x", "grp", "2-1"),
    ("XSETID", "x", "9-9"),
    ("COPY", "l", "l2"),
    ("MOVE", "t", "1"),
    ("SELECT", "1"),
    ("SELECT", "0"),
    ("SWAPDB", "0", "1"),
    ("FLUSHDB",),
    ("SORT", "s", "STORE", "sorted"),
    ("GETDEL", "f"),
    ("SETNX", "nx", "v"),
    ("PUBLISH", "channel", "m"),
]
"""As they stand in logs: none depends on chance or the present."""


def log(rng: random.Random, release: Release) -> bytes:
    """A sound log: one of the fixtures, or commands, some in transactions, some behind a snapshot."""
    if rng.random() < 0.15:
        return (LOGS / "truncated.aof").read_bytes()
    out = b""
    if rng.random() < 0.25:
        out = snapshot(rng, release)
        out = mended(out[:9] + b"\xfa" + string(b"aof-base") + b"\xc0\x01" + out[9:])
    left = 0
    for _ in range(rng.randrange(1, 25)):
        if not left and rng.random() < 0.08:
            out += command("MULTI")
            left = rng.randrange(1, 4)
        out += command(*rng.choice(COMMANDS))
        if left:
            left -= 1
            if not left:
                out += command("EXEC")
    return out + (command("EXEC") if left else b"")


def damaged_snapshot(rng: random.Random, release: Release) -> bytes:
    """A snapshot with damage; in half of them the checksum is that of what is there now."""
    data = damaged(rng, snapshot(rng, release))
    return mended(data) if rng.random() < 0.5 and len(data) > 17 else data


def damaged_log(rng: random.Random, release: Release) -> bytes:
    """A log with damage in its commands, or in the snapshot before them."""
    data = log(rng, release)
    if data[:5] in (b"REDIS", b"VALKE") and rng.random() < 0.5:
        head = data.find(b"\r\n") - 2
        head = head if head > 17 else len(data)
        front = damaged(rng, data[:head])
        return (mended(front) if rng.random() < 0.7 and len(front) > 17 else front) + data[head:]
    return damage(data, rng)


def is_odd_version(path: Path) -> bool:
    """Whether a snapshot's header has a version that is no number."""
    head = path.read_bytes()[:9]
    return head.startswith(b"REDIS") and not head[5:].isdigit()


def told_early(
    path: Path, outcome: Outcome, loads: bool | None, remarks: str, answers: Answers, *, lurking: bool
) -> str | None:
    """What is said of a file before its contents are compared; None where that has to be done. ``loads``: what we say;
    ``lurking``: that something is wrong in it.
    """
    if outcome.crashed and not lurking and _is_endless(path):
        answers.excuse(ENDLESS)
        return ""
    if outcome.crashed:
        answers.excuse("it loads what kills it, or has no end, when it is looked at")
        return "" if lurking else "it crashes or hangs, and we say that all is well"
    if loads is None:
        answers.excuse("cannot be told: " + remarks)
        return ""
    if outcome.loads and not loads and is_odd_version(path):
        answers.excuse(ODD_VERSION)
        return ""
    return None


def _is_endless(path: Path) -> bool:
    """Whether we say that a digest takes for ever."""
    try:
        digest(str(path))
    except RdbToolError as e:
        return "a step for every index" in e.message
    return False


def told_by_kind(path: Path, ours: DigestReport, release: Release) -> str:
    """Why the server's digest of a sound file may be another one than ours; "" where it may not."""
    if "module-digest" in ours.findings.counts:
        return OF_MODULES
    now = time.time_ns() // 1_000_000
    for _, _, cell in replay(str(path)).dataset.items():
        value = cell.value()
        if isinstance(value, Hash) and not release.valkey and any(ms < now for ms in (value.expiries or {}).values()):
            return FIELDS_EXPIRE
    return ""


def told_of_snapshot(kind: ServerKind, path: Path, outcome: Outcome, answers: Answers) -> str:
    """How our answers for a snapshot differ from the server's; "" if they do not."""
    report = check_rdb(str(path), releases=[kind.name])
    (told,) = report.releases
    lurking = report.findings.worst is Severity.ERROR
    early = told_early(path, outcome, told.loads, "; ".join(told.remarks)[:60], answers, lurking=lurking)
    if early is not None:
        return early
    if told.loads and not outcome.loads and "module-value" in report.findings.counts and "module data" in outcome.log:
        answers.excuse(OF_MODULES)
        return ""
    if told.loads != outcome.loads:
        if outcome.loads and "duplicate-field" in report.findings.counts and b"\x16" in path.read_bytes():
            answers.excuse("a field of Valkey's hash twice, once expired: it drops that first, we do not")
            return ""
        return f"loads: {outcome.loads}, and we say {told.loads} {told.reasons}\n{outcome.log[-1500:]}"
    if not outcome.loads:
        return ""
    try:
        ours = digest(str(path), release=release_named(kind.name), selection=select(expired=False))
    except FormatError as e:
        if "packed-score" in report.findings.counts:
            answers.excuse(NO_NUMBER)
            return ""
        if lurking:
            answers.excuse("damaged inside a value, where this server does not look")
            return ""
        return f"digest {outcome.digest}, and we refuse: {e}"
    except RdbToolError as e:
        return f"digest {outcome.digest}, and we refuse: {e}"
    if (ours.digest, ours.keys) == (outcome.digest, outcome.keys):
        return ""
    if lurking:
        answers.excuse("damaged inside a value, where this server does not look")
        return ""
    if "stream-order" in report.findings.counts:
        answers.excuse(NO_ORDER)
        return ""
    reason = told_by_kind(path, ours, release_named(kind.name))
    if reason:
        answers.excuse(reason)
        return ""
    return f"digest {outcome.digest}, and we say {ours.digest}; keys {outcome.keys} and {ours.keys}"


def told_of_log(kind: ServerKind, path: Path, outcome: Outcome, answers: Answers) -> str:
    """The same for a log, and for where the server cuts it."""
    report = check_aof(str(path), releases=[kind.name])
    (told,) = report.suitability
    lurking = report.findings.worst is Severity.ERROR
    early = told_early(path, outcome, told.loads, "; ".join(told.remarks)[-60:], answers, lurking=lurking)
    if early is not None:
        return early
    if told.loads and "OUT OF MEMORY" in outcome.log and "built without jemalloc" in " ".join(told.remarks):
        answers.excuse(NO_MEMORY)
        return ""
    if told.loads != outcome.loads:
        return f"loads: {outcome.loads}, and we say {told.loads} {told.reasons} {told.remarks}\n{outcome.log[-1500:]}"
    if not outcome.loads:
        return (
            ""
            if told.words.partition("\\")[0] in outcome.log
            else f"words {told.words!r}, and it says {outcome.log[-800:]}"
        )
    cut = told.cuts_at if told.cuts_at >= 0 else path.stat().st_size
    if cut != outcome.size:
        return f"cut at {outcome.size}, and we say {cut} {told.remarks}"
    whole = path.with_name("cut.aof")  # what the server has read
    whole.write_bytes(path.read_bytes()[: told.cuts_at] if told.cuts_at > 0 else path.read_bytes())
    found: list[str] = []
    for selection in (Selection(), select(expired=False)):
        try:
            ours = digest(str(whole), release=release_named(kind.name), selection=selection)
        except RdbToolError as e:
            if "packed-score" in report.findings.counts:
                answers.excuse(NO_NUMBER)
                return ""
            if lurking and isinstance(e, FormatError):
                answers.excuse("damaged inside a value, where this server does not look")
                return ""
            return f"digest {outcome.digest}, and we refuse: {e}"
        if (ours.digest, ours.keys) == (outcome.digest, outcome.keys):
            return ""
        with open_detected(str(whole)) as opened:
            if opened.kind == SNAPSHOT:
                answers.excuse("the snapshot in front no longer says that a log follows")
                return ""
        if "stream-order" in report.findings.counts:
            answers.excuse(NO_ORDER)
            return ""
        if report.files[0].long_line >= 0 and not release_named(kind.name).does(LONG_LINES):
            answers.excuse(LONG_LINE)
            return ""
        reason = told_by_kind(whole, ours, release_named(kind.name))
        if reason:
            answers.excuse(reason)
            return ""
        found.append(f"{ours.digest} of {ours.keys}")
    return f"digest {outcome.digest} of {outcome.keys} keys, and we say {found} {told.remarks}"


def ask(kind: ServerKind, directory: Path, suffix: str, first: int, count: int, seed: int) -> Answers:
    """Ask ``kind`` about ``count`` damaged files with that ending (``.rdb`` or ``.aof``), from number ``first`` on."""
    release = release_named(kind.name)
    answers = Answers()
    for number in range(first, first + count):
        rng = random.Random(f"{seed} {kind.name} {suffix} {number}")
        data = damaged_snapshot(rng, release) if suffix == ".rdb" else damaged_log(rng, release)
        ask_about(kind, directory / f"{number}{suffix}", data, answers)
    return answers


def ask_about(kind: ServerKind, path: Path, data: bytes, answers: Answers) -> None:
    """Ask ``kind`` about ``data``, a file that gets the name ``path`` meanwhile."""
    path.write_bytes(data)
    outcome = load(kind, path.parent / "server", path, *QUICK, patience=PATIENCE)
    shutil.rmtree(path.parent / "server")
    answers.asked += 1
    answers.loaded += outcome.loads
    difference = (told_of_snapshot if path.suffix == ".rdb" else told_of_log)(kind, path, outcome, answers)
    if difference:
        answers.wrong.append(f"{path.stem}: {data.hex()}\n    {difference}")
    path.unlink()
