"""What ``rdbtool info`` prints, and its JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from rdbtool.analysis.contents import Contents
from rdbtool.analysis.tallies import Tally
from rdbtool.errors import printable, printable_text
from rdbtool.inputs.detect import BASE, DIRECTORY, EMPTY, JSON_LINES, LOG, MANIFEST, SNAPSHOT, TEXT
from rdbtool.inputs.keys import Facts
from rdbtool.rdb.layout.visitor import KIND_NAMES
from rdbtool.rdb.opcodes import DIALECT_NAMES
from rdbtool.tasks.info import InfoReport, Part

from .memory_output import contents_json, key_json, key_rows, part_of
from .render import number, plural, show_path, size
from .screens import Screen, show

WHAT: Final = {
    SNAPSHOT: "a snapshot (RDB)",
    BASE: "a snapshot of an append-only file",
    LOG: "a log (AOF)",
    TEXT: "a text of commands",
    JSON_LINES: "JSON lines",
    DIRECTORY: "a multi-part append-only file",
    MANIFEST: "a multi-part append-only file",
    EMPTY: "an empty file",
}
COMMANDS: Final = 15
"""Names of commands that are shown; more are one line."""


def kind_text(report: InfoReport) -> str:
    """What the input is, in words."""
    if len(report.parts) == 1 and report.has_log and report.kind in {SNAPSHOT, BASE}:
        return "a log (AOF) behind a snapshot"
    return WHAT.get(report.kind, "not a file of Redis or Valkey")


def writer_text(facts: Facts) -> str:
    """Who wrote a snapshot: ``redis 7.0.15``; "" where it does not say."""
    for name in DIALECT_NAMES[::-1]:
        version = facts.aux.get(f"{name}-ver".encode())
        if version is not None:
            return f"{name} {printable(version, 40)}"
    return ""


def format_text(facts: Facts) -> str:
    """``RDB 10 of Redis, written by redis 7.0.15``."""
    writer = writer_text(facts)
    by = f", written by {writer}" if writer else ""
    return f"RDB {facts.version} of {DIALECT_NAMES[facts.dialect].capitalize()}{by}"


def made_text(facts: Facts) -> str:
    """When a snapshot was made, "" where it does not say."""
    made = facts.aux.get(b"ctime", b"")
    return time_s_text(int(made)) if made.isdigit() and len(made) < 12 else ""


def aux_text(facts: Facts) -> str:
    """The auxiliary fields."""
    return ", ".join(f"{printable(name, 40)}={printable(value, 60)}" for name, value in facts.aux.items())


def time_s_text(seconds: int) -> str:
    """A Unix time in s, as ``2026-01-01 00:00:00 UTC``."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def print_info(report: InfoReport) -> None:
    """Print a screen about one input."""
    screen = Screen(f"{show_path(report.path)}: {kind_text(report)}")
    if report.partial:
        screen.partial = "only what could be read is shown"
    _add_facts(screen, report)
    if len(report.parts) > 1:
        _add_parts(screen, report)
    contents = report.contents
    if contents.total.keys:
        _add_contents(screen, contents)
    if report.has_log:
        _add_commands(screen, report)
    show(screen)


def _add_facts(screen: Screen, report: InfoReport) -> None:
    facts = report.facts
    add = screen.facts.append
    if facts is not None:
        add(("format", format_text(facts)))
        made = made_text(facts)
        if made:
            add(("made", made))
    checksums = {part.checksum for part in report.parts if part.checksum}
    checked = f", checksum {', '.join(sorted(checksums))}" if checksums else ""
    rounded = f" ({size(report.size)})" if report.size >= 1024 else ""
    add(("size", f"{number(report.size)} bytes{rounded}{checked}"))
    contents = report.contents
    total = contents.total
    if facts is not None or total.keys:
        expiring = f", {number(total.expires)} with an expiry" if total.expires else ""
        fields = contents.field_expiries
        expiring += f", {plural(fields, 'hash field')} with an expiry" if fields else ""
        add(("keys", f"{number(total.keys)}{expiring}"))
        add(("databases", ", ".join(f"{db}: {number(t.keys)}" for db, t in sorted(contents.dbs.items())) or "none"))
        add(("in memory", f"about {size(total.bytes + contents.tables)} on {report.release} (rdbtool memory)"))
    libraries = [name for part in report.parts for name in part.libraries]
    if libraries:
        add(("functions", ", ".join(map(printable_text, libraries))))
    data = [name for part in report.parts for name in part.module_data]
    if data:
        add(("modules", f"data of {', '.join(map(printable_text, data))}"))
    if report.has_log:
        traffic = report.traffic
        add(("log", f"{plural(traffic.commands, 'command')}, {plural(report.transactions, 'transaction')}"))
        if traffic.first_s >= 0:
            add(("timestamps", f"{time_s_text(traffic.first_s)} to {time_s_text(traffic.last_s)}"))
    if facts is not None and facts.aux:
        add(("aux", aux_text(facts)))


def _add_parts(screen: Screen, report: InfoReport) -> None:
    rows = [["file", "role", "what", "bytes", "commands"]]
    for part in report.parts:
        what = format_text(part.facts) if part.facts.version else WHAT.get(part.kind, "?")
        rows.append([show_path(part.path), part.role, what, number(part.size), number(part.commands)])
    screen.add("files, in the order a server loads them", rows)


