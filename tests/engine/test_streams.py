from __future__ import annotations

import random

import pytest

from rdbtool.engine.cells.stream import StreamCell, key_of, stream_cell
from rdbtool.engine.stream_ids import text_of
from rdbtool.findings import Findings
from rdbtool.io.window import window_over
from rdbtool.model import Stream
from rdbtool.rdb.check import verify_rdb
from rdbtool.rdb.encode import encode
from rdbtool.rdb.targets import target
from rdbtool.rdb.values.stream_nodes import pair_of
from tests.engine.commanding import Engine
from tests.rdb.craft import rdb, record
from tests.rdb.values_strategies import element

NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM "
    "option to create an empty stream automatically."
)


def filled(count: int, release: str = "redis-8.6") -> Engine:
    """Entries 1-0 to count-0 in the stream s, and a group g that begins before them."""
    e = Engine(release)
    e.run("XGROUP CREATE s g 0 MKSTREAM")
    for i in range(1, count + 1):
        e.run(f"XADD s {i}-0 f v")
    return e


def test_xadd_takes_whole_and_partial_ids() -> None:
    e = Engine()
    assert e.all("XADD s 5 a b", "XADD s 5-* a b", "XADD s 7-* a b", "XADD s 7-5 a b") == [
        b"5-0",
        b"5-1",
        b"7-0",
        b"7-5",
    ]
    assert e.run("XADD s * a b") == b"2000000000000-0"
    assert e.run("XADD s * a b") == b"2000000000000-1"
    assert e.stream("s").entries_added == 6


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("XADD s 3-0 a b", "ERR The ID specified in XADD is equal or smaller than the target stream top item"),
        ("XADD s 0-0 a b", "ERR The ID specified in XADD must be greater than 0-0"),
        ("XADD s 4-0 a", "ERR wrong number of arguments for 'xadd' command"),
        ("XADD s 4-0 a b c", "ERR wrong number of arguments for 'xadd' command"),
        ("XADD s x a b", "ERR Invalid stream ID specified as stream command argument"),
        ("XADD s - a b", "ERR Invalid stream ID specified as stream command argument"),
        ("XADD s 18446744073709551616-0 a b", "ERR Invalid stream ID specified as stream command argument"),
        ("XADD s MAXLEN -1 4-0 a b", "ERR The MAXLEN argument must be >= 0."),
        (
            "XADD s MAXLEN 1 MINID 2 4-0 a b",
            "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
        ),
        ("XADD s LIMIT 5 4-0 a b", "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"),
        ("XTRIM s LIMIT 0", "ERR syntax error, XTRIM must be called with a trimming strategy"),
        ("XSETID none 1-0", "ERR no such key"),
        ("XSETID s 2-0", "ERR The ID specified in XSETID is smaller than the target stream top item"),
        (
            "XSETID s 9-0 ENTRIESADDED 2",
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ),
        (
            "XSETID s 9-0 MAXDELETEDID 9-1",
            "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
        ),
        ("XGROUP CREATE none g 0", NO_KEY),
        ("XGROUP CREATE s g 0", "BUSYGROUP Consumer Group name already exists"),
        ("XGROUP SETID s other 0", "NOGROUP No such consumer group 'other' for key name 's'"),
        ("XCLAIM s other c 0 1-0", "NOGROUP No such key 's' or consumer group 'other'"),
        ("XCLAIM s g c 0 1-0 WHAT", "ERR Unrecognized XCLAIM option 'WHAT'"),
        (
            "XREADGROUP GROUP g c STREAMS none >",
            "NOGROUP No such key 'none' or consumer group 'g' in XREADGROUP with GROUP option",
        ),
        ("XACK s g 1-0 x", "ERR Invalid stream ID specified as stream command argument"),
    ],
)
def test_a_bad_command_changes_nothing_and_has_the_servers_text(command: str, error: str) -> None:
    e = filled(3)
    assert e.run(command) == error
    assert e.ids("s") == ["1-0", "2-0", "3-0"]
    assert list(e.dataset.keys) == [b"s"]


def test_nomkstream_creates_nothing() -> None:
    e = Engine()
    assert e.run("XADD s NOMKSTREAM 1-1 a b") is None
    assert not e.dataset.keys


def test_the_last_id_of_all_is_the_last() -> None:
    e = Engine()
    top = "18446744073709551615-18446744073709551615"
    assert e.run(f"XADD s {top} a b") == top.encode()
    assert e.run("XADD s * a b") == "ERR The stream has exhausted the last possible ID, unable to add more items"


