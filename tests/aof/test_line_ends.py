"""Line ends that a copy as text changed are turned back where the lengths prove it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.aof.line_ends import TurnedBack, can_turn_back
from rdbtool.io.random_access import Pages
from rdbtool.tasks.check_aof import check_aof
from rdbtool.tasks.repair_aof import plan_aof_repair, repair_aof
from tests.aof.craft import EXEC, MULTI, command, sets

LOG = b"#TS:1795786741\r\n" + sets(3) + MULTI + command("SET", "big", "x" * 200_000) + EXEC + command("SET", "", "*1")


def turned(path: Path, data: bytes, portion: int = 4096) -> bytes | None:
    path.write_bytes(data)
    with Pages(str(path)) as pages:
        if not can_turn_back(pages, 0):
            return None
        source = TurnedBack(pages, 0)
        parts = []
        while piece := source.read(portion):
            parts.append(piece)
        return b"".join(parts)


@pytest.mark.parametrize("portion", [1, 4096, 1 << 20])
def test_lines_that_lost_their_cr_get_it_back(tmp_path: Path, portion: int) -> None:
    log = LOG + command("SET", "text", "a\nb\n\nc")
    copy = log.replace(b"\r\n", b"\n")
    portion = portion if portion > 1 else 997
    assert turned(tmp_path / "x", copy, portion) == log


def test_lines_that_got_a_second_cr_lose_it(tmp_path: Path) -> None:
    log = LOG + command("SET", "text", "a\nb\r\nc\r") + command("SET", "more", "\r\r\n" * 50_000)
    assert turned(tmp_path / "x", log.replace(b"\n", b"\r\n")) == log


def test_a_byte_order_mark_goes(tmp_path: Path) -> None:
    for copy in (LOG, LOG.replace(b"\r\n", b"\n"), LOG.replace(b"\n", b"\r\n")):
        assert turned(tmp_path / "x", b"\xef\xbb\xbf" + copy) == LOG


@pytest.mark.parametrize(
    "copy",
    [
        (LOG + command("SET", "text", "a\r\nb")).replace(b"\r\n", b"\n"),
        LOG.replace(b"\r\n", b"\n")[:-3],
        LOG.replace(b"\r\n", b"\n") + b"x\n",
        LOG.replace(b"\r\n", b"\n").replace(b"$3", b"$99999999999", 1),
        LOG.replace(b"\r\n", b"\n").replace(b"*3", b"*-3", 1),
        b"*3\n",
        b"*" * 5000,
    ],
)
def test_what_lengths_do_not_prove_is_left(tmp_path: Path, copy: bytes) -> None:
    assert turned(tmp_path / "x", copy) is None


def test_a_copy_with_its_line_ends_is_written_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(LOG.replace(b"\r\n", b"\n"))
    report = check_aof(str(path))
    assert report.files[0].restorable
    done = repair_aof(plan_aof_repair(report), output=str(tmp_path / "copy.aof"))
    assert not done.loss
    assert (tmp_path / "copy.aof").read_bytes() == LOG
    assert path.read_bytes() == LOG.replace(b"\r\n", b"\n")
