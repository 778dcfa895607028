"""``rdbtool``, and ``python -m rdbtool``."""

from __future__ import annotations

import sys

from . import version_line


def main() -> None:
    """Run the command line. ``--version`` answers without loading it."""
    if sys.argv[1:] == ["--version"]:
        print(version_line())
        return
    from .cli.app import run

    run(sys.argv[1:])


if __name__ == "__main__":
    main()
