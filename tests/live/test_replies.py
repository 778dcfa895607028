"""Replies are read however they come in pieces, and what is none is told."""

from __future__ import annotations

import random

import pytest

from rdbtool.errors import FormatError
from rdbtool.live.replies import Refusal, Replies, Reply

STREAM = (
    b"+OK\r\n-ERR no \x1b[31m\r\n:-12\r\n$5\r\na\r\nbc\r\n$-1\r\n*-1\r\n*0\r\n"
    b"*3\r\n:1\r\n*2\r\n+x\r\n$0\r\n\r\n-WRONGTYPE y\r\n$70000\r\n" + b"z" * 70000 + b"\r\n+END\r\n"
)
READ: list[Reply] = [b"OK", Refusal("ERR no \\x1b[31m"), -12, b"a\r\nbc", None, None, []]
READ += [[1, [b"x", b""], Refusal("WRONGTYPE y")], b"z" * 70000, b"END"]


@pytest.mark.parametrize("most", [1, 7, 1000, 1 << 20])
def test_pieces_of_any_size_make_the_same_replies(most: int) -> None:
    rng = random.Random(most)
    replies = Replies()
    found = []
    at = 0
    while at < len(STREAM):
        n = rng.randint(1, most)
        replies.add(STREAM[at : at + n])
        at += n
        while (reply := replies.take()) is not None:
            found.append(reply[0])
    assert found == READ
    assert replies.empty
    assert Refusal("BUSYKEY there").code == "BUSYKEY"


@pytest.mark.parametrize("garbage", [b"x", b"HTTP/1.1 400\r\n", b":x\r\n", b"$x\r\n", b"*99999999\r\n", b"+" * 70000])
def test_what_no_server_sends_is_told(garbage: bytes) -> None:
    replies = Replies()
    replies.add(b"+OK\r\n" + garbage)
    assert replies.take() == (b"OK",)
    with pytest.raises(FormatError, match="no reply of a server"):
        replies.take()
