"""The line that names the way out where a damaged snapshot stops a command."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable
from typing import Final

from rdbtool.errors import SALVAGING, FormatError, RdbToolError
from rdbtool.findings import Finding, Severity
from rdbtool.rdb.opcodes import MAGICS

from .render import show_path

STARTS = (*MAGICS, b"$EOF:")
"""Of snapshots, as files and as servers send them."""


PACKED: Final = re.compile(r"\.(gz|zst)$")
"""The ending of a snapshot's name that is compressed."""


def way_out(path: str) -> str:
    """How to save what can be read of the snapshot at ``path``; "" for a file that is none."""
    shown = show_path(shlex.quote(path))
    try:
        with open(path, "rb") as stream:
            head = stream.read(8)
    except OSError:
        return ""
    if not head or not (head.startswith(STARTS) or PACKED.sub("", path.lower()).endswith(".rdb")):
        return ""
    name = os.path.basename(path)
    if name.endswith((".base.rdb", ".aof")):
        return f"to save what can be read of the snapshot, and the log: rdbtool check-aof {shown} --salvage -o COPY"
    return f"to save what can be read of it: rdbtool check-rdb {shown} --salvage -o OUT"


def print_way_out(error: RdbToolError) -> None:
    """Name the way out on standard error, if ``error`` is damage of a snapshot."""
    if isinstance(error, FormatError) and error.path and error.doing != SALVAGING:
        line = way_out(error.path)
        if line:
            print(line, file=sys.stderr)


def print_way_out_of(findings: Iterable[Finding]) -> None:
    """The same for the first error that ended a job."""
    for finding in findings:
        if finding.severity is Severity.ERROR and finding.path:
            line = way_out(finding.path)
            if line:
                print(line, file=sys.stderr)
                return
