"""Expectations, as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.errors import InputError, UsageError
from rdbtool.tasks.verify.expectations import Config, counted, expectations, read_config


def config(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "verify.toml"
    path.write_text(text)
    return read_config(str(path))


@pytest.mark.parametrize(
    ("text", "name", "met", "unmet"),
    [
        ("user:*", "user:*", [1, 2], [0]),
        ("user:*=2", "user:*", [2], [1, 3]),
        ("user:*>=2", "user:*", [2, 3], [1]),
        ("a=b=c>=0", "a=b=c", [0, 1], []),
        ("a=b", "a=b", [1], [0]),
    ],
)
def test_a_number_of_keys(text: str, name: str, met: list[int], unmet: list[int]) -> None:
    one = counted(text)
    assert one.name == name
    assert all(one.met_by(n) for n in met)
    assert not any(one.met_by(n) for n in unmet)


def test_tables_apply_to_paths_that_match_and_later_ones_count(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        '["*.rdb"]\nmax-age = "26h"\nmin-keys = 10\nexpect-key = "a"\n["shard-1.rdb"]\nmin-keys = 20\n'
        '["/backups/*/x.aof"]\nmax-shrink = 20\nagainst = "old"\n',
    )
    shard = found.of("/backups/shard-1.rdb")
    assert (shard.max_age_s, shard.min_keys, [one.name for one in shard.keys]) == (26 * 3600, 20, ["a"])
    assert found.of("other.rdb").min_keys == 10
    assert [table.pattern for table in found.unused] == ["/backups/*/x.aof"]
    assert found.of("/backups/monday/x.aof").max_shrink == 0.2
    assert not found.unused


def test_what_options_say_counts_before_the_file(tmp_path: Path) -> None:
    found = config(tmp_path, '["*"]\nmin-keys = 10\nno-warnings = true\n')
    wanted = expectations(min_keys=0, max_age="1h").over(found.of("x"))
    assert (wanted.min_keys, wanted.max_age_s, wanted.no_warnings) == (0, 3600, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["*"]\nmin-kyes = 1\n', "did you mean 'min-keys'?"),
        ('["*"]\nexpect-keys = "a"\n', "did you mean 'expect-key'?"),
        ('["*"]\nexpect-type = "strng"\n', "did you mean 'string'?"),
        ('["*"]\nzzz = 1\n', "there are max-age, min-size"),
        ("min-keys = 1\n", "stands in no table"),
        ('["*"]\nmin-keys = "many"\n', "min-keys is a whole number"),
        ('["*"]\nmin-keys = -1\n', "no number of keys"),
        ('["*"]\nno-warnings = 1\n', "no-warnings is true or false"),
        ('["*"]\nexpect-key = [1]\n', "expect-key is a list of strings"),
        ('["*"]\nmax-shrink = "120%"\n', "not a percentage"),
        ('["*"]\nmax-age = "soon"\n', "not a duration"),
        ('["*"]\nfor = ["redis-99z"]\n', "unknown release"),
        ('["*"]\ndigest = "12"\n', "not a digest"),
        ("", "nothing is expected in it"),
        ("[", "not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_what_was_meant(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        config(tmp_path, text)
    assert message in str(raised.value)
    assert "verify.toml" in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_config(str(tmp_path / "missing.toml"))
