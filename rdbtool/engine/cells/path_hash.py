"""Cells of path hashes (Valkey 9.2)."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64, mypyc_attr

from rdbtool.model import NO_EXPIRY, PathHash, Value

from .cell import Cell


@final
@mypyc_attr(acyclic=True)
class PathHashCell(Cell):
    """A path hash, which is a key even without a path."""

    __slots__ = ("path_hash",)

    def __init__(self, path_hash: PathHash) -> None:
        self.expire_at_ms: i64 = NO_EXPIRY
        self.path_hash = path_hash

    def value(self) -> Value:
        return self.path_hash

    def copy(self) -> Cell:
        cell = PathHashCell(PathHash({path: dict(fields) for path, fields in self.path_hash.paths.items()}))
        cell.expire_at_ms = self.expire_at_ms
        return cell
