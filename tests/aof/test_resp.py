from __future__ import annotations

import pytest

from rdbtool.aof.resp import (
    ANNOTATION,
    COMMAND,
    END,
    FAULT,
    LINE,
    Command,
    CommandReader,
    Framer,
    TimestampAnnotation,
    parse_long,
)
from rdbtool.errors import FormatError, RdbToolError, TruncatedError
from rdbtool.io.window import Window, window_over
from tests.aof.craft import FIXTURES, Trickle, command, damage, seeded, sets


def framed(data: bytes) -> tuple[list[int], Framer]:
    framer = Framer(window_over(data, path="x"))
    outcomes = []
    while True:
        outcomes.append(int(framer.step()))
        if outcomes[-1] in {END, FAULT}:
            return outcomes, framer


def read(reader: CommandReader) -> tuple[list[tuple[int, object]], str]:
    events: list[tuple[int, object]] = []
    try:
        while (event := reader.next()) is not None:
            if isinstance(event, Command):
                events.append((int(event.offset), event.args))
            elif isinstance(event, TimestampAnnotation):
                events.append((int(event.offset), int(event.seconds)))
    except RdbToolError as e:
        return events, f"{type(e).__name__} {e}"
    return events, ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"12\r\n", 12),
        (b" \t+7x", 7),
        (b"-3\r\n", -3),
        (b"", 0),
        (b"x1", 0),
        (b"-", 0),
        (b"9223372036854775807", 2**63 - 1),
        (b"9223372036854775808", 2**63 - 1),
        (b"99999999999999999999999", 2**63 - 1),
        (b"-99999999999999999999999", -(2**63)),
        (b"1\x002", 1),
    ],
)
def test_numbers_are_read_as_strtol_does(text: bytes, value: int) -> None:
    assert parse_long(text, 0, len(text)) == value


@pytest.mark.parametrize(
    ("data", "code", "start", "offset", "truncated"),
    [
        (b"*1\r\n$4\r\nPING\r\nX", "bad-prefix", 14, 14, False),
        (b"*2\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n", "bad-prefix", 0, 14, False),
        (b"*0\r\n", "bad-argc", 0, 0, False),
        (b"*-1\r\n", "bad-argc", 0, 0, False),
        (b"*4294967296\r\n", "bad-argc", 0, 0, False),
        (b"*\0\r\n", "zero-argc", 0, 0, False),
        (b"*\0", "truncated-command", 0, 0, True),
        (b"*", "truncated-command", 0, 0, True),
        (b"*1", "truncated-command", 0, 2, True),
        (b"*1\r\n", "truncated-command", 0, 4, True),
        (b"*1\r\n$", "truncated-command", 0, 4, True),
        (b"*1\r\n$4\r\nPIN", "truncated-command", 0, 4, True),
        (b"*1\r\n$4\r\nPING\r", "truncated-command", 0, 4, True),
        (b"*1\r\n$-4\r\nPING\r\n", "bad-length", 0, 4, False),
        (b"*1\r\n$999999999\r\nPING\r\n", "bad-length", 0, 4, True),
        (b"*1\r\n$9000000000000000000\r\nPING\r\n", "bad-length", 0, 4, False),
    ],
)
def test_a_server_stops_here(data: bytes, code: str, start: int, offset: int, truncated: bool) -> None:
    outcomes, framer = framed(data)
    assert outcomes[-1] == FAULT
    fault = framer.fault
    assert fault is not None
    assert (fault.code, fault.start, fault.offset, fault.truncated) == (code, start, offset, truncated)


@pytest.mark.parametrize(
    ("data", "odd"),
    [
        (b"*1\n$4\nPING\r\n", ["bad-header", "bad-header"]),
        (b"* +1 x\r\n$4\r\nPINGxx", ["bad-header", "bad-crlf"]),
        (b"*4294967297\r\n$4\r\nPING\r\n", []),
        (b"*1\r\n$\r\n\r\n", []),
        (b"*01\r\n$04\r\nPING\r\n", []),
    ],
)
def test_a_server_passes_this(data: bytes, odd: list[str]) -> None:
    framer = Framer(window_over(data))
    assert framer.step() == COMMAND
    if odd:
        assert [o.code for o in framer.oddities] == odd
    assert framer.step() == END


def test_annotations_are_passed_and_timestamps_read() -> None:
    outcomes, framer = framed(b"#TS:17\r\n# other\n#\n" + sets(1))
    assert outcomes == [ANNOTATION, ANNOTATION, ANNOTATION, COMMAND, END]
    framer = Framer(window_over(b"#TS:1700000000\r\n"))
    assert framer.step() == ANNOTATION
    assert framer.timestamp == 1700000000


def test_what_is_left_of_a_long_annotation_is_read_as_a_command() -> None:
    outcomes, framer = framed(b"#" + b"x" * (LINE + 5) + b"\r\n")
    assert outcomes == [ANNOTATION, FAULT]
    assert framer.fault is not None
    assert framer.fault.offset == LINE


