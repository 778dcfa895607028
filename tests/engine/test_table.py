"""Handlers and the rows of the table of commands belong together one by one."""

from __future__ import annotations

import pytest

from rdbtool.engine import commands
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replies import CommandError
from rdbtool.engine.table import execute, find, handles
from rdbtool.servers.commands import COMMANDS, CONTAINER, UNSUPPORTED, unhandled

assert commands


def test_every_row_that_is_supported_has_a_handler_and_no_other() -> None:
    without = {name for name, row in COMMANDS.items() if row.handler is unhandled}
    assert without == {name for name, row in COMMANDS.items() if row.flags & (CONTAINER | UNSUPPORTED)}


def test_a_second_handler_and_one_without_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match="second handler"):
        handles(b"SET")(unhandled)
    with pytest.raises(KeyError):
        handles(b"NOSUCH")(unhandled)


def test_commands_are_found_in_any_case_of_letters() -> None:
    row = find([b"xGroup", b"create", b"k", b"g", b"0"])
    assert row is COMMANDS[b"XGROUP|CREATE"]
    assert find([b"xgroup"]) is COMMANDS[b"XGROUP"]


@pytest.mark.parametrize("call", ["XGROUP|CREATE k g 0", "XGROUP HELP", "VADD k v", "JSON.SET k . 1", "NOSUCH"])
def test_what_the_engine_cannot_run_is_not_found(call: str) -> None:
    args = call.encode().split()
    assert find(args) is None
    with pytest.raises(CommandError, match="unknown command"):
        execute(Dataset(), args)


@pytest.mark.parametrize("call", ["SET k", "GET k k", "XGROUP", "XGROUP CREATE k g", "SAVE now", "HSETEX h"])
def test_a_wrong_number_of_words_is_refused(call: str) -> None:
    with pytest.raises(CommandError, match="wrong number of arguments"):
        execute(Dataset(), call.encode().split())
