"""``convert redis://... dump.rdb`` takes over what a server sends as it stands, or nothing."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from rdbtool.errors import InputError, UnsupportedError
from rdbtool.live.address import Access
from rdbtool.live.connection import Connection
from rdbtool.live.source import register
from rdbtool.tasks.convert import convert
from rdbtool.tasks.digest import digest
from tests.live.serving import AT_ONCE, pretending, received, url_of
from tests.rdb import craft
from tests.servers.harness import SERVERS, ServerKind, running

FULL = b"+FULLRESYNC 0123456789012345678901234567890123456789 77\r\n"
RDB = craft.rdb(*[craft.record(0, b"%d" % n, craft.string(b"v" * n)) for n in range(500)])


def test_the_bytes_are_those_that_came(tmp_path: Path) -> None:
    register()
    out = tmp_path / "dump.rdb"
    with pretending(lambda c: c.sendall(FULL + b"$%d\r\n" % len(RDB) + RDB)) as url:
        report = convert(url, out)
    assert (report.keys, report.written, report.outputs) == (500, 500, [str(out)])
    assert out.read_bytes() == RDB


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
@pytest.mark.parametrize("diskless", ["no", "yes"])
def test_a_copy_has_the_digest_of_the_server(kind: ServerKind, diskless: str, tmp_path: Path) -> None:
    register()
    with running(kind, tmp_path, "--repl-diskless-sync", diskless, *AT_ONCE) as server:
        server.execute("DEBUG", "POPULATE", 3000)
        server.execute("RPUSH", "l", *range(1000))
        out = tmp_path / "copy.rdb"
        report = convert(url_of(server), out)
        assert report.target.startswith("valkey" if kind.is_valkey else "redis")
        assert digest(out).digest == server.digest()
        with Connection(url_of(server)) as connection:
            again = received(connection)
        assert len(out.read_bytes()) == len(again)
        assert out.read_bytes()[:9] == again[:9]


@pytest.mark.parametrize("what", ["cut", "flipped", "garbage", "behind"])
def test_what_is_not_whole_gets_no_name(what: str, tmp_path: Path) -> None:
    register(Access(timeout_s=2))
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    out = tmp_path / "dump.rdb"
    out.write_bytes(b"the one before")

    def answer(client: socket.socket) -> None:
        at = rng.randrange(9, len(RDB) - 1)
        data = {
            "cut": RDB[:at],
            "flipped": RDB[:at] + bytes([RDB[at] ^ 1]) + RDB[at + 1 :],
            "garbage": RDB[:at] + rng.randbytes(len(RDB) - at),
            "behind": RDB + b"more",
        }[what]
        size = len(RDB) + (4 if what == "behind" else 0)
        client.sendall(FULL + b"$%d\r\n" % size + data)

    for _ in range(5):
        with pretending(answer) as url:
            if what == "cut":
                with pytest.raises(InputError, match="ended the connection before the snapshot was whole"):
                    convert(url, out)
            else:
                try:
                    report = convert(url, out)
                except UnsupportedError:  # what is damaged may look like a value that tells no length
                    continue
                assert report.failed
                assert report.outputs == []
        assert [path.name for path in tmp_path.iterdir()] == ["dump.rdb"]
        assert out.read_bytes() == b"the one before"
