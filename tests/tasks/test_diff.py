"""What `diff` calls the same, and what it calls a difference."""

from __future__ import annotations

import contextlib
import gzip
import random
import struct
import tracemalloc
from pathlib import Path

import pytest

from rdbtool.basics.crc64 import crc64
from rdbtool.errors import FormatError, RdbToolError, UsageError
from rdbtool.findings import Severity
from rdbtool.inputs.filters import select
from rdbtool.io.window import window_over
from rdbtool.rdb.compare import Kept, Matching, Rules
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from rdbtool.tasks.diff.run import Diff, DiffOptions, DiffReport
from rdbtool.tasks.diff.snapshot import open_snapshot
from tests.rdb import craft
from tests.rdb.craft import encode_length

STRING, LIST, SET, ZSET, HASH = 0, 1, 2, 3, 4
HASH_ZIPLIST, INTSET, LIST_ZIPLIST, ZSET_ZIPLIST = 13, 11, 10, 12
HASH_LISTPACK, ZSET_LISTPACK, SET_LISTPACK, QUICKLIST2 = 16, 17, 20, 18
HASH_METADATA = 24
EXPIRE_MS = b"\xfc"

Found = dict[tuple[int, bytes], str]


def compared(tmp_path: Path, left: bytes, right: bytes, **options: object) -> tuple[Found, DiffReport]:
    for name, data in (("left", left), ("right", right)):
        (tmp_path / name).write_bytes(data)
    return between(tmp_path / "left", tmp_path / "right", **options)


def between(left: Path, right: Path, **options: object) -> tuple[Found, DiffReport]:
    with open_snapshot(str(left)) as a, open_snapshot(str(right)) as b:
        diff = Diff(a, b, DiffOptions(**options))  # type: ignore[arg-type]  # passed on
        found = {(d.db, d.key): d.kind for d in diff}
        return found, diff.report


def file_of(*records: bytes, version: int = 12) -> bytes:
    return craft.rdb(*records, magic=b"REDIS%04d" % version)


def text(key: bytes, value: bytes) -> bytes:
    return craft.record(STRING, key, craft.string(value))


def expiring(ms: int, record: bytes) -> bytes:
    return EXPIRE_MS + struct.pack("<q", ms) + record


def in_db(db: int, *records: bytes) -> bytes:
    return b"\xfe" + encode_length(db) + b"".join(records)


def score(x: float) -> bytes:
    body = repr(x).encode()
    return bytes((len(body),)) + body


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(text(b"k", b"12"), craft.record(STRING, b"k", b"\xc0\x0c"), id="integer"),
        pytest.param(text(b"k", b"a" * 20), craft.record(STRING, b"k", craft.lzf(b"\x00a\xe0\x0a\x00", 20)), id="lzf"),
        pytest.param(
            craft.record(HASH, b"k", encode_length(2) + craft.strings(b"a", b"1", b"b", b"2")),
            craft.record(HASH_ZIPLIST, b"k", craft.string(craft.ziplist(b"b", 2, b"a", 1))),
            id="hash",
        ),
        pytest.param(
            craft.record(HASH_ZIPLIST, b"k", craft.string(craft.ziplist(b"b", 2, b"a", 1))),
            craft.record(HASH_LISTPACK, b"k", craft.string(craft.listpack(b"a", b"1", b"b", 2))),
            id="listpack",
        ),
        pytest.param(
            craft.record(SET, b"k", craft.counted(b"3", b"1", b"2")),
            craft.record(INTSET, b"k", craft.string(craft.intset(2, 1, 2, 3))),
            id="set",
        ),
        pytest.param(
            craft.record(LIST, b"k", craft.counted(b"x", b"7")),
            craft.record(QUICKLIST2, b"k", b"\x01\x02" + craft.string(craft.listpack(b"x", 7))),
            id="list",
        ),
        pytest.param(
            craft.record(
                ZSET, b"k", encode_length(2) + craft.string(b"m") + score(1.5) + craft.string(b"n") + score(2)
            ),
            craft.record(ZSET_LISTPACK, b"k", craft.string(craft.listpack(b"m", b"1.5", b"n", 2))),
            id="zset",
        ),
    ],
)
def test_two_encodings_of_one_value_are_the_same(left: bytes, right: bytes, tmp_path: Path) -> None:
    found, report = compared(tmp_path, file_of(left), file_of(right))
    assert not found
    assert report.same
    assert report.total("same") == 1
    found, report = compared(tmp_path, file_of(left), file_of(right), encodings=True)
    assert set(found.values()) <= {"encoding"}


