"""The newest formats through whatever passes keys on: copies, text and back, parts and the whole, what is saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.io.source import open_input
from rdbtool.rdb.events import HashTemplate
from rdbtool.rdb.reader import RdbReader
from tests.cli.running import run
from tests.rdb.corpus import FIXTURES
from tests.servers.harness import SERVERS, ServerKind, running

REDIS = sorted((FIXTURES / "redis-8.10.2").glob("*.rdb"))
VALKEY = sorted((FIXTURES / "valkey-9.2-by-hand").glob("*.rdb"))
TEMPLATES = FIXTURES / "redis-8.10.2" / "hash-templates.rdb"
KINDS = [kind for kind in SERVERS if kind.name == "redis-8.10"]


def target_of(path: Path) -> str:
    return "valkey-9.2" if path in VALKEY else "redis-8.10"


def done(*words: object, codes: tuple[int, ...] = (0,)) -> str:
    shown = run(*words)
    assert shown.returncode in codes, (words, shown.returncode, shown.stderr)
    return shown.stdout


def digest(path: Path) -> str:
    return done("digest", path).split()[0]


def templates_in(path: Path) -> int:
    with open_input(str(path)) as opened:
        return sum(isinstance(event, HashTemplate) for event in RdbReader(opened.window()))


@pytest.mark.parametrize("path", REDIS + VALKEY, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_whatever_keys_go_through_they_are_the_same(path: Path, tmp_path: Path) -> None:
    target = ("--target", target_of(path))
    whole = digest(path)
    done("convert", path, tmp_path / "copy.rdb", *target)
    assert digest(tmp_path / "copy.rdb") == whole
    done("convert", path, tmp_path / "text.jsonl")
    done("convert", tmp_path / "text.jsonl", tmp_path / "back.rdb", *target)
    assert digest(tmp_path / "back.rdb") == whole
    assert "different" not in done("diff", path, tmp_path / "back.rdb")
    done("convert", path, tmp_path / "part.rdb", "--split", 3, *target)
    parts = sorted(tmp_path.glob("part*.rdb"))
    assert len(parts) == 3
    for part in parts:
        done("check-rdb", part, "--for", target_of(path))
    done("convert", *parts, tmp_path / "merged.rdb", *target)
    assert digest(tmp_path / "merged.rdb") == whole
    done("convert", path, tmp_path / "hashes.rdb", "--type", "hash", *target)
    done("convert", path, tmp_path / "others.rdb", "--not-type", "hash", *target)
    done("convert", tmp_path / "others.rdb", tmp_path / "hashes.rdb", tmp_path / "both.rdb", *target)
    assert digest(tmp_path / "both.rdb") == whole
    done("check-rdb", path, "--salvage", "-o", tmp_path / "saved.rdb")
    assert digest(tmp_path / "saved.rdb") == whole
    keys = int(done("info", path).split("keys")[1].split()[0].replace(",", ""))
    assert len(done("dump", path, "--keys-only").splitlines()) == keys
    assert len(done("memory", path, "-f", "csv").splitlines()) == keys + 1


def test_templates_of_several_files_do_not_mix(tmp_path: Path) -> None:
    """Each file counts its templates from the same numbers on."""
    other = FIXTURES / "redis-8.10.2" / "mixed.rdb"
    done("convert", TEMPLATES, other, tmp_path / "one.rdb", "--on-conflict", "first", "--target", "redis-8.10")
    texts = []
    for i, path in enumerate((TEMPLATES, other)):
        texts.append(tmp_path / f"{i}.jsonl")
        done("convert", path, texts[-1])
    done("convert", *texts, tmp_path / "two.rdb", "--on-conflict", "first", "--target", "redis-8.10")
    assert digest(tmp_path / "one.rdb") == digest(tmp_path / "two.rdb")
    assert templates_in(tmp_path / "one.rdb") > max(templates_in(TEMPLATES), templates_in(other)) > 0
    done("check-rdb", tmp_path / "one.rdb", "--for", "redis-8.10")


@pytest.mark.skipif(not KINDS, reason="there is no Redis 8.10 on PATH")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_several_files_become_is_loaded(kind: ServerKind, tmp_path: Path) -> None:
    done(
        "convert",
        *REDIS,
        tmp_path / "dump.rdb",
        "--on-conflict",
        "first",
        "--target",
        "redis-8.10",
        "--not-type",
        "module",
    )
    with running(kind, tmp_path) as server:
        assert server.digest() == digest(tmp_path / "dump.rdb")
