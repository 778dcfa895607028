from __future__ import annotations

import time
from pathlib import Path

import pytest

from rdbtool.aof.cuts import Cut
from rdbtool.aof.salvage import Salvager, survey
from rdbtool.aof.scan import Scanner
from rdbtool.findings import Findings
from rdbtool.io.random_access import Pages
from rdbtool.io.window import window_over
from tests.aof.craft import EXEC, MULTI, command, sets


def salvage(path: Path, data: bytes, drop_refused: bool = False) -> tuple[list[tuple[int, int]], int]:
    """The cuts in ``data``, and how many commands are kept."""
    path = path / "x.aof"
    path.write_bytes(data)
    with Pages(str(path)) as pages:
        salvager = Salvager(pages, 0, len(data), drop_refused=drop_refused)
        salvager.run()
    return [(int(c.start), int(c.end)) for c in salvager.cuts], int(salvager.commands)


GOOD = sets(3)
SET = command("SET", "key", "value")


def test_a_whole_log_has_no_cuts(tmp_path: Path) -> None:
    assert salvage(tmp_path, GOOD + MULTI + GOOD + EXEC) == ([], 8)


@pytest.mark.parametrize(
    "bad",
    [
        b"x" + SET[1:],
        b"*X" + SET[2:],
        SET.replace(b"*3", b"*2"),
        SET.replace(b"*3", b"*4"),
        SET.replace(b"$3\r\nSET", b"x3\r\nSET"),
        SET.replace(b"$5", b"$9"),
        SET.replace(b"$5", b"$4"),
        SET.replace(b"$5", b"$55"),
        SET.replace(b"$5", b"$"),
        SET.replace(b"$5", b"$-5"),
        SET.replace(b"$5", b"$500000"),
        SET.replace(b"$3\r\nkey", b"$33\r\nkey"),
        SET.replace(b"key\r\n", b"key"),
        SET[7:],
        SET[:-9],
        bytes(200),
        b"\r\n",
        b"garbage",
        b"PING\r\n",
        b"*0\r\n",
    ],
)
def test_only_the_damaged_command_goes(tmp_path: Path, bad: bytes) -> None:
    cuts, kept = salvage(tmp_path, GOOD + bad + GOOD)
    assert cuts == [(len(GOOD), len(GOOD + bad))]
    assert kept == 6


def test_a_bad_length_does_not_swallow_the_good_commands_behind_it(tmp_path: Path) -> None:
    # The wrong length ends exactly where a later command ends, so everything lines up but the count.
    tail = command("SET", "k2", "val2")
    swallowed = command("SET", "k1", "val1") + tail
    length = len(b"val1\r\n" + tail) - 2
    bad = swallowed.replace(b"$4\r\nval1", b"$%d\r\nval1" % length).replace(b"*3", b"*4", 1)
    cuts, kept = salvage(tmp_path, bad + GOOD)
    assert cuts == [(0, len(bad) - len(tail))]
    assert kept == 4


def test_text_in_a_value_that_looks_like_a_log_stays_text(tmp_path: Path) -> None:
    inner = command("FLUSHALL") + command("SET", "evil", "1")
    for value in (inner, b"x\r\n" + inner):
        whole = command("SET", "k", value)
        size = len(value)
        for bad in (
            b"x" + whole[1:],
            whole.replace(b"*3", b"*4", 1),
            whole.replace(b"$%d" % size, b"$%d" % (size + 10), 1),
            whole.replace(b"$%d" % size, b"$x%d" % (size % 10), 1),
        ):
            assert salvage(tmp_path, GOOD + bad + GOOD) == ([(len(GOOD), len(GOOD + bad))], 6)


def test_commands_up_to_the_end_of_an_argument_are_believed_rather_than_its_length(tmp_path: Path) -> None:
    # One cannot tell a value that ends so from a length that swallows commands, which is what happens.
    head = command("SET", "k", "")[:-6]
    bad = b"x" + head[1:] + b"$%d\r\n" % (len(SET) - 2)
    assert salvage(tmp_path, GOOD + bad + SET + GOOD) == ([(len(GOOD), len(GOOD + bad))], 7)


def test_several_regions_are_found(tmp_path: Path) -> None:
    data = GOOD + b"junk" + GOOD + SET.replace(b"$5", b"$8") + GOOD + b"\0\0"
    cuts, kept = salvage(tmp_path, data)
    assert len(cuts) == 3
    assert kept == 9


def test_a_transaction_that_loses_a_part_goes_whole(tmp_path: Path) -> None:
    transaction = MULTI + GOOD + b"x" + SET[1:] + GOOD + EXEC
    assert salvage(tmp_path, GOOD + transaction + GOOD) == ([(len(GOOD), len(GOOD + transaction))], 6)


def test_a_transaction_that_loses_its_multi_goes_whole(tmp_path: Path) -> None:
    transaction = b"x" + MULTI[1:] + GOOD + EXEC
    assert salvage(tmp_path, GOOD + transaction + GOOD) == ([(len(GOOD), len(GOOD + transaction))], 6)


def test_a_transaction_that_loses_its_exec_goes_up_to_where_reading_resumes(tmp_path: Path) -> None:
    transaction = MULTI + GOOD + b"x" + EXEC[1:]
    data = GOOD + transaction + GOOD + MULTI + GOOD + EXEC
    assert salvage(tmp_path, data) == ([(len(GOOD), len(GOOD + transaction))], 11)


