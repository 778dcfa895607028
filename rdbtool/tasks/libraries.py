"""Whether the function libraries of a snapshot compile, which servers find out as they load it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdbtool.errors import FormatError, printable_text
from rdbtool.extras import how_to_install
from rdbtool.findings import Finding, Findings, Severity

if TYPE_CHECKING:
    from rdbtool.rdb.check import RdbFacts


def tell_libraries(facts: RdbFacts, findings: Findings, path: str) -> None:
    """Add a finding for each library in Lua that does not compile; none without lupa."""
    if not facts.libraries:
        return
    from rdbtool.engine.scripting.compiling import compile_error  # most files need no engine
    from rdbtool.rdb.libraries import library_header

    for offset, code in facts.libraries:
        try:
            engine, name = library_header(code)
        except FormatError:
            continue
        flaw = compile_error(code) if engine.lower() == b"lua" else ""
        if flaw:
            message = f"function library '{name.decode()}' does not compile: {printable_text(flaw)}"
            findings.add(Finding(Severity.ERROR, "function-library", message, path, offset))


def libraries_remark(facts: RdbFacts) -> str:
    """What to say of libraries that could not be checked, or ""."""
    if not facts.libraries:
        return ""
    from rdbtool.engine.scripting.process import is_available

    if is_available():
        return ""
    return f"whether its function libraries compile was not checked: that needs lupa, {how_to_install('lua')}"
