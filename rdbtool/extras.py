"""The name that rdbtool is installed by, and how to install what it can do without."""

from __future__ import annotations

from typing import Final

DISTRIBUTION: Final = "rdbtoolkit"
"""The name on PyPI: `rdbtool` is another's there."""


def how_to_install(extra: str) -> str:
    """The command that installs an extra of pyproject.toml."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