def test_encodings_count_on_request(tmp_path: Path) -> None:
    left = file_of(craft.record(HASH, b"k", encode_length(1) + craft.strings(b"a", b"1")))
    right = file_of(craft.record(HASH_LISTPACK, b"k", craft.string(craft.listpack(b"a", 1))))
    assert compared(tmp_path, left, right, encodings=True)[0] == {(0, b"k"): "encoding"}


def test_the_order_of_keys_and_databases_does_not_matter_but_their_numbers_do(tmp_path: Path) -> None:
    keys = [text(b"k%d" % i, b"v") for i in range(10)]
    left = file_of(*keys, in_db(3, text(b"x", b"y")))
    assert not compared(tmp_path, left, file_of(in_db(3, text(b"x", b"y")), in_db(0, *reversed(keys))))[0]
    found, _ = compared(tmp_path, left, file_of(*keys, in_db(4, text(b"x", b"y"))))
    assert found == {(3, b"x"): "removed", (4, b"x"): "added"}


@pytest.mark.parametrize("type_byte", [2, 4, 5], ids=["set", "hash", "zset2"])
def test_large_collections_in_another_order_are_the_same_and_others_are_not(type_byte: int, tmp_path: Path) -> None:
    def payload(elements: list[bytes]) -> bytes:
        return craft.record(type_byte, b"k", encode_length(len(elements)) + b"".join(elements))

    tails = {2: b"", 4: craft.string(b"value"), 5: struct.pack("<d", 1.5)}
    elements = [craft.string(b"e%d" % i) + tails[type_byte] for i in range(1000)]
    shuffled = elements[::-1]
    left = file_of(payload(elements))
    assert not compared(tmp_path, left, file_of(payload(shuffled)))[0]
    other = [*shuffled[:-1], craft.string(b"x0") + tails[type_byte]]
    assert compared(tmp_path, left, file_of(payload(other)))[0] == {(0, b"k"): "changed"}
    # the same meaning, though an element is written in another way
    longer = [*shuffled[:-1], b"\x40\x02e0" + tails[type_byte]]
    assert not compared(tmp_path, left, file_of(payload(longer)))[0]
    twice = [*shuffled[:-1], shuffled[0]]
    with pytest.raises(FormatError):
        compared(tmp_path, left, file_of(payload(twice)))


def test_the_order_of_a_list_matters(tmp_path: Path) -> None:
    left = file_of(craft.record(LIST, b"k", craft.counted(b"a", b"b")))
    right = file_of(craft.record(LIST, b"k", craft.counted(b"b", b"a")))
    assert compared(tmp_path, left, right)[0] == {(0, b"k"): "changed"}


def test_values_of_two_types_are_never_the_same(tmp_path: Path) -> None:
    left = file_of(craft.record(LIST, b"k", craft.counted(b"a")))
    right = file_of(craft.record(SET, b"k", craft.counted(b"a")))
    found, report = compared(tmp_path, left, right)
    assert found == {(0, b"k"): "changed"}
    assert report.counts == {(0, "set"): {"changed": 1}}


def test_expiries_count_unless_they_are_close_or_ignored(tmp_path: Path) -> None:
    left = file_of(expiring(1_900_000_000_000, text(b"k", b"v")), text(b"forever", b"v"))
    right = file_of(expiring(1_900_000_000_100, text(b"k", b"v")), expiring(1_900_000_000_000, text(b"forever", b"v")))
    both = {(0, b"k"): "expiry", (0, b"forever"): "expiry"}
    assert compared(tmp_path, left, right)[0] == both
    assert compared(tmp_path, left, right, ttl_tolerance_ms=99)[0] == both
    assert compared(tmp_path, left, right, ttl_tolerance_ms=100)[0] == {(0, b"forever"): "expiry"}
    assert not compared(tmp_path, left, right, ignore_expiry=True)[0]


