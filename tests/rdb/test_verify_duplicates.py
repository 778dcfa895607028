"""Duplicates among few, many and very many; and the hashes that find them."""

from __future__ import annotations

import gzip
import random
import resource
import tempfile
from pathlib import Path

import pytest

from rdbtool.basics.hash_table import ROUNDS, HashTable
from rdbtool.errors import OutputError
from rdbtool.findings import Finding, Findings
from rdbtool.io.source import open_input
from rdbtool.io.window import window_over
from rdbtool.rdb.check import RdbFacts, verify_rdb
from rdbtool.rdb.layout.duplicates import Duplicates, strings_at
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.listpack import FIELDS, MEMBERS, SCORES, check_elements, check_listpack
from rdbtool.rdb.layout.seen import LIMIT, hash_integer, hash_text
from rdbtool.servers.releases import release_named
from rdbtool.tasks.check_rdb import check_rdb
from tests.rdb.craft import encode_length, listpack, rdb, record, string, strings
from tests.servers.harness import SERVERS, ServerKind
from tests.servers.loading import load

SEED = 20260408
HASHED_WITH = 0x1851F42D4C957F2D
MANY = 40_000
"""More keys than are kept as they are."""


def verify(path: Path) -> tuple[RdbFacts, list[Finding]]:
    findings = Findings()
    with open_input(str(path)) as source:
        return verify_rdb(source.window(), findings), findings.items


def keys(names: list[bytes]) -> bytes:
    return b"".join(record(0, name, b"\x01v") for name in names)


def test_a_key_twice_is_found_where_it_stands_again() -> None:
    data = rdb(keys([b"a", b"b", b"a"]))
    findings = Findings()
    verify_rdb(window_over(data), findings)
    (finding,) = findings.items
    assert (finding.code, finding.key, finding.db, finding.offset) == ("duplicate-key", b"a", 0, data.rindex(b"\x01a"))
    first = data.index(b"\x01a")
    assert f"first at offset {first}" in finding.message


def test_the_same_key_in_another_database_is_no_duplicate() -> None:
    findings = Findings()
    verify_rdb(window_over(rdb(keys([b"a"]), b"\xfe\x01", keys([b"a"]))), findings)
    assert findings.items == []


def test_a_database_that_comes_back_is_still_the_same() -> None:
    findings = Findings()
    verify_rdb(window_over(rdb(keys([b"a"]), b"\xfe\x01", keys([b"b"]), b"\xfe\x00", keys([b"a"]))), findings)
    assert [f.code for f in findings.items] == ["duplicate-key"]


def test_keys_that_servers_drop_are_no_duplicates() -> None:
    past = b"\xfc" + (1000).to_bytes(8, "little")
    data = rdb(past + keys([b"a"]), keys([b"a"]), record(2, b"b", b"\x00"), keys([b"b"]))
    findings = Findings()
    verify_rdb(window_over(data), findings, now_ms=2000)
    assert sorted(findings.counts) == ["empty-collection", "expired-keys"]
    findings = Findings()
    verify_rdb(window_over(data), findings, now_ms=2000, keep_expired=True)
    assert sorted(findings.counts) == ["duplicate-key", "empty-collection"]


@pytest.mark.parametrize("compressed", [False, True])
def test_duplicates_among_many_keys_are_found_and_named(tmp_path: Path, compressed: bool) -> None:
    names = [b"key:%d" % i for i in range(MANY)]
    data = rdb(keys([*names, names[7], names[-1]]), b"\xfe\x01", keys(names[:100]))
    path = tmp_path / "dump.rdb"
    path.write_bytes(gzip.compress(data) if compressed else data)
    facts, findings = verify(path)
    assert facts.keys == MANY + 102
    assert [(f.code, f.key) for f in findings] == [("duplicate-key", b"key:7"), ("duplicate-key", names[-1])]
    assert data[findings[0].offset :].startswith(b"\x05key:7")


