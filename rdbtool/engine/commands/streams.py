"""Stream commands that deal with entries."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.engine.cells.stream import ACKED, DELREF, KEEPREF, StreamCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import integer, integer_between
from rdbtool.engine.replies import NO_SUCH_KEY, OK, CommandError, syntax_error, wrong_arity
from rdbtool.engine.stream_ids import INVALID_ID, LAST, SEQUENCE, parse, parse_end, parse_start, text_of
from rdbtool.engine.table import handles
from rdbtool.engine.trimming import POLICIES, Trim
from rdbtool.rdb.layout.producers import LONGEST_S, MOST_KEPT
from rdbtool.rdb.values.idempotence import Idempotence
from rdbtool.servers.features import IDEMPOTENT_PRODUCERS, PARTIAL_IDS, XSETID_CHECKS_DELETED, XSETID_READS_ID_FIRST

I64_MAX: Final = 0x7FFFFFFFFFFFFFFF
TOO_SMALL: Final = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
ZERO_ID: Final = "ERR The ID specified in XADD must be greater than 0-0"
EXHAUSTED: Final = "ERR The stream has exhausted the last possible ID, unable to add more items"


@handles(b"XADD")
def xadd(dataset: Dataset, args: list[bytes]) -> object:
    release = dataset.release
    trim = Trim()
    create = True
    producer: bytes | None = None
    message: bytes | None = None
    argc: i64 = len(args)
    i: i64 = 2
    while i < argc:
        if args[i] == b"*":
            break
        after = trim.option(args, i, release)
        if after != i:
            i = after
            continue
        option = args[i].upper() if len(args[i]) <= 10 else b""
        if option == b"NOMKSTREAM":
            create = False
            i += 1
        elif option == b"IDMP" and i + 2 < argc and _is_idempotent(dataset):
            _check_producer(producer, option, args[i + 1])
            producer, message = args[i + 1], args[i + 2]
            if not message:
                raise CommandError("ERR syntax error, IDMP requires a non-empty idempotent ID")
            i += 3
        elif option == b"IDMPAUTO" and i + 1 < argc and _is_idempotent(dataset):
            _check_producer(producer, option, args[i + 1])
            producer, message = args[i + 1], None
            i += 2
        else:
            break
    if i >= argc:
        trim.check(release, True)
        raise wrong_arity(b"xadd")
    given = args[i]
    entry = 0
    sequence_given = True
    if given != b"*":
        if given[-2:] == b"-*" and release.has(PARTIAL_IDS):
            entry = parse(given[:-2])
            sequence_given = False
            if b"-" in given[:-2]:
                raise CommandError(INVALID_ID)
        else:
            entry = parse(given)
    trim.check(release, True)
    i += 1
    if argc - i < 2 or (argc - i) % 2:
        raise wrong_arity(b"xadd")
    if not entry and given != b"*" and sequence_given:
        raise CommandError(ZERO_ID)
    cell = dataset.stream(args[1])
    if cell is None:
        if not create:
            return None
        cell = StreamCell()
    items = args[i:]
    if producer is not None:
        if message is None:
            message = _message_of(items)
        known = _idempotence(cell).find(producer, message)
        if known is not None:
            _idempotence(cell).duplicates += 1
            return text_of(known)
    last = cell.last_id
    if last == LAST:
        raise CommandError(EXHAUSTED)
    if given == b"*":
        dataset.relative += 1
        entry = int(dataset.now_ms) << 64
        if entry >> 64 <= last >> 64:
            entry = last + 1
    elif not sequence_given and entry >> 64 == last >> 64:
        if last & SEQUENCE == SEQUENCE:
            raise CommandError(TOO_SMALL)
        entry = last + 1
    if entry <= last:
        raise CommandError(TOO_SMALL)
    if cell.last_id == 0 and args[1] not in dataset.keys:
        dataset.put(args[1], cell)
    cell.append(entry, items, dataset.scratch)
    if producer is not None and message is not None:
        _idempotence(cell).remember(producer, message, entry)
    dataset.dirty += 1
    trim.apply(cell)
    return given if sequence_given and _has_sequence(given) else text_of(entry)


def _has_sequence(entry: bytes) -> bool:
    """Whether an id is written with its sequence number."""
    # compiled, `in` makes an exception and drops it
    i: i64 = len(entry) - 1
    while i > 0 and entry[i] != 45:
        i -= 1
    return i > 0


def _check_producer(before: bytes | None, option: bytes, producer: bytes) -> None:
    if before is not None:
        raise CommandError("ERR syntax error, IDMP/IDMPAUTO specified multiple times")
    if not producer:
        raise CommandError(f"ERR syntax error, {option.decode()} requires a non-empty producer ID")


def _message_of(items: list[bytes]) -> bytes:
    """What IDMPAUTO takes for the name of a message with these fields and values, in any order."""
    from xxhash import xxh3_128_intdigest  # loaded where it is needed, which is rare

    low_sum = high_sum = low_xor = high_xor = 0
    for field, value in zip(items[::2], items[1::2], strict=True):
        digest: int = xxh3_128_intdigest(field + len(field).to_bytes(8, "little") + value)
        low, high = digest & SEQUENCE, digest >> 64
        low_sum += low
        high_sum += high
        low_xor ^= low
        high_xor ^= high
    low = (low_sum ^ _rotated(high_xor)) & SEQUENCE
    high = (high_sum ^ _rotated(low_xor)) & SEQUENCE
    return low.to_bytes(8, "little") + high.to_bytes(8, "little")


def _rotated(word: int) -> int:
    return word << 1 | word >> 63


def _is_idempotent(dataset: Dataset) -> bool:
    return dataset.release.has(IDEMPOTENT_PRODUCERS)


def _idempotence(cell: StreamCell) -> Idempotence:
    known = cell.idempotence
    if known is None:
        known = Idempotence()
        cell.idempotence = known
    return known


@handles(b"XTRIM")
def xtrim(dataset: Dataset, args: list[bytes]) -> object:
    trim = Trim()
    argc: i64 = len(args)
    i: i64 = 2
    while i < argc:
        after = trim.option(args, i, dataset.release)
        if after == i:
            raise syntax_error()
        i = after
    trim.check(dataset.release, False)
    cell = dataset.stream(args[1])
    if cell is None:
        return 0
    deleted = trim.apply(cell)
    dataset.dirty += deleted
    return deleted


@handles(b"XDEL")
def xdel(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.stream(args[1])
    if cell is None:
        return 0
    entries = [parse(text) for text in args[2:]]
    deleted = 0
    for entry in entries:
        if delete(cell, entry):
            deleted += 1
    dataset.dirty += deleted
    return deleted


def delete(cell: StreamCell, entry: int) -> bool:
    """Delete an entry for good: a group's count of what it has read must know of it."""
    if not cell.delete(entry):
        return False
    cell.max_deleted_id = max(cell.max_deleted_id, entry)
    return True


