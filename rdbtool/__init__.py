"""Read, check, repair, convert, replay and compare the data files of Redis and Valkey."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdbtool.inputs.replaying import replay
    from rdbtool.rdb.opening import open_rdb
    from rdbtool.rdb.writer import open_rdb_writer
    from rdbtool.tasks.check_aof import check_aof
    from rdbtool.tasks.check_rdb import check_rdb
    from rdbtool.tasks.convert import convert
    from rdbtool.tasks.digest import digest
    from rdbtool.tasks.history import history
    from rdbtool.tasks.rewrite import rewrite
    from rdbtool.tasks.verify.run import verify

    from .errors import RdbToolError

__all__ = [
    "RdbToolError",
    "check_aof",
    "check_rdb",
    "convert",
    "digest",
    "history",
    "is_compiled",
    "open_rdb",
    "open_rdb_writer",
    "replay",
    "rewrite",
    "verify",
    "version_line",
]
__version__ = "0.1.0"

_PLACES = {
    "RdbToolError": "errors",
    "check_aof": "tasks.check_aof",
    "check_rdb": "tasks.check_rdb",
    "convert": "tasks.convert",
    "digest": "tasks.digest",
    "history": "tasks.history",
    "open_rdb": "rdb.opening",
    "open_rdb_writer": "rdb.writer",
    "replay": "inputs.replaying",
    "rewrite": "tasks.rewrite",
    "verify": "tasks.verify.run",
}
"""Where names are that are loaded when they are asked for: most runs of the program need none of them."""


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'rdbtool' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f".{_PLACES[name]}", __name__), name)


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
        if path.exists(source) and (stat(source).st_mtime_ns == written_ns or _sha256(source) == digest):
            continue
        raise ImportError(
            f"{name} was edited after it was compiled: run 'pip install -e .' again, or RDBTOOL_PURE=1 with it"
        )


def _sha256(path: str) -> str:
    from hashlib import sha256

    with open(path, "rb") as stream:
        return sha256(stream.read()).hexdigest()


_refuse_stale_compiled_files()