def test_expiries_of_hash_fields_follow_the_same_options(tmp_path: Path) -> None:
    def hash_of(ms: int) -> bytes:
        payload = struct.pack("<q", ms) + b"\x02\x01" + craft.strings(b"f", b"v") + b"\x00" + craft.strings(b"g", b"w")
        return file_of(craft.record(HASH_METADATA, b"k", payload))

    left, right = hash_of(1_900_000_000_000), hash_of(1_900_000_000_050)
    assert compared(tmp_path, left, right)[0] == {(0, b"k"): "changed"}
    assert not compared(tmp_path, left, right, ttl_tolerance_ms=50)[0]
    assert not compared(tmp_path, left, right, ignore_expiry=True)[0]


def test_idle_times_and_frequencies_count_on_request(tmp_path: Path) -> None:
    left = file_of(b"\xf8\x05" + text(b"a", b"v"), b"\xf9\x07" + text(b"b", b"v"))
    right = file_of(b"\xf8\x06" + text(b"a", b"v"), b"\xf9\x08" + text(b"b", b"v"))
    assert not compared(tmp_path, left, right)[0]
    assert compared(tmp_path, left, right, eviction=True)[0] == {(0, b"a"): "eviction", (0, b"b"): "eviction"}


def test_functions_count(tmp_path: Path) -> None:
    def library(name: bytes, body: bytes) -> bytes:
        return b"\xf5" + craft.string(b"#!lua name=" + name + b"\n" + body)

    left = file_of(library(b"one", b"x"), library(b"two", b"x"), library(b"three", b"x"))
    right = file_of(library(b"one", b"x"), library(b"two", b"y"), library(b"four", b"x"))
    found, report = compared(tmp_path, left, right)
    assert found == {(-1, b"two"): "changed", (-1, b"three"): "removed", (-1, b"four"): "added"}
    assert report.counts[-1, "function"] == {"same": 1, "changed": 1, "removed": 1, "added": 1}
    assert not compared(tmp_path, left, right, selection=select(keys=["*"]))[0]


def stream(groups: bytes = b"\x00", values: tuple[bytes, ...] = (b"v", b"w"), last: tuple[int, int] = (9, 9)) -> bytes:
    node = craft.stream_node(*((0, i, [value]) for i, value in enumerate(values)))
    return craft.record(15, b"s", craft.stream([(craft.stream_id(5, 0), node)], len(values), groups, last))


def test_entries_ids_groups_and_pending_entries_of_streams_count(tmp_path: Path) -> None:
    def group(deliveries: int, consumer: bytes = b"c", seen: int = 1) -> bytes:
        pending = craft.stream_id(5, 0) + struct.pack("<q", 77) + encode_length(deliveries)
        owner = craft.string(consumer) + struct.pack("<q", seen) + b"\x01" + craft.stream_id(5, 0)
        return b"\x01" + craft.string(b"g") + b"\x05\x00" + b"\x01" + pending + b"\x01" + owner

    base = file_of(stream(group(1)))
    for other in (
        stream(),
        stream(group(2)),
        stream(group(1, b"d")),
        stream(group(1), (b"v",)),
        stream(group(1), last=(9, 8)),
    ):
        assert compared(tmp_path, base, file_of(other))[0] == {(0, b"s"): "changed"}
    seen_later = file_of(stream(group(1, seen=2)))
    assert not compared(tmp_path, base, seen_later)[0]
    assert compared(tmp_path, base, seen_later, eviction=True)[0] == {(0, b"s"): "changed"}


def random_file(rng: random.Random, keys: int, change: float) -> bytes:
    records = []
    for n in range(keys):
        if rng.random() < change:
            continue
        value = b"v%d" % (n if rng.random() > change else rng.getrandbits(20))
        if n % 3:
            records.append(text(b"key:%d" % n, value * (n % 40)))
        else:
            members = [b"m%d" % i for i in range(n % 50 + 1)] + [value]
            rng.shuffle(members)
            records.append(craft.record(SET, b"key:%d" % n, craft.counted(*members)))
    rng.shuffle(records)
    return file_of(*records, in_db(1, text(b"key:1", b"elsewhere")))


def refuse(error: FormatError) -> None:
    raise error