def test_exact_trimming_keeps_exactly_what_it_is_told() -> None:
    e = filled(250)
    assert e.run("XTRIM s MAXLEN = 120") == 130
    assert e.ids("s")[0] == "131-0"
    assert e.run("XTRIM s MINID 200") == 69
    assert e.run("XADD s MAXLEN 3 251-0 f v") == b"251-0"
    assert e.ids("s") == ["249-0", "250-0", "251-0"]
    assert e.stream("s").max_deleted_id == 0
    assert e.run("XTRIM s MAXLEN 0") == 3
    assert e.stream("s").entries_added == 251


def test_approximate_trimming_drops_whole_nodes_only() -> None:
    e = filled(250)
    assert [node.count for node in e.stream("s").nodes] == [100, 100, 50]
    assert e.all("XTRIM s MAXLEN ~ 151", "XTRIM s MAXLEN ~ 150", "XTRIM s MINID ~ 200", "XTRIM s MINID ~ 201") == [
        0,
        100,
        0,
        100,
    ]
    assert e.ids("s")[0] == "201-0"


def test_a_node_ends_before_its_bytes_exceed_the_limit() -> None:
    e = Engine()
    for i in range(1, 10):
        e.run(f"XADD s {i}-0 f {'v' * 1000}")
    assert [node.count for node in e.stream("s").nodes] == [4, 4, 1]


def test_deleted_entries_are_remembered_for_what_groups_have_read() -> None:
    e = filled(5)
    assert e.all("XDEL s 2-0 9-0 4-0", "XDEL none 1-0") == [2, 0]
    assert e.ids("s") == ["1-0", "3-0", "5-0"]
    assert e.stream("s").max_deleted_id == 4 << 64


def test_a_stream_without_entries_stays() -> None:
    e = filled(2)
    e.run("XDEL s 1-0 2-0")
    assert e.ids("s") == []
    assert b"s" in e.dataset.keys


def test_reading_makes_entries_pending_until_they_are_acknowledged() -> None:
    e = filled(4)
    reply = e.run("XREADGROUP GROUP g c COUNT 3 STREAMS s >")
    assert reply == [[b"s", [[b"1-0", [b"f", b"v"]], [b"2-0", [b"f", b"v"]], [b"3-0", [b"f", b"v"]]]]]
    assert e.all("XACK s g 2-0 2-0 9-0", "XGROUP CREATECONSUMER s g d", "XGROUP CREATECONSUMER s g d") == [1, 1, 0]
    assert e.run("XCLAIM s g d 0 1-0 4-0 RETRYCOUNT 7 JUSTID") == [b"1-0"]
    assert e.pending("s", "g") == {"1-0": ("d", 7), "3-0": ("c", 1)}
    assert e.all("XGROUP DELCONSUMER s g d", "XGROUP DELCONSUMER s g d") == [1, 0]
    assert e.pending("s", "g") == {"3-0": ("c", 1)}
    assert e.stream("s").groups[b"g"].last_id == 3 << 64


def test_the_xclaim_of_a_log_creates_the_entry_and_moves_the_group() -> None:
    e = filled(2)
    e.run("XCLAIM s g c 0 2-0 TIME 1600000000000 RETRYCOUNT 3 FORCE JUSTID LASTID 2-0")
    pending = e.stream("s").groups[b"g"].pending[key_of(2 << 64)]
    assert (pending.consumer.name, pending.delivered_ms, pending.deliveries) == (b"c", 1600000000000, 3)
    assert e.stream("s").groups[b"g"].last_id == 2 << 64


def test_claiming_a_deleted_entry_drops_it_since_7_0() -> None:
    for release, left in (("redis-6.2", {"1-0": ("d", 2)}), ("redis-7.0", {})):
        e = filled(1, release)
        e.all("XREADGROUP GROUP g c STREAMS s >", "XDEL s 1-0", "XCLAIM s g d 0 1-0")
        assert e.pending("s", "g") == left, release


def test_xautoclaim_walks_on_from_its_cursor() -> None:
    e = filled(5)
    e.all("XREADGROUP GROUP g c STREAMS s >", "XDEL s 2-0")
    assert e.run("XAUTOCLAIM s g d 0 - COUNT 3 JUSTID") == [b"4-0", [b"1-0", b"3-0"], [b"2-0"]]
    assert e.run("XAUTOCLAIM s g d 0 4-0 COUNT 3 JUSTID") == [b"0-0", [b"4-0", b"5-0"], []]


