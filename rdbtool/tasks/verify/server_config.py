"""A server's configuration file: read, and made fit for a server that only rehearses a recovery."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, field
from typing import Final

from rdbtool.aof.layout import DEFAULT_DIRECTORY, DEFAULT_NAME
from rdbtool.aof.manifest import split_arguments
from rdbtool.aof.names import CommandNames
from rdbtool.errors import InputError, UsageError, reason

DEFAULT_SNAPSHOT: Final = "dump.rdb"
DEEPEST: Final = 16
"""Files that include each other, one within the other."""

OWN: Final = frozenset(
    {
        *("aclfile", "user", "requirepass", "masterauth", "masteruser", "primaryauth", "primaryuser"),
        *("replicaof", "slaveof", "save", "dir", "dbfilename", "rdb-del-sync-files"),
        *("appendonly", "appendfilename", "appenddirname"),
        *("port", "bind", "bind-source-addr", "unixsocket", "unixsocketperm", "unixsocketgroup", "rdma-port"),
        *("daemonize", "supervised", "pidfile", "logfile", "loglevel", "enable-debug-command", "always-show-logo"),
        *("crash-log-enabled", "shutdown-on-sigterm", "shutdown-on-sigint"),
    }
)
"""What a server that rehearses gets a value of its own for, or must not have: who may connect to it, where it writes,
whom it follows.
"""
OWN_PREFIXES: Final = ("cluster-", "tls-", "syslog-", "sentinel", "repl-", "replica-", "slave-")


@dataclass(slots=True)
class ServerConfig:
    """The directives of a file and of those it includes, in their order: name in lower case, then its words."""

    path: str
    directives: list[tuple[str, list[bytes]]] = field(default_factory=list)

    def value(self, name: str, default: str) -> str:
        """The value of a directive of one word; where it stands several times, the last counts."""
        found = [words for directive, words in self.directives if directive == name and len(words) == 1]
        return os.fsdecode(found[-1][0]) if found else default

    @property
    def is_logged(self) -> bool:
        """Whether its server loads an append-only file."""
        return self.value("appendonly", "no").lower() == "yes"

    @property
    def directory(self) -> str:
        """Where its server keeps its files; "" where it does not say."""
        return self.value("dir", "")

    @property
    def snapshot(self) -> str:
        """The name of its snapshot."""
        return self.value("dbfilename", DEFAULT_SNAPSHOT)

    @property
    def log(self) -> str:
        """The name of its log, with which the names of all parts of a set begin."""
        return self.value("appendfilename", DEFAULT_NAME)

    @property
    def log_directory(self) -> str:
        """The name of the directory of a set, in its directory."""
        return self.value("appenddirname", DEFAULT_DIRECTORY)

    @property
    def databases(self) -> int | None:
        """How many it has; None where it does not say."""
        text = self.value("databases", "")
        return int(text) if text.isdecimal() and len(text) < 10 else None

    @property
    def renamed(self) -> dict[bytes, bytes]:
        """The names of the table of commands, in upper case -> what this server calls them, b"" for nothing."""
        renamings = [words for name, words in self.directives if name == "rename-command" and len(words) == 2]
        return {real.upper(): new for real, new in renamings}

    def names(self) -> CommandNames:
        """The same, as those need it who read its log. Raises `UsageError`."""
        pairs = [f"{os.fsdecode(new)}={os.fsdecode(real)}" for real, new in self.renamed.items() if new]
        return CommandNames.parse((), pairs)

    def for_rehearsal(self) -> bytes:
        """The text of a configuration without what is `OWN`."""
        lines = []
        for name, words in self.directives:
            if name not in OWN and not name.startswith(OWN_PREFIXES):
                lines.append(b" ".join([name.encode("latin-1"), *map(_quoted, words)]) + b"\n")
        return b"".join(lines)


def read_server_config(path: str) -> ServerConfig:
    """Read a redis.conf or valkey.conf, and what it includes. Raises `InputError`, and `UsageError` for what no server
    would start with.
    """
    config = ServerConfig(path)
    _read(config, path, 0)
    return config


def _read(config: ServerConfig, path: str, depth: int) -> None:
    if depth > DEEPEST:
        raise UsageError("files that include each other", path=path)
    try:
        with open(path, "rb") as stream:
            text = stream.read()
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=path) from e
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(b"#"):
            continue
        words = split_arguments(line)
        if not words:
            raise UsageError(f"line {number}: quotes that are not closed", path=path)
        name = words[0].decode("latin-1").lower()
        if name != "include":
            config.directives.append((name, words[1:]))
            continue
        for word in words[1:]:
            pattern = os.path.join(os.path.dirname(path), os.fsdecode(word))
            for included in sorted(glob.glob(pattern)) or [pattern]:
                _read(config, included, depth + 1)


def _quoted(word: bytes) -> bytes:
    """A word as `split_arguments` reads it again."""
    plain = [bytes([byte]) if 32 <= byte < 127 and byte not in b'"\\' else b"\\x%02x" % byte for byte in word]
    return b'"' + b"".join(plain) + b'"'
