from __future__ import annotations

import pytest

from rdbtool.aof.manifest import Part, format_part, is_manifest, parse, split_arguments
from rdbtool.errors import FormatError, RdbToolError
from tests.aof.craft import seeded

BASE = b"file a.1.base.rdb seq 1 type b\n"
INCR = b"file a.1.incr.aof seq 1 type i\n"


def test_parts_come_in_the_servers_order() -> None:
    manifest = parse(b"# comment\n" + INCR + BASE + b"file a.2.incr.aof seq 2 type i\nfile old seq 1 type h\n")
    assert [(p.name, p.seq, p.type) for p in manifest.loaded()] == [
        ("a.1.base.rdb", 1, "b"),
        ("a.1.incr.aof", 1, "i"),
        ("a.2.incr.aof", 2, "i"),
    ]
    assert [p.name for p in manifest.history()] == ["old"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (BASE[:-1], "line end"),
        (b"#" + b"x" * 2000 + b"\n", "pairs"),
        (BASE.replace(b"seq", b"x" * 1024 + b" 1 seq"), "line end"),
        (b"\n", "empty line"),
        (b" \t\r\n", "empty line"),
        (b"file a seq 1\n", "pairs"),
        (b"file a seq 1 type i extra\n", "pairs"),
        (b'file "a seq 1 type i\n', "pairs"),
        (b'file "a"b seq 1 type i\n', "pairs"),
        (b"file a seq 0 type i\n", "missing"),
        (b"file a seq x type i\n", "missing"),
        (b"file a sec 1 type i\n", "missing"),
        (b'file a seq 1 type ""\n', "missing"),
        (b"file dir/a seq 1 type i\n", "path"),
        (b'file "dir\\\\a" seq 1 type i\n', "path"),
        (BASE + b"file b seq 2 type b\n", "second base"),
        (INCR + INCR, "after 1"),
        (b"file a seq 1 type x\n", "unknown file type"),
    ],
)
def test_what_ends_the_server_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse(data)


def test_further_pairs_are_kept_and_keywords_may_be_in_capitals() -> None:
    manifest = parse(b"FILE a Seq 7 TYPE incr startoffset 12 newkey 'new value'\n")
    (part,) = manifest.parts
    assert (part.name, part.seq, part.type) == ("a", 7, "i")
    assert part.extra == [(b"startoffset", b"12"), (b"newkey", b"new value")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"a  b\tc", [b"a", b"b", b"c"]),
        (rb'"a \"b\" \x41\n" c', [b'a "b" A\n', b"c"]),
        (rb"'it\'s' x", [b"it's", b"x"]),
        (b'""', [b""]),
        (b'a"b c"', [b"ab c"]),
        (b"'a", None),
        (b"", []),
    ],
)
def test_words_are_split_as_the_server_does(line: bytes, words: list[bytes] | None) -> None:
    assert split_arguments(line) == words


@pytest.mark.parametrize("name", ["plain.aof", "with space.aof", 'quote".aof', "\x07bell", "\udcff\udcfe"])
def test_a_line_that_is_written_can_be_read(name: str) -> None:
    part = Part(name, 12, "i", 1, [(b"endoffset", b"9"), (b"k", b"two words")])
    (again,) = parse(format_part(part)).parts
    assert (again.name, again.seq, again.type, again.extra) == (name, 12, "i", part.extra)


def test_lines_can_be_left_out_and_comments_stay() -> None:
    data = BASE + b"# note\n" + INCR
    manifest = parse(data)
    assert manifest.without([manifest.parts[1]]) == BASE + b"# note\n"
    assert manifest.without([]) == data


@pytest.mark.parametrize(
    ("head", "name", "answer"),
    [
        (BASE, "x", True),
        (b"# note\n" + BASE, "x", True),
        (b"filexyz", "x", False),
        (b"*1\r\n$4\r\nPING\r\nfile ", "x", False),
        (b"#TS:1\r\n*1\r\n", "x", False),
        (b"", "a.manifest", True),
        (b"filx" + BASE[4:], "a.manifest", True),
        (b"\0\0\0", "a.manifest", True),
        (b"", "a.aof", False),
    ],
)
def test_a_manifest_is_known_by_its_first_line(head: bytes, name: str, answer: bool) -> None:
    assert is_manifest(head, name) is answer


def test_any_bytes_give_a_manifest_or_an_error() -> None:
    rnd = seeded()
    base = BASE + INCR + b"# c\n" + b"file 'a b' seq 3 type i k v\n"
    for _ in range(3000):
        data = bytearray(base)
        for _ in range(rnd.randrange(1, 5)):
            at = rnd.randrange(len(data))
            data[at : at + rnd.randrange(3)] = rnd.choice([b"\0", b"\n", b'"', b"'", b"\\x", b" ", b"seq", b"\xff"])
        try:
            for part in parse(bytes(data)).parts:
                assert part.name
                assert part.type in "bhi"
        except RdbToolError:
            pass
