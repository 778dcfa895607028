"""What can be asked of an output."""

from __future__ import annotations

from typing import Literal, NamedTuple, final

from rdbtool.basics.text import AUTO
from rdbtool.rdb.targets import Target, target
from rdbtool.servers.limits import Limits
from rdbtool.servers.releases import SHARED, Release, release_of


@final
class RdbOptions:
    """How an RDB is written: ``to`` for which server, such as ``redis-7.2``, None for the one that wrote the input,
    ``otherwise`` where it does not say, and what `open_rdb_writer` takes; ``envelope``: it is compressed as a whole
    (`io.vcs`). Raises `UsageError` for a server that there is not.
    """

    def __init__(
        self,
        to: Target | str | None = None,
        *,
        otherwise: Release | str = SHARED,
        compress: bool = True,
        checksum: bool = True,
        lossless: bool = False,
        drop_modules: bool = False,
        limits: Limits | None = None,
        envelope: bool = False,
    ) -> None:
        self.to: Target | None = target(to) if isinstance(to, str) else to
        self.otherwise: Release = release_of(otherwise)
        self.compress = compress
        self.checksum = checksum
        self.lossless = lossless
        self.drop_modules = drop_modules
        self.limits = limits
        self.envelope = envelope

    def __repr__(self) -> str:
        to = "the server that wrote the input" if self.to is None else self.to.name
        asked = [
            name for name in ("compress", "checksum", "lossless", "drop_modules", "envelope") if getattr(self, name)
        ]
        return f"<RdbOptions for {to}: {', '.join(asked)}>"


class OutputOptions(NamedTuple):
    """What is written, and how; each format takes what concerns it.

    ``format``: the name of a row of `outputs.registry`, "" for what the output's name says; ``rdb``: how RDBs are
    written, and for which server RDBs and commands are; ``base``: what an AOF begins with, "" for the usual one (a set:
    rdb, a single file: resp); ``mode``: how bytes become text; ``lossless``: refuse what cannot be kept; ``verify``:
    look into each value before it is copied; ``header``: JSON lines begin with a record that says where they come from;
    ``values``: False for keys with only what kind of value they have; ``nul``: keys alone end in NUL instead of LF;
    ``width``: characters of a line of the table; ``replace``: commands first delete what the server has under the names
    of the keys; ``csv_safe``: no cell of CSV is a formula.
    """

    format: str = ""
    rdb: RdbOptions = RdbOptions()
    base: Literal["", "rdb", "resp"] = ""
    mode: int = AUTO
    lossless: bool = False
    verify: bool = False
    header: bool = True
    values: bool = True
    nul: bool = False
    width: int = 120
    replace: bool = False
    csv_safe: bool = False
