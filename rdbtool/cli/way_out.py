"""The line that names the way out where a damaged snapshot, or log, stops a command."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from typing import Final

from rdbtool.errors import SALVAGING, FormatError, RdbToolError, TruncatedError
from rdbtool.findings import Finding, Severity
from rdbtool.rdb.opcodes import MAGICS

from .render import show_path

STARTS = (*MAGICS, b"$EOF:")
"""Of snapshots, as files and as servers send them."""
LOGS: Final = (b"*", b"#TS:")
"""Of logs."""
DAMAGE: Final = (FormatError.code, TruncatedError.code, "checksum", "no-manifest")
"""Codes of findings that tell of damage."""


def way_out(path: str) -> str:
    """How to save what can be read of the snapshot, or the log, at ``path``; "" for a file that is none."""
    from rdbtool.aof.rebuilding import NUMBERED
    from rdbtool.io.sink import without_compression

    if path.endswith(".manifest") or os.path.isdir(path):
        return f"to rebuild the manifest from the files: rdbtool check-aof --fix {show_path(shlex.quote(path))}"
    try:
        with open(path, "rb") as stream:
            head = stream.read(8)
    except OSError:
        return ""
    name = os.path.basename(path)
    part = NUMBERED.match(name)
    shown = show_path(shlex.quote(path if part is None else os.path.dirname(path) or os.curdir))
    is_snapshot = head.startswith(STARTS) or without_compression(path).lower().endswith(".rdb")
    if (part is not None and part.group(4) == "aof") or (head.startswith(LOGS) and not is_snapshot):
        return f"to repair it, or save what can be read of it: rdbtool check-aof {shown}"
    if not head or not is_snapshot:
        return ""
    if part is not None or name.endswith(".aof"):
        return f"to save what can be read of the snapshot, and the log: rdbtool check-aof {shown} --salvage -o COPY"
    return f"to save what can be read of it: rdbtool check-rdb {shown} --salvage -o OUT"


def print_way_out(error: RdbToolError) -> None:
    """Name the way out on standard error, if ``error`` is damage of a snapshot or a log."""
    if isinstance(error, FormatError) and error.path and error.doing != SALVAGING:
        line = way_out(error.path)
        if line:
            print(line, file=sys.stderr)


def print_way_out_of(findings: Iterable[Finding]) -> None:
    """The same for the first error that ended a job."""
    for finding in findings:
        if finding.severity is Severity.ERROR and finding.path and finding.code in DAMAGE:
            line = way_out(finding.path)
            if line:
                print(line, file=sys.stderr)
                return
