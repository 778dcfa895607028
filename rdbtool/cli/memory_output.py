"""What ``rdbtool memory`` prints, and its JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from rdbtool.analysis.contents import Contents
from rdbtool.analysis.encodings import ENCODINGS
from rdbtool.analysis.prefixes import Branch
from rdbtool.analysis.tallies import MeasuredKey, Tally
from rdbtool.errors import printable
from rdbtool.model import NO_EXPIRY
from rdbtool.outputs.table import shortened, time_text
from rdbtool.rdb.layout.visitor import KIND_NAMES
from rdbtool.tasks.memory import ContentsReport

from .render import number, plural, show_path, size
from .screens import Screen, show

OTHER: Final = "(other)"
OWN: Final = "(keys)"
"""In place of a prefix: those that are folded, and keys that have no further one."""
ALL: Final = "(all)"
WIDEST: Final = 60
LEAST_SHARE: Final = 0.005
"""A prefix with less of the memory is shown within `OTHER`."""
PREFIXES: Final = 12
"""Prefixes shown behind one."""


def first_keys(contents: Contents, by: str) -> list[tuple[int, MeasuredKey]]:
    """The first keys by memory, elements, freq or idle, with what they have of it."""
    tops = {
        "memory": contents.by_bytes,
        "elements": contents.by_elements,
        "freq": contents.by_freq,
        "idle": contents.by_idle,
    }
    return tops[by].ranked()


def partial_text(report: ContentsReport) -> str:
    """Why the figures are of a part only; "" where they are of all."""
    paths = [show_path(file.path) for file in report.files if file.partial]
    return f"only what could be read of {', '.join(paths)} is counted" if paths else ""


def key_text(key: bytes) -> str:
    """A name as it is shown."""
    return shortened(printable(key, 4 * WIDEST), WIDEST)


def print_memory(report: ContentsReport, by: str, *, few: int) -> None:
    """Print a screen."""
    contents = report.contents
    total = contents.total
    everything = total.bytes + contents.tables
    releases = ", ".join(dict.fromkeys(file.release.name for file in report.files))
    names = show_path(report.files[0].path) if len(report.files) == 1 else f"{len(report.files)} files"
    screen = Screen(f"{names}: {size(everything)} in {plural(total.keys, 'key')} on {releases} ({report.allocator})")
    screen.partial = partial_text(report)
    screen.facts = [
        ("keys", f"{number(total.bytes)} bytes, with their values, names and expiries"),
        ("tables", f"{number(contents.tables)} bytes of the databases' hash tables"),
        ("in file", f"{number(total.size)} bytes of values"),
    ]
    if len(report.files) > 1:
        screen.add("by file", _file_rows(report), [part_of(f.total.bytes + f.tables, everything) for f in report.files])
    _add_tallies(screen, "by type", "type", zip(KIND_NAMES, contents.kinds, strict=True), total)
    _add_tallies(screen, "by encoding", "encoding", zip(ENCODINGS, contents.encodings, strict=True), total)
    if len(contents.dbs) > 1:
        dbs = ((str(db), tally) for db, tally in sorted(contents.dbs.items()))
        _add_tallies(screen, "by database", "db", dbs, total, ranked=False)
    _add_prefixes(screen, contents)
    expiries = [row for row in contents.expiries.rows() if row[1]]
    if total.expires:
        screen.add(
            "by expiry",
            [["expires", "keys", "memory"]] + [[name, number(keys), size(count)] for name, keys, count in expiries],
            [part_of(count, total.bytes) for _, _, count in expiries],
        )
    _add_slots(screen, contents, few)
    titles = {"memory": "largest keys", "elements": "keys with most elements", "freq": "keys used most often"}
    screen.add(titles.get(by, "keys not used for longest"), key_rows(first_keys(contents, by), by))
    show(screen)


def part_of(count: int, total: int) -> float:
    """A share, 0 to 1; 0 of nothing."""
    return count / total if total else 0.0


def _file_rows(report: ContentsReport) -> list[list[str]]:
    rows = [["file", "keys", "memory", "server"]]
    for file in report.files:
        name = show_path(file.path) + (" (partial)" if file.partial else "")
        rows.append([name, number(file.total.keys), size(file.total.bytes + file.tables), file.release.name])
    return rows


def _add_tallies(
    screen: Screen, title: str, what: str, tallies: Iterable[tuple[str, Tally]], total: Tally, *, ranked: bool = True
) -> None:
    found = [(name, tally) for name, tally in tallies if tally.keys]
    if ranked:
        found.sort(key=lambda item: -item[1].bytes)
    rows = [[what, "keys", "memory", "per key", "elements"]]
    for name, tally in found:
        each = number(tally.bytes // tally.keys)
        rows.append([name, number(tally.keys), size(tally.bytes), each, number(tally.elements)])
    screen.add(title, rows, [part_of(tally.bytes, total.bytes) for _, tally in found])


def _add_prefixes(screen: Screen, contents: Contents) -> None:
    if contents.prefixes is None:
        return
    root = contents.prefixes.tree()
    rows: list[list[str]] = []
    shares: list[float] = []
    total = max(root.bytes, 1)

    def line(name: str, depth: int, keys: int, count: int) -> None:
        rows.append(["  " * depth + name, number(keys), size(count)])
        shares.append(count / total)

    def below(branch: Branch, depth: int) -> None:
        rest_keys, rest_bytes = branch.other_keys, branch.other_bytes
        for i, child in enumerate(branch.branches):
            if i < PREFIXES and float(child.bytes) >= LEAST_SHARE * float(total):
                line(key_text(child.name), depth, child.keys, child.bytes)
                below(child, depth + 1)
            else:
                rest_keys += child.keys
                rest_bytes += child.bytes
        if branch.own_keys and (branch.branches or branch.other_keys):
            line(OWN, depth, branch.own_keys, branch.own_bytes)
        if rest_keys:
            line(OTHER, depth, rest_keys, rest_bytes)

    below(root, 0)
    screen.add(
        "by pattern" if contents.prefixes.patterns else "by prefix", [["prefix", "keys", "memory"], *rows], shares
    )


def _add_slots(screen: Screen, contents: Contents, few: int) -> None:
    if not contents.slots:
        return
    used = sorted((-int(count), slot) for slot, count in enumerate(contents.slot_bytes) if count)
    total = contents.total.bytes
    rows = [["slot", "keys", "memory"]]
    shown = used[: max(few, 1)]
    rows += [[str(slot), number(int(contents.slot_keys[slot])), size(-count)] for count, slot in shown]
    screen.add(f"by slot: the first of {plural(len(used), 'slot')}", rows, [part_of(-c, total) for c, _ in shown])


def key_rows(keys: list[tuple[int, MeasuredKey]], by: str = "memory") -> list[list[str]]:
    """A table of keys."""
    extra = {"freq": ["freq"], "idle": ["idle s"]}.get(by, [])
    rows = [["db", "key", "type", "encoding", *extra, "memory", "elements", "in file", "expires"]]
    for value, key in keys:
        rows.append(
            [
                str(key.db),
                key_text(key.key),
                key.type,
                key.encoding,
                *([number(value)] if extra else []),
                size(key.bytes),
                number(key.elements),
                number(key.size),
                "" if key.expire_at_ms == NO_EXPIRY else time_text(key.expire_at_ms),
            ]
        )
    return rows


def text_of(name: bytes) -> str:
    """A name in JSON."""
    return printable(name, 4096)


def key_json(key: MeasuredKey) -> dict[str, Any]:
    """A key as data."""
    facts: dict[str, Any] = {
        "db": key.db,
        "key": text_of(key.key),
        "type": key.type,
        "encoding": key.encoding,
        "bytes": key.bytes,
        "size": key.size,
        "elements": key.elements,
    }
    optional = {
        "largest_element": key.largest,
        "expire_at_ms": key.expire_at_ms,
        "idle_s": key.idle_s,
        "freq": key.freq,
    }
    return {**facts, **{name: value for name, value in optional.items() if value != -1}}


def tallies_json(tallies: Iterable[tuple[str, Tally]]) -> dict[str, Any]:
    """Tallies by name, but those without keys."""
    return {name: tally.as_json() for name, tally in tallies if tally.keys}


def facts_of(report: ContentsReport, by: str) -> dict[str, Any]:
    """The report as data."""
    contents = report.contents
    facts: dict[str, Any] = {
        "partial": report.partial,
        "allocator": report.allocator,
        "files": [
            {
                "path": file.path,
                "release": file.release.name,
                "partial": file.partial,
                "replayed": file.replayed,
                "keys": file.total.keys,
                "bytes": file.total.bytes,
                "tables": file.tables,
            }
            for file in report.files
        ],
        **contents_json(contents),
        "by": by,
        "top": [key_json(key) for _, key in first_keys(contents, by)],
    }
    if contents.prefixes is not None:
        facts["prefixes"] = contents.prefixes.tree().as_json(text_of)
    if contents.slots:
        facts["slots"] = [
            {"slot": slot, "keys": int(contents.slot_keys[slot]), "bytes": int(contents.slot_bytes[slot])}
            for slot in range(len(contents.slot_keys))
            if contents.slot_keys[slot]
        ]
    facts["loss"] = report.loss
    facts["findings"] = [finding.as_json() for finding in report.findings.items]
    return facts


def contents_json(contents: Contents) -> dict[str, Any]:
    """The sums and distributions as data."""
    return {
        "total": contents.total.as_json(),
        "tables": int(contents.tables),
        "types": tallies_json(zip(KIND_NAMES, contents.kinds, strict=True)),
        "encodings": tallies_json(zip(ENCODINGS, contents.encodings, strict=True)),
        "databases": tallies_json((str(db), tally) for db, tally in sorted(contents.dbs.items())),
        "field_expiries": int(contents.field_expiries),
        "expiries": [{"expires": name, "keys": keys, "bytes": count} for name, keys, count in contents.expiries.rows()],
        "key_bytes": contents.bytes.as_json(),
        "key_elements": contents.elements.as_json(),
    }