def policy_and_ids(args: list[bytes], at: i64) -> tuple[i64, list[int]]:
    """What XDELEX and XACKDEL are told from ``args[at]`` on, in any order: a policy, and ``IDS n id...``."""
    policy: i64 = KEEPREF
    entries: list[int] = []
    argc: i64 = len(args)
    chosen = False
    while at < argc:
        option = args[at].upper()
        if option in POLICIES and not chosen:
            policy = POLICIES[option]
            chosen = True
            at += 1
        elif option == b"IDS" and not entries and at + 1 < argc:
            count = integer_between(args[at + 1], 1, I64_MAX, "ERR Number of IDs must be a positive integer")
            if count > argc - at - 2:
                raise CommandError("ERR The `numids` parameter must match the number of arguments")
            entries = [parse(text) for text in args[at + 2 : at + 2 + count]]
            at += 2 + count
        else:
            raise syntax_error()
    if not entries:
        raise syntax_error()
    return policy, entries


def delete_by(cell: StreamCell, entry: int, policy: i64) -> int:
    """Delete an entry by a policy: 1 for deleted, 2 for needed by a group, there or not, -1 for not there."""
    if policy == ACKED and cell.is_referenced(entry):
        return 2
    if policy == DELREF:
        cell.forget(entry)
    return 1 if delete(cell, entry) else -1


@handles(b"XDELEX")
def xdelex(dataset: Dataset, args: list[bytes]) -> object:
    policy, entries = policy_and_ids(args, 2)
    cell = dataset.stream(args[1])
    if cell is None:
        return [-1] * len(entries)
    results = [delete_by(cell, entry, policy) for entry in entries]
    dataset.dirty += results.count(1)
    return results


