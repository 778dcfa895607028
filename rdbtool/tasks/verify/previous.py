"""The backup before, which one is compared with: a file, one of the same name in a directory, or one in an archive."""

from __future__ import annotations

import os
import tempfile

from rdbtool.errors import InputError, RdbToolError, UsageError, printable_text
from rdbtool.inputs.detect import open_detected
from rdbtool.io.archive import Rest, is_tar, members
from rdbtool.io.copying import write_all
from rdbtool.io.source import open_stream
from rdbtool.io.window import Window

from .copy import make_private
from .expectations import COUNTED, Expectations
from .found import SNAPSHOT, STOCK_SETUP, Found, Setup, backup_kind, look, look_at_snapshot


def previous(path: str, wanted: Expectations, setup: Setup = STOCK_SETUP) -> Found | RdbToolError | None:
    """The backup to compare ``path`` with, with its keys counted: ``wanted.against``, or in that directory or archive
    the one that is called like it. None where nothing is to be compared, the error where it cannot be looked at.
    """
    if wanted.max_shrink is None:
        return None
    try:
        return _previous(path, wanted, setup)
    except RdbToolError as e:
        return e


def _previous(path: str, wanted: Expectations, setup: Setup) -> Found:
    against = wanted.against
    name = os.path.basename(path.rstrip("/"))
    if not against:
        raise UsageError("what it must not shrink against is not said (against)", path=path)
    inside = os.path.join(against, name)
    if os.path.isdir(against) and os.path.exists(inside):
        against = inside
    if not os.path.isdir(against):
        with open_detected(against) as opened:
            if is_tar(opened.window):
                return _in_archive(opened.window, against, name, setup)
    return look(against, COUNTED, setup=setup)


def _in_archive(w: Window, path: str, name: str, setup: Setup) -> Found:
    """What is called ``name`` in an archive: a file, or the directory of a set. Logs are unpacked, to be replayed."""
    unpacked = make_private(tempfile.gettempdir())
    try:
        place = os.path.join(unpacked.path, "set")
        for member in members(w):
            called = os.path.join(path, member.name)
            if os.path.basename(member.name) == name:
                window = open_stream(member.stream, called).window()
                if backup_kind(window, name) == SNAPSHOT:
                    return look_at_snapshot(window, called, COUNTED, setup=setup)
                place = os.path.join(unpacked.path, "log.aof")
                write_all(Rest(window), called, place)
                break
            if os.path.basename(os.path.dirname(member.name)) == name:
                os.makedirs(place, exist_ok=True)
                write_all(member.stream, called, os.path.join(place, os.path.basename(member.name)))
        if not os.path.exists(place):
            raise InputError(f"nothing in it is called {printable_text(name)}", path=path)
        return look(place, COUNTED, setup=setup)
    finally:
        unpacked.remove()
