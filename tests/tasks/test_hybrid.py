"""A snapshot and a log behind it: values that no command asks for stay in the file."""

from __future__ import annotations

import gc
import gzip
import os
import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from rdbtool.aof.names import CARRY
from rdbtool.engine.replay.key_history import Touch
from rdbtool.errors import InputError, RdbToolError
from rdbtool.inputs.replaying import replay
from rdbtool.inputs.selection import Selection
from rdbtool.io.window import CHUNK
from rdbtool.tasks.digest import digest
from rdbtool.tasks.history import history
from rdbtool.tasks.rewrite import RewriteForm, rewrite, rewrite_in_place
from tests.aof.craft import command, make_set
from tests.inputs.hybrid import BASE, LOG, base, keys_in
from tests.rdb import craft


@pytest.fixture(scope="module")
def snapshot() -> bytes:
    return base()


def both(tmp_path: Path, snapshot: bytes, *log: bytes) -> list[str]:
    """The same set twice: with a base that can be read again, and with one that cannot."""
    made = []
    for name, data in (("plain", snapshot), ("packed", gzip.compress(snapshot, 1))):
        made.append(str(make_set(tmp_path / name, base=data, one=b"".join(log))))
    return made


def test_values_from_the_file_are_those_from_memory(tmp_path: Path, snapshot: bytes) -> None:
    for to in (RewriteForm(), RewriteForm(resp=True)):
        results = []
        for path in both(tmp_path, snapshot, *LOG):
            out = tmp_path / "out.aof"
            rewrite(path, str(out), form=to)
            results.append(out.read_bytes() if to.resp else keys_in(out))
        assert results[0] == results[1]
    told = []
    for path in both(tmp_path, snapshot, *LOG):
        rows: list[tuple[int, bytes, str]] = []

        def note(db: int, key: bytes, text: str, rows: list[tuple[int, bytes, str]] = rows) -> None:
            rows.append((db, key, text))

        digest(path, on_key=note)
        told.append(rows)
    assert told[0] == told[1]
    assert len(told[0]) > 400


def test_each_key_has_the_name_and_the_expiry_that_the_log_gave_it(tmp_path: Path, snapshot: bytes) -> None:
    path, _ = both(tmp_path, snapshot, *LOG)
    out = tmp_path / "out.aof"
    rewrite(path, str(out))
    found = {(db, key): (at, raw) for db, key, at, raw in keys_in(out)}
    assert found[0, b"k1"][0] == -1
    assert found[0, b"k2"][0] == 99999999999999
    assert found[0, b"copy of k1"] == (88888888888888, found[0, b"k1"][1])
    assert found[0, b"copy of k2"] == (-1, found[0, b"k2"][1])
    assert found[0, b"with expiry"][0] == 77777777777777
    assert found[0, b"timeless"] == found[5, b"k1"] == (-1, found[0, b"with expiry"][1])
    assert found[0, b"k4"][1] == craft.string(b"value 3 of some length")
    assert found[0, b"new name"][1] == craft.string(b"value 5 of some length")
    assert found[3, b"k6"][1] == craft.string(b"value 6 of some length")
    assert found[0, b"k8"][1] == craft.string(b"value 8 of some length!")
    assert found[0, b"other list"][1] != found[0, b"list"][1]
    assert (7, b"zset") in found
    for gone in ((0, b"k3"), (0, b"k5"), (0, b"k6"), (0, b"k7"), (1, b"zset")):
        assert gone not in found


def test_what_a_command_does_to_a_key_is_told_from_its_bytes(tmp_path: Path, snapshot: bytes) -> None:
    log = [*LOG[:5], command("EVAL", "redis.call('APPEND', KEYS[1], 'x')", "2", "k2", "k9")]
    told = []
    for path in both(tmp_path, snapshot, *log):
        touches: list[Touch] = []
        history(path, [b"k?", b"copy*"], touches.append)
        told.append([(t.effect, t.key, t.detail) for t in touches])
    assert told[0] == told[1]
    assert ("changed", b"k2", "") in told[0]
    assert ("changed", b"k9", "") not in told[0]


def test_sizes_are_known_without_reading(tmp_path: Path, snapshot: bytes) -> None:
    kept = []
    for path in both(tmp_path, snapshot):
        selection = Selection()
        selection.min_size = 1000
        report = digest(path, selection=selection)
        kept.append((report.digest, report.keys, report.left_out))
    assert kept[0] == kept[1]
    assert 0 < kept[0][1] < 20


