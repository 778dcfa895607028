"""The build: what is compiled together, what is not compiled again, and what comes out of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rdbtool import _build

pytestmark = pytest.mark.cold
ROOT = Path(__file__).resolve().parents[1]

LOW = "from mypy_extensions import i64\n\ndef twice(n: i64) -> i64:\n    return 2 * n\n"
HIGH = "from rdbtool.io.low import twice\n\ndef four_times(n: int) -> int:\n    return int(twice(twice(n)))\n"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of two modules in two groups."""
    root = tmp_path / "house"
    for name, text in {"__init__": "", "io/__init__": "", "io/low": LOW, "high": HIGH}.items():
        path = root / "rdbtool" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(_build, "GROUPS", (("rdbtool_io", "2", ("io",)), ("rdbtool_high", "1", ("high",))))
    monkeypatch.setattr(_build, "LEFT_OUT", ())
    return root


def built(root: Path, work: str = "build", *, editable: bool) -> dict[str, Path]:
    """Build; the libraries by name, put where they belong."""
    made = _build.compile_sources(root, root / work, editable=editable)
    for path, place in made:
        shutil.copy(path, root / place)
    return {place.name.partition(".")[0]: path for path, place in made}


def answer(root: Path) -> str:
    """What the compiled package computes."""
    program = "import rdbtool.high as h; assert h.__file__.endswith(('.so', '.pyd')); print(h.four_times(10))"
    return subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_an_editable_install_compiles_again_only_the_group_that_was_edited(house: Path) -> None:
    first = built(house, editable=True)
    assert set(first) == {"rdbtool_io__mypyc", "rdbtool_high__mypyc", "low", "high"}
    assert answer(house) == "40\n"
    when = {name: path.stat().st_mtime_ns for name, path in first.items()}

    high = house / "rdbtool" / "high.py"
    high.write_text(HIGH.replace("twice(twice(n))", "twice(twice(n)) + 1"))
    second = built(house, editable=True)
    assert answer(house) == "41\n"
    assert {name for name in first if second[name] != first[name]} == {"rdbtool_high__mypyc"}
    assert all(path.stat().st_mtime_ns == when[name] for name, path in second.items() if path == first[name])
    # What nothing needs any more is not kept.
    assert not first["rdbtool_high__mypyc"].exists()


@pytest.mark.slow
def test_a_wheel_holds_one_library_with_and_without_optimisation_at_the_link(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(built(house, editable=False)) == {"rdbtool__mypyc", "low", "high"}
    assert answer(house) == "40\n"
    monkeypatch.setattr(_build, "LINK_TIME", dict.fromkeys(("gcc", "clang"), ("-flto=no-such-thing",)))
    built(house, "build without", editable=False)
    assert answer(house) == "40\n"


def test_a_new_module_belongs_to_a_group_without_being_named(tmp_path: Path) -> None:
    for name in _build.sources(ROOT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for name in ("rdb/salvage/frames", "analysis/newcomer", "engine/commands/vectors"):
        path = tmp_path / "rdbtool" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    found = _build.groups(tmp_path)
    assert "rdbtool/rdb/salvage/frames.py" in found["rdbtool_core"]
    assert {"rdbtool/analysis/newcomer.py", "rdbtool/engine/commands/vectors.py"} <= set(found["rdbtool_engine"])


def test_each_name_in_the_build_is_there() -> None:
    for name in [*_build.LEFT_OUT, *(place for _, _, places in _build.GROUPS for place in places)]:
        path = ROOT / "rdbtool" / name
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
    assert all((ROOT / name).is_file() for name in _build.sources(ROOT))
