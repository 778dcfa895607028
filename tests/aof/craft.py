"""Logs made by hand, and sources that give their bytes in other portions."""

from __future__ import annotations

import os
import random
from pathlib import Path

from rdbtool.basics.crc64 import crc64

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures" / "aof"
CORPUS = ROOT.parent / "shared" / "corpus"


def command(*args: bytes | str) -> bytes:
    words = [a.encode() if isinstance(a, str) else a for a in args]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def sets(count: int, size: int = 5) -> bytes:
    return b"".join(command("SET", f"key:{i}", "v" * size) for i in range(count))


MULTI = command("MULTI")
EXEC = command("EXEC")


def make_set(directory: Path, **files: bytes) -> Path:
    """A multi-part set: the base under the name ``base``, then the increments in order."""
    directory.mkdir(exist_ok=True)
    manifest = b""
    seq = 0
    for role, data in files.items():
        if role == "base":
            name, line = "appendonly.aof.1.base.aof", "seq 1 type b"
        else:
            seq += 1
            name, line = f"appendonly.aof.{seq}.incr.aof", f"seq {seq} type i"
        (directory / name).write_bytes(data)
        manifest += f"file {name} {line}\n".encode()
    (directory / "appendonly.aof.manifest").write_bytes(manifest)
    return directory


class Trickle:
    """One byte per read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def read(self, n: int, /) -> bytes:
        piece = self.data[self.at : self.at + 1] if n else b""
        self.at += len(piece)
        return piece


TOKENS = [
    b"*",
    b"$",
    b"\r\n",
    b"\n",
    b"\r",
    b"#",
    b"-1",
    b"0",
    b"99",
    b" ",
    b"+",
    b"\0",
    b"*0\r\n",
    b"#TS:1\r\n",
    b"$0\r\n\r\n",
    b"x" * 1100 + b"\n",
    MULTI,
    EXEC,
    command("PING"),
]


def damage(data: bytes, rnd: random.Random) -> bytes:
    """``data`` with one to three things wrong with it."""
    out = bytearray(data)
    for _ in range(rnd.choice((1, 1, 1, 2, 3))):
        kind = rnd.randrange(7)
        at = rnd.randrange(len(out)) if out else 0
        line = out.rfind(b"\n", 0, at) + 1
        if kind == 0 and out:
            out[at] = rnd.randrange(256)
        elif kind == 1 and out:
            out[at] ^= 1 << rnd.randrange(8)
        elif kind == 2:
            out[line:line] = rnd.choice(TOKENS)
        elif kind == 3:
            out[at:at] = rnd.choice(TOKENS)
        elif kind == 4:
            del out[at : at + rnd.randrange(1, 8)]
        elif kind == 5:
            del out[at:]
        else:
            dollar = out.find(b"$", at)
            if dollar >= 0:
                out[dollar + 1 : dollar + 2] = bytes([rnd.choice(b"0123456789 -+")])
    return bytes(out)


def seeded() -> random.Random:
    """Random numbers whose seed is printed, and can be given in RDBTOOL_SEED."""
    seed = int(os.environ.get("RDBTOOL_SEED", "0")) or random.randrange(1, 1 << 32)
    print(f"RDBTOOL_SEED={seed}")
    return random.Random(seed)


def old_snapshot(keys: int) -> bytes:
    """A snapshot of that many strings as Redis 6.2 writes it in front of a log, of RDB version 9: every server since
    Redis 5 loads it.
    """
    records = b"".join(b"\0\x02k%d\x01v" % i for i in range(keys))
    data = b"REDIS0009\xfa\x0caof-preamble\xc0\x01\xfe\0\xfb" + bytes((keys, 0)) + records + b"\xff"
    return data + crc64(data).to_bytes(8, "little")
