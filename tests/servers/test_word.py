"""Damaged files: what a real server says of each, and what it then holds, against check-rdb, check-aof and digest.

A few are asked about in each run; `pytest tests/servers/test_word.py --files 2000` asks about that many of each kind.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.basics.crc64 import crc64
from tests.aof.craft import command
from tests.rdb.craft import record, string
from tests.servers.damaging import (
    ENDLESS,
    FIELDS_EXPIRE,
    LONG_LINE,
    NO_MEMORY,
    NO_NUMBER,
    NO_ORDER,
    ODD_VERSION,
    OF_MODULES,
    Answers,
    ask,
    ask_about,
    mended,
)
from tests.servers.harness import SERVERS, ServerKind

SEED = 17
REASONS = {
    "it loads what kills it, or has no end, when it is looked at": "check-rdb tells the damage",
    "damaged inside a value, where this server does not look": "what it makes of it depends on its memory",
    NO_NUMBER: "check-rdb tells the score",
    NO_ORDER: "check-rdb tells the order",
    "a field of Valkey's hash twice, once expired: it drops that first, we do not": "as if not expired",
    ODD_VERSION: "check-rdb --salvage reads it, and no server writes such a header",
    ENDLESS: "digest refuses it, and says so",
    FIELDS_EXPIRE: "as the server loads it",
    OF_MODULES: "digest says so",
    NO_MEMORY: "check-aof --for tells it",
    LONG_LINE: "no server writes such a header; check-aof --for tells what becomes of it",
    "the snapshot in front no longer says that a log follows": "digest takes the file for a snapshot",
}
"""Kinds of files of which a server and we may say different things, and why that is so."""


BEFORE = command("SET", "a", "1")
HASH_FIELDS = b"\x02\x01f\x01v" + (1 << 40).to_bytes(8, "little") + b"\x01g\x01w" + b"\xff" * 8
VALKEY_BASE = b"VALKEY080\xfa" + string(b"aof-base") + b"\xc0\x01\xfe\0" + record(22, b"h", HASH_FIELDS) + b"\xff"
OLD_SCORES = (b"REDIS0009\xfe\0\x03\x01z\x02\x011\x031.5\x012", b"\xff")
FOUND = {
    "length-over-1-TiB": BEFORE + b"*2\r\n$3\r\nDEL\r\n$1300000000000\r\na",
    "length-over-80-TiB": BEFORE + b"*2\r\n$3\r\nDEL\r\n$88000000000000\r\na",
    "zero-byte-for-count": BEFORE + b"*\0" + b"1\r\n$4\r\nPING\r\n",
    "zero-byte-for-count-at-end": BEFORE + b"*\0" + b"1",
    "name-with-space-in-front": BEFORE + command(" FLUSHDB"),
    "name-with-space-within": BEFORE + command("XSE ID", "x", "1-1"),
    "unknown-subcommand": BEFORE + command("XGROUP", "CRATE", "x", "g", "0") + command("SET", "b", "2"),
    "hash-alone": b"#",
    "hash-behind-a-command": BEFORE + b"#x\r\n",
    "header-of-200-bytes": BEFORE + b"*1\r\n$7" + b" " * 200 + b"\r\nFLUSHDB\r\n",
    "header-of-200-bytes-at-end": BEFORE + b"*1\r\n$7" + b"x" * 200,
    "expired-field-in-base": VALKEY_BASE + crc64(VALKEY_BASE).to_bytes(8, "little") + BEFORE,
    **{
        f"score-{text.hex()}.rdb": mended(OLD_SCORES[0] + bytes((len(text),)) + text + OLD_SCORES[1] + bytes(8))
        for text in (b" 0x", b"-0xg", b"0x.", b"0X1", b"infi", b"infinit", b"infinity", b"inf!", b"1e+x")
    },
}
"""Files of which a server said something else than we did once."""


@pytest.mark.parametrize("data", FOUND.values(), ids=FOUND)
@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_what_damage_brought_to_light_is_told_as_the_server_does(kind: ServerKind, data: bytes, tmp_path: Path) -> None:
    answers = Answers()
    ask_about(kind, tmp_path / ("found.rdb" if data.startswith(b"REDIS") else "found.aof"), data, answers)
    assert not answers.wrong


@pytest.mark.parametrize("suffix", [".rdb", ".aof"])
@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_of_a_damaged_file_we_say_what_the_server_says(
    kind: ServerKind, suffix: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    print(f"seed {SEED}")
    answers = ask(kind, tmp_path, suffix, 0, pytestconfig.getoption("files"), SEED)
    print(f"{answers.asked} files, {answers.loaded} of them loaded; {answers.kinds}")
    assert not answers.wrong, "\n".join(answers.wrong[:20])
    assert answers.loaded > answers.asked // 20
    unsure = {kind for kind in answers.kinds if kind.startswith("cannot be told")}
    assert set(answers.kinds) - unsure <= set(REASONS)