def test_only_the_first_exec_behind_a_cut_belongs_to_it(tmp_path: Path) -> None:
    transaction = b"x" + MULTI[1:] + GOOD + EXEC
    cuts, kept = salvage(tmp_path, GOOD + transaction + GOOD + EXEC + GOOD)
    assert cuts == [(len(GOOD), len(GOOD + transaction))]
    assert kept == 10


def test_a_transaction_without_end_goes(tmp_path: Path) -> None:
    assert salvage(tmp_path, GOOD + MULTI + GOOD) == ([(len(GOOD), len(GOOD + MULTI + GOOD))], 3)


def test_an_annotation_in_front_of_the_next_command_is_kept(tmp_path: Path) -> None:
    cuts, _ = salvage(tmp_path, GOOD + b"junk\r\n" + b"#TS:1700000000\r\n" + GOOD)
    assert cuts == [(len(GOOD), len(GOOD) + 6)]


def test_refused_commands_go_one_by_one(tmp_path: Path) -> None:
    bad = command("ISET", "k", "v")
    assert salvage(tmp_path, GOOD + bad + GOOD, drop_refused=True) == ([(len(GOOD), len(GOOD + bad))], 6)


def test_what_is_kept_is_a_log_without_damage(tmp_path: Path) -> None:
    data = GOOD + SET.replace(b"$5", b"$9") + MULTI + GOOD + b"!" + EXEC + GOOD + MULTI + GOOD
    cuts, kept = salvage(tmp_path, data)
    out = b""
    at = 0
    for start, end in cuts:
        out += data[at:start]
        at = end
    scanner = Scanner(window_over(out + data[at:]), Findings())
    scanner.run()
    assert scanner.fault is None
    assert scanner.commands == kept


def test_a_survey_counts_what_could_be_read_and_names_keys(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    data = b"x" + SET[1:] + command("SELECT", "3") + MULTI + command("INCR", "counter") + EXEC + GOOD
    path.write_bytes(data)
    cut = Cut(0, len(data), "bad-prefix", "")
    with Pages(str(path)) as pages:
        inner = survey(pages, cut)
    assert (cut.commands, cut.transactions) == (7, 1)
    assert cut.keys[:2] == (b"INCR counter", b"SET key:0")
    assert inner.last_select == len(SET)


@pytest.mark.parametrize(
    "piece",
    [
        b"*1\r\n$100000000\r\n",
        b"*1000000\r\n$1\r\na\r\n",
        b"$30\r\n*999\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n\r\n",
        b"\r\n$",
        b"\r\n$9",
        b"*1\r\n",
        b"*2\r\n$1\r\n",
        b"*2\r\n$20000\r\n",
        b"*2\r\n$20000\r\n" + SET,
        command("NOSUCH", "a"),
        b"#TS:1" + SET,
    ],
)
def test_time_stays_linear_whatever_the_bytes(tmp_path: Path, piece: bytes) -> None:
    def seconds(size: int) -> float:
        data = b"!" + piece * (size // len(piece))
        start = time.process_time()
        salvage(tmp_path, data)
        return time.process_time() - start

    small, large = seconds(20_000), seconds(160_000)
    assert large < 25 * max(small, 0.02)


def test_many_commands_of_unknown_names_take_little_time(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        data = b"!" + b"".join(command(f"NOSUCH{i}", "a") for i in range(count))
        start = time.process_time()
        salvage(tmp_path, data)
        return time.process_time() - start

    small, large = seconds(1_000), seconds(8_000)
    assert large < 25 * max(small, 0.02)


def test_nested_lengths_stay_linear(tmp_path: Path) -> None:
    def nested(levels: int) -> bytes:
        data = SET
        for _ in range(levels):
            data = b"$%d\r\n%b" % (len(data) - 2, data)
        return b"!\r\n" + data

    def seconds(levels: int) -> float:
        data = nested(levels)
        start = time.process_time()
        salvage(tmp_path, data)
        return time.process_time() - start

    small, large = seconds(500), seconds(4000)
    assert large < 25 * max(small, 0.02)


def test_only_an_annotation_goes_that_was_cut_before_the_server_wrote_on(tmp_path: Path) -> None:
    cut = b"#TS:17957"
    assert salvage(tmp_path, GOOD + cut + GOOD) == ([(len(GOOD), len(GOOD + cut))], 6)
    assert salvage(tmp_path, cut + GOOD) == ([(0, len(cut))], 3)
    # A whole annotation in front of an argument that lost its header stays, and so does the command before.
    whole = b"#TS:1795786741\r\n"
    assert salvage(tmp_path, GOOD + whole + SET[4:] + GOOD)[0][0][0] >= len(GOOD)


def test_commands_that_can_be_read_are_kept_unless_told_otherwise(tmp_path: Path) -> None:
    odd = command("NOSUCH", "a") + command("GET", "a", "b") + command("XGROUP", "NOSUCH", "a")
    assert salvage(tmp_path, GOOD + odd + GOOD) == ([], 9)
    assert salvage(tmp_path, GOOD + odd + GOOD, drop_refused=True) == ([(len(GOOD), len(GOOD + odd))], 6)


def test_counting_keeps_no_cuts(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes((b"*0\r\n" + SET) * 200)
    counts = []
    for counting in (False, True):
        with Pages(str(path)) as pages:
            salvager = Salvager(pages, 0, pages.size, whole_transactions=False, counting=counting)
            salvager.run()
        counts.append((int(salvager.commands), len(salvager.cuts)))
    assert counts == [(200, 200), (200, 1)]
