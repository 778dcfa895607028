"""How backups are judged: the options of whatever judges one."""

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.errors import UsageError
from rdbtool.inputs.filters import duration_ms
from rdbtool.rdb.opcodes import MAGICS
from rdbtool.tasks.verify.expectations import Expectations, expectations

from .options import ModulesOption
from .point_in_time import ServerDatabasesOption
from .usage import BOOT_PANEL, EXPECTED_PANEL

if TYPE_CHECKING:
    from rdbtool.tasks.verify.boot import BootOptions
    from rdbtool.tasks.verify.run import VerifyOptions


def expected(
    max_age: Annotated[
        str,
        typer.Option(
            "--max-age",
            metavar="DURATION",
            help="It is no older: 26h, 90m, 7d. Its own time counts, the file's only where it has none.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = "",
    min_size: Annotated[
        str,
        typer.Option(
            "--min-size",
            metavar="SIZE",
            help="It has so many bytes, uncompressed: 512MiB.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = "",
    min_keys: Annotated[
        int | None,
        typer.Option("--min-keys", metavar="N", min=0, help="It has so many keys.", rich_help_panel=EXPECTED_PANEL),
    ] = None,
    max_shrink: Annotated[
        str,
        typer.Option(
            "--max-shrink",
            metavar="PERCENT",
            help="Its keys and bytes are not so much fewer than those of --against: 20%.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = "",
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="PREVIOUS",
            help="The backup before, or the directory that holds one of the same name.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = "",
    expect_key: Annotated[
        list[str] | None,
        typer.Option(
            "--expect-key",
            metavar="GLOB[=N|>=N]",
            help="So many keys match, at least one without a number: 'user:*>=1000'. Repeatable.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = None,
    expect_type: Annotated[
        list[str] | None,
        typer.Option(
            "--expect-type",
            metavar="TYPE[=N|>=N]",
            help="So many keys are of this type: 'stream>=3'. Repeatable.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = None,
    max_expired: Annotated[
        str,
        typer.Option(
            "--max-expired",
            metavar="PERCENT",
            help="No more of its keys have expired by now.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = "",
    releases: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="RELEASE",
            help="This server would load it: redis-7.0, valkey-9.1, 7.2 ... Repeatable.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = None,
    digest: Annotated[
        str,
        typer.Option(
            "--digest", metavar="HEX", help="DEBUG DIGEST of its keys is this.", rich_help_panel=EXPECTED_PANEL
        ),
    ] = "",
    no_warnings: Annotated[
        bool, typer.Option("--no-warnings", help="The check has no warnings either.", rich_help_panel=EXPECTED_PANEL)
    ] = False,
    no_modules: Annotated[
        bool, typer.Option("--no-modules", help="It needs no modules.", rich_help_panel=EXPECTED_PANEL)
    ] = False,
) -> Expectations:
    """What is expected; for `takes`. Raises `UsageError`."""
    if against and not max_shrink:
        raise UsageError("--against goes with --max-shrink")
    return expectations(
        max_age=max_age,
        min_size=min_size,
        min_keys=min_keys,
        max_shrink=max_shrink,
        against=against,
        keys=expect_key or (),
        types=expect_type or (),
        max_expired=max_expired,
        releases=releases or (),
        digest=digest,
        no_warnings=no_warnings,
        no_modules=no_modules,
    )


def prepared(arguments: list[str]) -> list[str]:
    """The arguments, where ``--boot`` is given the empty name unless a server program follows it."""
    words = []
    for i, word in enumerate(arguments):
        follows = arguments[i + 1] if i + 1 < len(arguments) else ""
        words.append("--boot=" if word == "--boot" and not _is_program(follows) else word)
    return words


def _is_program(name: str) -> bool:
    """Whether that is a program, rather than a backup that everybody may execute."""
    found = shutil.which(name) if name and not name.startswith("-") else None
    if found is None:
        return False
    try:
        with open(found, "rb") as stream:
            return not stream.read(9).startswith((*MAGICS, b"*", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"))
    except OSError:  # it may be run, and not be read
        return True


def _program(name: str) -> str:
    """The server program of that name, or the first on PATH. Raises `UsageError`."""
    places = [None] if name else os.get_exec_path()
    for place in places:
        for known in (name,) if name else ("redis-server", "valkey-server"):
            found = shutil.which(known, path=place)
            if found is not None:
                return found
    raise UsageError(
        "--boot: there is no such program" if name else "--boot: PATH has no redis-server or valkey-server"
    )


@dataclass(frozen=True, slots=True)
class HowJudged:
    """What the options of `how_judged` were."""

    conf: str
    modules: tuple[str, ...]
    databases: int | None
    boot: str | None
    boot_config: str
    boot_timeout: str
    boot_dir: str

    def options(self, names: CommandNames) -> "VerifyOptions":
        """The same for the judge; the files are read. Raises `InputError`, `UsageError`."""
        from rdbtool.tasks.verify.found import Setup
        from rdbtool.tasks.verify.run import VerifyOptions
        from rdbtool.tasks.verify.server_config import read_server_config

        config = read_server_config(self.conf) if self.conf else None
        return VerifyOptions(Setup(self.databases, names, self.modules), boot=self.rehearsal(), config=config)

    def rehearsal(self) -> "BootOptions | None":
        """How to start a server, None for not at all. Raises `InputError`, `UsageError`."""
        if self.boot is None:
            return None
        from rdbtool.tasks.verify.boot import BootOptions
        from rdbtool.tasks.verify.server_config import read_server_config

        return BootOptions(
            _program(self.boot),
            read_server_config(self.boot_config) if self.boot_config else None,
            duration_ms(self.boot_timeout) // 1000,
            self.boot_dir,
            self.databases,
        )


def how_judged(
    conf: Annotated[
        str,
        typer.Option(
            "--conf",
            metavar="FILE",
            help="The redis.conf of the server whose directory PATH is: which file it loads, under which names.",
        ),
    ] = "",
    modules: ModulesOption = None,
    databases: ServerDatabasesOption = None,
    boot: Annotated[
        str | None,
        typer.Option(
            "--boot",
            metavar="[SERVER]",
            help="Start this server program on a copy, and compare what it holds; without a name the first "
            "redis-server or valkey-server on PATH.",
            rich_help_panel=BOOT_PANEL,
        ),
    ] = None,
    boot_config: Annotated[
        str,
        typer.Option(
            "--boot-config",
            metavar="FILE",
            help="The configuration of the real server: its databases, modules and renamed commands count, not its "
            "ports, users, replication, cluster and persistence.",
            rich_help_panel=BOOT_PANEL,
        ),
    ] = "",
    boot_timeout: Annotated[
        str,
        typer.Option(
            "--boot-timeout", metavar="DURATION", help="How long it may take to load.", rich_help_panel=BOOT_PANEL
        ),
    ] = "1h",
    boot_dir: Annotated[
        str,
        typer.Option(
            "--boot-dir",
            metavar="DIR",
            help="Where the copy is made; else beside the original where they can share their blocks, or in TMPDIR.",
            rich_help_panel=BOOT_PANEL,
        ),
    ] = "",
) -> HowJudged:
    """How a backup is judged; for `takes`. Raises `UsageError`."""
    if boot is None and (boot_config or boot_dir):
        raise UsageError("--boot-config and --boot-dir go with --boot")
    return HowJudged(conf, tuple(modules or ()), databases, boot, boot_config or conf, boot_timeout, boot_dir)
