"""Read, check, repair, convert, replay and compare the data files of Redis and Valkey."""

from __future__ import annotations

__version__ = "0.1.0"


def is_compiled() -> bool:
    """Whether mypyc compiled the modules that are in use."""
    from . import source

    return not source.__file__.endswith(".py")


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