@handles(b"XSETID")
def xsetid(dataset: Dataset, args: list[bytes]) -> object:
    if not dataset.release.has(XSETID_READS_ID_FIRST) and dataset.stream(args[1]) is None:
        raise CommandError(NO_SUCH_KEY)
    last = parse(args[2])
    added: i64 = -1
    deleted = 0
    argc: i64 = len(args)
    i: i64 = 3
    while i < argc:
        option = args[i].upper()
        if option == b"ENTRIESADDED" and i + 1 < argc:
            dataset.counts_streams = True
            added = integer(args[i + 1])
            if added < 0:
                raise CommandError("ERR entries_added must be positive")
        elif option == b"MAXDELETEDID" and i + 1 < argc:
            deleted = parse(args[i + 1])
            if last < deleted:
                raise CommandError("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
        else:
            raise syntax_error()
        i += 2
    cell = dataset.stream(args[1])
    if cell is None:
        raise CommandError(NO_SUCH_KEY)
    if last < cell.max_deleted_id and dataset.release.has(XSETID_CHECKS_DELETED):
        raise CommandError("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
    if cell.length > 0:
        if last < cell.top_id():
            raise CommandError("ERR The ID specified in XSETID is smaller than the target stream top item")
        if added != -1 and cell.length > added:
            raise CommandError("ERR The entries_added specified in XSETID is smaller than the target stream length")
    cell.last_id = last
    if added != -1:
        cell.entries_added = added
    if deleted:
        cell.max_deleted_id = deleted
    dataset.dirty += 1
    return OK


@handles(b"XCFGSET")
def xcfgset(dataset: Dataset, args: list[bytes]) -> object:
    duration_s: i64 = 0
    max_size: i64 = 0
    argc: i64 = len(args)
    i: i64 = 2
    while i < argc:
        option = args[i].upper()
        if option == b"IDMP-DURATION" and i + 1 < argc:
            duration_s = _setting(args[i + 1], duration_s, LONGEST_S, "IDMP-DURATION", "seconds")
        elif option == b"IDMP-MAXSIZE" and i + 1 < argc:
            max_size = _setting(args[i + 1], max_size, MOST_KEPT, "IDMP-MAXSIZE", "entries")
        else:
            raise syntax_error()
        i += 2
    if argc == 2:
        raise CommandError("ERR At least one parameter must be specified")
    cell = dataset.stream(args[1])
    if cell is None:
        raise CommandError(NO_SUCH_KEY)
    known = _idempotence(cell)
    known.configure(duration_s or known.duration_s, max_size or known.max_size)
    dataset.dirty += 1
    return OK


def _setting(text: bytes, before: i64, most: i64, name: str, unit: str) -> i64:
    if before:
        raise CommandError(f"ERR {name} specified multiple times")
    value = integer(text)
    if value < 1 or value > most:
        raise CommandError(f"ERR {name} must be between 1 and {most} {unit}")
    return value


@handles(b"XIDMPRECORD")
def xidmprecord(dataset: Dataset, args: list[bytes]) -> object:
    producer, message = args[2], args[3]
    if not producer:
        raise CommandError("ERR producer ID must be non-empty")
    if not message:
        raise CommandError("ERR idempotent ID must be non-empty")
    entry = parse(args[4])
    cell = dataset.stream(args[1])
    if cell is None:
        raise CommandError(NO_SUCH_KEY)
    if not cell.has(entry):
        raise CommandError("ERR No such message in stream")
    known = _idempotence(cell)
    before = known.find(producer, message)
    if before is not None and before != entry:
        raise CommandError("ERR IID already exists for this producer with a different stream ID")
    if before is None:
        known.remember(producer, message, entry)
        dataset.dirty += 1
    return OK


@handles(b"XLEN")
def xlen(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.stream(args[1])
    return 0 if cell is None else cell.length


@handles(b"XRANGE")
def xrange_(dataset: Dataset, args: list[bytes]) -> object:
    start = parse_start(args[2])
    if args[3][:1] == b"(" and len(args[3]) > 1:
        end = parse(args[3][1:], SEQUENCE) - 1
        if end < 0:
            raise CommandError("ERR invalid end ID for the interval")
    else:
        end = parse_end(args[3], SEQUENCE)
    count: i64 = -1
    if len(args) > 4:
        if len(args) != 6 or args[4].upper() != b"COUNT":
            raise syntax_error()
        count = max(integer(args[5]), 0)
    cell = dataset.stream(args[1])
    if cell is None or count == 0 or end < start:
        return []
    found = cell.after(start - 1, max(count, 0))
    return [entry_reply(entry, items) for entry, items in found if entry <= end]


def entry_reply(entry: int, items: list[bytes] | None) -> list[object]:
    """An entry as replies show it; one that is gone has no fields."""
    return [text_of(entry), items]
