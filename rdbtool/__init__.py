"""Read, check, repair, convert, replay and compare the data files of Redis and Valkey."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdbtool.aof.names import CommandNames
    from rdbtool.aof.point_in_time import Place, PointInTime
    from rdbtool.aof.repair.plan import RepairPlan
    from rdbtool.engine.dataset import Dataset
    from rdbtool.engine.replay.key_history import Touch
    from rdbtool.errors import (
        FormatError,
        IncompleteError,
        InputError,
        NotSyncedError,
        OutputError,
        RdbToolError,
        TruncatedError,
        UnsupportedError,
        UsageError,
    )
    from rdbtool.findings import Finding, Findings, Report, Severity
    from rdbtool.inputs.filters import select
    from rdbtool.inputs.key_stream import Key, Keys, keys
    from rdbtool.inputs.replaying import Replayed, replay
    from rdbtool.inputs.selection import Selection
    from rdbtool.inputs.server import Server
    from rdbtool.live.address import Access
    from rdbtool.live.load import LoadOptions, StoppedError
    from rdbtool.model import (
        Array,
        Consumer,
        Entry,
        Group,
        Hash,
        Module,
        PathHash,
        Pending,
        SortedSet,
        Stream,
        Value,
    )
    from rdbtool.outputs.changing import Changes
    from rdbtool.outputs.options import OutputOptions, RdbOptions
    from rdbtool.rdb.events import (
        Aux,
        End,
        Event,
        Foreign,
        Function,
        FunctionPreGa,
        HashTemplate,
        Header,
        ModuleAux,
        ResizeDb,
        SelectDb,
        SlotImport,
        SlotInfo,
        Update,
    )
    from rdbtool.rdb.frame import Frame
    from rdbtool.rdb.opening import RdbEvents, open_rdb, open_rdb_writer
    from rdbtool.rdb.reader import RdbReader
    from rdbtool.rdb.writer import RdbWriter
    from rdbtool.servers.limits import Limits
    from rdbtool.tasks.check_aof import CheckAofReport, check_aof
    from rdbtool.tasks.check_rdb import CheckRdbReport, check_rdb
    from rdbtool.tasks.convert import ConvertReport, convert
    from rdbtool.tasks.diff.difference import Difference
    from rdbtool.tasks.diff.run import Diff, DiffOptions, DiffReport, open_diff
    from rdbtool.tasks.digest import DigestReport, digest
    from rdbtool.tasks.history import HistoryReport, history
    from rdbtool.tasks.info import InfoReport, info
    from rdbtool.tasks.load import LoadReport, load
    from rdbtool.tasks.memory import ContentsReport, memory
    from rdbtool.tasks.repair_aof import RepairAofReport, plan_aof_repair, repair_aof
    from rdbtool.tasks.report.run import PageReport, report
    from rdbtool.tasks.rewrite import RewriteForm, RewriteReport, rewrite, rewrite_in_place
    from rdbtool.tasks.stats import StatsReport, stats
    from rdbtool.tasks.verify.run import verify

__all__ = [
    "Access",
    "Array",
    "Aux",
    "Changes",
    "CheckAofReport",
    "CheckRdbReport",
    "CommandNames",
    "Consumer",
    "ContentsReport",
    "ConvertReport",
    "Dataset",
    "Diff",
    "DiffOptions",
    "DiffReport",
    "Difference",
    "DigestReport",
    "End",
    "Entry",
    "Event",
    "Finding",
    "Findings",
    "Foreign",
    "FormatError",
    "Frame",
    "Function",
    "FunctionPreGa",
    "Group",
    "Hash",
    "HashTemplate",
    "Header",
    "HistoryReport",
    "IncompleteError",
    "InfoReport",
    "InputError",
    "Key",
    "Keys",
    "Limits",
    "LoadOptions",
    "LoadReport",
    "Module",
    "ModuleAux",
    "NotSyncedError",
    "OutputError",
    "OutputOptions",
    "PageReport",
    "PathHash",
    "Pending",
    "Place",
    "PointInTime",
    "RdbEvents",
    "RdbOptions",
    "RdbReader",
    "RdbToolError",
    "RdbWriter",
    "RepairAofReport",
    "RepairPlan",
    "Replayed",
    "Report",
    "ResizeDb",
    "RewriteForm",
    "RewriteReport",
    "SelectDb",
    "Selection",
    "Server",
    "Severity",
    "SlotImport",
    "SlotInfo",
    "SortedSet",
    "StatsReport",
    "StoppedError",
    "Stream",
    "Touch",
    "TruncatedError",
    "UnsupportedError",
    "Update",
    "UsageError",
    "Value",
    "check_aof",
    "check_rdb",
    "convert",
    "digest",
    "history",
    "info",
    "is_compiled",
    "keys",
    "load",
    "memory",
    "open_diff",
    "open_rdb",
    "open_rdb_writer",
    "plan_aof_repair",
    "repair_aof",
    "replay",
    "report",
    "rewrite",
    "rewrite_in_place",
    "select",
    "stats",
    "verify",
    "version_line",
]
__version__ = "0.1.0"

_PLACES = {
    "Access": "live.address",
    "Array": "model",
    "Aux": "rdb.events",
    "Changes": "outputs.changing",
    "CheckAofReport": "tasks.check_aof",
    "CheckRdbReport": "tasks.check_rdb",
    "CommandNames": "aof.names",
    "Consumer": "model",
    "ContentsReport": "tasks.memory",
    "ConvertReport": "tasks.convert",
    "Dataset": "engine.dataset",
    "Diff": "tasks.diff.run",
    "DiffOptions": "tasks.diff.run",
    "DiffReport": "tasks.diff.run",
    "Difference": "tasks.diff.difference",
    "DigestReport": "tasks.digest",
    "End": "rdb.events",
    "Entry": "model",
    "Event": "rdb.events",
    "Finding": "findings",
    "Findings": "findings",
    "Foreign": "rdb.events",
    "FormatError": "errors",
    "Frame": "rdb.frame",
    "Function": "rdb.events",
    "FunctionPreGa": "rdb.events",
    "Group": "model",
    "Hash": "model",
    "HashTemplate": "rdb.events",
    "Header": "rdb.events",
    "HistoryReport": "tasks.history",
    "IncompleteError": "errors",
    "InfoReport": "tasks.info",
    "InputError": "errors",
    "Key": "inputs.key_stream",
    "Keys": "inputs.key_stream",
    "Limits": "servers.limits",
    "LoadOptions": "live.load",
    "LoadReport": "tasks.load",
    "Module": "model",
    "ModuleAux": "rdb.events",
    "NotSyncedError": "errors",
    "OutputError": "errors",
    "OutputOptions": "outputs.options",
    "PageReport": "tasks.report.run",
    "PathHash": "model",
    "Pending": "model",
    "Place": "aof.point_in_time",
    "PointInTime": "aof.point_in_time",
    "RdbEvents": "rdb.opening",
    "RdbOptions": "outputs.options",
    "RdbReader": "rdb.reader",
    "RdbToolError": "errors",
    "RdbWriter": "rdb.writer",
    "RepairAofReport": "tasks.repair_aof",
    "RepairPlan": "aof.repair.plan",
    "Replayed": "inputs.replaying",
    "Report": "findings",
    "ResizeDb": "rdb.events",
    "RewriteForm": "tasks.rewrite",
    "RewriteReport": "tasks.rewrite",
    "SelectDb": "rdb.events",
    "Selection": "inputs.selection",
    "Server": "inputs.server",
    "Severity": "findings",
    "SlotImport": "rdb.events",
    "SlotInfo": "rdb.events",
    "SortedSet": "model",
    "StatsReport": "tasks.stats",
    "StoppedError": "live.load",
    "Stream": "model",
    "Touch": "engine.replay.key_history",
    "TruncatedError": "errors",
    "UnsupportedError": "errors",
    "Update": "rdb.events",
    "UsageError": "errors",
    "Value": "model",
    "check_aof": "tasks.check_aof",
    "check_rdb": "tasks.check_rdb",
    "convert": "tasks.convert",
    "digest": "tasks.digest",
    "history": "tasks.history",
    "info": "tasks.info",
    "keys": "inputs.key_stream",
    "load": "tasks.load",
    "memory": "tasks.memory",
    "open_diff": "tasks.diff.run",
    "open_rdb": "rdb.opening",
    "open_rdb_writer": "rdb.opening",
    "plan_aof_repair": "tasks.repair_aof",
    "repair_aof": "tasks.repair_aof",
    "replay": "inputs.replaying",
    "report": "tasks.report.run",
    "rewrite": "tasks.rewrite",
    "rewrite_in_place": "tasks.rewrite",
    "select": "inputs.filters",
    "stats": "tasks.stats",
    "verify": "tasks.verify.run",
}
"""Where names are that are loaded when they are asked for: most runs of the program need none of them."""

_COMPILED = ("aof.", "engine.", "inputs.", "model", "outputs.", "rdb.", "servers.")
"""Where classes may be compiled, which `documentation` gives their docstrings back."""


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


if not TYPE_CHECKING:  # a type checker must not take any name for one of ours

    def __getattr__(name: str) -> object:
        place = _PLACES.get(name)
        if place is None:
            raise AttributeError(f"module 'rdbtool' has no attribute '{name}'")
        from importlib import import_module

        found = getattr(import_module(f".{place}", __name__), name)
        if isinstance(found, type) and place.startswith(_COMPILED):
            from .documentation import document

            document(found)
        globals()[name] = found
        return found


def is_compiled() -> bool:
    """Whether mypyc compiled the modules that are in use."""
    from .io import window

    return not window.__file__.endswith(".py")


def version_line() -> str:
    """What ``rdbtool --version`` prints."""
    return f"rdbtool {__version__} ({'compiled' if is_compiled() else 'interpreted'})"


def _refuse_stale_compiled_files() -> None:
    """Fail where sources were edited after they were compiled in place: the edits would not run."""
    try:
        from ._compiled import SOURCES
    except ImportError:  # installed from a wheel, or uncompiled
        return
    from os import path, stat

    root = path.dirname(path.dirname(__file__))
    for name, (written_ns, digest) in SOURCES.items():
        source = path.join(root, name)
        try:
            if stat(source).st_mtime_ns == written_ns or _sha256(source) == digest:
                continue
        except FileNotFoundError:
            pass
        raise ImportError(
            f"{name} was edited after it was compiled: run 'pip install -e .' again, or RDBTOOL_PURE=1 with it"
        )


def _sha256(path: str) -> str:
    from hashlib import sha256

    with open(path, "rb") as stream:
        return sha256(stream.read()).hexdigest()


def _refuse_old_python() -> None:
    """Fail in one clear line where the sources are run by a Python that cannot: pip is not asked then."""
    if sys.version_info < (3, 11):  # noqa: UP036 - for those who run a checkout
        refusal = f"rdbtool needs Python 3.11 or later, and this is {sys.version_info[0]}.{sys.version_info[1]}"
        if sys.argv[:1] != ["-m"]:
            raise ImportError(refusal)
        sys.stderr.write(refusal + "\n")
        from .errors import UnsupportedError
        from .exit_codes import of_error

        raise SystemExit(of_error(UnsupportedError(refusal)))


_refuse_old_python()
_refuse_stale_compiled_files()
