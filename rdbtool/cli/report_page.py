"""The page of ``rdbtool report``: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from rdbtool import __version__
from rdbtool.analysis.contents import Contents
from rdbtool.analysis.encodings import ENCODINGS
from rdbtool.analysis.tallies import Distribution, MeasuredKey, Tally
from rdbtool.errors import UnsupportedError, printable_text
from rdbtool.extras import how_to_install
from rdbtool.findings import Alike, Finding, Severity
from rdbtool.model import NO_EXPIRY
from rdbtool.outputs.table import shortened, time_text
from rdbtool.rdb.layout.visitor import KIND_NAMES
from rdbtool.servers.slots import SLOTS
from rdbtool.tasks.report.run import PageReport
from rdbtool.tasks.report.shares import Box, balances_of

from .info_output import WHAT, aux_text, format_text, made_text
from .memory_output import OTHER, OWN, part_of, partial_text
from .render import number, plural, show_path, size
from .screens import share_text

MOST: Final = 6_000_000
"""Bytes of a page, at most."""
WIDTHS: Final = (120, 60, 30, 16, 8)
"""Characters of a name that are shown: the first of these with which the page has no more than `MOST`. With the last
one it has less, whatever stands in the names: of what is shown, there is a bounded number of each.
"""
LONGEST_FACT: Final = 2000
"""Characters of a line about the file."""
GROUP: Final = 128
"""Slots in a bar."""
FINDINGS: Final = 200
"""Findings that are shown, the worst first."""
DATABASES: Final = 50
"""Databases that are shown, the largest first."""

try:
    import jinja2
    import plotly.offline
    from markupsafe import Markup
except ImportError as e:
    raise UnsupportedError(f"a page needs plotly and Jinja2: {how_to_install('report')}") from e


def name_text(name: bytes, width: int) -> str:
    r"""A name for people: UTF-8 as text; what is none, or not printable, as ``\xHH``."""
    return shortened(printable_text(name[: 4 * (width + 1)].decode("utf-8", "surrogateescape")), width)


def page_of(report: PageReport) -> bytes:
    """The page."""
    page = b""
    for width in WIDTHS:
        page = _page(report, width)
        if len(page) <= MOST:
            break
    return page


def _page(report: PageReport, width: int) -> bytes:
    """The page, with so many characters of each name."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    scripts = [plotly.offline.get_plotlyjs(), _asset("report_page.js")]
    contents = report.measured.contents
    file = report.measured.files[0]
    partial = partial_text(report.measured)
    verdict, verdict_class = _verdict(report)
    charts = _charts(contents) if contents.total.keys else []
    keys, heads = _keys(contents, width)
    ranked = _ranked(report)
    findings = [_finding(*shown, width) for shown in ranked[:FINDINGS]]
    boxes = report.boxes if contents.total.keys else []
    by = "pattern" if contents.prefixes is not None and contents.prefixes.patterns else "prefix"
    sections = [("file", "What it is")]
    sections += [("findings", "Findings")] if findings else []
    sections += [("prefixes", f"Memory by {by}")] if boxes else []
    sections += [("keys", "Biggest keys"), ("types", "Types and encodings")] if keys else []
    sections += [(chart.id, chart.title) for chart in charts]
    text = environment.get_template("report_page.html").render(
        name=show_path(report.path),
        version=__version__,
        made=time_text(report.now_ms) + " UTC",
        headline=_headline(report),
        partial=partial,
        part=" (partial)" if partial else "",
        verdict=verdict,
        verdict_class=verdict_class,
        sections=sections,
        facts=_facts(report),
        findings=findings,
        more_findings=f"... and {number(len(ranked) - FINDINGS)} more" if len(ranked) > FINDINGS else "",
        by=by,
        boxes=bool(boxes),
        keys=keys,
        key_heads=heads,
        which_keys=f"The first by memory and by elements: {number(len(keys))} of {number(contents.total.keys)}.",
        tallies=_tallies(contents),
        charts=charts,
        release=file.release.name,
        allocator=report.measured.allocator,
        data={"boxes": _boxes(boxes, 2 * width // 3), "charts": {chart.id: chart.data for chart in charts}},
        css=Markup(_asset("report_page.css")),  # noqa: S704 - ours, as the scripts are
        plotly=Markup(scripts[0]),  # noqa: S704
        js=Markup(scripts[1]),  # noqa: S704
        script_hashes=Markup(" ".join(map(_hash, scripts))),  # noqa: S704
    )
    return text.encode()


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _hash(script: str) -> str:
    """What lets a browser run this script, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _headline(report: PageReport) -> str:
    contents = report.measured.contents
    chosen = " (the figures are of keys that were chosen)" if report.chosen else ""
    return f"{size(contents.total.bytes + contents.tables)} of memory in {plural(contents.total.keys, 'key')}{chosen}"


def _verdict(report: PageReport) -> tuple[str, str]:
    errors = sum(alike.count for alike in report.findings.alike.values() if alike.first.severity is Severity.ERROR)
    if errors:
        return f"Damaged: {plural(errors, 'error')}", "error"
    if not report.checked:
        return f"Not checked: {printable_text(report.unchecked)}", "warning"
    return "Sound: the check found no errors", "fine"


def _facts(report: PageReport) -> list[tuple[str, str]]:
    contents = report.measured.contents
    total = contents.total
    file = report.measured.files[0]
    facts = [("what", WHAT[report.kind])] if report.kind in WHAT else []
    if file.facts.version:
        facts.append(("format", format_text(file.facts)))
        made = made_text(file.facts)
        facts += [("made", made)] if made else []
    checksum = f", checksum {file.checksum}" if file.checksum else ""
    if report.size >= 0:
        facts.append(("size", f"{number(report.size)} bytes ({size(report.size)}){checksum}"))
    fields = f", {plural(contents.field_expiries, 'hash field')} with an expiry" if contents.field_expiries else ""
    facts.append(("keys", f"{number(total.keys)}, {number(total.expires)} with an expiry{fields}"))
    facts.append(
        ("databases", ", ".join(f"{db}: {number(t.keys)}" for db, t in sorted(contents.dbs.items())) or "none")
    )
    facts.append(("keys' memory", f"{number(total.bytes)} bytes, with their values, names and expiries"))
    facts.append(("tables", f"{number(contents.tables)} bytes of the databases' hash tables"))
    facts.append(("values", f"{number(total.size)} bytes in the file"))
    if file.libraries:
        facts.append(("functions", ", ".join(map(printable_text, file.libraries))))
    if file.module_data:
        facts.append(("modules", f"data of {', '.join(map(printable_text, file.module_data))}"))
    if file.facts.aux:
        facts.append(("aux", aux_text(file.facts)))
    return [(term, shortened(text, LONGEST_FACT)) for term, text in facts]


def _ranked(report: PageReport) -> list[tuple[Finding, Alike | None]]:
    return sorted(report.findings.condensed(), key=lambda shown: -shown[0].severity)


def _finding(finding: Finding, alike: Alike | None, width: int) -> dict[str, str]:
    more = f" ({number(alike.count)} like this)" if alike is not None else ""
    doing = f" (while {finding.doing})" if finding.doing else ""
    return {
        "severity": finding.severity.name.lower(),
        "code": finding.code,
        "offset": number(finding.offset) if finding.offset >= 0 else "",
        "key": "" if finding.key is None else name_text(finding.key, width),
        "message": shortened(printable_text(finding.message), 4 * width) + printable_text(f"{doing}{more}"),
    }


def _boxes(boxes: Sequence[Box], width: int) -> dict[str, list[Any]]:
    """Columns. ``labels``: what a box adds to the name of the one that it is in, in so many characters."""
    labels = ["all keys"]
    for box in boxes[1:]:
        part = box.name.removeprefix(boxes[box.parent].name)
        labels.append(OWN if box.own else OTHER if box.other else name_text(part, width))
    return {
        "labels": labels[: len(boxes)],
        "parents": [box.parent for box in boxes],
        "keys": [box.keys for box in boxes],
        "bytes": [box.bytes for box in boxes],
    }


@dataclass(frozen=True, slots=True)
class Cell:
    """Of the table of keys. ``value``: what it is sorted by, None for its text; ``kind``: a class of the style."""

    text: str
    value: int | None = None
    kind: str = ""


def _number(text: str, value: int) -> Cell:
    return Cell(text, value, "number")


def _keys(contents: Contents, width: int) -> tuple[list[list[Cell]], list[dict[str, Any]]]:
    """The first keys by memory, then those that are only among the first by elements; and the heading."""
    found: dict[tuple[int, bytes], MeasuredKey] = {}
    for top in (contents.by_bytes, contents.by_elements):
        for _, key in top.ranked():
            found.setdefault((key.db, key.key), key)
    keys = sorted(found.values(), key=lambda key: -int(key.bytes))
    rows = []
    for key in keys:
        expires = "" if key.expire_at_ms == NO_EXPIRY else time_text(key.expire_at_ms)
        rows.append(
            [
                Cell(name_text(key.key, width), kind="name"),
                _number(str(key.db), key.db),
                Cell(key.type),
                Cell(key.encoding),
                _number(size(key.bytes), key.bytes),
                _number(number(key.elements), key.elements),
                _number(size(key.size), key.size),
                _number(expires, key.expire_at_ms),
            ]
        )
    names = ("key", "db", "type", "encoding", "memory", "elements", "in file", "expires (UTC)")
    numeric = ("db", *names[4:])
    return rows, [{"name": name, "number": name in numeric, "sorted": name == "memory"} for name in names]


@dataclass(frozen=True, slots=True)
class Bars:
    """A table with a bar in each row, for its share, 0 to 1; the second cell is the share in words."""

    title: str
    heads: list[str]
    rows: list[tuple[float, list[str]]]


def _tallies(contents: Contents) -> list[Bars]:
    total = contents.total
    if not total.keys:
        return []
    tables = [
        _bars("By type", "type", zip(KIND_NAMES, contents.kinds, strict=True), total),
        _bars("By encoding", "encoding", zip(ENCODINGS, contents.encodings, strict=True), total),
    ]
    if len(contents.dbs) > 1:
        tables.append(_bars("By database", "database", _databases(contents), total))
    return tables


def _databases(contents: Contents) -> list[tuple[str, Tally]]:
    """The largest databases, and the sum of the others."""
    ranked = sorted(contents.dbs.items(), key=lambda item: -int(item[1].bytes))
    rest = Tally()
    for _, tally in ranked[DATABASES:]:
        rest.merge(tally)
    return [*((str(db), tally) for db, tally in ranked[:DATABASES]), (OTHER, rest)]


def _bars(title: str, what: str, tallies: Iterable[tuple[str, Tally]], total: Tally) -> Bars:
    found = sorted(((name, tally) for name, tally in tallies if tally.keys), key=lambda item: -int(item[1].bytes))
    rows = []
    for name, tally in found:
        part = part_of(tally.bytes, total.bytes)
        each = number(tally.bytes // tally.keys)
        cells = [share_text(part), size(tally.bytes), number(tally.keys), each, number(tally.elements)]
        rows.append((part, [name, *cells]))
    return Bars(title, [what, "of memory", "memory", "keys", "bytes per key", "elements"], rows)


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, and its figures as a table: the first of ``rows`` is the heading. ``data``: what is drawn."""

    id: str
    title: str
    what: str
    rows: list[list[str]]
    data: dict[str, Any]


def _charts(contents: Contents) -> list[Chart]:
    total = contents.total
    expiries = [row for row in contents.expiries.rows() if row[1]]
    charts = [
        _chart("sizes", "Sizes of keys", "Keys by what each takes in memory.", "up to", _classes(contents.bytes, size)),
        _chart(
            "elements",
            "Elements",
            "Keys by their elements; of strings, bytes.",
            "up to",
            _classes(contents.elements, number),
        ),
        _chart(
            "expiry",
            "When keys expire",
            f"{number(total.expires)} of {plural(total.keys, 'key')} have an expiry, seen from when this was made.",
            "expires",
            expiries,
        ),
    ]
    if contents.slots:
        charts.append(_slots(contents))
    return charts


def _chart(id_: str, title: str, what: str, head: str, figures: list[tuple[str, int, int]]) -> Chart:
    rows = [[head, "keys", "memory"]] + [[name, number(keys), size(count)] for name, keys, count in figures]
    names, keys, counts = zip(*figures, strict=True)
    return Chart(id_, title, what, rows, {"names": names, "keys": keys, "bytes": counts})


def _classes(distribution: Distribution, text: Any) -> list[tuple[str, int, int]]:  # noqa: ANN401 - a function
    """The classes from the first that has keys to the last."""
    used = [i for i, keys in enumerate(distribution.keys) if keys]
    return [(text(1 << i), int(distribution.keys[i]), int(distribution.bytes[i])) for i in range(used[0], used[-1] + 1)]


def _slots(contents: Contents) -> Chart:
    slot_bytes = [int(count) for count in contents.slot_bytes]
    used = sum(1 for count in slot_bytes if count)
    most = max(range(SLOTS), key=slot_bytes.__getitem__)
    rows = [["masters", "an even share", "the least has", "the most has"]]
    rows += [
        [str(one.masters), *(share_text(part) for part in (1 / one.masters, one.least, one.most))]
        for one in balances_of(slot_bytes)
    ]
    what = (
        f"{plural(used, 'slot')} of {number(SLOTS)} have keys. Slot {most} has most: "
        f"{share_text(part_of(slot_bytes[most], contents.total.bytes))} of memory in "
        f"{plural(int(contents.slot_keys[most]), 'key')}. The figures tell how even a new cluster would be."
    )
    starts = range(0, SLOTS, GROUP)
    data = {
        "names": [f"slots {at} to {at + GROUP - 1}" for at in starts],
        "starts": [at + GROUP // 2 for at in starts],
        "bytes": [sum(slot_bytes[at : at + GROUP]) for at in starts],
    }
    return Chart("slots", "Balance of the slots", what, rows, data)
