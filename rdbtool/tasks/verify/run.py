"""Judge one backup."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rdbtool.errors import RdbToolError
from rdbtool.inputs.detect import Progress
from rdbtool.tasks.judgement import Judgement

from .expectations import COUNTED, NOTHING, Expectations, Table
from .found import STOCK_SETUP, Found, Setup, look
from .judge import judge

if TYPE_CHECKING:
    from .boot import BootOptions


def verify(
    path: str,
    wanted: Expectations = NOTHING,
    *,
    setup: Setup = STOCK_SETUP,
    now_s: int | None = None,
    boot: BootOptions | None = None,
    progress: Progress | None = None,
) -> Judgement:
    """Judge the backup at ``path``: whether it is sound, and meets what is expected.

    ``setup``: of the server that is to load it; ``now_s``: a Unix time, the present if None; ``boot``: start a real
    server on a copy, and compare what it holds. What cannot be looked at
    is the judgement's ``error``.
    """
    now_ms = None if now_s is None else now_s * 1000
    try:
        before = None if wanted.max_shrink is None else previous(path, wanted, setup)
        if boot is None:
            found = look(path, wanted, setup=setup, now_ms=now_ms, progress=progress)
            return judge(found, wanted, now_s=now_s, before=before)
        from .boot import booted
        from .rehearse import Survivors, compare

        setup = setup.configured(boot.config)
        with booted(path, boot, progress) as server:
            survivors = None if server.client is None else Survivors(server)
            found = look(path, wanted, setup=setup, now_ms=now_ms, progress=progress, beside=survivors)
            judged = judge(found, wanted, now_s=now_s, before=before)
            compare(judged, server, found, survivors)
            return judged
    except RdbToolError as e:
        return Judgement(subject=path, error=e)


def previous(path: str, wanted: Expectations, setup: Setup = STOCK_SETUP) -> Found:
    """The backup to compare with: ``wanted.against``, or what is called like ``path`` in that directory."""
    against = wanted.against
    inside = os.path.join(against, os.path.basename(path.rstrip("/")))
    if os.path.isdir(against) and os.path.exists(inside):
        against = inside
    return look(against, COUNTED, setup=setup)


def absent(table: Table) -> Judgement:
    """The judgement on a table of expectations that no path matched: the backup it is about is not there."""
    judged = Judgement(subject=table.pattern, kind="pattern")
    judged.expect("present", "a path that matches", "none", met=False)
    return judged
