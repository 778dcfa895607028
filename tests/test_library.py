"""The library: every public name, its help and types, and what its reader, writer and keys promise."""

from __future__ import annotations

import gzip
import importlib
import inspect
import io
import os
import pydoc
import re
import subprocess
import sys
import tracemalloc
from collections import deque
from pathlib import Path
from typing import Any, get_args

import pytest

import rdbtool
from rdbtool.errors import FormatError, OutputError, UsageError
from tests.rdb import craft

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
RDB = ROOT / "fixtures/rdb/redis-7.4.1/small-plain.rdb"
SET = ROOT / "fixtures/aof/multi-rdb"
PUBLIC = sorted(rdbtool.__all__)
FUNCTIONS = [name for name in PUBLIC if inspect.isroutine(getattr(rdbtool, name))]
CLASSES = [name for name in PUBLIC if inspect.isclass(getattr(rdbtool, name))]
PATHS = {"path", "sources", "output", "left", "right", "source", "sink", "save_to"}


def test_public_names_are_the_same_everywhere() -> None:
    assert list(rdbtool.__all__) == PUBLIC
    assert set(PUBLIC) <= set(dir(rdbtool))
    assert {name for name in dir(rdbtool) if not name.startswith("_")} == set(PUBLIC)
    source = (ROOT / "rdbtool/__init__.py").read_text()
    checked = re.search(r"if TYPE_CHECKING:\n(.*?)\n\n__all__", source, re.DOTALL)
    assert checked is not None
    told = set(re.findall(r"\w+(?=[,)\n]|$)", re.sub(r"from \S+ import", "", checked[1])))
    assert told == set(PUBLIC) - {"is_compiled", "version_line"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = rdbtool.__getattr__("nonsense")


def test_help_tells_of_every_name() -> None:
    text = pydoc.plain(pydoc.render_doc(rdbtool))
    for name in PUBLIC:
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_types_and_docstrings(name: str) -> None:
    function = getattr(rdbtool, name)
    assert inspect.getdoc(function)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter
        if parameter.name in PATHS and parameter.annotation != "Source":
            assert "str | os.PathLike[str]" in parameter.annotation, parameter
        if "elease" in str(parameter.annotation) or parameter.name == "to":
            assert "str" in parameter.annotation, parameter
    shown = pydoc.plain(pydoc.render_doc(function))
    assert f"{name}(" in shown
    assert str(signature.return_annotation).strip("'") in shown


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_types_and_docstrings(name: str) -> None:
    cls = getattr(rdbtool, name)
    text = pydoc.plain(pydoc.render_doc(cls))
    assert inspect.getdoc(cls)
    assert "``" in text or len(cls.__doc__) > 20
    assert "i64" not in (cls.__doc__ or "")
    if not issubclass(cls, (BaseException, int)):
        untyped = [p for p in inspect.signature(cls).parameters.values() if p.annotation is inspect.Parameter.empty]
        assert untyped == []
    if cls.__module__.partition(".")[2].startswith(rdbtool._COMPILED):
        lines = cls.__doc__.splitlines()
        assert not [line for line in lines if re.fullmatch(r"\w+: ", line)], "attributes without a type"


def test_what_help_shows_of_a_class() -> None:
    text = pydoc.plain(pydoc.render_doc(rdbtool.Frame))
    for line in ("A key with its raw value.", "expire_at_ms: int", "value() -> Value", "The decoded value"):
        assert line in text
    text = pydoc.plain(pydoc.render_doc(rdbtool.Hash))
    for line in ("Hash(fields: 'dict[bytes, bytes] | None' = None", "fields: dict[bytes, bytes]", "expiries: dict"):
        assert line in text
    assert "nth: 'int | Literal['last']' = 1" in pydoc.plain(pydoc.render_doc(rdbtool.PointInTime)).replace('"', "'")
    assert "parse(text: str) -> Place" in pydoc.plain(pydoc.render_doc(rdbtool.Place))
    assert rdbtool.Frame.__doc__ is not None
    with rdbtool.open_rdb(RDB) as events:
        assert inspect.getdoc(next(events)) == inspect.getdoc(rdbtool.Header)


def test_importing_it_is_cheap() -> None:
    code = (
        "import sys; before = set(sys.modules); import rdbtool; "
        "print(sorted(name for name in set(sys.modules) - before if name.startswith('rdbtool.')))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert eval(shown.stdout) in ([], ["rdbtool._compiled"])


PROGRAM = '''
"""Uses every public name."""

import os
from collections import deque
from pathlib import Path
from typing import assert_type

import rdbtool
from rdbtool import *

def values(value: Value) -> int:
    if isinstance(value, bytes):
        return len(assert_type(value, bytes))
    if isinstance(value, deque):
        return len(assert_type(value, deque[bytes]))
    if isinstance(value, dict):
        return len(assert_type(value, dict[bytes, None]))
    if isinstance(value, Hash):
        return sum(map(len, assert_type(value.fields, dict[bytes, bytes]).values()))
    if isinstance(value, SortedSet):
        return sum(map(int, assert_type(value.scores, dict[bytes, float]).values()))
    if isinstance(value, Stream):
        for group in assert_type(value.groups, dict[bytes, Group]).values():
            assert_type(group.consumers, dict[bytes, Consumer])
            assert_type(group.pending, list[Pending])
        return len(assert_type(value.entries, list[tuple[tuple[int, int], list[bytes]]]))
    if isinstance(value, Array):
        return len(assert_type(value.elements, dict[int, bytes]))
    if isinstance(value, PathHash):
        return len(assert_type(value.paths, dict[bytes, dict[bytes, bytes]]))
    return len(assert_type(value, Module).payload)

def events(path: Path) -> int:
    with open_rdb(path) as opened:
        assert_type(opened, RdbEvents)
        assert_type(opened.reader, RdbReader)
        for event in opened:
            assert_type(event, Event)
            if isinstance(event, Header):
                version: int = event.version
                print(version)
            elif isinstance(event, (Aux, SelectDb, ResizeDb, SlotInfo, SlotImport, Foreign, HashTemplate, Update)):
                print(event)
            elif isinstance(event, (Function, FunctionPreGa)):
                assert_type(event.code, bytes)
            elif isinstance(event, ModuleAux):
                assert_type(event.raw, bytes)
            elif isinstance(event, End):
                assert_type(event.checksum, str)
            elif isinstance(event, Frame):
                values(assert_type(event.value(), Value))
    return 0

def write(path: Path) -> int:
    with open_rdb_writer(path, "redis-7.2", limits=Limits()) as writer:
        assert_type(writer, RdbWriter)
        writer.entry(Entry(0, b"key", Hash({b"f": b"v"})))
    return assert_type(writer.close(), int)

def read(path: os.PathLike[str], log: str) -> None:
    with keys(path, select(keys=["user:*"]), server=Server(CommandNames())) as found:
        assert_type(found, Keys)
        for key in found:
            assert_type(key, Key)
            assert_type(key.expire_at_ms, int)
            values(key.value())
    assert_type(check_rdb(path, releases=["redis-7.2"]), CheckRdbReport)
    checked = assert_type(check_aof(log, releases=["valkey-9.1"]), CheckAofReport)
    plan = assert_type(plan_aof_repair(checked), RepairPlan)
    repaired: Report = repair_aof(plan, output=path)
    findings = assert_type(repaired.findings, Findings)
    for finding in assert_type(findings.items, list[Finding]):
        assert_type(finding.severity, Severity)
    options = OutputOptions(rdb=RdbOptions("redis-6.2"))
    assert_type(convert([log, path], Path("out.rdb"), options, Selection(), changes=Changes()), ConvertReport)
    assert_type(convert(log, "out.jsonl"), ConvertReport)
    assert_type(digest(path, release="redis-7.0"), DigestReport)
    assert_type(rewrite(log, path, form=RewriteForm(to="redis-7.2")), RewriteReport)
    assert_type(rewrite_in_place(path), RewriteReport)
    assert_type(replay(log, release="redis-7.2", point=PointInTime(offset=Place(17))), Replayed)
    assert_type(replay(log).dataset, Dataset)
    assert_type(stats(log), StatsReport)
    assert_type(info(path), InfoReport)
    print(verify(path))
    assert_type(memory([log, path], release="redis-7.0"), ContentsReport)
    print(len(assert_type(report(path, release="redis-7.0"), PageReport).boxes))
    assert_type(load(path, "redis://localhost", LoadOptions(rate=100), access=Access(timeout_s=5)), LoadReport)
    def told(touch: Touch) -> None:
        assert_type(touch.key, bytes)
    assert_type(history(log, [b"key"], told), HistoryReport)
    with open_diff(path, log, DiffOptions()) as differences:
        assert_type(differences, Diff)
        for difference in differences:
            assert_type(difference, Difference)
    assert_type(differences.report, DiffReport)

def errors() -> None:
    try:
        print(version_line(), is_compiled())
    except StoppedError as g:
        assert_type(g.sure, int)
    except (FormatError, TruncatedError, UnsupportedError, IncompleteError, InputError) as e:
        print(e.offset)
    except (OutputError, NotSyncedError, UsageError, RepairAofReport) as f:  # type: ignore[misc]
        print(f)
    except RdbToolError as e:
        print(e.key)

rdbtool.nonsense  # type: ignore[attr-defined]
'''


@pytest.mark.slow
def test_types_hold_for_the_readme_and_for_every_public_name(tmp_path: Path) -> None:
    unused = {name for name in PUBLIC if not re.search(rf"\b{name}\b", PROGRAM)}
    assert unused == set()
    (tmp_path / "every_name.py").write_text(PROGRAM)
    for i, block in enumerate(re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)):
        (tmp_path / f"readme_{i}.py").write_text(block)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", *map(str, sorted(tmp_path.glob("*.py")))],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_tells_how_each_type_of_value_is_seen() -> None:
    table = README[README.index("| type | Python |") :].partition("\n\n")[0]
    told = set(re.findall(r"`(\w+)(?:\[[^`]*)?`", "".join(line.split("|")[2] for line in table.splitlines()[2:])))
    assert {getattr(kind, "__name__", str(kind)) for kind in get_args(rdbtool.Value)} <= told | {"Module"}
    assert {"bytes", "deque", "dict", "Hash", "SortedSet", "Stream", "Module"} <= told


HASH = craft.record(4, b"h", b"\x02" + craft.strings(b"f", b"v", b"g", b"w" * 100))
TEXT = "SET greeting 'hello world'\nRPUSH jobs a b c\nPEXPIREAT jobs 4000000000000\nSADD s x\n"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_value_can_be_asked_for_at_any_time_and_again(compressed: bool, tmp_path: Path) -> None:
    data = craft.rdb(HASH, craft.record(1, b"l", craft.counted(*[b"x" * 5000] * 100)), craft.record(0, b"s", b"\x01y"))
    path = tmp_path / "x.rdb"
    path.write_bytes(gzip.compress(data) if compressed else data)
    frames: list[Any] = []
    seen = []
    with rdbtool.open_rdb(path) as events:
        for event in events:
            if isinstance(event, rdbtool.Frame):
                frames.append(event)
                seen.append(event.value())
                assert repr(event.value()) == repr(seen[-1])
                assert event.value() is not seen[-1] or isinstance(seen[-1], bytes)
    path.unlink()
    assert seen[1] == deque([b"x" * 5000] * 100) == frames[1].value()
    assert isinstance(seen[0], rdbtool.Hash)
    assert frames[0].value().fields == {b"f": b"v", b"g": b"w" * 100} == seen[0].fields
    assert [frame.raw() for frame in frames][2] == b"\x01y"


GONE = """
import rdbtool
with rdbtool.open_rdb({path!r}) as events:
    frames = [event for event in events if isinstance(event, rdbtool.Frame)]
for frame in frames:
    for ask in (frame.value, frame.raw, frame.keep, frame.window, frame.peek, frame.copy):
        try:
            print(ask())
        except rdbtool.RdbToolError as e:
            assert frame.key == e.key and ("keep" in str(e) or "kept" in str(e)), e
        else:
            raise SystemExit("no error")
"""


@pytest.mark.parametrize("optimised", [[], ["-O"]])
def test_a_value_that_is_gone_is_an_error(optimised: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *optimised, "-c", GONE.format(path=str(RDB))], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_damaged_value_is_an_error_each_time() -> None:
    data = craft.rdb(craft.record(11, b"i", craft.string(b"\x03\0\0\0\x01\0\0\0")))
    for event in rdbtool.open_rdb(io.BytesIO(data)):
        if isinstance(event, rdbtool.Frame):
            event.keep()
            for _ in range(2):
                with pytest.raises(FormatError):
                    event.value()


def inputs(tmp_path: Path) -> dict[str, Path]:
    """One dataset, in every form that keys are read from."""
    paths = {name: tmp_path / f"input{name}" for name in (".txt", ".rdb", ".aof", ".jsonl", ".rdb.gz")}
    paths[".txt"].write_text(TEXT)
    for name, path in paths.items():
        if name != ".txt":
            assert not rdbtool.convert(paths[".txt"], path).loss
    paths["set"] = tmp_path / "set"
    rdbtool.rewrite(paths[".aof"], paths["set"])
    return paths


def test_keys_of_any_input(tmp_path: Path) -> None:
    for name, path in inputs(tmp_path).items():
        with rdbtool.keys(path) as opened:
            found = list(opened)
        assert [(key.db, key.key, key.type, key.expire_at_ms) for key in sorted(found, key=lambda key: key.key)] == [
            (0, b"greeting", "string", -1),
            (0, b"jobs", "list", 4000000000000),
            (0, b"s", "set", -1),
        ], name
        by_name = {key.key: key.value() for key in found}  # all of them, when the input is closed
        assert by_name == {b"greeting": b"hello world", b"jobs": deque([b"a", b"b", b"c"]), b"s": {b"x": None}}
        assert [key.key for key in rdbtool.keys(path, rdbtool.select(keys=["j*"]))] == [b"jobs"]
        assert len(list(rdbtool.keys(path, rdbtool.select(limit=2)))) == 2
        for key in found:
            assert re.fullmatch(r"<Key db=0 key=b'\w+' .*>", repr(key))


def test_keys_of_a_set_up_to_a_command() -> None:
    whole = {key.key for key in rdbtool.keys(SET)}
    assert len(whole) > 100
    with pytest.raises(rdbtool.RdbToolError):
        rdbtool.keys(RDB, point=rdbtool.PointInTime(before="FLUSHALL"))
    with pytest.raises(rdbtool.InputError):
        rdbtool.keys(ROOT / "gone.rdb")


def test_keys_of_a_damaged_snapshot_come_up_to_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(RDB.read_bytes()[:3000])
    seen: list[rdbtool.Key] = []
    with rdbtool.keys(path) as found, pytest.raises(rdbtool.TruncatedError, match=r"x\.rdb"):
        seen.extend(found)
    assert len(seen) > 5
    assert all(key.value() is not None for key in seen[:-1])


def test_keys_of_a_snapshot_are_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "big.rdb"
    with rdbtool.open_rdb_writer(path, "redis-7.2", checksum=False) as writer:
        for i in range(3000):
            writer.entry(rdbtool.Entry(0, b"key:%d" % i, os.urandom(4000)))
    assert path.stat().st_size > 12_000_000
    tracemalloc.start()
    try:
        for key in rdbtool.keys(path):
            key.value()
        read = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        held = list(rdbtool.keys(path))
        kept = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read < 3_000_000
    assert kept < 6_000_000
    last = held[2999].value()
    assert isinstance(last, bytes)
    assert len(last) == 4000


def write_half(path: Path) -> None:
    with rdbtool.open_rdb_writer(path, "redis-7.2") as writer:
        writer.entry(rdbtool.Entry(0, b"other", b"v"))
        raise InterruptedError


def test_a_writer_leaves_a_whole_file_or_none(tmp_path: Path) -> None:
    path = tmp_path / "new.rdb"
    with rdbtool.open_rdb_writer(path, "redis-7.2") as writer:
        writer.entry(rdbtool.Entry(3, b"k", b"v"))
        assert not path.exists()
        assert repr(writer) == "<RdbWriter for redis-7.2 with 1 key>"
    assert writer.close() == path.stat().st_size
    assert rdbtool.check_rdb(path, releases=["redis-7.2"]).suitability.loads  # type: ignore[union-attr]
    before = path.read_bytes()
    with pytest.raises(InterruptedError):
        write_half(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["new.rdb"]
    with pytest.raises(UsageError, match="unknown target"):
        rdbtool.open_rdb_writer(path, "redis-77")
    with pytest.raises(OutputError):
        rdbtool.open_rdb_writer(tmp_path, "redis-7.2")
    assert os.listdir(tmp_path) == ["new.rdb"]


def test_a_writer_to_a_stream_leaves_it_open() -> None:
    stream = io.BytesIO()
    with rdbtool.open_rdb_writer(stream, "rdb-11") as writer:
        writer.entry(rdbtool.Entry(0, b"k", rdbtool.Hash({b"f": b"v"})))
    assert not stream.closed
    stream.seek(0)
    (frame,) = [event for event in rdbtool.open_rdb(stream) if isinstance(event, rdbtool.Frame)]
    assert frame.key == b"k"


def test_a_release_is_a_string(tmp_path: Path) -> None:
    assert [answer.release for answer in rdbtool.check_rdb(RDB, releases=["redis-7.0", "valkey-9.1"]).releases] == [
        "redis-7.0",
        "valkey-9.1",
    ]
    assert rdbtool.check_rdb(RDB, target="redis-7.0").refused
    assert [answer.release for answer in rdbtool.check_rdb(RDB, releases="valkey-8.1").releases] == ["valkey-8.1"]
    assert [s.release for s in rdbtool.check_aof(SET, releases=["redis-7.0"]).suitability] == ["redis-7.0"]
    assert rdbtool.digest(RDB, release="redis-6.2").release == "redis-6.2"
    assert rdbtool.replay(SET, release="redis-7.2").dataset.release.name == "redis-7.2"
    options = rdbtool.OutputOptions(rdb=rdbtool.RdbOptions("redis-6.2", otherwise="redis-7.0"))
    assert rdbtool.convert(RDB, tmp_path / "old.rdb", options).target == "redis-6.2"
    assert rdbtool.rewrite(SET, tmp_path / "set", form=rdbtool.RewriteForm(to="redis-8.0")).target == "redis-8.0"
    for call in (
        lambda: rdbtool.check_rdb(RDB, releases=["redis-seven"]),
        lambda: rdbtool.check_aof(SET, releases=["redis-seven"]),
        lambda: rdbtool.digest(RDB, release="redis-seven"),
        lambda: rdbtool.replay(SET, release="redis-seven"),
        lambda: rdbtool.RdbOptions("redis-seven"),
        lambda: rdbtool.rewrite(SET, tmp_path / "set2", form=rdbtool.RewriteForm(to="redis-seven")),
    ):
        with pytest.raises(UsageError, match="redis-seven"):
            call()


def test_differences_of_two_inputs(tmp_path: Path) -> None:
    paths = inputs(tmp_path)
    (tmp_path / "later.txt").write_text(TEXT + "SET new 1\n")
    with rdbtool.open_diff(paths[".rdb"], tmp_path / "later.txt") as differences:
        assert [(difference.kind, difference.key) for difference in differences] == [("added", b"new")]
    assert not differences.report.same


def test_reprs_tell_what_things_are_and_stay_short() -> None:
    big = b"x" * 10**6
    stream = rdbtool.Stream()
    stream.entries = [((1, 2), [b"f", b"v"])]
    stream.groups[b"g"] = group = rdbtool.Group((1, 0))
    group.pending = [rdbtool.Pending((1, 2), big, 5, 1)]
    shown = {
        repr(rdbtool.Hash({big: big}, {big: 5})): "<Hash of 1 field, 1 with an expiry>",
        repr(rdbtool.SortedSet({b"a": 1.0, b"b": 2.0})): "<SortedSet of 2 members>",
        repr(stream): "<Stream last_id=(0, 0) of 1 entry, 1 group>",
        repr(group): "<Group last_id=(1, 0) of 0 consumers, 1 pending>",
        repr(rdbtool.Consumer(5, -1)): "<Consumer seen_ms=5 active_ms=-1>",
        repr(rdbtool.Module("ReJSON-RL", 3, big)): "<Module ReJSON-RL version=3 of 1,000,000 bytes>",
        repr(rdbtool.Entry(1, b"k\x1b", deque([big]))): r"<Entry db=1 key=b'k\x1b' list of 1 element>",
        repr(rdbtool.Entry(0, b"k", b"v", 7)): "<Entry db=0 key=b'k' string b'v' expire_at_ms=7>",
        repr(rdbtool.Aux(9, b"redis-ver", b"7.4.1")): "<Aux b'redis-ver'=b'7.4.1' at 9>",
        repr(rdbtool.Header(0, 1, 80)): "<Header valkey 80 at 0>",
        repr(rdbtool.SelectDb(3, 1)): "<SelectDb db=1 at 3>",
        repr(rdbtool.End(3, 0, 1)): "<End checksum=off at 3>",
    }
    for told, expected in shown.items():
        assert told == expected
    assert len(repr(group.pending[0])) < 200
    events = [rdbtool.Function(0, big), rdbtool.FunctionPreGa(0, big, b"LUA", None, big), rdbtool.Foreign(0, big)]
    events += [rdbtool.ModuleAux(0, "m", 1, big), rdbtool.SlotImport(0, big, [(0, 1)] * 9999)]
    events += [rdbtool.ResizeDb(0, 1, 2), rdbtool.SlotInfo(0, 1, 2, 3)]
    for event in events:
        assert repr(event).startswith(f"<{type(event).__name__} ")
        assert len(repr(event)) < 300


def test_every_class_has_a_repr_of_its_own() -> None:
    plain = [name for name in CLASSES if getattr(rdbtool, name).__repr__ is object.__repr__]
    assert plain == []


def test_documentation_without_sources_is_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    documentation = importlib.import_module("rdbtool.documentation")

    class Bare:
        pass

    monkeypatch.setattr(sys.modules[__name__], "__file__", str(tmp_path / "nowhere.py"))
    documentation.document(Bare)
    assert Bare.__doc__ == ""
    assert str(inspect.signature(Bare)) == "()"
