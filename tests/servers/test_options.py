"""Options that are newer than a release: what it does with them in a log, and what we say of that."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.aof.options import OptionCounter
from rdbtool.servers.commands import COMMANDS
from rdbtool.servers.options import OPTIONS, CommandOptions
from rdbtool.servers.releases import find_release, release_named
from rdbtool.tasks.check_aof import check_aof
from rdbtool.tasks.digest import digest
from tests.aof.craft import command
from tests.servers.harness import SERVERS, ServerKind
from tests.servers.loading import load

SETUP = "SET a 1|SET b 3|RPUSH l 1 2 3 4 5|ZADD z 1 m|XADD s 1-1 f v|XADD s 2-2 f v|XGROUP CREATE s g 0|GEOADD g 1 1 p"
FORMS = """
SET a 2 KEEPTTL|SET a 2 PXAT 9999999999999|SET a 2 EXAT 9999999999|SET a 2 GET|SET a 2 IFEQ 1|SET a 2 IFNE 7
SET b 2 ifeq 3 KEEPTTL|SET IFEQ 2|SET a IFEQ KEEPTTL|ZADD z GT 5 m|ZADD z CH LT 0 m|ZADD z 7 GT
XADD s NOMKSTREAM 9-9 f v|XADD s MINID = 2-2 9-9 f v|XADD s MAXLEN = 1 9-9 f v|XADD s KEEPREF MAXLEN = 1 9-9 f v
XADD s MAXLEN 1 DELREF 9-9 f v|XADD s IDMP p i 9-9 f v|XADD s 9-9 KEEPREF v|XTRIM s MINID = 2-2|XTRIM s MAXLEN = 1 ACKED
XGROUP CREATE s h 0 ENTRIESREAD 1|XGROUP CREATE s h 0|XGROUP SETID s g 2-2 ENTRIESREAD 2
GEOADD g XX CH 5 5 p|BITOP DIFF d a b|BITOP AND d a b|ZUNIONSTORE o 1 z AGGREGATE COUNT|ZUNIONSTORE o 1 z AGGREGATE MAX
ZUNIONSTORE o 1 z AGGREGATE COUNT WEIGHTS 3|ZINTERSTORE o 2 z z WEIGHTS 3 4 AGGREGATE COUNT|ZUNIONSTORE o 1 COUNT
ZUNIONSTORE o 2 AGGREGATE COUNT WEIGHTS 1 2|LPOP l 2|RPOP l 3|LPOP l
GEORADIUS g 1 1 500 km COUNT 1 ANY STORE o|GEORADIUSBYMEMBER g p 500 km STORE o COUNT 1 ANY|GEORADIUS g 1 1 5 km STORE o
GEOSEARCHSTORE o g BYPOLYGON 3 0 0 5 0 5 5|GEOSEARCHSTORE o g COUNT 1 ANY BYPOLYGON 3 0 0 5 0 5 5 ASC
PEXPIREAT a 9999999999999 NX|FLUSHALL SYNC|FLUSHALL
"""
"""As servers log them, and some that only look like it."""


def forms() -> list[list[bytes]]:
    return [form.encode().split() for line in FORMS.strip().splitlines() for form in line.split("|")]


def row_for(words: list[bytes]) -> CommandOptions | None:
    name = words[0].upper()
    return OPTIONS.get(name) or OPTIONS.get(b"|".join((name, *words[1:2])).upper())


def ignored(form: list[bytes]) -> bool:
    """Whether a release that lacks the option carries the command out without it."""
    row = row_for(form)
    return row is not None and row.trailing


def log_of(path: Path, form: list[bytes], times: int = 1) -> Path:
    setup = b"".join(command(*words.encode().split()) for words in SETUP.split("|"))
    path.write_bytes(command(b"SELECT", b"0") + setup + command(*form) * times)
    return path


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_what_a_server_passes_over_is_told_and_left_out_of_its_digest(kind: ServerKind, tmp_path: Path) -> None:
    for i, form in enumerate(forms()):
        log = log_of(tmp_path / f"{i}.aof", form)
        answer = load(kind, tmp_path / str(i), log)
        said = (tmp_path / str(i) / "log").read_text(errors="replace")
        report = check_aof(str(log), releases=[kind.name])
        (told,) = report.suitability
        assert told.loads is answer.loads
        if not answer.loads:  # Redis before 6.2 has no GEOSEARCHSTORE
            continue
        fails = "sending an error to its AOF" in said
        if kind.version >= (6, 2):  # older ones do not say it
            assert told.passed_over == int(fails), form
        fails = "newer-option" in report.findings.counts and not ignored(form)
        ours = digest(str(log), release=kind.name)
        assert (ours.digest, "command-error" in ours.findings.counts) == (answer.digest, fails), form


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("held", [True, False])
def test_what_a_server_does_not_look_at_is_told(kind: ServerKind, held: bool, tmp_path: Path) -> None:
    """No server that can be had has MOVE with REPLACE, which Valkey has from 9.2 on."""
    setup = [b"SELECT 1", b"SET a 9", b"SELECT 0"] if held else []
    words = [*(one.split() for one in setup), b"SET a 1".split(), b"MOVE a 1 REPLACE".split()]
    log = tmp_path / "log.aof"
    log.write_bytes(command(b"SELECT", b"0") + b"".join(command(*one) for one in words))
    report = check_aof(str(log), releases=[kind.name])
    (told,) = report.suitability
    where = log.read_bytes().index(command(*words[-1]))
    if kind.is_valkey:
        answer = load(kind, tmp_path / "x", log)
        assert "wrong number of arguments for 'move' command" in answer.log
        assert told.loads is False
        assert told.reasons == [f"at {where}: it takes no 'MOVE' with REPLACE"]
        assert report.findings.counts == {"newer-command": 1}
        assert report.verdict == "broken"
    else:
        answer = load(kind, tmp_path / "x", log)
        assert (told.loads, told.passed_over) == (True, 0)
        assert "as if that was not there: MOVE with REPLACE" in told.remarks[0]
        assert report.findings.counts == {"newer-option": 1}
        ours = digest(str(log), release=kind.name)
        assert (ours.digest, ours.findings.counts) == (answer.digest, {})
    (newest,) = check_aof(str(log), releases=["valkey-9.2"]).suitability
    assert (newest.loads, newest.remarks) == (True, [])


def test_both_ways_to_look_for_options_agree() -> None:
    for form in [*forms(), *(f"ZUNIONSTORE o {n} z AGGREGATE COUNT".encode().split() for n in ("x", "", "9", "1x"))]:
        for words in (form, [word.lower() for word in form], form[: max(2, len(form) - 1)], [*form, b"KEEPREF"]):
            row = row_for(words)
            if row is not None:
                data = command(*words)
                at = data.index(words[0]) + len(words[0])
                assert OptionCounter(row).look(len(words), data + bytes(8), at) == row.among(words), words


def test_each_table_row_stands_on_one_of_the_table_of_commands() -> None:
    for name, row in OPTIONS.items():
        assert COMMANDS[name].arity == -row.least
        assert len({word.name for word in row.words}) == len(row.words) <= 32
        assert row.plain in {0, *range(int(row.least), 100)}


@pytest.mark.parametrize("padding", [0, 40])
def test_commands_are_counted_wherever_they_lie(padding: int, tmp_path: Path) -> None:
    """At the end of a window another loop reads them."""
    for form in forms():
        log = log_of(tmp_path / "log.aof", form, times=3)
        with log.open("ab") as file:
            file.write(command(b"SET", b"x", b"y" * 100) * padding)
        old = find_release("redis-4.0")
        assert old is not None
        row = row_for(form)
        expected = 3 if row is not None and row.lacking(int(row.among(form)), old) else 0
        (file_,) = check_aof(str(log)).files
        uses = [use for use in file_.options if use.options.lacking(use.found, old)]
        assert sum(use.count for use in uses) == expected, form
        if expected:
            assert {use.start for use in uses} == {log.read_bytes().index(command(*form))}


def test_of_a_release_that_is_not_named_nothing_is_left_out(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log.aof", b"SET a 2 IFNE 7".split())
    assert digest(str(log), release="redis-8.4").digest == digest(str(log)).digest
    assert release_named("redis-8.2").name == digest(str(log), release="redis-8.2").release
    assert digest(str(log), release="redis-8.2").digest != digest(str(log)).digest
