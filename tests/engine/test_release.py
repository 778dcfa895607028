from __future__ import annotations

import pytest

from rdbtool.engine.release import Line, line_of_version
from rdbtool.errors import UsageError


@pytest.mark.parametrize(
    ("version", "name"),
    [("7.0.15", "redis-7.0"), ("6", "redis-6.0"), ("8.10.2", "redis-8.10"), ("255.255.255", Line().name)],
)
def test_a_version_names_its_line(version: str, name: str) -> None:
    assert line_of_version(version).name == name


@pytest.mark.parametrize("version", ["", "x", "\u00b2.8", "7.\u0663", "9" * 30, "1" * 5000, "7.", "-7.0"])
def test_what_is_no_version_means_the_newest_line(version: str) -> None:
    assert line_of_version(version).name == Line().name
    with pytest.raises(UsageError, match="no such server line"):
        Line(f"redis-{version}")
