"""What a directory is: a set of logs, backups side by side, or the directory of a server, and what that loads.

With ``appendonly yes`` a server loads the log and nothing else: without one it starts empty, whatever else is there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from rdbtool.aof.layout import DEFAULT_DIRECTORY, DEFAULT_NAME, is_absent, parts_beside
from rdbtool.errors import InputError, RdbToolError, UsageError, reason
from rdbtool.io.source import open_input

from .found import backup_kind
from .server_config import DEFAULT_SNAPSHOT, ServerConfig

ARCHIVES: Final = (".tar", ".tar.gz", ".tgz", ".tar.zst")


@dataclass(slots=True)
class ServerDirectory:
    """The files of a server's directory: ``snapshot`` and ``log``, "" where there is none; ``others`` that look like
    backups; ``snapshot_name``, ``log_name`` and ``log_directory_name`` are what the server calls them.

    ``logged``: whether the server loads a log; without a configuration that is taken from what is there.
    """

    path: str
    config: ServerConfig | None
    snapshot: str
    log: str
    logged: bool
    snapshot_name: str = DEFAULT_SNAPSHOT
    log_name: str = DEFAULT_NAME
    log_directory_name: str = DEFAULT_DIRECTORY
    others: list[str] = field(default_factory=list)

    @property
    def loaded(self) -> str:
        """What the server loads, "" for nothing: then it starts empty."""
        return self.log if self.logged else self.snapshot


def backups_in(path: str) -> list[str] | None:
    """The backups that stand side by side in a directory, each a file or the directory of a log; None where it is a set
    itself or a server's.

    Raises `InputError`.
    """
    names = _names(path)
    if any(name.endswith(".manifest") and not name.startswith("temp-") for name in names) or parts_beside(path):
        return None
    backups = [name for name in names if _is_backup(path, name)]
    if not backups:
        raise InputError("nothing in this directory is an RDB, a log, or a tar archive", path=path)
    if set(backups) <= {DEFAULT_SNAPSHOT, DEFAULT_NAME}:
        return None
    return [os.path.join(path, name) for name in backups]


def is_set(path: str) -> bool:
    """Whether a directory holds the parts of a set of logs themselves. Raises `InputError`."""
    names = _names(path)
    if any(name.endswith(".manifest") and not name.startswith("temp-") for name in names):
        return True
    return any(os.path.dirname(part.path) == path.rstrip("/") for part in parts_beside(path))


def server_directory(path: str, config: ServerConfig | None) -> ServerDirectory:
    """Find a server's files in its directory. Raises `InputError`."""
    conf = config or ServerConfig("")
    names = _names(path)
    snapshot = os.path.join(path, conf.snapshot)
    inner = os.path.join(path, conf.log_directory)
    single = os.path.join(path, conf.log)
    log = ""
    if _has_set(inner, conf.log):
        log = os.path.join(inner, f"{conf.log}.manifest")
        log = log if os.path.exists(log) else inner
    elif os.path.isfile(single):
        log = single
    found = ServerDirectory(
        path,
        config,
        snapshot if os.path.isfile(snapshot) else "",
        log,
        conf.is_logged if config is not None else bool(log),
        conf.snapshot,
        conf.log,
        conf.log_directory,
    )
    own = {conf.snapshot, conf.log, conf.log_directory}
    found.others = [os.path.join(path, name) for name in names if name not in own and _is_backup(path, name)]
    return found


def _has_set(directory: str, log: str) -> bool:
    """Whether a directory holds a manifest of this log, or parts of one."""
    try:
        return any(name.startswith(f"{log}.") for name in os.listdir(directory))
    except OSError:
        return False


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=path) from e


def _is_backup(directory: str, name: str) -> bool:
    """Whether a file is one by its name, or by its first bytes, or a directory holds a log."""
    path = os.path.join(directory, name)
    if name.startswith("."):
        return False
    if os.path.isdir(path):
        try:
            return not is_absent(path)
        except InputError:  # nobody may look into it: where a record stands beside it, that will be told
            return os.path.exists(f"{path}.json")
        except UsageError:  # several logs: that will be told
            return True
    if not os.path.isfile(path):
        return False
    if name.endswith(ARCHIVES):
        return True
    try:
        with open_input(path) as source:
            return bool(backup_kind(source.window(), name))
    except RdbToolError:
        return name.endswith((".rdb", ".aof"))  # what is wrong with it will be told