def test_many_passes_find_what_one_pass_finds(tmp_path: Path) -> None:
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    left, right = random_file(rng, 3000, 0.1), random_file(rng, 3000, 0.1)
    found, _ = compared(tmp_path, left, right)
    assert {"added", "removed", "changed"} == set(found.values())

    again: dict[tuple[int, bytes], tuple[Kept | None, Kept | None]] = {}
    same = 0
    shares = [(0, 1)]
    passes = 0
    while shares:
        remainder, modulus = shares.pop()
        matching = Matching(Rules(), 40_000, refuse, None, remainder, modulus)
        matching.load(RdbReader(window_over(left)))
        matching.start_right(RdbReader(window_over(right)))
        while (match := matching.next_right()) is not None:
            assert (match.db, match.key) not in again
            again[match.db, match.key] = (match.left, match.right)
        for match in matching.missing():
            assert (match.db, match.key) not in again
            again[match.db, match.key] = (match.left, match.right)
        same += sum(sum(counts.values()) for counts in matching.same.values())
        shares += matching.left_over
        passes += 1
    assert passes > 8
    kinds = {place: "added" if a is None else "removed" if b is None else "" for place, (a, b) in again.items()}
    assert {place for place, kind in kinds.items() if kind} == {p for p, kind in found.items() if kind != "changed"}
    assert {place for place, kind in kinds.items() if not kind} >= {p for p, kind in found.items() if kind == "changed"}
    both = list(kinds.values()).count("")
    removed = list(kinds.values()).count("removed")
    assert same + both + removed == sum(isinstance(event, Frame) for event in RdbReader(window_over(left)))


def test_large_values_are_compared_without_holding_them(tmp_path: Path) -> None:
    rng = random.Random(8)
    items = [rng.randbytes(400) for _ in range(20_000)]
    shuffled = items[:]
    rng.shuffle(shuffled)
    other = [*items[:-1], b"another"]
    payloads = [craft.record(SET, b"k", craft.counted(*members)) for members in (items, shuffled, other)]
    for name, payload in zip("abc", payloads, strict=True):
        (tmp_path / name).write_bytes(file_of(text(b"before", b"1"), payload, text(b"after", b"2")))
    del payloads, shuffled, other
    for options in ({}, {"memory_limit": 64 << 20}):
        assert not between(tmp_path / "a", tmp_path / "b", **options)[0]
        assert not between(tmp_path / "a", tmp_path / "a", **options)[0]
        assert between(tmp_path / "a", tmp_path / "c", **options)[0] == {(0, b"k"): "changed"}
    tracemalloc.start()
    try:
        assert not between(tmp_path / "a", tmp_path / "b", memory_limit=64 << 20)[0]
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()


def test_a_large_string_that_spans_windows_is_told_apart(tmp_path: Path) -> None:
    data = random.Random(3).randbytes(3_500_000)
    left = file_of(text(b"k", data), text(b"z", b"1"))
    right = file_of(text(b"0", b""), text(b"k", data), text(b"z", b"1"))
    assert compared(tmp_path, left, right)[0] == {(0, b"0"): "added"}
    changed = file_of(text(b"k", data[:-1] + bytes((data[-1] ^ 1,))), text(b"z", b"1"))
    assert compared(tmp_path, left, changed)[0] == {(0, b"k"): "changed"}


def test_compressed_files_are_read_as_often_as_needed(tmp_path: Path) -> None:
    rng = random.Random(1)
    left, right = random_file(rng, 2000, 0.05), random_file(rng, 2000, 0.05)
    found, _ = compared(tmp_path, left, right)
    (tmp_path / "left.gz").write_bytes(gzip.compress(left))
    (tmp_path / "right.gz").write_bytes(gzip.compress(right))
    again, report = between(tmp_path / "left.gz", tmp_path / "right.gz")
    assert again == found
    assert report.passes == 1


def test_a_log_is_compared_with_a_snapshot(tmp_path: Path) -> None:
    log = b""
    for command in ((b"SET", b"a", b"1"), (b"RPUSH", b"l", b"x", b"y"), (b"SET", b"b", b"2", b"PX", b"100000")):
        log += b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in command)
    (tmp_path / "log.aof").write_bytes(log)
    (tmp_path / "dump.rdb").write_bytes(file_of(text(b"a", b"1"), craft.record(LIST, b"l", craft.counted(b"x", b"z"))))
    found, _ = between(tmp_path / "log.aof", tmp_path / "dump.rdb")
    assert found == {(0, b"l"): "changed", (0, b"b"): "removed"}
    (tmp_path / "log.aof").write_bytes(log[:-3])
    with pytest.raises(FormatError):
        between(tmp_path / "log.aof", tmp_path / "dump.rdb")
    found, report = between(tmp_path / "log.aof", tmp_path / "dump.rdb", keep_going=True)
    assert found == {(0, b"l"): "changed"}
    assert report.loss


