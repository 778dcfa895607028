from __future__ import annotations

import pytest

from rdbtool.aof.config import LogConfig
from rdbtool.aof.names import CommandNames
from rdbtool.aof.resp import END, FAULT, Command, CommandReader
from rdbtool.aof.scan import STRAY, UNTIL, Scanner
from rdbtool.errors import RdbToolError
from rdbtool.findings import Findings
from rdbtool.io.window import Window, window_over
from tests.aof.craft import EXEC, FIXTURES, MULTI, Trickle, command, damage, seeded, sets


def scan(data: bytes, **options: int) -> tuple[Scanner, int]:
    scanner = Scanner(window_over(data, path="x"), Findings(), until=options.get("until", -1))
    return scanner, int(scanner.run())


def facts(scanner: Scanner, outcome: int) -> tuple[object, ...]:
    fault = scanner.fault
    return (
        outcome,
        scanner.commands,
        scanner.transactions,
        scanner.good_up_to(),
        scanner.select,
        scanner.first_timestamp,
        scanner.last_timestamp,
        sorted(scanner.unknown),
        None if fault is None else (fault.code, fault.start, fault.offset),
        [(f.code, f.offset) for f in scanner.findings.items],
    )


def test_counts_commands_and_transactions() -> None:
    data = sets(3) + MULTI + sets(2) + EXEC + command("multi") + command("eXeC")
    scanner, outcome = scan(data)
    assert outcome == END
    assert (scanner.commands, scanner.transactions, scanner.good_up_to()) == (9, 2, len(data))


@pytest.mark.parametrize("digits", range(9))
def test_lengths_of_every_number_of_digits_are_passed(digits: int) -> None:
    size = 10**digits if digits < 8 else 10**7 + 1
    data = command("SET", "k", bytes(size)) + b"".join(command("RPUSH", *["x"] * n) for n in (8, 9, 98, 99, 120))
    scanner, outcome = scan(data)
    assert outcome == END
    assert scanner.commands == 6


def test_a_multi_without_exec_counts_from_its_first_byte() -> None:
    data = sets(2) + MULTI + sets(1)
    scanner, outcome = scan(data)
    assert outcome == FAULT
    assert scanner.fault is not None
    assert (scanner.fault.code, scanner.fault.start, scanner.good_up_to()) == (
        "multi-without-exec",
        len(sets(2)),
        len(sets(2)),
    )


def test_nested_multi_and_stray_exec_are_told_and_passed_as_a_server_does() -> None:
    data = EXEC + MULTI + MULTI + sets(1) + EXEC
    scanner, outcome = scan(data)
    assert outcome == END
    assert [f.code for f in scanner.findings.items] == ["stray-exec", "nested-multi"]
    assert "redis-check-aof" in scanner.findings.items[0].message
    assert (scanner.transactions, scanner.good_up_to()) == (1, len(data))


def test_an_exec_behind_a_gap_ends_the_run_if_asked_to() -> None:
    data = sets(1) + EXEC + sets(1)
    scanner = Scanner(window_over(data), Findings(), stop_at_stray=True)
    assert scanner.run() == STRAY
    assert scanner.window.offset() == len(sets(1) + EXEC)


def test_unknown_commands_are_remembered_with_the_good_offset_before_them() -> None:
    head = sets(1) + MULTI
    data = head + command("ISET", "k", "v") + command("JSON.SET", "k") + EXEC + command("ISET", "k", "v")
    scanner, outcome = scan(data)
    assert outcome == END
    assert list(scanner.unknown) == [b"ISET", b"JSON.SET"]
    unknown = scanner.unknown[b"ISET"]
    assert (unknown.count, unknown.start, unknown.before) == (2, len(head), len(sets(1)))


def test_names_that_share_ends_are_told_apart() -> None:
    # Names are compared by their first and last eight bytes and their length.
    good = command("ZREMRANGEBYSCORE", "k", "1", "2")
    data = good + command("ZREMRANGEBYSCOR", "k", "1", "2") + good + command("ZREMRANGEXYSCORE", "k", "1", "2")
    scanner, _ = scan(data + command("SE", "x") + command("SET", "x", "y") + command("SETX", "k"))
    assert sorted(scanner.unknown) == [b"SE", b"SETX", b"ZREMRANGEBYSCOR", b"ZREMRANGEXYSCORE"]


def test_words_are_counted_as_the_command_or_its_subcommand_wants_them() -> None:
    good = command("XGROUP", "CREATE", "k", "g", "0") + command("xgroup", "setid", "k", "g", "1")
    scanner, outcome = scan(good * 3)
    assert (outcome, scanner.commands, scanner.wrong, scanner.unknown) == (END, 6, None, {})
    scanner, _ = scan(good + command("XGROUP", "CREATE", "k", "g") + command("HSETEX", "h") + command("XGROUP", "NEW"))
    assert scanner.wrong is not None
    assert (scanner.wrong.name, scanner.wrong.start) == (b"XGROUP CREATE", len(good))
    assert list(scanner.unknown) == [b"XGROUP NEW"]