def test_the_memory_of_a_replay_does_not_depend_on_values_that_no_command_asks_for(tmp_path: Path) -> None:
    data = craft.rdb(*[craft.record(0, b"k%d" % n, craft.string(bytes(1 << 20))) for n in range(60)])
    path = make_set(tmp_path / "set", base=data, one=command("APPEND", "k3", "x") + LOG[-1])
    del data
    tracemalloc.start()
    try:
        rewrite(str(path), str(tmp_path / "out.aof"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 << 20, f"{peak >> 20} MiB"


def test_descriptors_are_closed_with_what_needs_them(tmp_path: Path, snapshot: bytes) -> None:
    good = make_set(tmp_path / "good", base=snapshot, one=LOG[0])
    small = craft.rdb(craft.record(0, b"a", craft.string(b"1")), craft.record(0, b"b", craft.string(b"2")))
    twice = make_set(tmp_path / "twice", base=small.replace(b"\x01b", b"\x01a"), one=b"")
    wrong = make_set(tmp_path / "wrong", base=small[:-1] + bytes((small[-1] ^ 1,)), one=b"")
    short = make_set(tmp_path / "short", base=small[:-11], one=b"")
    unknown = make_set(tmp_path / "unknown", base=small, one=command("FLY", "me"))
    gc.collect()  # closes what others left
    gc.disable()
    before = len(os.listdir("/proc/self/fd"))
    try:
        for _ in range(50):
            replayed = replay(str(good))
            assert len(os.listdir("/proc/self/fd")) == before + 1
            del replayed
            for path in (twice, wrong, short, unknown):
                with pytest.raises(RdbToolError):
                    replay(str(path))
            rewrite(str(unknown), str(tmp_path / "out.aof"), unknown=CARRY)
            assert len(os.listdir("/proc/self/fd")) == before
    finally:
        gc.enable()


@pytest.mark.parametrize("opened", [False, True], ids=["by the output", "by a command"])
def test_damage_inside_a_value_is_told_when_it_is_opened(tmp_path: Path, opened: bool) -> None:
    intset = craft.string(b"\x02\0\0\0\xff\0\0\0\x01\0")  # 255 numbers announced, one there
    data = craft.rdb(craft.record(0, b"a", craft.string(b"1")), craft.record(11, b"numbers", intset))
    log = command("SADD", "numbers", "x") if opened else b""
    told = []
    for path in both(tmp_path, data, log):
        with pytest.raises(RdbToolError) as e:
            rewrite(path, str(tmp_path / "out.aof"), form=RewriteForm(resp=True))
        told.append((e.value.message, e.value.offset, e.value.key, e.value.doing))
        assert os.path.basename(e.value.path) in {"", BASE}
    assert told[0] == told[1]
    assert told[0][2] == b"numbers"


def test_a_base_that_is_replaced_meanwhile_is_still_the_one_that_was_read(
    tmp_path: Path, snapshot: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rdbtool.tasks.rewrite as module

    path = make_set(tmp_path / "set", base=snapshot, one=b"".join(LOG))
    expected = digest(str(path)).digest

    def replaced(*args: object, **options: object) -> object:
        result = replay(*args, **options)  # type: ignore[arg-type]  # passed on as they came
        (tmp_path / "other").write_bytes(bytes(1000))
        os.replace(tmp_path / "other", path / BASE)
        return result

    monkeypatch.setattr(module, "replay", replaced)
    rewrite(str(path), str(tmp_path / "out"))
    assert digest(str(tmp_path / "out")).digest == expected


@pytest.mark.parametrize("in_place", [False, True])
def test_a_base_that_is_cut_meanwhile_is_an_error_and_leaves_nothing(
    tmp_path: Path, snapshot: bytes, monkeypatch: pytest.MonkeyPatch, in_place: bool
) -> None:
    import rdbtool.tasks.rewrite as module

    path = make_set(tmp_path / "set", base=snapshot, one=LOG[0] + LOG[-1])

    def cut(*args: object, **options: object) -> object:
        result = replay(*args, **options)  # type: ignore[arg-type]  # passed on as they came
        os.truncate(path / BASE, 2 * CHUNK)
        return result

    before = sorted(os.listdir(path))
    monkeypatch.setattr(module, "replay", cut)
    job = partial(rewrite_in_place, str(path)) if in_place else partial(rewrite, str(path), str(tmp_path / "out"))
    with pytest.raises(InputError, match=r"became shorter|was changed") as e:
        job()
    assert e.value.path == str(path / BASE)
    assert e.value.key is not None
    assert sorted(os.listdir(path)) == before
    assert os.listdir(tmp_path) == ["set"]


def test_in_place_a_base_that_is_purged_was_used_to_the_end(tmp_path: Path, snapshot: bytes) -> None:
    path = make_set(tmp_path / "set", base=snapshot, one=b"".join(LOG))
    expected = digest(str(path)).digest
    for _ in range(2):
        report = rewrite_in_place(str(path), purge_history=True)
        assert len(report.removed) == 2
        assert digest(str(path)).digest == expected
