"""The meaning of decoded values."""

from __future__ import annotations

from typing import Final

from rdbtool.model import Value, type_name
from rdbtool.rdb.compare import Rules
from rdbtool.rdb.layout.visitor import visit_value
from rdbtool.rdb.meaning import Facts, Fingerprint, Scope
from rdbtool.rdb.opcodes import REDIS
from rdbtool.rdb.types import row_of

ENCODINGS: Final = {"stream": "stream-listpacks4", "module": "module2", "path-hash": "string"}
"""Encodings that can tell all of a value; of other types, those that are named like their type."""


def scope_of(value: Value, rules: Rules | None = None) -> Scope:
    """All facts of ``value`` that ``rules`` ask for."""
    kind = type_name(value)
    row = row_of(REDIS, ENCODINGS.get(kind, kind))
    return Scope(rules or Rules(), row, row)


def facts_of(value: Value, rules: Rules | None = None) -> Facts:
    """What ``value`` means."""
    found = Facts(scope_of(value, rules))
    visit_value(value, found)
    return found


def fingerprint_of(value: Value, rules: Rules | None = None) -> bytes:
    """The digest of what ``value`` means."""
    visitor = Fingerprint(scope_of(value, rules))
    visit_value(value, visitor)
    return visitor.digest()