def test_a_reader_gives_commands_with_offsets_and_times() -> None:
    one, two = command("SET", "k", "v"), command("set", b"\0\r\n", b"")
    events, error = read(CommandReader(window_over(one + b"#TS:5\r\n" + two)))
    assert events == [(0, [b"SET", b"k", b"v"]), (len(one), 5), (len(one) + 7, [b"set", b"\0\r\n", b""])]
    assert not error


def test_a_reader_tells_a_cut_log_from_a_bad_one() -> None:
    good = command("PING")
    cut = CommandReader(window_over(good + good[:-3], path="x.aof"))
    assert cut.next() is not None
    with pytest.raises(TruncatedError, match=r"x\.aof") as early:
        cut.next()
    assert early.value.offset == len(good)
    bad = CommandReader(window_over(good + b"!", path="x.aof"))
    assert bad.next() is not None
    with pytest.raises(FormatError) as wrong:
        bad.next()
    assert not isinstance(wrong.value, TruncatedError)
    assert wrong.value.offset == len(good)


def test_arguments_may_be_larger_than_the_window() -> None:
    big = b"v" * (3 << 20)
    events, error = read(CommandReader(window_over(command("SET", "k", big) + command("PING"))))
    assert [args for _, args in events] == [[b"SET", b"k", big], [b"PING"]]
    assert not error


def test_commands_keep_their_arguments_while_the_reader_goes_on() -> None:
    events, _ = read(CommandReader(window_over(b"".join(command("SET", "k", str(n)) for n in range(50)))))
    assert [args for _, args in events] == [[b"SET", b"k", b"%d" % n] for n in range(50)]


@pytest.mark.parametrize("count", [b"2", b"02", b"+2", b" 2", b"2x", b":", b"2:", b"12", b"0", b""])
@pytest.mark.parametrize("length", [b"3", b"03", b"+3", b"3;", b"?", b";3", b"1?", b"30", b"003", b""])
def test_headers_are_read_as_the_framer_reads_them(count: bytes, length: bytes) -> None:
    data = command("PING") + b"*%b\r\n$3\r\nGET\r\n$%b\r\nkey\r\n" % (count, length) + command("SET", "k", "v" * 99)
    framer = Framer(window_over(data))
    expected = []
    args: list[bytes] = []
    while framer.step(args) == COMMAND:
        expected.append((framer.start, args))
        args = []
    assert read(CommandReader(window_over(data)))[0] == expected


@pytest.mark.parametrize("name", ["damaged/whole.aof", "multi/appendonly.aof.3.base.aof"])
def test_portions_make_no_difference(name: str) -> None:
    data = (FIXTURES / name).read_bytes()
    whole = read(CommandReader(window_over(data)))
    assert not whole[1]
    assert len(whole[0]) > 20
    assert read(CommandReader(Window(Trickle(data)))) == whole
    assert read(CommandReader(Window(Trickle(data), size=len(data)))) == whole
    assert read(CommandReader(window_over(data + b"*3\r\n$3\r\nSE")))[0] == whole[0]


def test_any_bytes_give_events_or_one_error_however_they_arrive() -> None:
    rnd = seeded()
    base = (FIXTURES / "damaged/whole.aof").read_bytes()[:1500]
    for _ in range(300):
        data = damage(base, rnd)
        whole = read(CommandReader(window_over(data, path="x")))
        sized = read(CommandReader(Window(Trickle(data), path="x", size=len(data))))
        assert sized == whole
        unsized = read(CommandReader(Window(Trickle(data), path="x")))
        assert unsized[0] == whole[0]
        assert unsized[1].split(":", maxsplit=1)[0] == whole[1].split(":", maxsplit=1)[0]


def test_a_length_that_no_server_can_reserve_is_refused_on_a_pipe_too() -> None:
    for length, kind in ((1 << 40, FormatError), ((1 << 40) - 1, TruncatedError)):
        data = b"*2\r\n$3\r\nGET\r\n$%d\r\nx\r\n" % length
        for size in (-1, len(data)):
            with pytest.raises(kind):
                CommandReader(Window(Trickle(data), size=size)).read()


def test_random_bytes_never_escape_as_another_error() -> None:
    rnd = seeded()
    for _ in range(1000):
        data = bytes(rnd.choice(b"*$#\r\n0123456789MULTIEXEC") for _ in range(rnd.randrange(80)))
        read(CommandReader(window_over(data)))
        framed(data)


class Zeros:
    """``head``, then ``left`` zeros, then CRLF; never more than asked for."""

    def __init__(self, head: bytes, left: int) -> None:
        self.head = head
        self.left = left
        self.tail = b"\r\n"

    def read(self, n: int, /) -> bytes:
        if self.head:
            head, self.head = self.head, b""
            return head
        if self.left:
            n = min(n, self.left)
            self.left -= n
            return bytes(n)
        tail, self.tail = self.tail, b""
        return tail


def test_a_value_that_is_only_framed_is_not_held() -> None:
    window = Window(Zeros(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$67108864\r\n", 64 << 20))
    framer = Framer(window)
    assert framer.step() == COMMAND
    assert framer.step() == END
    assert len(window.data) <= 1 << 20
