"""The table of formats is the only list of them, and exporters and visitors agree with it."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rdbtool
from rdbtool.cli.app import app, register
from rdbtool.errors import UsageError
from rdbtool.io.output import Output
from rdbtool.outputs.exporter import Exporter
from rdbtool.outputs.options import OutputOptions
from rdbtool.outputs.registry import BY_NAME, CONVERTED, DUMPED, FORMATS, format_of_path, make_exporter
from rdbtool.outputs.restore import Receiver
from rdbtool.rdb.layout import facts
from rdbtool.rdb.layout.visitor import Visitor
from rdbtool.rdb.targets import target
from tests.outputs.collected import Collected

PACKAGE = Path(rdbtool.__file__).parent

for module in pkgutil.walk_packages(rdbtool.__path__, "rdbtool."):
    if module.name not in {"rdbtool.__main__", "rdbtool._build"}:
        importlib.import_module(module.name)

CALLS = {
    "expiry": facts.FIELD_EXPIRIES,
    "entry": facts.STREAMS,
    "counters": facts.STREAM_COUNTERS,
    "group": facts.GROUPS,
    "pending": facts.PENDING,
    "consumer": facts.CONSUMERS,
    "consumer_pending": facts.PENDING_OWNERS,
    "released": facts.RELEASED,
    "idempotence": facts.IDEMPOTENCE,
    "module": facts.MODULE_VALUES,
    "index": facts.ARRAYS,
    "last_insert": facts.ARRAY_CURSORS,
    "path": facts.PATH_HASHES,
}
"""The calls of a `Visitor` that tell a fact."""
BESIDE_KEYS = {"function": facts.FUNCTIONS, "module_aux": facts.MODULE_AUX, "slot_import": facts.SLOT_IMPORTS}
"""Those of an `Exporter`."""


def subclasses(cls: type) -> Iterator[type]:
    found: list[type] = cls.__subclasses__()
    for sub in found:
        if sub.__module__.startswith("rdbtool."):
            yield sub
            yield from subclasses(sub)


def overrides(cls: type, base: type, name: str) -> bool:
    return getattr(cls, name) is not getattr(base, name)


VISITORS = sorted(
    {cls for cls in subclasses(Visitor) if overrides(cls, Visitor, "text") or not cls.__subclasses__()},
    key=lambda cls: cls.__name__,
)
"""All but what only others are made from: it writes no element."""


def test_every_call_of_a_visitor_is_one_of_these() -> None:
    rest = {"begin", "end", "text", "integer", "score", "score_integer", "score_text", "left_out"}
    assert {name for name in vars(Visitor) if name[0] != "_"} - {"IGNORES"} == rest | CALLS.keys()


@pytest.mark.parametrize("cls", VISITORS, ids=lambda cls: cls.__name__)
def test_a_visitor_handles_each_fact_or_says_that_it_does_not(cls: type[Visitor]) -> None:
    for name in ("begin", "text", "score"):
        assert overrides(cls, Visitor, name), name
    counts = overrides(cls, Visitor, "left_out")
    for name, fact in CALLS.items():
        handled = overrides(cls, Visitor, name)
        assert handled != (fact in cls.IGNORES) or (counts and not handled), (name, fact)


@pytest.mark.parametrize("fact", sorted(facts.ALL))
def test_what_a_visitor_neither_handles_nor_ignores_is_an_error(fact: str) -> None:
    with pytest.raises(NotImplementedError, match=fact):
        Visitor().left_out(fact)


def exporters() -> list[tuple[str, Exporter]]:
    made = []
    for row in FORMATS:
        sink = Receiver(target("redis-7.4")) if row.live else Collected()
        made.append((row.name, make_exporter(Output(sink), OutputOptions(row.name))))
    return made


@pytest.mark.parametrize(("name", "made"), exporters(), ids=lambda part: part if isinstance(part, str) else "")
def test_an_exporter_writes_what_its_row_says(name: str, made: Exporter) -> None:
    row = BY_NAME[name]
    for method, fact in BESIDE_KEYS.items():
        if not row.view:
            assert overrides(type(made), Exporter, method) == (fact in row.keeps) or name in {"aof", "resp"}, method
    visitor = getattr(made, "visitor", None)
    if visitor is not None and overrides(type(visitor), Visitor, "left_out"):
        for method, fact in CALLS.items():
            assert overrides(type(visitor), Visitor, method) or fact not in row.keeps, method


def test_a_fact_that_is_said_to_be_kept_and_is_not_written_is_an_error() -> None:
    losses = facts.Losses("x", facts.ALL)
    with pytest.raises(NotImplementedError, match="x is said to keep functions"):
        losses.left_out(facts.FUNCTIONS)


def test_names_and_endings_are_unique_and_some_command_offers_each_format() -> None:
    assert len(BY_NAME) == len(FORMATS)
    endings = [ending for row in FORMATS for ending in row.endings]
    assert len(set(endings)) == len(endings)
    assert all(
        format_of_path(f"x{ending}", dump=not row.convert) == row.name for row in FORMATS for ending in row.endings
    )
    assert all(row.dump or row.convert or row.view or row.live for row in FORMATS)


@pytest.mark.parametrize(("command", "option", "names"), [("dump", "--format", DUMPED), ("convert", "--to", CONVERTED)])
def test_the_choices_of_a_command_are_those_of_the_table(command: str, option: str, names: tuple[str, ...]) -> None:
    register(command)
    for name in (*BY_NAME, "xml", "AUTO"):
        shown = CliRunner().invoke(app, [command, option, name, "no-such-file", "-"])
        refused = f"{name!r} is not one of auto, {', '.join(names)}" in " ".join(shown.stderr.replace("│", "").split())
        assert refused == (name not in names), name
        assert shown.exit_code == 2


def test_no_other_module_lists_formats() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.name in {"registry.py", "diff_output.py", "memory.py"}:  # those two write differences and sizes
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Tuple | ast.List | ast.Set):
                items = node.elts
            elif isinstance(node, ast.Dict):
                items = [item for item in node.keys if item is not None]
            elif isinstance(node, ast.ClassDef):
                items = [item.value for item in node.body if isinstance(item, ast.Assign)]
            else:
                continue
            texts = {item.value for item in items if isinstance(item, ast.Constant)}
            assert len(texts & {"aof-set", "resp", "jsonl", "json", "csv"}) < 2, f"{path}:{node.lineno}"


def test_a_format_without_a_summary_says_which_have_one() -> None:
    with pytest.raises(UsageError, match="take jsonl, csv, parquet, table, or keys only"):
        make_exporter(Output(Collected()), OutputOptions("json", values=False))
