from __future__ import annotations

import gc

import pytest

from rdbtool.basics.collector import COLLECTOR, collector_off


@pytest.mark.usefixtures("freezing")
def test_a_process_that_lives_on_keeps_nothing_from_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = gc.get_freeze_count()
    monkeypatch.setattr(COLLECTOR, "freezes", False)
    try:
        gc.unfreeze()
        with collector_off():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() == 0
        COLLECTOR.freeze()  # as the program does, which ends after one command
        before = gc.get_freeze_count()
        with collector_off():
            made = [[] for _ in range(10)]  # type: ignore[var-annotated]
        assert gc.get_freeze_count() >= before + len(made)
    finally:
        if not frozen:
            gc.unfreeze()
