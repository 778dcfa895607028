"""Hold what was found against what is expected."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from rdbtool.errors import InputError, RdbToolError
from rdbtool.findings import Findings, Severity, plural
from rdbtool.tasks.judgement import Judgement

from .expectations import Counted, Expectations
from .found import Found

LOADS: Final = {True: "loads it", False: "refuses it", None: "may or may not load it"}
LAST_S: Final = 1 << 37
"""A Unix time of the year 6325, which can be shown."""
AHEAD_S: Final = 300
"""Seconds that the clock of the machine that made a backup may be ahead."""


def judge(
    found: Found,
    wanted: Expectations,
    *,
    now_s: int | None = None,
    before: Found | RdbToolError | None = None,
) -> Judgement:
    """What is expected and what is there, one check for each expectation, and before them whether it is sound.

    ``before``: the previous backup, where ``wanted.max_shrink`` is given, or why it cannot be looked at.
    """
    now = int(time.time()) if now_s is None else now_s
    judged = Judgement(subject=found.path, kind=found.kind, findings=found.findings)
    judged.notes.append(_summary(found))
    errors = _of(found.findings, Severity.ERROR)
    met = None if InputError.code in found.findings.counts else not errors
    judged.expect("sound", "no errors", _told(errors, "error"), met=met)
    _age(judged, found, wanted, now)
    judged.measure("size_bytes", "Bytes of it as a server reads them, uncompressed.", found.size)
    if wanted.min_size is not None:
        met = found.size >= wanted.min_size
        judged.expect("min-size", f"at least {wanted.min_size:,} bytes", plural(found.size, "byte"), met=met)
    _keys(judged, found, wanted)
    if wanted.max_shrink is not None and isinstance(before, Found):
        _shrink(judged, found, before, wanted.max_shrink)
    elif wanted.max_shrink is not None:
        expected = f"at most {_percent(wanted.max_shrink)} less than the previous one"
        judged.expect("max-shrink", expected, f"not known: {before or 'there is none'}", met=None)
    for release in wanted.releases:
        answer = next((a for a in found.releases if a.release == release.name), None)
        loads = None if answer is None else answer.loads
        told = LOADS[loads]
        why = f": {answer.why}" if answer is not None and answer.why else ""
        judged.expect(f"for {release.name}", "loads it", f"{told}{why}", met=loads)
    if wanted.no_warnings:
        warnings = _of(found.findings, Severity.WARNING)
        judged.expect("no-warnings", "no warnings", _told(warnings, "warning"), met=not warnings)
    if wanted.no_modules:
        names = ", ".join(found.modules) or "none"
        judged.expect("no-modules", "nothing of modules", names, met=not found.modules)
    return judged


def _summary(found: Found) -> str:
    """What it is, in a line."""
    parts = [found.kind + (f" of {found.writer}" if found.writer else "")]
    if found.counts is not None:
        parts.append(plural(found.counts.keys, "key"))
    parts.append(plural(found.size, "byte"))
    if found.made_s is not None and found.made_s < LAST_S:
        parts.append(f"made {datetime.fromtimestamp(found.made_s, UTC):%Y-%m-%d %H:%M:%S} UTC ({found.made_by})")
    return ", ".join(parts)


def _of(findings: Findings, severity: Severity) -> dict[str, int]:
    """How many findings of a severity there are, by code."""
    counts: dict[str, int] = {}
    for alike in findings.alike.values():
        if alike.first.severity is severity:
            counts[alike.first.code] = counts.get(alike.first.code, 0) + alike.count
    return counts


def _told(counts: dict[str, int], noun: str) -> str:
    if not counts:
        return f"no {noun}s"
    return f"{plural(sum(counts.values()), noun)}: {', '.join(counts)}"


def _age(judged: Judgement, found: Found, wanted: Expectations, now: int) -> None:
    if found.made_s is None:
        if wanted.max_age_s is not None:
            judged.expect("max-age", f"at most {span(wanted.max_age_s)} old", "nothing tells its age", met=None)
        return
    age = now - found.made_s
    judged.measure("age_seconds", "Seconds since it was made.", age)
    judged.measure("made_timestamp_seconds", "When it was made, a Unix time.", found.made_s)
    if wanted.max_age_s is None:
        return
    old = f"{span(age)} old" if age >= 0 else f"made {span(-age)} from now"
    met = -AHEAD_S <= age <= wanted.max_age_s
    judged.expect("max-age", f"at most {span(wanted.max_age_s)} old", f"{old} ({found.made_by})", met=met)


def _keys(judged: Judgement, found: Found, wanted: Expectations) -> None:
    counts = found.counts
    if counts is None:
        unknown = None if found.unsupported else False
        for name, expected in _about_keys(wanted):
            judged.expect(name, expected, f"not known: {found.uncounted}", met=unknown)
        return
    judged.measure("keys", "Keys in it.", counts.keys)
    if wanted.min_keys is not None:
        met = counts.keys >= wanted.min_keys
        judged.expect("min-keys", f"at least {wanted.min_keys:,}", plural(counts.keys, "key"), met=met)
    for one in wanted.keys:
        _counted(judged, f"expect-key {one.name}", one, counts.globs[one.name])
    for one in wanted.types:
        _counted(judged, f"expect-type {one.name}", one, counts.types.get(one.name, 0))
    if wanted.max_expired is not None:
        part = counts.expired / counts.keys if counts.keys else 0.0
        judged.expect(
            "max-expired",
            f"at most {_percent(wanted.max_expired)}",
            f"{_percent(part)} ({counts.expired:,} of {plural(counts.keys, 'key')})",
            met=part <= wanted.max_expired,
        )
    if wanted.digest:
        told = counts.digest or f"none: {counts.undigested}"
        judged.expect("digest", wanted.digest, told, met=counts.digest == wanted.digest)


def _about_keys(wanted: Expectations) -> list[tuple[str, str]]:
    """Names and meanings of the expectations for which keys are counted."""
    names = [] if wanted.min_keys is None else [("min-keys", f"at least {wanted.min_keys:,}")]
    names += [(f"expect-key {one.name}", one.expected) for one in wanted.keys]
    names += [(f"expect-type {one.name}", one.expected) for one in wanted.types]
    if wanted.max_expired is not None:
        names.append(("max-expired", f"at most {_percent(wanted.max_expired)}"))
    return names + ([("digest", wanted.digest)] if wanted.digest else [])


def _counted(judged: Judgement, name: str, one: Counted, count: int) -> None:
    judged.expect(name, one.expected, plural(count, "key"), met=one.met_by(count))


def _shrink(judged: Judgement, found: Found, before: Found, limit: float) -> None:
    """Compare keys and bytes with the previous backup."""
    expected = f"at most {_percent(limit)} less"
    _shrunk(judged, "bytes", found.size, before.size, limit)
    if found.counts is None or before.counts is None:
        why = found.uncounted or f"the previous one: {before.uncounted}"
        met = False if found.uncounted and not found.unsupported else None
        judged.expect("max-shrink keys", expected, f"not known: {why}", met=met)
        return
    _shrunk(judged, "keys", found.counts.keys, before.counts.keys, limit)


def _shrunk(judged: Judgement, what: str, now: int, before: int, limit: float) -> None:
    part = (before - now) / before if before else 0.0
    change = f"{_percent(part)} less" if part > 0 else "not less"
    judged.expect(
        f"max-shrink {what}",
        f"at most {_percent(limit)} less than {before:,}",
        f"{change}: {now:,}",
        met=part <= limit,
    )


def _percent(part: float) -> str:
    """A part of 1, for reading."""
    return f"{part * 100:.3g} %"


def span(seconds: int) -> str:
    """A duration, for reading: ``26 h``, ``3 d 4 h``, ``12 s``."""
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count:,} {unit}")
    return " ".join(parts[:2]) or "0 s"