def test_setid_forgets_how_much_was_read_unless_told() -> None:
    e = filled(3)
    e.all("XGROUP SETID s g 2-0 ENTRIESREAD 2")
    assert e.stream("s").groups[b"g"].entries_read == 2
    e.run("XGROUP SETID s g $")
    assert e.stream("s").groups[b"g"].entries_read == -1
    assert e.stream("s").groups[b"g"].last_id == 3 << 64
    assert e.all("XGROUP DESTROY s g", "XGROUP DESTROY s g") == [1, 0]


def test_xsetid_sets_the_counters() -> None:
    e = filled(1)
    e.run("XSETID s 9-1 ENTRIESADDED 20 MAXDELETEDID 8-0")
    cell = e.stream("s")
    assert (cell.last_id, cell.entries_added, cell.max_deleted_id) == (9 << 64 | 1, 20, 8 << 64)


# The deletion policies of Redis 8.2: what its documentation says, and the log of a real 8.6.


def shared(release: str = "redis-8.6") -> Engine:
    """Entries 1-0 to 4-0; g has read three and acknowledged 1-0, h has read two and acknowledged both."""
    e = filled(4, release)
    e.all("XGROUP CREATE s h 0", "XREADGROUP GROUP g c COUNT 3 STREAMS s >", "XREADGROUP GROUP h c COUNT 2 STREAMS s >")
    e.all("XACK s g 1-0", "XACK s h 1-0 2-0")
    return e


def test_xdelex_deletes_by_policy() -> None:
    e = shared()
    assert e.run("XDELEX s ACKED IDS 4 1-0 2-0 3-0 9-0") == [1, 2, 2, 2]  # as Redis 8.2.3 answers
    assert e.run("XDELEX s KEEPREF IDS 1 2-0") == [1]
    assert e.pending("s", "g") == {"2-0": ("c", 1), "3-0": ("c", 1)}
    assert e.run("XDELEX s IDS 2 2-0 3-0 DELREF") == [-1, 1]
    assert e.pending("s", "g") == {}
    assert e.ids("s") == ["4-0"]


def test_xackdel_acknowledges_and_deletes_what_no_group_needs() -> None:
    e = shared()
    e.run("XREADGROUP GROUP h c STREAMS s >")
    assert e.run("XACKDEL s g ACKED IDS 3 2-0 3-0 4-0") == [1, 2, -1]
    assert e.ids("s") == ["1-0", "3-0", "4-0"]
    assert e.run("XACKDEL s h DELREF IDS 1 3-0") == [1]
    assert e.ids("s") == ["1-0", "4-0"]
    assert e.pending("s", "h") == {"4-0": ("c", 1)}
    assert e.run("XACKDEL s none IDS 1 4-0") == [-1]


def test_trimming_by_policy() -> None:
    e = shared()
    assert e.run("XTRIM s MAXLEN = 0 ACKED") == 1
    assert e.ids("s") == ["2-0", "3-0", "4-0"]
    assert e.run("XADD s DELREF MAXLEN = 2 5-0 f v") == b"5-0"
    assert e.ids("s") == ["4-0", "5-0"]
    assert e.pending("s", "g") == {}
    assert Engine("valkey-9.1").run("XTRIM s MAXLEN 1 ACKED") == "ERR syntax error"


def test_idempotent_producers_as_a_real_server_logged_them() -> None:
    e = Engine()
    assert e.run("xadd s1 idmp prod1 iid1 1795210988690-0 f v") == b"1795210988690-0"
    assert e.run("xadd s1 idmpauto prod2 1795210988694-0 f v2") == b"1795210988694-0"
    assert e.run("xadd s1 idmp prod1 iid1 * f v") == b"1795210988690-0"
    e.run("xcfgset s1 idmp-duration 300 idmp-maxsize 50")
    value = e.stream("s1").value()
    assert isinstance(value, Stream)
    assert value.idmp == b"\x41\x2c\x32\x00\x02\x01"
    assert len(value.entries) == 2
    assert e.run("XADD s2 NOMKSTREAM 1-1 a b") is None
    assert Engine("redis-8.4").run("XADD s IDMP p i 1-1 a b").__class__ is str


def test_xidmprecord_restores_what_was_added_for_a_message() -> None:
    e = filled(2)
    assert e.all("XIDMPRECORD s p m 2-0", "XIDMPRECORD s p m 2-0", "XADD s IDMP p m * f v") == [b"OK", b"OK", b"2-0"]
    assert e.ids("s") == ["1-0", "2-0"]
    assert str(e.run("XIDMPRECORD s p m 1-0")).startswith("ERR")


