"""Whether what is printed as JSON is what its schema says."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from rdbtool.cli.schemas import SCHEMAS, schema_of

VALIDATORS = {
    name: jsonschema.Draft202012Validator(schema_of(name), format_checker=jsonschema.FormatChecker())
    for name in SCHEMAS
}


def refused(name: str, document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATORS[name].iter_errors(document)]


def holds(name: str, text: str, *, lines: bool = False) -> None:
    documents = [json.loads(line) for line in text.splitlines()] if lines else [json.loads(text)]
    for document in documents:
        assert not refused(name, document), document