def test_duplicates_among_many_keys_are_found_without_a_file_to_read_again() -> None:
    names = [b"key:%d" % i for i in range(MANY)]
    findings = Findings()
    data = rdb(keys([*names, names[7]]))
    verify_rdb(window_over(data), findings)
    (finding,) = findings.items
    assert (finding.code, finding.key) == ("duplicate-key", None)
    assert data[finding.offset :].startswith(b"\x05key:7")


@pytest.mark.parametrize("count", [1000, LIMIT + 1000])
@pytest.mark.parametrize("type_byte", [2, 4])
def test_a_member_twice_in_a_large_value_is_found(tmp_path: Path, count: int, type_byte: int) -> None:
    names = [b"member:%d" % (i if i != count - 3 else 5) for i in range(count)]
    values = [] if type_byte == 2 else [b"value"]
    payload = encode_length(count) + b"".join(strings(name, *values) for name in names)
    path = tmp_path / "dump.rdb"
    path.write_bytes(rdb(record(type_byte, b"k", payload)))
    _, findings = verify(path)
    (finding,) = findings
    assert finding.code == ("duplicate-member" if type_byte == 2 else "duplicate-field")
    assert path.read_bytes()[finding.offset :].startswith(b"\x08member:5")
    assert "offset" in finding.message


def test_duplicates_far_apart_in_a_value_are_compared_by_reading_again(tmp_path: Path) -> None:
    names = [b"first", *(b"%d" % i + b"x" * 900 for i in range(400)), b"first"]
    path = tmp_path / "dump.rdb"
    path.write_bytes(rdb(record(2, b"k", encode_length(len(names)) + strings(*names))))
    _, findings = verify(path)
    assert [f.code for f in findings] == ["duplicate-member"]


def test_a_large_listpack_with_a_duplicate() -> None:
    items = [b"m%d" % (i if i != 70_000 else 3) for i in range(LIMIT + 10_000)]
    findings = Findings()
    data = rdb(record(20, b"k", string(listpack(*items, count=65535))), magic=b"REDIS0011")
    verify_rdb(window_over(data), findings)
    assert [f.code for f in findings.items] == ["listpack-unpacked"]


PACKED = {"hash": (16, 512), "zset": (17, 128)}
"""Types of pairs in a listpack, and how many servers leave packed."""


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("more", [0, 1])
def test_a_server_crashes_on_a_duplicate_where_it_unpacks(
    tmp_path: Path, name: str, more: int, kind: ServerKind
) -> None:
    type_byte, most = PACKED[name]
    pairs = [part for i in range(most + more - 1) for part in (b"m%d" % i, b"1")]
    path = tmp_path / "x.rdb"
    path.write_bytes(rdb(record(type_byte, b"k", string(listpack(*pairs, b"m0", b"1"))), magic=b"REDIS0010"))
    (told,) = check_rdb(str(path), releases=[release_named(kind.name)]).releases
    assert load(kind, tmp_path / "server", path).loads == told.loads
    assert told.loads is not True or not more


def test_hashes_spill_to_a_file_and_every_duplicate_comes_back() -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    seen = Duplicates(keep=False)
    numbers = list(range(300_000))
    again = rng.sample(numbers, 50)
    for offset, n in enumerate([*numbers, *again]):
        # spread as hashes are, so that parts fill up and are written
        seen.add_hash(n * 0x9E3779B97F4A7C15 & 0x3FFFFFFFFFFFFFFF, offset)
    assert seen.chunks > 100
    seen.finish()
    assert [(numbers[a], b) for a, b in seen.pairs] == [(n, 300_000 + i) for i, n in enumerate(again)]


def test_a_temporary_file_that_cannot_be_made_is_an_error_that_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    seen = Duplicates(keep=False)
    with pytest.raises(OutputError, match="cannot write a temporary file"):
        fill(seen, 300_000)


def fill(seen: Duplicates, n: int) -> None:
    for i in range(n):
        seen.add_hash(i << 8, i)


def test_more_duplicates_than_are_told_are_counted() -> None:
    seen = Duplicates(keep=False)
    for n in range(6000):
        seen.add_hash(n % 3000, n)
    seen.finish()
    assert len(seen.pairs) == 1000
    assert seen.more == 2000


