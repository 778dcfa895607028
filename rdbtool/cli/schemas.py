"""The JSON Schemas (draft 2020-12) of all that the program writes as JSON: a contract, which tests hold it to.

An object has the fields that stand here and no other ones, so that a new one is added here as well.

Fields may be added, and then stand here; what is there keeps its meaning as long as its ``schema`` number does.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from rdbtool.basics.text import MODES
from rdbtool.inputs.jsonl import SCHEMA as RECORDS
from rdbtool.rdb.layout.visitor import KIND_NAMES
from rdbtool.tasks.backup.record import MADE_BY
from rdbtool.tasks.backup.record import SCHEMA as RECORD_SCHEMA
from rdbtool.tasks.diff.difference import KINDS, SAME

from .render import SCHEMA

Schema: TypeAlias = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
TRUTH: Final[Schema] = {"type": "boolean"}
WHOLE: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NONE: Final[Schema] = {"type": "null"}
KIND: Final[Schema] = {"enum": list(KIND_NAMES)}


def _object(fields: Schema, optional: Schema | None = None) -> Schema:
    """An object with these fields and no other ones."""
    return {
        "type": "object",
        "properties": {**fields, **(optional or {})},
        "required": list(fields),
        "additionalProperties": False,
    }


def _map(values: Schema) -> Schema:
    """An object whose names are data."""
    return {"type": "object", "additionalProperties": values}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


FINDING: Final = _object(
    {"severity": {"enum": ["note", "warning", "error"]}, "code": TEXT, "message": TEXT},
    {"path": TEXT, "offset": COUNT, "key": TEXT, "db": COUNT, "doing": TEXT},
)
FINDINGS: Final = _list(FINDING)
COUNTS: Final = _map(COUNT)

RDB: Final = _object(
    {
        "dialect": TEXT,
        "version": WHOLE,
        "writer": TEXT,
        "aux": _map(TEXT),
        "offset": COUNT,
        "size": WHOLE,
        "complete": TRUTH,
        "good_to": WHOLE,
        "checksum": TEXT,
        "keys": COUNT,
        "expires": COUNT,
        "expired": COUNT,
        "subexpires": COUNT,
        "empty": COUNT,
        "types": COUNTS,
        "encodings": COUNTS,
        "databases": COUNTS,
        "functions": _list(TEXT),
        "modules": COUNTS,
        "module_data": _list(TEXT),
    }
)
SUITABILITY: Final = _object(
    {"release": TEXT, "loads": _or(TRUTH, NONE), "reasons": _list(TEXT), "remarks": _list(TEXT)}
)
LOG_SUITABILITY: Final = _object(
    {
        "release": TEXT,
        "loads": _or(TRUTH, NONE),
        "passed_over": COUNT,
        "cuts_at": _or(COUNT, NONE),
        "cut_file": _or(TEXT, NONE),
        "words": _or(TEXT, NONE),
        "reasons": _list(TEXT),
        "remarks": _list(TEXT),
    }
)
LOG: Final = _object(
    {
        "path": TEXT,
        "role": TEXT,
        "verdict": TEXT,
        "size": COUNT,
        "good_up_to": WHOLE,
        "commands": COUNT,
        "transactions": COUNT,
        "annotations": COUNT,
        "first_timestamp": _or(COUNT, NONE),
        "last_timestamp": _or(COUNT, NONE),
    },
    {"rdb": RDB, "readable_behind_the_damage": COUNT, "sound_up_to": WHOLE},
)
CUT: Final = _object(
    {
        "start": COUNT,
        "end": COUNT,
        "code": TEXT,
        "message": TEXT,
        "commands": COUNT,
        "transactions": COUNT,
        "first_commands": _list(TEXT),
        "inserted": _or(TEXT, NONE),
    }
)
PLAN: Final = _object(
    {
        "bytes": COUNT,
        "loss": TRUTH,
        "files": _list(
            _object(
                {"path": TEXT, "size": COUNT, "bytes": COUNT, "cuts": _list(CUT), "line_ends_turned_back": TRUTH},
                {"more_cuts": COUNT},
            )
        ),
        "leave_the_manifest": _list(TEXT),
    }
)
REPAIR: Final = _object(
    {"output": _or(TEXT, NONE), "loss": TRUTH, "undo": _list(TEXT), "files": _list(LOG), "findings": FINDINGS}
)

CHECK_AOF: Final = _object(
    {"path": TEXT},
    {
        "verdict": {"enum": ["ok", "truncated", "broken"]},
        "manifest": _or(TEXT, NONE),
        "files": _list(LOG),
        "history": _list(LOG),
        "for": _list(LOG_SUITABILITY),
        "findings": FINDINGS,
        "counts": COUNTS,
        "plan": PLAN,
        "repair": REPAIR,
        "rebuilt_manifest": _object(
            {"path": TEXT, "lines": _list(TEXT), "left_out": _list(_object({"file": TEXT, "why": TEXT}))},
            {"undo": _list(TEXT)},
        ),
        "error": _object({"code": TEXT, "message": TEXT}),
        "missing": TRUTH,
    },
)
SALVAGE: Final = _object(
    {
        "output": TEXT,
        "written": COUNT,
        "dropped": COUNT,
        "target": TEXT,
        "losses": COUNTS,
        "size": COUNT,
        "dialect": TEXT,
        "version": WHOLE,
        "header": TRUTH,
        "complete": TRUTH,
        "checksum": TEXT,
        "line_ends_turned_back": TRUTH,
        "undone": _or(NONE, _object({"start": COUNT, "end": COUNT, "put": TEXT, "message": TEXT})),
        "keys": COUNT,
        "keys_behind_damage": COUNT,
        "lost_bytes": COUNT,
        "plain_values": COUNT,
        "runs": _list(
            _object({"start": COUNT, "end": COUNT, "db": COUNT, "db_sure": TRUTH, "keys": COUNT, "sure": TEXT})
        ),
        "lost": _list(
            _object(
                {"start": COUNT, "end": COUNT, "bytes": COUNT, "code": TEXT, "message": TEXT, "keys": _list(TEXT)},
                {"elements_kept": COUNT},
            )
        ),
        "loss": TRUTH,
        "findings": FINDINGS,
    }
)
CHECK_RDB: Final = _or(
    _object({"path": TEXT, "salvage": SALVAGE}),
    _object(
        {"path": TEXT, "sound": TRUTH, "size": COUNT, "findings": FINDINGS, "counts": COUNTS},
        {"rdb": RDB, "for": _or(SUITABILITY, _list(SUITABILITY)), "releases": _list(SUITABILITY)},
    ),
    _object({"path": TEXT, "error": _object({"code": TEXT, "message": TEXT, "offset": WHOLE})}),
)
DIGEST: Final = _object(
    {"path": TEXT, "digest": {"type": "string", "pattern": "^[0-9a-f]{40}$"}, "as": TEXT, "keys": COUNT},
    {
        "left_out": COUNT,
        "stopped": TEXT,
        "findings": FINDINGS,
        "values": _list(_object({"db": COUNT, "key": TEXT, "digest": TEXT})),
    },
)
CONVERT: Final = {
    "sources": _list(TEXT),
    "outputs": _list(TEXT),
    "keys": COUNT,
    "written": COUNT,
    "skipped": COUNT,
    "dropped": COUNT,
    "merged": COUNT,
    "losses": COUNTS,
    "target": TEXT,
    "loss": TRUTH,
    "findings": FINDINGS,
}
_SIZE: Final = _object({"bytes": COUNT, "commands": COUNT})
REWRITE: Final = {
    "path": TEXT,
    "output": TEXT,
    "before": _SIZE,
    "after": _SIZE,
    "keys": COUNT,
    "target": TEXT,
    "files": _list(TEXT),
    "loss": TRUTH,
    "findings": FINDINGS,
}
STATS: Final = {
    "path": TEXT,
    "commands": COUNT,
    "bytes": COUNT,
    "by_name": _list(_object({"name": TEXT, "count": COUNT, "bytes": COUNT, "largest": COUNT}, {"errors": COUNT})),
    "hottest": _list(_object({"db": WHOLE, "key": TEXT, "commands": COUNT})),
    "hottest_slack": COUNT,
    "findings": FINDINGS,
}
STATS_OVER_TIME: Final = {
    "first_time_s": COUNT,
    "last_time_s": COUNT,
    "interval_s": COUNT,
    "over_time": _list(_object({"time_s": WHOLE, "commands": COUNT})),
    "keys": COUNT,
    "stopped": TEXT,
}

BOOT: Final = _object(
    {"server": TEXT, "loaded": TRUTH, "shared": TRUTH},
    {
        "log": _list(TEXT),
        "load_seconds": {"type": "number"},
        "memory_bytes": COUNT,
        "databases": COUNTS,
        "digest": TEXT,
    },
)
SERVER_DIRECTORY: Final = _object({"loads": _or(TEXT, NONE), "appendonly": TRUTH, "configured": TRUTH})
VERDICT: Final[Schema] = {"enum": ["met", "unmet", "unknown"]}
_CHECK: Final = _object({"name": TEXT, "expected": TEXT, "found": TEXT, "verdict": VERDICT})
_MADE: Final = {
    "file": TEXT,
    "source": TEXT,
    "kind": TEXT,
    "server": TEXT,
    "taken": TEXT,
    "taken_s": WHOLE,
    "keys": _or(COUNT, NONE),
    "digest": _or(TEXT, NONE),
    "size": COUNT,
    "compression": _or({"enum": ["gzip", "zstd"]}, NONE),
}
_REPLICATION: Final = {"replication": _object({"id": TEXT, "offset": WHOLE})}
BACKUP_RECORD: Final = _object(
    {
        "schema": {"const": RECORD_SCHEMA},
        "made_by": {"const": MADE_BY},
        **_MADE,
        "rdbtool": TEXT,
        "verdict": VERDICT,
        "checks": _list(_CHECK),
        "findings": FINDINGS,
        "counts": COUNTS,
    },
    _REPLICATION,
)
JUDGEMENT: Final = _object(
    {
        "subject": TEXT,
        "kind": TEXT,
        "verdict": VERDICT,
        "checks": _list(_CHECK),
        "measures": _map({"type": "number"}),
        "notes": _list(TEXT),
        "steps": _list(TEXT),
        "findings": FINDINGS,
        "counts": COUNTS,
    },
    {
        "error": _object({"code": TEXT, "message": TEXT}),
        "boot": BOOT,
        "server_directory": SERVER_DIRECTORY,
        "backup": _object({"path": TEXT, **_MADE, "removed": _list(TEXT)}, _REPLICATION),
    },
)
JUDGEMENTS: Final = {"verdict": VERDICT, "results": _list(JUDGEMENT)}

_IDS: Final = _list(TEXT)
_CONSUMER: Final = _object({"name": TEXT, "seen_ms": _or(WHOLE, NONE), "active_ms": _or(WHOLE, NONE), "pending": _IDS})
_PENDING: Final[Schema] = {"type": "array", "prefixItems": [TEXT, WHOLE, COUNT], "minItems": 3, "maxItems": 3}
_GROUP: Final = _object(
    {"name": TEXT, "last_id": TEXT, "entries_read": _or(COUNT, NONE), "pending": _list(_PENDING)},
    {"consumers": _list(_CONSUMER), "released": _IDS},
)
STREAM: Final = _object(
    {
        "entries": _list({"type": "array", "prefixItems": [TEXT, _list(TEXT)], "minItems": 2, "maxItems": 2}),
        "last_id": TEXT,
        "max_deleted_id": TEXT,
        "entries_added": COUNT,
        "groups": _list(_GROUP),
    },
    {"idempotence": TEXT},
)
MODULE: Final = _object({"name": TEXT, "version": COUNT, "payload": TEXT})
_ELEMENT: Final[Schema] = {"type": "array", "prefixItems": [COUNT, TEXT], "minItems": 2, "maxItems": 2}
VALUES: Final[dict[str, Schema]] = {
    "string": TEXT,
    "list": _list(TEXT),
    "set": _list(TEXT),
    "hash": _map(_or(TEXT, _object({"value": TEXT, "expire_at_ms": WHOLE}))),
    "zset": _map(_or({"type": "number"}, {"enum": ["inf", "-inf"]})),
    "stream": STREAM,
    "module": MODULE,
    "array": _object({"elements": _list(_ELEMENT)}, {"cursor": COUNT}),
    "path-hash": _map(_map(TEXT)),
}
_FIRST: Final[Schema] = {"schema": {"const": RECORDS}}
"""What the first record has, unless a header comes before it."""
_KEY_OPTIONS: Final = {**_FIRST, "expire_at_ms": WHOLE, "idle_s": COUNT, "freq": COUNT, "meta": TEXT}
KEYS: Final = [
    _object({"db": COUNT, "key": TEXT, "type": {"const": name}, "value": value}, _KEY_OPTIONS)
    for name, value in VALUES.items()
]
SUMMARY: Final = _object(
    {"db": COUNT, "key": TEXT, "type": KIND, "elements": COUNT}, {**_KEY_OPTIONS, "encoding": TEXT, "size": COUNT}
)
BESIDE: Final = [
    _object({"function": TEXT}, _FIRST),
    _object({"module_aux": TEXT, "when": COUNT, "payload": TEXT}, _FIRST),
]
HEADER: Final = _object(
    {
        "schema": {"const": RECORDS},
        "rdbtool": {"const": RECORDS},
        "bytes": {"enum": list(MODES)},
        "dialect": TEXT,
        "version": COUNT,
        "aux": _map(TEXT),
    }
)

_ANY_VALUE: Final = _or(*VALUES.values(), NONE)
SIDE: Final = _object(
    {"type": KIND, "encoding": TEXT, "size": WHOLE},
    {"expire_at_ms": WHOLE, "idle_s": COUNT, "freq": COUNT, "value": _ANY_VALUE},
)
_CHANGES: Final = _list(
    _object({"part": TEXT, "op": TEXT}, {"name": TEXT, "index": COUNT, "left": TEXT, "right": TEXT})
)


def _difference(schema: Schema) -> Schema:
    """A difference; ``schema``: the field that only lines have."""
    kind: Schema = {"enum": list(KINDS)}
    sides = {"left": SIDE, "right": SIDE, "changes": _CHANGES}
    codes = {"left": TEXT, "right": TEXT, "changes": _CHANGES}
    return _or(
        _object({**schema, "kind": kind, "db": COUNT, "key": TEXT, "type": TEXT, "differs": _list(TEXT)}, sides),
        _object({**schema, "kind": kind, "function": TEXT}, codes),
        _object({**schema, "kind": kind, "module_aux": TEXT}, codes),
    )


_DIFF_COUNTS: Final = _object({"db": WHOLE, "type": TEXT}, dict.fromkeys((*KINDS, SAME), COUNT))
DIFF: Final = {
    "differences": _list(_difference({})),
    "left": TEXT,
    "right": TEXT,
    "same": TRUTH,
    "counts": _list(_DIFF_COUNTS),
    "passes": COUNT,
    "loss": TRUTH,
    "findings": FINDINGS,
}
_NUMBER: Final[Schema] = {"schema": {"const": SCHEMA}}
TOUCH: Final = _object(
    {**_NUMBER, "file": TEXT, "offset": WHOLE, "db": WHOLE, "key": TEXT, "effect": TEXT, "command": _list(TEXT)},
    {"time_s": COUNT, "detail": TEXT, "other_key": TEXT, "other_db": COUNT},
)

TALLY: Final = _object(dict.fromkeys(("keys", "expires", "elements", "bytes", "size"), COUNT))
TALLIES: Final = _map(TALLY)
_CLASSES: Final = _list(_object({"up_to": COUNT, "keys": COUNT, "bytes": COUNT}))
CONTENTS: Final = {
    "total": TALLY,
    "tables": COUNT,
    "types": TALLIES,
    "encodings": TALLIES,
    "databases": TALLIES,
    "field_expiries": COUNT,
    "expiries": _list(_object({"expires": TEXT, "keys": COUNT, "bytes": COUNT})),
    "key_bytes": _CLASSES,
    "key_elements": _CLASSES,
}
_MEASURED: Final = {
    "db": COUNT,
    "key": TEXT,
    "type": KIND,
    "encoding": TEXT,
    "bytes": COUNT,
    "size": COUNT,
    "elements": COUNT,
}
_MEASURED_OPTIONS: Final = {"largest_element": COUNT, "expire_at_ms": WHOLE, "idle_s": COUNT, "freq": COUNT}
MEASURED: Final = _object(_MEASURED, _MEASURED_OPTIONS)
PREFIX: Final = _object(
    {
        "prefix": TEXT,
        "keys": COUNT,
        "bytes": COUNT,
        "other_keys": COUNT,
        "other_bytes": COUNT,
        "prefixes": _list({"$ref": "#/$defs/prefix"}),
    }
)
LOAD: Final = {
    "source": TEXT,
    "server": TEXT,
    "release": TEXT,
    "dry_run": TRUTH,
    **dict.fromkeys(("keys", "loaded", "conflicts", "failed", "damaged", "functions", "bytes"), COUNT),
    **dict.fromkeys(("as_they_stand", "encoded", "commands"), COUNT),
    "losses": COUNTS,
    "loss": TRUTH,
    "findings": FINDINGS,
}
LOAD_VERIFIED: Final = {"verified": _object(dict.fromkeys(("compared", "different", "missing"), COUNT))}
MEMORY: Final = {
    "partial": TRUTH,
    "allocator": TEXT,
    "files": _list(
        _object(
            {
                "path": TEXT,
                "release": TEXT,
                "partial": TRUTH,
                "replayed": TRUTH,
                "keys": COUNT,
                "bytes": COUNT,
                "tables": COUNT,
            }
        )
    ),
    **CONTENTS,
    "by": {"enum": ["memory", "elements", "freq", "idle"]},
    "top": _list(MEASURED),
    "loss": TRUTH,
    "findings": FINDINGS,
}
_GROWTH: Final = _object(
    {"prefix": TEXT, "keys": _list(COUNT), "bytes": _list(COUNT), "grown": WHOLE},
)
DIFF_MEMORY: Final = {
    "left": TEXT,
    "right": TEXT,
    "partial": TRUTH,
    "release": TEXT,
    "total": _GROWTH,
    "prefixes": _list(_GROWTH),
    "findings": FINDINGS,
}
_INFO_PART: Final = _object(
    {"path": TEXT, "role": TEXT, "kind": TEXT, "size": COUNT, "commands": COUNT},
    {
        "rdb": _object(
            {
                "dialect": TEXT,
                "version": COUNT,
                "writer": TEXT,
                "aux": _map(TEXT),
                "checksum": TEXT,
                "empty": COUNT,
                "functions": _list(TEXT),
                "module_data": _list(TEXT),
            }
        )
    },
)
INFO: Final = _object(
    {
        "path": TEXT,
        "kind": TEXT,
        "partial": TRUTH,
        "size": COUNT,
        "parts": _list(_INFO_PART),
        **CONTENTS,
        "stored": TALLIES,
        "largest": _list(MEASURED),
        "most_elements": _list(MEASURED),
        "findings": FINDINGS,
    },
    {
        "release": TEXT,
        "log": _object(
            {
                "commands": COUNT,
                "transactions": COUNT,
                "by_name": _list(_object({"name": TEXT, "count": COUNT, "bytes": COUNT})),
            },
            {"first_time_s": COUNT, "last_time_s": COUNT},
        ),
    },
)
SUMS: Final = _object(dict.fromkeys(("inputs", "size", "keys", "expires", "values", "commands"), COUNT))


def _document(command: str, fields: Schema, optional: Schema | None = None) -> Schema:
    """What a command prints with ``--format json``."""
    return _object({**_NUMBER, "command": {"const": command}, **fields}, optional)


SCHEMAS: Final[dict[str, tuple[str, Schema]]] = {
    "backup": ("backup --format json", _document("backup", JUDGEMENTS)),
    "backup-record": ("the record beside a backup", BACKUP_RECORD),
    "check-aof": ("check-aof --format json", _document("check-aof", {"files": _list(CHECK_AOF)})),
    "check-rdb": ("check-rdb --format json", _document("check-rdb", {"files": _list(CHECK_RDB)})),
    "convert": ("convert --format json", _document("convert", CONVERT)),
    "diff": ("diff --format json", _document("diff", DIFF)),
    "diff-memory": ("diff --memory --format json", _document("diff", DIFF_MEMORY)),
    "diff-line": ("a line of diff --format jsonl", _difference(_NUMBER)),
    "digest": ("digest --format json", _document("digest", {"files": _list(DIGEST)})),
    "dump": (
        "a line of dump --format jsonl, with values or without, and of convert --to jsonl",
        _or(HEADER, *KEYS, *BESIDE, SUMMARY),
    ),
    "dump-json": ("dump --format json, convert --to json", _list(_or(*KEYS, *BESIDE))),
    "health": ("health --format json", _document("health", JUDGEMENTS)),
    "history": ("a line of history --format json", TOUCH),
    "history-stats": ("history --stats --format json", _document("history", STATS, STATS_OVER_TIME)),
    "info": ("info --format json", _document("info", {"files": _list(INFO), "sum": SUMS})),
    "load": ("load --format json", _document("load", LOAD, LOAD_VERIFIED)),
    "memory": (
        "memory --format json",
        {
            **_document(
                "memory",
                MEMORY,
                {
                    "prefixes": {"$ref": "#/$defs/prefix"},
                    "slots": _list(_object({"slot": COUNT, "keys": COUNT, "bytes": COUNT})),
                },
            ),
            "$defs": {"prefix": PREFIX},
        },
    ),
    "memory-line": ("a line of memory --format jsonl", _object({**_NUMBER, **_MEASURED}, _MEASURED_OPTIONS)),
    "rewrite": (
        "rewrite --format json",
        _document(
            "rewrite",
            REWRITE,
            {"left_out": COUNT, "history": _list(TEXT), "removed": _list(TEXT), "stopped": TEXT},
        ),
    ),
    "verify": ("verify --format json", _document("verify", JUDGEMENTS)),
}
"""By name: what is written so, and its schema."""


def schema_of(name: str) -> Schema:
    """The whole schema of that name. Raises `KeyError`."""
    title, schema = SCHEMAS[name]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"rdbtool {title}", **schema}
