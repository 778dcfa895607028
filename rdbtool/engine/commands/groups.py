"""Stream commands that deal with consumer groups."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.basics.numbers import signed
from rdbtool.engine.cells.stream import UNKNOWN, Consumer, Group, PendingEntry, StreamCell, id_of, key_of
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import I64_MAX, integer, integer_between
from rdbtool.engine.replies import OK, CommandError, syntax_error
from rdbtool.engine.stream_ids import INVALID_ID, LAST, parse, parse_end, parse_start, text_of
from rdbtool.engine.table import handles
from rdbtool.servers.features import (
    CAPS_ENTRIES_READ,
    CLAIMS_CREATE_CONSUMERS,
    CLAIMS_DROP_DELETED,
    COUNTS_FROM_LAST_READ,
    LAST_ENTRY_ID,
    NEWER_ERRORS,
    STREAM_COUNTERS,
)

from .streams import delete_by, entry_reply, policy_and_ids

NO_KEY: Final = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
    "MKSTREAM option to create an empty stream automatically."
)
BUSY_GROUP: Final = "BUSYGROUP Consumer Group name already exists"
MOST_CLAIMED: Final = 0x7FFFFFFFFFFFFFFF // 16


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _options(dataset: Dataset, args: list[bytes], create: bool) -> tuple[i64, bool]:
    """ENTRIESREAD and MKSTREAM from ``args[5]`` on."""
    entries_read: i64 = UNKNOWN
    make = False
    argc: i64 = len(args)
    i: i64 = 5
    while i < argc:
        option = args[i].upper()
        if create and option == b"MKSTREAM":
            make = True
            i += 1
        elif option == b"ENTRIESREAD" and i + 1 < argc and dataset.release.has(STREAM_COUNTERS):
            dataset.counts_streams = True
            entries_read = integer(args[i + 1])
            if entries_read < 0 and entries_read != UNKNOWN:
                raise CommandError("ERR value for ENTRIESREAD must be positive or -1")
            i += 2
        else:
            word = "unknown" if dataset.release.has(NEWER_ERRORS) else "Unknown"
            raise CommandError(
                f"ERR {word} subcommand or wrong number of arguments for '{_text(args[1])[:128]}'. Try XGROUP HELP."
            )
    return entries_read, make


def _possible(dataset: Dataset, cell: StreamCell, entries_read: int) -> int:
    if entries_read > cell.entries_added and dataset.release.has(CAPS_ENTRIES_READ):
        return cell.entries_added
    return entries_read


def _stream(dataset: Dataset, args: list[bytes]) -> StreamCell:
    cell = dataset.stream(args[2])
    if cell is None:
        raise CommandError(NO_KEY)
    return cell


def _group(dataset: Dataset, args: list[bytes]) -> Group:
    group = _stream(dataset, args).groups.get(args[3])
    if group is None:
        raise CommandError(f"NOGROUP No such consumer group '{_text(args[3])}' for key name '{_text(args[2])}'")
    return group


@handles(b"XGROUP|CREATE")
def xgroup_create(dataset: Dataset, args: list[bytes]) -> object:
    entries_read, make = _options(dataset, args, True)
    cell = dataset.stream(args[2])
    if cell is None and not make:
        raise CommandError(NO_KEY)
    if args[4] == b"$":
        last = 0 if cell is None else cell.last_id
    else:
        last = parse(args[4])
    if cell is None:
        cell = StreamCell()
        dataset.put(args[2], cell)
    if args[3] in cell.groups:
        raise CommandError(BUSY_GROUP)
    cell.groups[args[3]] = Group(last, _possible(dataset, cell, entries_read))
    dataset.dirty += 1
    return OK


@handles(b"XGROUP|SETID")
def xgroup_setid(dataset: Dataset, args: list[bytes]) -> object:
    entries_read, _ = _options(dataset, args, False)
    group = _group(dataset, args)
    cell = _stream(dataset, args)
    group.last_id = cell.last_id if args[4] == b"$" else parse_end(args[4])
    group.entries_read = _possible(dataset, cell, entries_read)
    dataset.dirty += 1
    return OK


@handles(b"XGROUP|DESTROY")
def xgroup_destroy(dataset: Dataset, args: list[bytes]) -> object:
    if _stream(dataset, args).groups.pop(args[3], None) is None:
        return 0
    dataset.dirty += 1
    return 1


@handles(b"XGROUP|CREATECONSUMER")
def xgroup_createconsumer(dataset: Dataset, args: list[bytes]) -> object:
    group = _group(dataset, args)
    if args[4] in group.consumers:
        return 0
    group.consumers[args[4]] = Consumer(args[4], dataset.now_ms)
    dataset.dirty += 1
    return 1


@handles(b"XGROUP|DELCONSUMER")
def xgroup_delconsumer(dataset: Dataset, args: list[bytes]) -> object:
    group = _group(dataset, args)
    if args[4] in group.consumers:
        dataset.dirty += 1
    return group.drop_consumer(args[4])


@handles(b"XACK")
def xack(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.stream(args[1])
    group = None if cell is None else cell.groups.get(args[2])
    if group is None:
        return 0
    count: i64 = 0
    if len(args) == 4:
        count = 1 if group.acknowledge(parse(args[3])) else 0
    else:
        for entry in [parse(text) for text in args[3:]]:
            if group.acknowledge(entry):
                count += 1
    dataset.dirty += count
    return count


@handles(b"XACKDEL")
def xackdel(dataset: Dataset, args: list[bytes]) -> object:
    policy, entries = policy_and_ids(args, 3)
    cell = dataset.stream(args[1])
    group = None if cell is None else cell.groups.get(args[2])
    if cell is None or group is None:
        return [-1] * len(entries)
    results = []
    for entry in entries:
        result = -1
        if group.acknowledge(entry):
            dataset.dirty += 1
            result = 2 if delete_by(cell, entry, policy) == 2 else 1
        results.append(result)
    return results


FATAL: Final = 0x7FFFFFFFFFFFFFFF
"""The number of deliveries of an entry that no consumer should get again."""


@handles(b"XNACK")
def xnack(dataset: Dataset, args: list[bytes]) -> object:
    cell, group = _claiming(dataset, args)
    mode = args[3].upper()
    if mode not in {b"SILENT", b"FAIL", b"FATAL"}:
        raise syntax_error()
    entries: list[int] | None = None
    retries: i64 = -1
    force = False
    argc: i64 = len(args)
    i: i64 = 4
    while i < argc:
        option = args[i].upper()
        if option == b"IDS" and entries is None and i + 1 < argc:
            count = integer_between(args[i + 1], 1, I64_MAX, "ERR numids must be a positive integer")
            if count > argc - i - 2:
                raise CommandError("ERR number of IDs doesn't match numids")
            entries = [parse(text) for text in args[i + 2 : i + 2 + count]]
            i += 1 + count
        elif option == b"RETRYCOUNT" and i + 1 < argc:
            i += 1
            retries = integer_between(args[i], 0, I64_MAX, "ERR Invalid RETRYCOUNT option argument for XNACK")
        elif option == b"FORCE":
            force = True
        else:
            raise syntax_error()
        i += 1
    if entries is None:
        raise syntax_error()
    released: i64 = 0
    for entry in entries:
        pending = group.pending.get(key_of(entry))
        if pending is None and not (force and cell.has(entry)):
            continue
        deliveries = 0 if pending is None else pending.deliveries
        if mode == b"SILENT" and deliveries:
            deliveries -= 1
        elif mode == b"FATAL":
            deliveries = FATAL
        if retries >= 0:
            deliveries = retries
        group.released.pop(key_of(entry), None)
        group.release(entry, deliveries)
        released += 1
    dataset.dirty += released
    return released


def _claiming(dataset: Dataset, args: list[bytes]) -> tuple[StreamCell, Group]:
    cell = dataset.stream(args[1])
    group = None if cell is None else cell.groups.get(args[2])
    if cell is None or group is None:
        raise CommandError(f"NOGROUP No such key '{_text(args[1])}' or consumer group '{_text(args[2])}'")
    return cell, group


@handles(b"XCLAIM")
def xclaim(dataset: Dataset, args: list[bytes]) -> object:
    cell, group = _claiming(dataset, args)
    now = dataset.now_ms
    min_idle = max(integer(args[4], "ERR Invalid min-idle-time argument for XCLAIM"), 0)
    argc: i64 = len(args)
    entries: list[int] = []
    i: i64 = 5
    while i < argc:
        first = args[i][:1]
        if b"A" <= first <= b"z":
            break
        try:
            entries.append(parse(args[i]))
        except CommandError:
            break
        i += 1
    force = False
    just_id = False
    delivered: i64 = -1
    retries: i64 = -1
    last = 0
    while i < argc:
        option = args[i].upper()
        more = i + 1 < argc
        if option == b"FORCE":
            force = True
        elif option == b"JUSTID":
            just_id = True
        elif option == b"IDLE" and more:
            i += 1
            delivered = now - integer(args[i], "ERR Invalid IDLE option argument for XCLAIM")
        elif option == b"TIME" and more:
            i += 1
            delivered = integer(args[i], "ERR Invalid TIME option argument for XCLAIM")
        elif option == b"RETRYCOUNT" and more:
            i += 1
            retries = integer(args[i], "ERR Invalid RETRYCOUNT option argument for XCLAIM")
        elif option == b"LASTID" and more:
            i += 1
            last = parse(args[i])
        else:
            raise CommandError(f"ERR Unrecognized XCLAIM option '{_text(args[i])}'")
        i += 1
    group.last_id = max(group.last_id, last)
    if delivered < 0 or delivered > now:
        if delivered == -1:
            dataset.relative += 1
        delivered = now
    drops_deleted = dataset.release.has(CLAIMS_DROP_DELETED)
    consumer: Consumer | None = None
    if dataset.release.has(CLAIMS_CREATE_CONSUMERS):
        consumer = group.consumer(args[3], now)
    replies: list[object] = []
    for entry in entries:
        pending = group.pending.get(key_of(entry))
        there = cell.has(entry)
        if not there and (pending is None or drops_deleted):
            if group.acknowledge(entry):
                dataset.dirty += 1
            continue
        if pending is None:
            if not force:
                continue
        elif min_idle and now - pending.delivered_ms < min_idle:
            continue
        if consumer is None:
            consumer = group.consumer(args[3], now)
        deliveries = 1 if pending is None else pending.deliveries
        if retries >= 0:
            deliveries = retries
        elif not just_id:
            deliveries += 1
        group.assign(entry, consumer, delivered, deliveries)
        consumer.active_ms = now
        dataset.dirty += 1
        if just_id:
            replies.append(text_of(entry))
        else:
            replies.append(entry_reply(entry, cell.find(entry)) if there else None)
    return replies


@handles(b"XAUTOCLAIM")
def xautoclaim(dataset: Dataset, args: list[bytes]) -> object:
    min_idle = max(integer(args[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM"), 0)
    start = parse_start(args[5])
    count: i64 = 100
    just_id = False
    argc: i64 = len(args)
    i: i64 = 6
    while i < argc:
        option = args[i].upper()
        if option == b"COUNT" and i + 1 < argc:
            i += 1
            count = integer_between(args[i], 1, MOST_CLAIMED, "ERR COUNT must be > 0")
        elif option == b"JUSTID":
            just_id = True
        else:
            raise syntax_error()
        i += 1
    cell, group = _claiming(dataset, args)
    now = dataset.now_ms
    dataset.relative += 1
    drops_deleted = dataset.release.has(CLAIMS_DROP_DELETED)
    consumer: Consumer | None = None
    if dataset.release.has(CLAIMS_CREATE_CONSUMERS):
        consumer = group.consumer(args[3], now)
    attempts = count * 10
    replies: list[object] = []
    deleted: list[object] = []
    first = key_of(start)
    candidates = sorted(key for key in group.pending if key >= first)
    at: i64 = 0
    while at < len(candidates) and attempts > 0 and count > 0:
        pending = group.pending[candidates[at]]
        entry = id_of(candidates[at])
        at += 1
        attempts -= 1
        there = cell.has(entry)
        if not there and drops_deleted:
            group.acknowledge(entry)
            deleted.append(text_of(entry))
            dataset.dirty += 1
            count -= 1
            continue
        if min_idle and now - pending.delivered_ms < min_idle:
            continue
        if consumer is None:
            consumer = group.consumer(args[3], now)
        group.assign(entry, consumer, now, pending.deliveries if just_id else pending.deliveries + 1)
        consumer.active_ms = now
        if just_id:
            replies.append(text_of(entry))
        else:
            replies.append(entry_reply(entry, cell.find(entry)) if there else None)
        count -= 1
        dataset.dirty += 1
    cursor = text_of(id_of(candidates[at])) if at < len(candidates) else text_of(0)
    return [cursor, replies, deleted] if drops_deleted else [cursor, replies]


@handles(b"XREADGROUP")
def xreadgroup(dataset: Dataset, args: list[bytes]) -> object:
    count: i64 = 0
    no_ack = False
    name: bytes | None = None
    consumer_name = b""
    argc: i64 = len(args)
    i: i64 = 1
    at: i64 = 0
    while i < argc:
        option = args[i].upper()
        if option == b"BLOCK" and i + 1 < argc:
            i += 1
            if integer(args[i], "ERR timeout is not an integer or out of range") < 0:
                raise CommandError("ERR timeout is negative")
        elif option == b"COUNT" and i + 1 < argc:
            i += 1
            count = max(integer(args[i]), 0)
        elif option == b"STREAMS" and i + 1 < argc:
            at = i + 1
            break
        elif option == b"GROUP" and i + 2 < argc:
            name = args[i + 1]
            consumer_name = args[i + 2]
            i += 2
        elif option == b"NOACK":
            no_ack = True
        else:
            raise syntax_error()
        i += 1
    if at == 0:
        raise syntax_error()
    streams = argc - at
    if streams % 2:
        raise CommandError(
            "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
        )
    streams //= 2
    if name is None:
        raise CommandError("ERR Missing GROUP option for XREADGROUP")
    sources = [_source(dataset, args[at + n], name, args[at + streams + n]) for n in range(streams)]
    replies: list[object] = []
    dataset.relative += 1
    for n, (cell, group, start) in enumerate(sources):
        serves = start != LAST or (cell.length > 0 and cell.top_id() > group.last_id)
        if not serves and not dataset.release.has(CLAIMS_CREATE_CONSUMERS):
            continue
        consumer = group.consumer(consumer_name, dataset.now_ms)
        if start != LAST:
            replies.append([args[at + n], _history(dataset, cell, group, consumer, start, count)])
        elif serves:
            replies.append([args[at + n], _deliver(dataset, cell, group, consumer, count, no_ack)])
    return replies or None


def _source(dataset: Dataset, key: bytes, name: bytes, text: bytes) -> tuple[StreamCell, Group, int]:
    """The stream, its group, and the id to read after, LAST for ``>``."""
    cell = dataset.stream(key)
    group = None if cell is None else cell.groups.get(name)
    if cell is None or group is None:
        raise CommandError(
            f"NOGROUP No such key '{_text(key)}' or consumer group '{_text(name)}' in XREADGROUP with GROUP option"
        )
    if text == b">":
        return cell, group, LAST
    if text == b"$" or (text == b"+" and dataset.release.has(LAST_ENTRY_ID)):
        raise CommandError(
            f"ERR The {_text(text)} ID is meaningless in the context of XREADGROUP: you want to read the history of "
            "this consumer by specifying a proper ID, or use the > ID to get new messages. "
            f"The {_text(text)} ID would just return an empty result set."
        )
    if text in {b"-", b"+"}:
        raise CommandError(INVALID_ID)
    return cell, group, parse(text)


def _history(
    dataset: Dataset, cell: StreamCell, group: Group, consumer: Consumer, start: int, count: i64
) -> list[object]:
    """What is pending for a consumer after an id; reading it counts as another delivery."""
    first = key_of(start)
    mine: list[tuple[bytes, PendingEntry]] = [
        (key, pending) for key, pending in group.pending.items() if pending.consumer is consumer and key > first
    ]
    mine.sort(key=_entry_of)
    replies: list[object] = []
    for key, pending in mine[:count] if count else mine:
        entry = id_of(key)
        items = cell.find(entry)
        replies.append(entry_reply(entry, items))
        if items is not None:
            pending.delivered_ms = dataset.now_ms
            pending.deliveries += 1
    return replies


def _entry_of(item: tuple[bytes, PendingEntry]) -> bytes:
    return item[0]


def _deliver(
    dataset: Dataset, cell: StreamCell, group: Group, consumer: Consumer, count: i64, no_ack: bool
) -> list[object]:
    """Deliver new entries to a consumer."""
    replies: list[object] = []
    for entry, items in cell.after(group.last_id, count):
        _count_read(dataset, cell, group, entry)
        group.last_id = entry
        replies.append(entry_reply(entry, items))
        if not no_ack:
            group.assign(entry, consumer, dataset.now_ms, 1)
            consumer.active_ms = dataset.now_ms
        dataset.dirty += 1
    return replies


def _count_read(dataset: Dataset, cell: StreamCell, group: Group, entry: int) -> None:
    """Keep a group's number of entries read when it reads ``entry``, or find it out, as far as the server can."""
    first = cell.first_id()
    newer = dataset.release.has(COUNTS_FROM_LAST_READ)
    if newer:
        sure = group.last_id >= first and not cell.has_deleted_after(group.last_id)
    else:
        sure = first > cell.max_deleted_id or not cell.has_deleted_after(entry)
    if sure and group.entries_read != UNKNOWN:
        group.entries_read += 1
    elif cell.entries_added:
        group.entries_read = UNKNOWN if newer and entry < cell.max_deleted_id else signed(cell.distance(entry))
