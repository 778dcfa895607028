"""The steps of a restore, for the state in which a server's directory is."""

from __future__ import annotations

import os
import shlex
from typing import Final

from rdbtool.aof.layout import DEFAULT_NAME
from rdbtool.servers.features import MULTI_PART_LOGS
from rdbtool.servers.releases import find_release

from .directory import ServerDirectory

PLACEHOLDER: Final = "/path/to/backup.rdb"
KEPT: Final = ".before-restore"


def restore_steps(directory: ServerDirectory, writer: str, backup: str = PLACEHOLDER) -> list[str]:
    """Lines of a shell, each with what it is for, which restore the snapshot ``backup``.

    ``writer``: the server that wrote what is there, as ``redis 7.0.15``, or "".
    """
    path = directory.path
    snapshot = os.path.join(path, directory.snapshot_name)
    log = os.path.join(path, directory.log_name)
    log_directory = os.path.join(path, directory.log_directory_name)
    steps = [_step("redis-cli shutdown nosave", "stop the server; a last save would write over what is restored")]
    if not directory.logged:
        if directory.snapshot:
            steps.append(_move(snapshot))
        steps.append(_step(_line("cp", backup, snapshot), "with 'appendonly no' the server loads this file"))
        restored = snapshot
    else:
        in_parts = _in_parts(directory, writer)
        there = [place for place in (log, log_directory) if os.path.exists(place)]
        steps += [_move(place) for place in there]
        why = "with 'appendonly yes' the server loads the log, and no dump.rdb"
        if in_parts and directory.log_name == DEFAULT_NAME:
            steps.append(_step(_line("rdbtool", "convert", backup, f"{log_directory}/"), why))
            restored = log_directory
        elif in_parts:
            steps.append(_step(_line("cp", backup, log), f"{why}; from a single file it makes a log of several"))
            restored = log
        else:
            steps.append(_step(_line("rdbtool", "convert", "--base", "rdb", backup, log), why))
            restored = log
    steps.append(_step(_line("chown", "-R", f"--reference={path}", restored), "the server has to open it"))
    conf = ["--conf", directory.config.path] if directory.config is not None else []
    steps.append(_step(_line("rdbtool", "verify", path, *conf, "--boot"), "has to say: good"))
    steps.append("start the server, and compare 'redis-cli dbsize' with the number of keys above")
    return steps


def _in_parts(directory: ServerDirectory, writer: str) -> bool:
    """Whether the server is one that keeps its log in several files, as all do since Redis 7.0."""
    if directory.log:
        return os.path.dirname(directory.log) != directory.path.rstrip("/")
    release = find_release(writer.replace(" ", "-"))
    return release is None or bool(release.has(MULTI_PART_LOGS))


def _move(path: str) -> str:
    return _step(_line("mv", path, path + KEPT), "keep what is there")


def _line(*words: str) -> str:
    return shlex.join(words)


def _step(line: str, meaning: str) -> str:
    return f"{line}  # {meaning}"
