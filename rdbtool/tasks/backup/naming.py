"""Names of backups: what people write with ``{time}``, ``{keys}`` and ``{digest}`` in it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rdbtool.errors import UsageError

GZIP: Final = "gzip"
ZSTD: Final = "zstd"
ENDINGS: Final = {GZIP: ".gz", ZSTD: ".zst"}
"""How files end that are compressed so."""
RECORD: Final = ".json"
"""What the name of the record of a backup has behind that of the backup."""

_FIELDS: Final = {"time": r"\d{8}T\d{6}Z", "keys": r"\d+", "digest": "[0-9a-f]{40}"}
"""What can stand in braces -> what then stands there."""
_FIELD: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Naming:
    """``directory`` of the backups, and the ``name`` of each in it, with fields in braces; ``compress``: `GZIP`,
    `ZSTD`, or "".
    """

    directory: str
    name: str
    compress: str = ""

    def filled(self, *, taken_s: int, keys: int, digest: str) -> str:
        """The path of the backup that holds this. ``taken_s``: when it was begun, a Unix time."""
        values = {"time": f"{datetime.fromtimestamp(taken_s, UTC):%Y%m%dT%H%M%SZ}", "keys": str(keys), "digest": digest}
        return os.path.join(self.directory, _FIELD.sub(lambda found: values[found.group(1)], self.name))

    @property
    def unfilled(self) -> str:
        """The path with the fields as they were written: what it is called until it has its name."""
        return os.path.join(self.directory, self.name)

    @property
    def told_by_content(self) -> bool:
        """Whether the name is known only when all of it has been read."""
        return any(field in {"keys", "digest"} for field in _FIELD.findall(self.name))

    def is_name(self, name: str) -> bool:
        """Whether this is the name of a backup of these."""
        pattern, at = "", 0
        for found in _FIELD.finditer(self.name):
            pattern += re.escape(self.name[at : found.start()]) + _FIELDS[found.group(1)]
            at = found.end()
        return re.fullmatch(pattern + re.escape(self.name[at:]), name) is not None


def naming(destination: str, default: str, compress: str = "", ending: str = "") -> Naming:
    """What a destination says: a name, with fields or without, or a directory, in which ``default`` is the name.

    ``ending``: what the name of what is compressed ends in, if not as its kind does. Raises `UsageError`.
    """
    if destination in {"", "-"}:
        raise UsageError("a backup goes to a file or into a directory, not to standard output")
    if destination.endswith(os.sep) or os.path.isdir(destination):
        directory, name = destination, default
    else:
        directory, name = os.path.split(destination)
    for field in _FIELD.findall(directory + name):
        if field not in _FIELDS or field in _FIELD.findall(directory):
            known = ", ".join(f"{{{one}}}" for one in _FIELDS)
            raise UsageError(f"{{{field}}} in the name of a backup: its last part can hold {known}", path=destination)
    if name.endswith(RECORD):
        raise UsageError(f"a name that ends in {RECORD} is that of a record beside a backup", path=destination)
    for kind, end in ENDINGS.items():
        if name.endswith(end):
            if compress not in {"", kind}:
                raise UsageError(
                    f"the name ends in {end}, and it is to be compressed with {compress}", path=destination
                )
            return Naming(directory, name, kind)
    return Naming(directory, name + (ending or ENDINGS[compress] if compress else ""), compress)
