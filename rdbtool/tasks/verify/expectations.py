"""What somebody expects of a backup, as data: from options, and from a file in TOML with a table per path pattern."""

from __future__ import annotations

import difflib
import fnmatch
import os
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from rdbtool.errors import InputError, UsageError, printable_text, reason
from rdbtool.inputs.filters import duration_ms, parse_size
from rdbtool.rdb.layout.visitor import KIND_NAMES
from rdbtool.servers.releases import Release, releases_asked

AT_LEAST: Final = ">="
EXACTLY: Final = "="
_COUNTED: Final = re.compile(r"(?P<name>.*?)(?:(?P<relation>>=|=)(?P<count>[0-9]{1,18}))?", re.DOTALL)
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True)
class Counted:
    """So many of what ``name`` means: ``relation`` is `AT_LEAST` or `EXACTLY`; ``text``: how it was asked for."""

    name: str
    relation: str
    count: int
    text: str

    def met_by(self, found: int) -> bool:
        """Whether so many meet it."""
        return found >= self.count if self.relation == AT_LEAST else found == self.count

    @property
    def expected(self) -> str:
        """What is expected, for people."""
        return f"{'at least' if self.relation == AT_LEAST else 'exactly'} {self.count:,}"


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is expected; what is None, "" or empty is not.

    ``max_age_s`` in seconds; ``min_size`` in bytes of the file as servers read it, uncompressed; ``max_shrink``: the
    part, 0 to 1, that keys and bytes may be less than in ``against``; ``keys``: by glob; ``types``: by name;
    ``max_expired``: the part of the keys, 0 to 1; ``releases`` that load it; ``digest``: DEBUG DIGEST, 40 hex digits.
    """

    max_age_s: int | None = None
    min_size: int | None = None
    min_keys: int | None = None
    max_shrink: float | None = None
    against: str = ""
    keys: tuple[Counted, ...] = ()
    types: tuple[Counted, ...] = ()
    max_expired: float | None = None
    releases: tuple[Release, ...] = ()
    digest: str = ""
    no_warnings: bool = False
    no_modules: bool = False

    @property
    def counts_keys(self) -> bool:
        """Whether keys have to be counted, for which a log has to be replayed."""
        wanted = (self.min_keys, self.max_shrink, self.max_expired)
        return bool(self.keys or self.types or self.digest) or any(one is not None for one in wanted)

    def over(self, other: Expectations) -> Expectations:
        """These, and those of ``other`` where these expect nothing."""
        mine = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return replace(other, **mine)


NOTHING: Final = Expectations()
COUNTED: Final = Expectations(min_keys=0)
"""The keys are counted."""


def counted(text: str) -> Counted:
    """``NAME``, ``NAME=3`` or ``NAME>=3``; the name alone: at least one. Raises `UsageError`."""
    found = _COUNTED.fullmatch(text)
    if found is None or not found["name"]:
        raise UsageError(f"not a number of something: {text!r} (as in 'user:*>=1000', or 'config' for at least one)")
    return Counted(found["name"], found["relation"] or AT_LEAST, int(found["count"] or 1), text)


def counted_type(text: str) -> Counted:
    """The same for a type of keys. Raises `UsageError`."""
    wanted = counted(text)
    if wanted.name not in KIND_NAMES:
        raise UsageError(f"no type {wanted.name!r}{_nearest(wanted.name, KIND_NAMES)}")
    return wanted


def percentage(text: str) -> float:
    """``20%`` or ``20`` as 0.2. Raises `UsageError`."""
    try:
        part = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        part = -1.0
    if not 0 <= part <= 1:
        raise UsageError(f"not a percentage: {text!r} (as in 20%)")
    return part


def digest_text(text: str) -> str:
    """A digest in lower case. Raises `UsageError`."""
    if not _DIGEST.fullmatch(text):
        raise UsageError(f"not a digest: {text!r} (DEBUG DIGEST prints 40 hex digits)")
    return text.lower()


def expectations(
    *,
    max_age: str = "",
    min_size: str = "",
    min_keys: int | None = None,
    max_shrink: str = "",
    against: str = "",
    keys: Sequence[str] = (),
    types: Sequence[str] = (),
    max_expired: str = "",
    releases: Sequence[str] = (),
    digest: str = "",
    no_warnings: bool = False,
    no_modules: bool = False,
) -> Expectations:
    """Expectations as people write them: a duration, a size, percentages, `counted` globs and types, releases.

    Raises `UsageError`.
    """
    return Expectations(
        max_age_s=duration_ms(max_age) // 1000 if max_age else None,
        min_size=parse_size(min_size) if min_size else None,
        min_keys=min_keys,
        max_shrink=percentage(max_shrink) if max_shrink else None,
        against=against,
        keys=tuple(counted(text) for text in keys),
        types=tuple(counted_type(text) for text in types),
        max_expired=percentage(max_expired) if max_expired else None,
        releases=releases_asked(releases),
        digest=digest_text(digest) if digest else "",
        no_warnings=no_warnings,
        no_modules=no_modules,
    )


@dataclass(slots=True)
class Table:
    """A table of the file: what is expected of paths that match ``pattern``, a path's last part if it has no ``/``.

    ``optional``: there need be no such path; ``used``: one was met.
    """

    pattern: str
    wanted: Expectations
    optional: bool = False
    used: bool = False

    def matches(self, path: str) -> bool:
        """Whether it is about this path."""
        path = path.rstrip("/")
        name = path if "/" in self.pattern else os.path.basename(path)
        return fnmatch.fnmatchcase(name, self.pattern)


@dataclass(slots=True)
class Config:
    """All tables of a file, in its order."""

    path: str
    tables: list[Table] = field(default_factory=list)

    def of(self, path: str) -> Expectations:
        """What is expected of ``path``: of all tables that match, where two say the same thing the later counts."""
        wanted = NOTHING
        for table in self.tables:
            if table.matches(path):
                table.used = True
                wanted = table.wanted.over(wanted)
        return wanted

    @property
    def unused(self) -> list[Table]:
        """Tables that have to match a path, and matched none so far."""
        return [table for table in self.tables if not (table.used or table.optional)]


def read_config(path: str) -> Config:
    """Read expectations from a file in TOML. Raises `InputError`, and `UsageError` for what is wrong in it."""
    try:
        with open(path, "rb") as stream:
            data = tomllib.load(stream)
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=path) from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise UsageError(f"not TOML: {e}", path=path) from e
    config = Config(path)
    for pattern, table in data.items():
        if not isinstance(table, dict):
            message = f"'{printable_text(pattern)}' stands in no table: each is headed by a pattern, as [\"*.rdb\"]"
            raise UsageError(message, path=path)
        try:
            config.tables.append(_table(pattern, table))
        except UsageError as e:
            raise UsageError(f"in the table '{printable_text(pattern)}': {e.message}", path=path) from None
    if not config.tables:
        raise UsageError('nothing is expected in it: a table is headed by a pattern, as ["*.rdb"]', path=path)
    return config


_NUMBERS: Final = frozenset({"min_size", "max_age", "max_shrink", "max_expired"})
"""Arguments of `expectations` for which a bare number may stand in the file."""
ENTRIES: Final[dict[str, tuple[str, type]]] = {
    "max-age": ("max_age", str),
    "min-size": ("min_size", str),
    "min-keys": ("min_keys", int),
    "max-shrink": ("max_shrink", str),
    "against": ("against", str),
    "expect-key": ("keys", list),
    "expect-type": ("types", list),
    "max-expired": ("max_expired", str),
    "for": ("releases", list),
    "digest": ("digest", str),
    "no-warnings": ("no_warnings", bool),
    "no-modules": ("no_modules", bool),
    "optional": ("optional", bool),
}
"""What can stand in a table, spelled as the options are -> the argument of `expectations`, and its type."""
_TYPE_NAMES: Final = {str: "a string", int: "a whole number", list: "a list of strings", bool: "true or false"}


def _table(pattern: str, table: dict[str, Any]) -> Table:
    options: dict[str, Any] = {}
    for name, value in table.items():
        if name not in ENTRIES:
            raise UsageError(f"no expectation '{printable_text(name)}'{_nearest(name, ENTRIES)}")
        option, kind = ENTRIES[name]
        options[option] = _value(name, value, kind, bare=option in _NUMBERS)
    optional = options.pop("optional", False)
    return Table(pattern, expectations(**options), optional)


def _value(name: str, value: Any, kind: type, *, bare: bool) -> Any:  # noqa: ANN401 - whatever TOML holds
    """The value as `expectations` takes it; ``bare``: a number may stand for the string. Raises `UsageError`."""
    if bare and type(value) in {int, float}:
        return str(value)
    if kind is list and isinstance(value, str):
        return [value]
    if type(value) is not kind or (isinstance(value, list) and not all(isinstance(one, str) for one in value)):
        raise UsageError(f"{name} is {_TYPE_NAMES[kind]}")
    if type(value) is int and not 0 <= value < 1 << 62:
        raise UsageError(f"{name}: {value} is no number of keys")
    return value


def _nearest(name: str, known: Iterable[str]) -> str:
    """What was probably meant, to be put behind a complaint."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; there are {', '.join(known)}"
