"""``rdbtool``, and ``python -m rdbtool``."""

from __future__ import annotations

import gc
import os
import signal
import sys

from . import version_line


def main() -> None:
    """Run the command line and end the process. ``--version`` answers without loading it.

    An interrupt before this is called, while Python itself starts, is answered by Python, with a traceback and code 1:
    nothing of ours runs yet, and no file has been opened.
    """
    if sys.argv[1:] == ["--version"]:
        try:
            print(version_line(), flush=True)
        except OSError as e:
            print(f"rdbtool: standard output: cannot write: {e.strerror}", file=sys.stderr, flush=True)
            from .exit_codes import of_error

            os._exit(of_error(e))
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules are loaded, it just ends the program
    gc.disable()  # while modules are loaded there is nothing to find
    from rdbtool.cli.app import run

    try:
        run(sys.argv[1:])
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        # Freeing a big dataset piece by piece takes as long as writing it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)


if __name__ == "__main__":
    main()
