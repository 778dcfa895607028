"""How commands reach live servers: the options for that, and passwords, which nothing else gets to see."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Final
from urllib.parse import unquote

import typer

from rdbtool.errors import UsageError
from rdbtool.inputs.filters import duration_ms
from rdbtool.live.address import Access, Scan, is_url, without_password

from .console import remark
from .options import takes
from .progress import Waiting
from .usage import LIVE_PANEL

NO_MOMENT: Final = "rdbtool: --scan: what changes meanwhile may be in or not: this is no state of one moment"
ENVIRONMENT: Final = "REDISCLI_AUTH"
"""Where redis-cli looks for the password, too."""

_passwords: Final[dict[str, str]] = {}
"""Of the URLs in the arguments, by what is left of them."""


def without_passwords(arguments: list[str]) -> list[str]:
    """The arguments, where the URLs have no password any more; `reached` knows them."""
    _passwords.clear()
    shown = []
    for argument in arguments:
        if is_url(argument):
            bare, password = without_password(argument)
            if password:
                _passwords[bare] = unquote(password)
                hide(password)
            argument = bare
        shown.append(argument)
    return shown


def hide(secret: str) -> None:
    """Overwrite a secret where the system keeps the command line, which all users can read. Works on Linux."""
    import ctypes

    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat", encoding="ascii", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end of proc_pid_stat(5)
        line = ctypes.string_at(start, end - start)
        wanted = os.fsencode(secret)
        at = line.find(wanted)
        while at >= 0:
            ctypes.memset(start + at, ord("*"), len(wanted))
            at = line.find(wanted, at + len(wanted))


def reached(
    cacert: Annotated[
        str,
        typer.Option(
            "--cacert",
            metavar="FILE",
            help="With rediss://: trust these certificates instead of the system's.",
            rich_help_panel=LIVE_PANEL,
        ),
    ] = "",
    cert: Annotated[
        str,
        typer.Option(
            "--cert", metavar="FILE", help="With rediss://: a certificate of our own.", rich_help_panel=LIVE_PANEL
        ),
    ] = "",
    cert_key: Annotated[
        str,
        typer.Option("--cert-key", metavar="FILE", help="The key of that certificate.", rich_help_panel=LIVE_PANEL),
    ] = "",
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="With rediss://: trust any certificate, so that anybody may be at the other end.",
            rich_help_panel=LIVE_PANEL,
        ),
    ] = False,
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout",
            metavar="DURATION",
            help="How long a server may be silent. It sends signs of life while it saves.",
            rich_help_panel=LIVE_PANEL,
        ),
    ] = "60s",
) -> Access:
    """How servers are reached; for `takes`. Raises `UsageError`."""
    if insecure:
        print("rdbtool: warning: --insecure: whoever answers is trusted, password included", file=sys.stderr)
    return Access(
        os.environ.get(ENVIRONMENT, ""),
        dict(_passwords),
        cacert,
        cert,
        cert_key,
        insecure,
        max(duration_ms(timeout) / 1000, 1),
    )


def scanned(
    scan: Annotated[
        bool,
        typer.Option(
            "--scan",
            help="Ask for key by key (SCAN, DUMP), where a server lets nobody replicate it: no state of one moment.",
            rich_help_panel=LIVE_PANEL,
        ),
    ] = False,
    match: Annotated[
        str,
        typer.Option("--match", metavar="GLOB", help="With --scan: only of these keys.", rich_help_panel=LIVE_PANEL),
    ] = "",
    rate: Annotated[
        float,
        typer.Option(
            "--rate", metavar="N", min=0, help="With --scan: N keys a second at most.", rich_help_panel=LIVE_PANEL
        ),
    ] = 0,
) -> Scan | None:
    """Whether and how keys are asked for one by one; for `takes`. Raises `UsageError`."""
    if not scan and (match or rate):
        raise UsageError("--match and --rate belong to --scan")
    return Scan(match, rate) if scan else None


def clustered(
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="The URL is that of a node of a cluster: read all its masters, one behind the other.",
            rich_help_panel=LIVE_PANEL,
        ),
    ] = False,
) -> bool:
    """Whether all masters of a cluster are read; for `takes`."""
    return cluster


def read_from(access: Access, scan: Scan | None, *, cluster: bool = False) -> None:
    """Let URLs of servers be opened."""
    from rdbtool.live.source import register

    if scan is not None:
        remark(NO_MOMENT)
    register(access, Waiting(), scan, note, cluster=cluster)


def refuse_without_server(scan: Scan | None, *, cluster: bool) -> None:
    """Raise `UsageError` for options about servers, where there is none."""
    if scan is not None or cluster:
        raise UsageError("--scan and --cluster are about live servers: redis://, rediss:// or unix:// URLs")


def note(text: str) -> None:
    """Tell what is not in what a server gives."""
    remark(f"rdbtool: warning: {text}")


def reads_servers(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that reads snapshots the options for live servers, and let it read from them."""

    @takes(access=reached, scan=scanned, cluster=clustered)
    @functools.wraps(command)
    def run(*, access: Access, scan: Scan | None, cluster: bool, **options: object) -> None:
        values = [one for value in options.values() for one in (value if isinstance(value, list) else [value])]
        if any(isinstance(value, str) and is_url(value) for value in values):
            read_from(access, scan, cluster=cluster)
        else:
            refuse_without_server(scan, cluster=cluster)
        command(**options)

    return run
