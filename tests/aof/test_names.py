"""Names of commands that one server has and others have not."""

from __future__ import annotations

import pytest

from rdbtool.aof.names import STOCK, CommandNames
from rdbtool.errors import UsageError


def test_names_are_found_in_any_case() -> None:
    names = CommandNames.parse(["myCmd"], ["xFlush=flushall"])
    assert names.knows(b"MYCMD")
    assert names.knows(b"Xflush")
    assert names.resolve(b"xflush") == b"FLUSHALL"
    assert names.resolve(b"set") == b"SET"
    assert not names.knows(b"other")
    assert STOCK.empty
    assert not STOCK.knows(b"xflush")


@pytest.mark.parametrize("text", ["x", "=SET", "x=", "x=NOSUCHCOMMAND"])
def test_a_name_must_stand_for_a_command(text: str) -> None:
    with pytest.raises(UsageError):
        CommandNames.parse([], [text])


def test_one_name_is_one_command() -> None:
    with pytest.raises(UsageError):
        CommandNames.parse([], ["x=SET", "x=DEL"])
