"""JSON lines back into keys, and what is said of those that cannot be."""

from __future__ import annotations

import json
import random
from collections import deque

import pytest

from rdbtool.basics.text import HEX
from rdbtool.errors import FormatError
from rdbtool.inputs.jsonl import JsonlSource
from rdbtool.inputs.keys import EntryEvent
from rdbtool.io.window import Window, window_over
from rdbtool.model import Entry, Hash, SortedSet, Stream
from tests.outputs.collected import Pieces

GOOD = '{"db":0,"key":"k","type":"string","value":"v"}'


def read(text: str | bytes, piece: int = 0) -> list[Entry]:
    data = text.encode() if isinstance(text, str) else text
    source = JsonlSource(Window(Pieces(data, piece), size=len(data)) if piece else window_over(data))
    found = []
    while (event := source.next()) is not None:
        assert isinstance(event, EntryEvent)
        found.append(event.entry)
    return found


def value_of(type_: str, value: object) -> object:
    (entry,) = read(json.dumps({"db": 0, "key": "k", "type": type_, "value": value}))
    return entry.value


def test_lines_may_end_anyhow_and_come_in_pieces() -> None:
    text = f"{GOOD}\r\n\n  \n{GOOD}\n{GOOD}"
    for piece in (0, 1, 5, 4096):
        assert [entry.key for entry in read(text, piece)] == [b"k"] * 3


def test_a_line_longer_than_any_window_is_read() -> None:
    line = json.dumps({"db": 0, "key": "k", "type": "string", "value": "x" * 3_000_000})
    (entry, last) = read(f"{line}\n{GOOD}\n", 100_000)
    assert entry.value == b"x" * 3_000_000
    assert last.value == b"v"


def test_facts_of_a_key_are_read() -> None:
    (entry,) = read('{"db":3,"key":"base64:/w==","expire_at_ms":5,"idle_s":6,"freq":7,"type":"string","value":""}')
    assert (entry.db, entry.key, entry.expire_at_ms, entry.idle_s, entry.freq) == (3, b"\xff", 5, 6, 7)


def test_collections_are_read() -> None:
    assert value_of("list", ["a", "a", "base64:AA=="]) == deque([b"a", b"a", b"\0"])
    hash_ = value_of("hash", {"f": "v", "g": {"value": "w", "expire_at_ms": 9}})
    assert isinstance(hash_, Hash)
    assert hash_.fields == {b"f": b"v", b"g": b"w"}
    assert hash_.expiries == {b"g": 9}
    zset = value_of("zset", {"a": 1, "b": 0.5, "c": "-inf"})
    assert isinstance(zset, SortedSet)
    assert zset.scores == {b"a": 1.0, b"b": 0.5, b"c": float("-inf")}
    stream = value_of("stream", {"entries": [["2-0", ["f", "v"]], ["1-5", []]]})
    assert isinstance(stream, Stream)
    assert stream.entries == [((1, 5), []), ((2, 0), [b"f", b"v"])]
    assert (stream.last_id, stream.entries_added) == ((2, 0), 2)


def test_a_header_says_how_bytes_are_written() -> None:
    (entry,) = read('{"rdbtool":1,"bytes":"hex"}\n{"db":0,"key":"6b","type":"string","value":"00ff"}')
    assert (entry.key, entry.value) == (b"k", b"\0\xff")