def _add_contents(screen: Screen, contents: Contents) -> None:
    total = contents.total
    found = [(name, t) for name, t in zip(KIND_NAMES, contents.kinds, strict=True) if t.keys]
    _add_tallies(screen, "types", "type", found, total)
    _add_tallies(screen, "encodings in the file", "encoding", list(contents.stored.items()), total)
    expiries = [row for row in contents.expiries.rows() if row[1]]
    if total.expires:
        rows = [["expires", "keys"]] + [[name, number(keys)] for name, keys, _ in expiries]
        screen.add("when keys expire", rows, [keys / total.keys for _, keys, _ in expiries])
    screen.add("largest keys in the file", key_rows(contents.by_size.ranked()))
    screen.add("keys with most elements", key_rows(contents.by_elements.ranked()))


def _add_tallies(screen: Screen, title: str, what: str, found: list[tuple[str, Tally]], total: Tally) -> None:
    found.sort(key=lambda item: -item[1].size)
    rows = [[what, "keys", "bytes", "elements"]]
    rows += [[name, number(t.keys), number(t.size), number(t.elements)] for name, t in found]
    screen.add(title, rows, [part_of(t.size, total.size) for _, t in found])


def _add_commands(screen: Screen, report: InfoReport) -> None:
    names = sorted(report.traffic.names.items(), key=lambda item: (-item[1].count, item[0]))
    rows = [["command", "times", "bytes"]]
    rows += [[printable(name, 40), number(t.count), number(t.bytes)] for name, t in names[:COMMANDS]]
    shares = [part_of(t.count, report.traffic.commands) for _, t in names[:COMMANDS]]
    rest = names[COMMANDS:]
    if rest:
        count = sum(int(t.count) for _, t in rest)
        rows.append([f"({len(rest)} others)", number(count), number(sum(int(t.bytes) for _, t in rest))])
        shares.append(part_of(count, report.traffic.commands))
    screen.add("commands in the log", rows, shares)


def print_table(reports: list[InfoReport]) -> None:
    """Print a line for each of several inputs, and a sum."""
    rows = [["file", "what", "writer", "made", "keys", "expiring", "commands", "bytes"]]
    for report in reports:
        facts = report.facts or Facts()
        total = report.contents.total
        rows.append(
            [
                show_path(report.path) + (" (partial)" if report.partial else ""),
                f"RDB {facts.version}" if facts.version else WHAT.get(report.kind, "?"),
                writer_text(facts),
                made_text(facts).removesuffix(" UTC"),
                number(total.keys),
                number(total.expires),
                number(report.traffic.commands),
                number(report.size),
            ]
        )
    sums = sums_of(reports)
    rows.append(["sum", "", "", "", *(number(sums[name]) for name in ("keys", "expires", "commands", "size"))])
    screen = Screen(f"{len(reports)} inputs")
    if any(report.partial for report in reports):
        screen.partial = "of some, only what could be read is counted"
    screen.add("inputs", rows)
    show(screen)


def sums_of(reports: list[InfoReport]) -> dict[str, int]:
    """The sums over all inputs."""
    return {
        "inputs": len(reports),
        "size": sum(report.size for report in reports),
        "keys": sum(int(report.contents.total.keys) for report in reports),
        "expires": sum(int(report.contents.total.expires) for report in reports),
        "values": sum(int(report.contents.total.size) for report in reports),
        "commands": sum(int(report.traffic.commands) for report in reports),
    }


def facts_of(report: InfoReport) -> dict[str, Any]:
    """A report as data."""
    contents = report.contents
    traffic = report.traffic
    facts: dict[str, Any] = {
        "path": report.path,
        "kind": report.kind,
        "partial": report.partial,
        "size": report.size,
        "parts": [_part_json(part) for part in report.parts],
        **contents_json(contents),
        "stored": {name: tally.as_json() for name, tally in contents.stored.items()},
        "largest": [key_json(key) for _, key in contents.by_size.ranked()],
        "most_elements": [key_json(key) for _, key in contents.by_elements.ranked()],
        "findings": [finding.as_json() for finding in report.findings.items],
    }
    if report.release:
        facts["release"] = report.release
    if report.has_log:
        log: dict[str, Any] = {
            "commands": int(traffic.commands),
            "transactions": report.transactions,
            "by_name": [
                {"name": printable(name), "count": int(t.count), "bytes": int(t.bytes)}
                for name, t in sorted(traffic.names.items(), key=lambda item: (-item[1].count, item[0]))
            ],
        }
        if traffic.first_s >= 0:
            log["first_time_s"] = int(traffic.first_s)
            log["last_time_s"] = int(traffic.last_s)
        facts["log"] = log
    return facts


def _part_json(part: Part) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "path": part.path,
        "role": part.role,
        "kind": part.kind,
        "size": part.size,
        "commands": part.commands,
    }
    if part.facts.version:
        facts["rdb"] = {
            "dialect": DIALECT_NAMES[part.facts.dialect],
            "version": int(part.facts.version),
            "writer": writer_text(part.facts),
            "aux": {printable(name): printable(value, 4096) for name, value in part.facts.aux.items()},
            "checksum": part.checksum,
            "empty": part.empty,
            "functions": part.libraries,
            "module_data": part.module_data,
        }
    return facts
