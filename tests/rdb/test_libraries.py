"""What a function library needs, told by its code."""

from __future__ import annotations

import time

import pytest

from rdbtool.rdb.libraries import needs_server_table


@pytest.mark.parametrize(
    ("code", "needs"),
    [
        (b"server.register_function('f', f)", True),
        (b"-- server.x\n--[[ server.x\n]] redis.register_function('f', f)", False),
        (b"local s = 'server.x' .. \"server.y\" .. [==[ ]] server.z ]==]", False),
        (b"local s = [[ closed ]] server.x()", True),
        (b"local s = 'not closed\nserver.x()", True),
        (b"--[[ not closed server.x()", False),
    ],
)
def test_names_in_comments_and_texts_do_not_count(code: bytes, needs: bool) -> None:
    assert needs_server_table(b"#!lua name=x\n" + code) == needs


@pytest.mark.parametrize("piece", [b"[[", b"[=[ ", b'"\\', b"--[[", b"'\\", b"[=[]] "])
def test_many_beginnings_without_an_end_take_linear_time(piece: bytes) -> None:
    began = time.process_time()
    needs_server_table(b"#!lua name=x\n" + piece * ((1 << 18) // len(piece)))
    assert time.process_time() - began < 5