def test_times_are_the_first_and_last_and_a_step_back_is_told() -> None:
    data = b"#TS:10\r\n" + sets(1) + b"#TS:20\r\n" + b"#TS:15\r\n"
    scanner, _ = scan(data)
    assert (scanner.first_timestamp, scanner.last_timestamp) == (10, 15)
    assert [(f.code, f.offset) for f in scanner.findings.items] == [("time-goes-back", len(data) - 8)]


def test_reading_ends_at_the_first_later_time() -> None:
    head = b"#TS:10\r\n" + sets(2)
    scanner, outcome = scan(head + b"#TS:21\r\n" + sets(2), until=20)
    assert outcome == UNTIL
    assert scanner.until_at == len(head)
    assert scanner.commands == 2


def test_bytes_that_the_server_does_not_look_at_are_told() -> None:
    scanner, outcome = scan(b"*1\r\n$4\r\nPINGxx" + sets(1))
    assert outcome == END
    (finding,) = scanner.findings.items
    assert (finding.code, finding.offset) == ("bad-crlf", 12)
    assert "redis-check-aof calls the file bad from 0 on" in finding.message


def test_portions_make_no_difference_and_the_reader_sees_the_same_commands() -> None:
    rnd = seeded()
    base = (FIXTURES / "damaged/whole.aof").read_bytes()
    for _ in range(400):
        data = damage(base, rnd)
        scanner, outcome = scan(data)
        trickled = Scanner(Window(Trickle(data), path="x", size=len(data)), Findings())
        assert facts(trickled, int(trickled.run())) == facts(scanner, outcome)
        reader = CommandReader(window_over(data))
        count = 0
        try:
            while (event := reader.next()) is not None:
                count += isinstance(event, Command)
        except RdbToolError:
            assert outcome == FAULT
        assert count - scanner.commands in ({0, 1} if outcome == FAULT else {0})


def test_trailing_data_changes_nothing_before_it() -> None:
    data = (FIXTURES / "damaged/whole.aof").read_bytes()
    before, _ = scan(data)
    after, outcome = scan(data + b"trailing")
    assert outcome == FAULT
    assert (after.commands, after.transactions, after.good_up_to()) == (
        before.commands,
        before.transactions,
        len(data),
    )


@pytest.mark.parametrize("number", [b"16", b"20", b"-1", b"x", b"", b"99999999999999999999", b"015", b"1x", b"\xb2"])
def test_a_select_of_a_database_that_is_not_there_changes_nothing(number: bytes) -> None:
    first = command("SELECT", "15")
    scanner, outcome = scan(sets(1) + first + sets(1) + command("SELECT", number) * 2 + sets(1))
    assert outcome == END
    outside = scanner.outside
    assert outside is not None
    assert (outside.name, outside.count, outside.start) == (number, 2, len(sets(2) + first))
    assert scanner.select == len(sets(1))


def test_a_server_can_have_more_databases_or_fewer() -> None:
    for databases, there in ((10, False), (21, True), (1000, True)):
        window = window_over(command("SELECT", "20") + command("SELECT", "9") + sets(3))
        scanner = Scanner(window, Findings(), LogConfig(databases=databases))
        scanner.run()
        assert (scanner.outside is None) == there


def test_the_place_of_each_command_is_noted() -> None:
    data = sets(1) + command("xgroup", "create", "k", "g", "$") + MULTI + command("xflush") + EXEC
    config = LogConfig(CommandNames.parse([], ["XFLUSH=FLUSHALL"]))
    scanner = Scanner(window_over(data), Findings(), config)
    scanner.run()
    flush = data.index(b"xflush") - len(b"*1\r\n$6\r\n")
    assert scanner.used.items() >= {b"SET": 0, b"XGROUP|CREATE": len(sets(1)), b"FLUSHALL": flush}.items()
    assert not scanner.unknown


@pytest.mark.parametrize(
    "piece",
    [
        MULTI,
        EXEC,
        MULTI + MULTI + EXEC + EXEC,
        b"*1\r\n$05\r\nMULTI\r\n",
        b"*01\n$4\nPINGxx",
        b"*1\r\n$4\r\nPING" + b"*1\r\n$4\r\nPINGyz",
        b"#TS:20\r\n#TS:1x\r\n#TS:10\r\n",
        b"#" + b"x" * 1100 + b"\r\n",
    ],
)
def test_findings_of_which_enough_are_kept_are_counted_all_the_same(piece: bytes) -> None:
    data = piece * 300
    told = []
    for kept in (2, len(data)):
        findings = Findings(kept=kept)
        scanner = Scanner(window_over(data, path="x"), findings)
        outcome = scanner.run()
        alike = {kind: (one.first, one.last.offset, one.count) for kind, one in findings.alike.items()}
        told.append((outcome, scanner.commands, findings.counts, alike))
        assert len(findings.items) == sum(min(kept, count) for count in findings.counts.values())
        assert len(findings.condensed()) <= 4
    assert told[0] == told[1]
    assert told[0][2]


def test_bytes_of_any_kind_where_crlf_should_be_are_findings_of_one_kind() -> None:
    ends = [bytes([a, b]) for a in range(60, 70) for b in range(100, 120)]
    scanner, _ = scan(b"".join(b"*1\r\n$4\r\nPING" + end for end in ends))
    assert [alike.count for alike in scanner.findings.alike.values()] == [len(ends)]