def test_without_a_header_the_reader_is_told() -> None:
    source = JsonlSource(window_over(b'{"db":0,"key":"6b","type":"string","value":"00"}'), HEX)
    event = source.next()
    assert isinstance(event, EntryEvent)
    assert event.entry.key == b"k"


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ('{"db":0,"key":"k"', 18, "not JSON"),
        ('{"db":0,,', 9, "not JSON"),
        ("[1]", 1, "not an object"),
        ('{"db":0,"type":"string","value":""}', 1, "a record without 'key'"),
        ('{"db":-1,"key":"k","type":"string","value":""}', 2, "db: an integer"),
        ('{"db":true,"key":"k","type":"string","value":""}', 2, "db: an integer"),
        ('{"db":0,"key":"k","type":"string","value":5}', 35, "text expected, not 5"),
        ('{"db":0,"key":"k","type":"blob","value":{}}', 19, "unknown type 'blob'"),
        ('{"db":0,"key":"k","type":"blob","value":"x"}', 19, "unknown type 'blob'"),
        ('{"db":0,"key":"k","type":"string"}', 9, "without a value"),
        ('{"db":0,"key":"k","type":"list","value":"x"}', 33, "a list is an array"),
        ('{"db":0,"key":"k","type":"set","value":["a","a"]}', 32, "a member more than once"),
        ('{"db":0,"key":"k","type":"hash","value":{"f":"a","f":"b"}}', 42, "more than once"),
        ('{"db":0,"key":"k","type":"zset","value":{"m":"x"}}', 33, "a score is a number"),
        ('{"db":0,"key":"k","type":"zset","value":{"m":NaN}}', 1, "NaN is not JSON"),
        ('{"db":0,"key":"base64:%%","type":"string","value":""}', 9, "not auto text"),
        ('{"db":0,"key":"\\ud800","type":"string","value":""}', 9, "not auto text"),
        ('{"db":0,"key":"k","type":"stream","value":{"entries":[["1",[]]]}}', 44, "not a stream id"),
        ('{"db":0,"key":"k","type":"stream","value":{"entries":[["1-1",["f"]]]}}', 44, "an entry is"),
        ('{"db":0,"key":"k","type":"stream","value":{"entries":[["9-1",[]]],"last_id":"1-1"}}', 67, "before that"),
        ('{"db":0,"key":"k","type":"stream","value":{"idempotence":"QGRAZAAAAAA="}}', 44, "producers: bytes behind"),
        (
            '{"db":0,"key":"k","type":"stream","value":{"idempotence":"QGRAZA=="}}',
            44,
            "producers: input ends",
        ),
        ('{"db":0,"key":"k","type":"module","value":{"name":"x"}}', 44, "not the name of a module"),
        ('{"rdbtool":99}', 2, "records of version 99"),
        ("[" * 100_000, 1, "not JSON"),
    ],
)
def test_errors_name_line_and_column(line: str, column: int, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(f"{GOOD}\n{line}\n")
    assert caught.value.offset == len(GOOD) + 1
    assert caught.value.message.startswith(f"line 2, column {column}: ")
    assert message in caught.value.message


def test_bytes_that_are_not_utf8_are_placed() -> None:
    with pytest.raises(FormatError, match="line 1, column 5: not UTF-8"):
        read(b'{"a"\xff')


def test_pending_entries_and_consumers_must_agree() -> None:
    group = {
        "name": "g",
        "last_id": "1-0",
        "pending": [["1-0", 5, 1]],
        "consumers": [{"name": "c", "pending": ["1-0"]}],
    }
    stream = value_of("stream", {"entries": [], "groups": [group]})
    assert isinstance(stream, Stream)
    assert stream.groups[b"g"].pending[0].consumer == b"c"
    wrongs: list[dict[str, object]] = [{"consumers": []}, {"pending": []}, {"pending": [["1-0", 5]]}]
    for wrong in wrongs:
        with pytest.raises(FormatError):
            value_of("stream", {"entries": [], "groups": [group | wrong]})


def test_any_change_gives_keys_or_one_known_error() -> None:
    rng = random.Random(11)
    lines = [
        GOOD,
        '{"db":0,"key":"k","type":"stream","value":{"entries":[["1-1",["f","v"]]],"last_id":"1-1","groups":[]}}',
        '{"db":1,"key":"k","type":"hash","value":{"f":{"value":"v","expire_at_ms":12}}}',
        '{"db":1,"key":"k","type":"zset","value":{"f":1e5,"g":"inf"}}',
        '{"rdbtool":1,"bytes":"auto","dialect":"redis","version":12,"aux":{"a":"b"}}',
        '{"function":"#!lua name=x"}',
        '{"module_aux":"ninechars","when":1,"payload":"AAAA"}',
    ]
    for _ in range(4000):
        line = bytearray(rng.choice(lines).encode())
        for _ in range(rng.randrange(1, 4)):
            line[rng.randrange(len(line))] = rng.choice(b'{}[]":,0-9a\\x\xff')
        source = JsonlSource(window_over(bytes(line)))
        try:
            while source.next() is not None:
                pass
        except FormatError as e:
            assert e.message.startswith("line ")  # noqa: PT017 - any other error fails the test
