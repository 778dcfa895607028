"""Errors and findings say where, and never let a file drive a terminal."""

from __future__ import annotations

from rdbtool.errors import FormatError, RdbToolError, printable, printable_text
from rdbtool.findings import KEPT_PER_CODE, Finding, Findings, Severity, finding_of


def test_no_byte_reaches_a_terminal_unescaped() -> None:
    text = printable(bytes(range(256)), 256)
    assert text.isascii()
    assert text.isprintable()
    assert printable(b"\x1b[31m\\") == "\\x1b[31m\\\\"
    assert printable_text("a\x1b[2Jb\u202e") == "a\\x1b[2Jb\\xe2\\x80\\xae"


def test_long_keys_are_cut_and_say_their_length() -> None:
    assert printable(b"k" * 500).endswith("... (500 bytes)")


def test_an_error_tells_place_action_and_key() -> None:
    e = FormatError("bad", path="/x", offset=7, doing="reading a value", key=b"k\n")
    assert str(e) == "/x, offset 7: bad (while reading a value) key 'k\\x0a'"
    assert isinstance(e, RdbToolError)
    finding = finding_of(e)
    assert (finding.code, finding.offset, finding.key, finding.doing) == ("malformed", 7, b"k\n", "reading a value")


def test_findings_of_one_code_are_bounded_but_counted() -> None:
    findings = Findings()
    for i in range(KEPT_PER_CODE + 5):
        findings.add(Finding(Severity.WARNING, "x", "m", offset=i))
    assert len(findings.items) == KEPT_PER_CODE
    assert findings.counts == {"x": KEPT_PER_CODE + 5}


def test_many_findings_that_are_alike_are_one_with_a_count() -> None:
    findings = Findings()
    for i in range(KEPT_PER_CODE + 5):
        findings.add(Finding(Severity.ERROR, "empty", f"key 'k{i}' has 0 elements", "f", offset=i))
    findings.add(Finding(Severity.WARNING, "loss", "access times: 3; the target has none", "f"))
    findings.add(Finding(Severity.WARNING, "loss", "functions: 3; the target has none", "f"))
    (first, alike), *rest = findings.condensed()
    assert alike is not None
    assert (first.offset, alike.count, alike.last.offset) == (0, KEPT_PER_CODE + 5, KEPT_PER_CODE + 4)
    assert [(f.message.partition(":")[0], more) for f, more in rest] == [("access times", None), ("functions", None)]


def test_findings_of_two_checks_are_counted_together() -> None:
    both, one = Findings(), Findings()
    both.add(Finding(Severity.NOTE, "x", "m", offset=1))
    for i in range(KEPT_PER_CODE + 5):
        one.add(Finding(Severity.NOTE, "x", "m", offset=2 + i))
    both.add_all(one)
    assert both.counts == {"x": KEPT_PER_CODE + 6}
    ((_, alike),) = both.condensed()
    assert alike is not None
    assert (alike.count, alike.last.offset) == (KEPT_PER_CODE + 6, KEPT_PER_CODE + 6)
