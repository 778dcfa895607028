"""Decoded values against what the server that wrote the file said of them."""

from pathlib import Path

import pytest

from tests.rdb.corpus import expected_of
from tests.rdb.expected import (
    corpus_files,
    differences,
    frames,
    functions,
    label,
    plain,
    prints_17_digits,
    unshown,
    unsigned_zero,
)

FILES = [p for p in corpus_files() if "dbs" in expected_of(p)]


@pytest.mark.parametrize("path", FILES, ids=label)
def test_every_key_has_the_value_the_server_gave(path: Path) -> None:
    facts = expected_of(path)
    digits17 = prints_17_digits(facts.get("server", path.parent.name))
    expected = {(int(db), unshown(k["key"])): k for db, keys in facts["dbs"].items() for k in keys}
    wrong = []
    for frame in frames(path):
        if frame.expire_at_ms < -1:
            continue  # Redis 2.4 let expiries beyond 2038 wrap, and then found them past
        key = expected.pop((frame.db, frame.key), None)
        if key is None:
            wrong.append(f"not in the JSON: {frame.key!r}")
            continue
        if not key.get("pexpiretime_source") and key.get("pexpiretime") not in {None, frame.expire_at_ms}:
            wrong.append(f"{frame.key!r} expires at {frame.expire_at_ms}, not {key['pexpiretime']}")
        value = frame.value()
        if frame.type.name == "zset2" and key["encoding"] == "listpack" and "-0" not in {x[1] for x in key["value"]}:
            value = unsigned_zero(value)  # what Redis 7.0.15 and later make of it, but no release before
        wrong += differences(key, value, digits17=digits17)
    assert not wrong
    assert not expected


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_value_read_from_its_raw_bytes_is_the_same(path: Path) -> None:
    streamed = [(f.key, plain(f.value())) for f in frames(path)]
    assert streamed == [(f.key, plain(f.value())) for f in frames(path) if f.raw() is not None]


@pytest.mark.parametrize("path", [p for p in FILES if expected_of(p).get("functions")], ids=label)
def test_functions_are_as_the_server_listed_them(path: Path) -> None:
    assert sorted(functions(path)) == sorted(unshown(f["code"]) for f in expected_of(path)["functions"])