def test_filters_choose_keys_on_both_sides(tmp_path: Path) -> None:
    left = file_of(text(b"user:1", b"a"), text(b"user:2", b"a"), text(b"other", b"a"))
    right = file_of(text(b"user:1", b"b"), text(b"user:3", b"a"), text(b"other", b"b"))
    found, report = compared(tmp_path, left, right, selection=select(keys=["user:*"]))
    assert found == {(0, b"user:1"): "changed", (0, b"user:2"): "removed", (0, b"user:3"): "added"}
    assert report.total("same") == 0


def test_a_sample_is_the_same_on_both_sides(tmp_path: Path) -> None:
    rng = random.Random(2)
    left = random_file(rng, 2000, 0)
    found, report = compared(tmp_path, left, left, selection=select(sample="10%"))
    assert not found
    assert 100 < report.total("same") < 300


class TestDamage:
    """Damaged input ends the comparison, or with ``keep_going`` becomes a finding."""

    whole = file_of(*(text(b"key:%d" % i, b"v" * 50) for i in range(30)))

    @pytest.mark.parametrize("damaged_side", [0, 1])
    @pytest.mark.parametrize(
        ("damage", "code"),
        [
            (lambda data: data[:700], "truncated"),
            (lambda data: data[:-1] + bytes((data[-1] ^ 1,)), "malformed"),
            (lambda data: data[:-9] + text(b"key:3", b"w") + b"\xff" + b"\0" * 8, "malformed"),
        ],
        ids=["truncated", "checksum", "twice"],
    )
    def test_it_is_told(self, damage: object, code: str, damaged_side: int, tmp_path: Path) -> None:
        assert callable(damage)
        files = [self.whole, self.whole]
        files[damaged_side] = damage(self.whole)
        with pytest.raises(RdbToolError) as caught:
            compared(tmp_path, *files)
        assert caught.value.path.endswith(("left", "right")[damaged_side])
        _, report = compared(tmp_path, *files, keep_going=True)
        assert report.loss
        assert code in report.findings.counts

    def test_a_value_that_cannot_be_decoded_differs_if_its_bytes_do(self, tmp_path: Path) -> None:
        bad = file_of(craft.record(HASH_LISTPACK, b"k", craft.string(b"nonsense")), text(b"a", b"1"))
        good = file_of(craft.record(HASH_LISTPACK, b"k", craft.string(craft.listpack(b"a", 1))), text(b"a", b"2"))
        assert not compared(tmp_path, bad, bad)[0]
        with pytest.raises(FormatError) as caught:
            compared(tmp_path, bad, good)
        assert caught.value.key == b"k"
        found, report = compared(tmp_path, bad, good, keep_going=True)
        assert found == {(0, b"k"): "changed", (0, b"a"): "changed"}
        assert [f.key for f in report.findings.of(Severity.ERROR)] == [b"k"]

    def test_any_bytes_give_a_comparison_or_one_known_error(self, tmp_path: Path) -> None:
        seed = random.getrandbits(32)
        print(f"seed {seed}")
        rng = random.Random(seed)
        left = random_file(rng, 60, 0.1)
        for _ in range(150):
            data = bytearray(left)
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.getrandbits(8)
            right = bytes(data[: rng.randint(0, len(data))]) if rng.random() < 0.3 else bytes(data)
            right = right[:-8] + struct.pack("<Q", crc64(right[:-8]))
            for keep_going in (False, True):
                with contextlib.suppress(RdbToolError):
                    compared(tmp_path, left, right, keep_going=keep_going)


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        compared(tmp_path, file_of(), file_of(), ttl_tolerance_ms=-1)
    with pytest.raises(UsageError):
        compared(tmp_path, file_of(), file_of(), memory_limit=1000)


def test_json_lines_are_compared_by_what_they_say(tmp_path: Path) -> None:
    data = file_of(text(b"a", b"1"), text(b"b", b"2"))
    lines = '{"db":0,"key":"b","type":"string","value":"3"}\n{"db":0,"key":"a","type":"string","value":"1"}\n'
    found, report = compared(tmp_path, data, lines.encode())
    assert found == {(0, b"b"): "changed"}
    assert report.counts == {(0, "string"): {"changed": 1, "same": 1}}
    with pytest.raises(FormatError, match="line 1"):
        compared(tmp_path, data, lines.encode()[:30])