def test_strings_are_read_again_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"REDIS" + strings(b"one", b"two", b"three"))
    assert strings_at(str(path), [13, 5, 9]) == {13: b"three", 5: b"one", 9: b"two"}
    assert strings_at(str(path), [5, 4000]) == {5: b"one"}
    assert strings_at("", [5]) == {}
    assert strings_at("standard input", [5]) == {}


def test_a_hash_depends_on_the_text_alone() -> None:
    """Also not on what stands around it: short texts are read 8 bytes at a time."""
    print("seed", SEED)
    rng = random.Random(SEED)
    hashes: dict[int, bytes] = {}
    for _ in range(2000):
        text = rng.randbytes(rng.randint(0, 40))
        alone = hash_text(text, 0, len(text), HASHED_WITH)
        assert alone == hash_text(b"ab" + text + b"0123456789", 2, len(text), HASHED_WITH)
        assert alone == hash_text(b"xyz" + text, 3, len(text), HASHED_WITH)
        assert 0 <= alone < 1 << 62
        assert hashes.setdefault(alone, text) == text


@pytest.mark.parametrize("n", [0, 1, -1, 9, 10, 127, -128, 1 << 31, -(1 << 31), (1 << 63) - 1, -(1 << 63)])
def test_an_integer_hashes_as_its_text(n: int) -> None:
    text = b"%d" % n
    assert hash_text(text, 0, len(text), HASHED_WITH) == hash_integer(n, HASHED_WITH)


@pytest.mark.parametrize("text", [b"-0", b"01", b"+1", b"1.0", b"-", b"9223372036854775808", b"1e3", b" 1"])
def test_what_only_looks_like_an_integer_does_not(text: bytes) -> None:
    for n in (0, 1, 1000, -1):
        assert hash_text(text, 0, len(text), HASHED_WITH) != hash_integer(n, HASHED_WITH)


def test_texts_that_differ_in_one_place_have_other_hashes() -> None:
    seen = set()
    for length in (1, 7, 8, 9, 16, 17, 33):
        for at in range(length):
            for byte in range(0, 256, 5):
                text = bytearray(b"\x00" * length)
                text[at] = byte
                seen.add((length, at if byte else 0, byte, hash_text(bytes(text), 0, length, HASHED_WITH)))
    assert len({h for *_, h in seen}) == len(seen)


def test_a_table_forgets_between_values() -> None:
    table = HashTable()
    for _ in range(ROUNDS + 3):
        table.begin(2)
        assert table.put(5, 1) == -1
    assert table.put(5, 2) == 1
    table.begin(1000)
    assert [table.put(n << 50, n) for n in range(1000)] == [-1] * 1000
    assert [table.put(n << 50, 0) for n in range(1000)] == list(range(1000))


@pytest.mark.slow
def test_memory_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(rdb(keys([b"a rather long key number %d" % i for i in range(150_000)])))
    verify(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    verify(path)
    verify(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_000


def test_elements_that_are_not_suspect_have_nothing_wrong() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    sound: list[bytes | int] = [
        b"a",
        b"b",
        b"12x",
        b"m" * 70,
        b"m" * 5000,
        5,
        -7,
        300,
        -70_000,
        1 << 40,
        b"2.5",
        b"-inf",
        b"300",
    ]
    clear = 0
    for _ in range(600):
        size = rng.randint(1, 9)
        packed = bytearray(listpack(*(rng.choice(sound) for _ in range(size))))
        if rng.random() < 0.5:
            packed[rng.randrange(len(packed))] = rng.choice((0, 1, 5, 0x30, 0x81, 0xC0, 0xE1, 0xF1, 0xFF))
        for what in (MEMBERS, FIELDS, SCORES):
            findings = Findings()
            ins = Inspection(findings)
            ins.data = bytes(packed)
            ins.size = len(packed)
            count = check_listpack(ins, what)
            if count > 0 and not ins.suspect:
                check_elements(ins, what, count)
                assert findings.items == []
                clear += 1
    assert clear > 300
