"""DUMP payloads of real servers, and hostile ones."""

import hashlib
import json
import random
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from rdbtool.basics.crc64 import crc64
from rdbtool.errors import FormatError, RdbToolError, UnsupportedError
from rdbtool.model import Stream
from rdbtool.rdb.dump_payload import build_dump, dump, parse_dump
from rdbtool.rdb.targets import target, target_names
from tests.rdb.corpus import CORPUS, expected_of
from tests.rdb.expected import corpus_files, differences, frames, label, prints_17_digits, unshown

PAYLOAD_FILES = sorted((CORPUS / "made").glob("*/dump-payloads.json"))
HOSTILE = sorted((CORPUS / "restore-payloads").glob("*.payload"))
GOOD = bytes.fromhex("000d74686520656d707479206b6579080075aff428e3e7828f")
"""DUMP of the string "the empty key" by Redis 4.0."""


def test_a_payload_is_read_and_built() -> None:
    frame = parse_dump(GOOD, key=b"k", db=3)
    assert (frame.db, frame.key, frame.value()) == (3, b"k", b"the empty key")
    assert build_dump(frame.type, frame.raw(), 8) == GOOD
    assert dump(b"the empty key", target("redis-4.0")) == GOOD


def test_damage_is_refused() -> None:
    for place in range(len(GOOD)):
        for bit in range(8):
            with pytest.raises(RdbToolError):
                parse_dump(GOOD[:place] + bytes((GOOD[place] ^ 1 << bit,)) + GOOD[place + 1 :])
    for size in range(len(GOOD)):
        with pytest.raises(FormatError):
            parse_dump(GOOD[:size])


def sealed(body: bytes) -> bytes:
    return body + crc64(body).to_bytes(8, "little")


def test_the_version_tells_whose_types_they_are() -> None:
    hash2 = b"\x16\x01\x01f\x01v" + (5000).to_bytes(8, "little")
    assert parse_dump(sealed(hash2 + b"\x50\x00")).type.name == "hash2"
    metadata = b"\x16\x01\x05\x01f\x01v"
    assert parse_dump(sealed(metadata + b"\x0c\x00")).type.name == "hash-metadata-pre-ga"


def test_what_is_not_known_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="version 79"):
        parse_dump(sealed(b"\x00\x01x\x4f\x00"))
    with pytest.raises(FormatError, match="unknown type 30"):  # a reference needs the snapshot it stands in
        parse_dump(sealed(b"\x1e\x01x\x0f\x00"), key=b"k")


def test_bytes_behind_the_value_are_refused() -> None:
    with pytest.raises(FormatError, match="1 bytes behind"):
        parse_dump(sealed(b"\x00\x01xy\x0a\x00"))


@pytest.mark.parametrize("path", PAYLOAD_FILES, ids=lambda p: p.parent.name)
def test_payloads_hold_what_the_server_said(path: Path) -> None:
    facts = json.loads(path.read_text())
    keys = {
        (int(db), k["key"]): k for db, keys in expected_of(path.with_name("alltypes.rdb"))["dbs"].items() for k in keys
    }
    wrong = []
    for payload in facts["payloads"]:
        data = bytes.fromhex(payload["dump_hex"])
        frame = parse_dump(data)
        assert build_dump(frame.type, frame.raw(), int.from_bytes(data[-10:-8], "little")) == data
        key = keys[payload["db"], payload["key"]]
        wrong += differences(key, frame.value(), digits17=prints_17_digits(facts["server"]))
    assert not wrong


def release_of(path: Path) -> str:
    """The release that wrote a file of the corpus: redis-7.0 for redis-7.0.15; "" for none."""
    name, _, patch = path.parent.name.rpartition(".")
    return name if patch.isdigit() else ""


def dumped(path: Path) -> list[tuple[str, bytes, Any]]:
    """Keys of a file for which the JSON has the checksum of what DUMP answered."""
    facts = expected_of(path)
    keys = {(int(db), unshown(k["key"])): k for db, keys in facts["dbs"].items() for k in keys if "dump_sha256" in k}
    return [(keys[f.db, f.key]["dump_sha256"], f.key, f.value()) for f in frames(path) if (f.db, f.key) in keys]


RELEASED = [p for p in corpus_files() if p.stem in {"alltypes", "small-plain"} and release_of(p) in target_names()]


@pytest.mark.parametrize("path", RELEASED, ids=label)
def test_values_built_anew_have_the_very_bytes_that_the_server_dumps(path: Path) -> None:
    release = target(release_of(path))
    wrong = []
    found = dumped(path)
    for digest, key, value in found:
        if isinstance(value, Stream):
            continue  # deleted entries leave traces in a server's listpacks
        if key == b"L:listplain" or (isinstance(value, deque) and path.stem == "small-plain"):
            continue  # their nodes were made while the server had other settings
        if hashlib.sha256(dump(value, release)).hexdigest() != digest:
            wrong.append(key)
    assert found
    assert not wrong


@pytest.mark.parametrize("path", HOSTILE, ids=lambda p: p.name[:40])
def test_hostile_payloads_give_a_value_or_an_error_of_ours(path: Path) -> None:
    data = path.read_bytes()
    try:
        value = parse_dump(data).value()
    except (FormatError, UnsupportedError):
        return
    assert value is not None


@pytest.mark.parametrize("path", PAYLOAD_FILES[-2:], ids=lambda p: p.parent.name)
def test_damaged_payloads_give_a_value_or_an_error_of_ours(path: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    refused = 0
    for payload in json.loads(path.read_text())["payloads"]:
        body = bytes.fromhex(payload["dump_hex"])[:-8]
        for _ in range(4):
            at = rng.randrange(len(body))
            damaged = body[:at] + rng.randbytes(rng.randint(0, 3)) + body[at + rng.randint(0, 3) :]
            try:
                parse_dump(sealed(damaged)).value()
            except (FormatError, UnsupportedError):
                refused += 1
    assert refused