def test_a_stream_survives_the_way_through_the_model() -> None:
    e = shared()
    e.run("XDEL s 2-0")
    cell = e.stream("s")
    value = cell.value()
    assert isinstance(value, Stream)
    again = stream_cell(value).value()
    assert isinstance(again, Stream)
    assert again.entries == value.entries
    assert (again.last_id, again.max_deleted_id, again.entries_added) == ((4, 0), (2, 0), 4)
    assert [pending.entry for pending in again.groups[b"g"].pending] == [(2, 0), (3, 0)]
    copy = cell.copy()
    assert isinstance(copy, StreamCell)
    e.run("XADD s 9-0 f v")
    assert copy.length == 3
    assert [node.dead for node in copy.nodes] == [1]


def test_a_stream_is_what_a_dict_of_its_entries_is() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for first in (1, (1_700_000_000_000 << 64) + 7, (1 << 127) + (1 << 63)):
        e = Engine()
        plain: dict[int, list[bytes]] = {}
        fields = [b"f", b"17"]
        entry = first
        deleted = 0
        for _ in range(600):
            items = [x for field in fields for x in (field, element(rng))]
            pick = rng.random()
            if pick < 0.1:
                items = [element(rng) for _ in range(2 * rng.choice((1, 2, 70)))]
            most = rng.randrange(300)
            trim = f"MAXLEN {most} " if rng.random() < 0.1 else ""
            assert e.run(f"XADD s {trim}{text_of(entry).decode()}", *items) == text_of(entry)
            plain[entry] = items
            gone = list(plain)[: max(len(plain) - most, 0)] if trim else []
            if rng.random() < 0.3 and len(plain) > len(gone):
                chosen = rng.choice(list(plain)[len(gone) :])
                deleted = max(deleted, chosen)
                assert e.all(f"XDEL s {text_of(chosen).decode()}", f"XDEL s {text_of(chosen).decode()}") == [1, 0]
                gone.append(chosen)
            for old in gone:
                del plain[old]
            if pick > 0.97:
                lowest = rng.choice([*plain, entry])
                before = [old for old in plain if old < lowest]
                assert e.run(f"XTRIM s MINID {text_of(lowest).decode()}") == len(before)
                for old in before:
                    del plain[old]
            _compare(rng, e.stream("s"), plain, entry)
            entry += 1 + rng.choice((0, 0, rng.getrandbits(64), 1 << 64, rng.getrandbits(80)))
        assert e.stream("s").max_deleted_id == deleted
        _survives(e.stream("s"), plain)


def _compare(rng: random.Random, cell: StreamCell, plain: dict[int, list[bytes]], last: int) -> None:
    ids = list(plain)
    assert (cell.length, cell.first_id(), cell.top_id()) == (len(plain), *((ids[0], ids[-1]) if ids else (0, 0)))
    entry = rng.choice([*ids, last])
    assert cell.find(entry) == plain.get(entry)
    assert cell.has(entry + 1) == (entry + 1 in plain)
    entry -= rng.randrange(2)
    count = rng.randrange(1, 300)
    assert cell.after(entry, count) == [(e, items) for e, items in plain.items() if e > entry][:count]


def _survives(cell: StreamCell, plain: dict[int, list[bytes]]) -> None:
    """A copy, and the payload of a snapshot, hold the same."""
    pairs = [(pair_of(entry), items) for entry, items in plain.items()]
    copy = cell.copy()
    assert isinstance(copy, StreamCell)
    for entry in list(plain)[::2]:
        assert copy.delete(entry)
    assert copy.after(-1, 0) == list(plain.items())[1::2]
    assert cell.after(-1, 0) == list(plain.items())
    row, payload = encode(cell.value(), target("redis-7.2"))
    again = row.value(window_over(payload))
    assert isinstance(again, Stream)
    assert again.entries == pairs
    findings = Findings()
    facts = verify_rdb(window_over(rdb(record(row.byte, b"s", payload), magic=b"REDIS0011")), findings)
    assert facts.complete
    assert not findings.items


def test_ids_whose_hashes_collide_take_no_longer() -> None:
    """Integers that are the same modulo 2 ** 61 - 1 have one hash: with them as keys this takes minutes."""
    e = Engine()
    step = 2**61 - 1
    for i in range(1, 20_000):
        entry = f"{i * step >> 64}-{i * step & 2**64 - 1}"
        e.run(f"XADD s {entry} a b")
        if i == 1:
            e.run("XGROUP CREATE s g 0")
        e.run(f"XCLAIM s g c 0 {entry} TIME 1 RETRYCOUNT 1 FORCE JUSTID LASTID 0-0")
    assert len(e.stream("s").groups[b"g"].pending) == 19_999
