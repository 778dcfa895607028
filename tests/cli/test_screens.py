"""Screens on a terminal have bars, and nothing in them is markup."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from rdbtool.cli.screens import BAR, bar
from tests.rdb import craft


def test_bars_are_as_long_as_shares() -> None:
    assert bar(0) == ""
    assert bar(1) == "\u2588" * BAR
    assert bar(2) == "\u2588" * BAR
    assert len(bar(0.5)) == BAR // 2
    assert bar(0.51) > bar(0.5)


def on_terminal(*arguments: str) -> str:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rdbtool", *arguments],
        stdout=follower,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
    )
    os.close(follower)
    out = b""
    while True:
        try:
            piece = os.read(leader, 1 << 16)
        except OSError:
            break
        if not piece:
            break
        out += piece
    process.wait()
    os.close(leader)
    return out.decode()


@pytest.mark.parametrize("command", ["memory", "info"])
def test_a_terminal_gets_tables_with_bars(tmp_path: Path, command: str) -> None:
    path = tmp_path / "x.rdb"
    hostile = b"\x1b[31m[bold]a[/bold]:\x07"
    path.write_bytes(
        craft.rdb(craft.record(0, hostile, craft.string(b"v" * 500)), craft.record(0, b"b", craft.string(b"v")))
    )
    shown = on_terminal(command, str(path))
    assert "\u2588" in shown
    assert "[bold]a[/bold]" in shown
    assert "\x1b[31m[bold]" not in shown
    assert "\x07" not in shown
