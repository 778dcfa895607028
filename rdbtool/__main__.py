"""``rdbtool``, and ``python -m rdbtool``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. ``--version`` answers without loading it."""
    if sys.argv[1:] == ["--version"]:
        from . import __version__, is_compiled

        print(f"rdbtool {__version__} ({'compiled' if is_compiled() else 'interpreted'})")
        return
    from .cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
