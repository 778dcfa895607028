"""Values into payloads, in the encodings that the target's server would choose."""

from __future__ import annotations

from collections import deque

from librt.strings import BytesWriter

from rdbtool.errors import UnsupportedError
from rdbtool.model import Array, Hash, Module, PathHash, SortedSet, Stream, Value
from rdbtool.rdb.values.target_encodings import TargetEncodings
from rdbtool.servers.limits import Limits

from .layout import arrays, path_hash
from .layout.facts import Losses
from .targets import Target
from .types import TypeRow
from .values import hashes, lists, modules, sets, streams, strings, zsets


def encode_value(value: Value, form: TargetEncodings, out: BytesWriter) -> str:
    """Write the payload of ``value``; answers the name of its type.

    Raises `UnsupportedError` for a stream where the target has none.
    """
    if isinstance(value, bytes):
        return strings.encode(value, form, out)
    if isinstance(value, deque):
        return lists.encode(value, form, out)
    if isinstance(value, dict):
        return sets.encode(value, form, out)
    if isinstance(value, Hash):
        return hashes.encode(value, form, out)
    if isinstance(value, SortedSet):
        return zsets.encode(value, form, out)
    if isinstance(value, Stream):
        if form.streams == 0:
            raise UnsupportedError("the target has no streams", doing="writing an RDB")
        return streams.encode(value, form, out)
    if isinstance(value, Array):
        arrays.encode(value, out, form.compress)
        return "array"
    if isinstance(value, PathHash):
        path_hash.encode(value, out, form.compress)
        return "path-hash"
    assert isinstance(value, Module)
    return modules.encode(value, out)


def encode(
    value: Value,
    target: Target,
    *,
    limits: Limits | None = None,
    compress: bool = True,
    losses: Losses | None = None,
) -> tuple[TypeRow, bytes]:
    """The type and the payload of ``value`` for ``target``. What cannot be kept is counted in ``losses``."""
    out = BytesWriter()
    form = target.form(limits, losses or Losses(target.name), compress=compress)
    name = encode_value(value, form, out)
    return target.row(name), out.getvalue()
