"""A log that is scanned in parts gets the verdict of a scan from end to end, whatever is in it."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rdbtool.tasks.check_aof_parts
from rdbtool.aof.scan import Scanner
from rdbtool.aof.scan_parts import ScannedPart, goes_on
from rdbtool.errors import RdbToolError
from rdbtool.tasks.check_aof import check_aof
from tests.aof.craft import command
from tests.tasks.parting import damaged

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
LOGS = sorted(path for path in FIXTURES.glob("**/*.aof") if path.is_file())


def told(path: Path, portion: int) -> object:
    """``portion``: 0 for one process."""
    try:
        if not portion:
            report = check_aof(path)
        else:
            with ThreadPoolExecutor(2) as executor:
                report = check_aof(path, executor=executor, workers=2, portion=portion)
    except RdbToolError as e:
        return str(e)
    # these three are noted only where they come near the end of a window
    used = [
        {name: at for name, at in f.used.items() if name not in {b"SELECT", b"MULTI", b"EXEC"}} for f in report.files
    ]
    state = [(f.command_end, f.before_multi, f.in_multi) for f in report.files]
    options = [[(use.options.command, use.found, use.start, use.count) for use in f.options] for f in report.files]
    return report.as_json(), report.findings.alike, used, state, options


def log_of(rng: random.Random, commands: int) -> bytes:
    """Commands of all kinds, transactions, annotations, values that look like commands."""
    items: list[bytes] = []
    clock = 1_700_000_000
    within = False
    for _ in range(commands):
        kind = rng.randrange(12)
        key = b"key:%d" % rng.randrange(50)
        if kind < 5:
            items.append(command(b"SET", key, rng.randbytes(rng.randrange(60))))
        elif kind == 5:
            items.append(command(b"SET", key, b"v", b"PXAT", b"1900000000000"))
        elif kind == 6:
            items.append(command(b"SELECT", b"%d" % rng.randrange(17)))
        elif kind == 7:
            items.append(b"#TS:%d\r\n" % clock)
            clock += rng.choice([0, 1, 5])
        elif kind == 8:
            items.append(command(b"EXEC") if within else command(b"MULTI"))
            within = not within
        elif kind == 9:
            inner = b"".join(command(b"SET", b"a", b"%d" % i) for i in range(5))
            items.append(command(b"SET", key, b"\r\n" + inner))
        else:
            items.append(command(b"RPUSH", key, *(b"%d" % i for i in range(rng.randrange(1, 9)))))
    return b"".join(items)


def test_the_verdict_on_each_fixture_is_that_of_one_process() -> None:
    assert len(LOGS) > 30
    for path in LOGS:
        for portion in (1, 150):
            assert told(path, portion) == told(path, 0), path


@pytest.mark.parametrize("portion", [40, 400])
def test_the_verdict_on_random_logs_is_that_of_one_process(
    portion: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    taken: list[bool] = []

    def noted(scanner: Scanner, part: ScannedPart) -> bool:
        taken.append(goes_on(scanner, part))
        return taken[-1]

    monkeypatch.setattr(rdbtool.tasks.check_aof_parts, "goes_on", noted)
    path = tmp_path / "log.aof"
    for _ in range(150):
        data = log_of(rng, rng.randrange(1, 80))
        path.write_bytes(damaged(data, rng) if data and rng.random() < 0.4 else data)
        assert told(path, portion) == told(path, 0)
    assert taken.count(True) > 100
    assert False in taken
