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
    from hashlib import sha256
    from pathlib import Path

    root = Path(__file__).parent.parent
    for name, digest in SOURCES.items():
        path = root / name
        if not path.exists() or sha256(path.read_bytes()).hexdigest() != digest:
            raise ImportError(
                f"{name} was edited after it was compiled: run 'pip install -e .' again, or RDBTOOL_PURE=1 with it"
            )


_refuse_stale_compiled_files()
