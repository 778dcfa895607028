"""Commands on path hashes (Valkey 9.2) that write. Facts: Valkey's source before 9.2."""

from __future__ import annotations

from rdbtool.engine.cells.path_hash import PathHashCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import I64_MAX, integer_between
from rdbtool.engine.replies import CommandError, syntax_error, wrong_arity
from rdbtool.engine.table import handles
from rdbtool.model import PathHash


def _to_write(dataset: Dataset, key: bytes) -> PathHashCell:
    cell = dataset.path_hash(key)
    if cell is None:
        cell = PathHashCell(PathHash())
        dataset.newest_types = True
        dataset.keys[key] = cell
    return cell


def _fields_at(args: list[bytes], at: int) -> int:
    """Where the fields end that ``FIELDS n`` at ``args[at]`` announces, with a value each."""
    if at + 1 >= len(args) or args[at].upper() != b"FIELDS":
        raise syntax_error()
    count = integer_between(args[at + 1], 1, I64_MAX, "ERR Number of fields must be a positive integer")
    end = at + 2 + 2 * count
    if end > len(args):
        raise CommandError("ERR The `numfields` parameter must match the number of arguments")
    return end


@handles(b"PHSET")
def phset(dataset: Dataset, args: list[bytes]) -> object:
    at = 3
    condition = args[at].upper()
    if condition in {b"FNX", b"FXX"}:
        at += 1
    end = _fields_at(args, at)
    if end != len(args):
        raise wrong_arity(args[0])
    pairs = args[at + 2 :]
    cell = dataset.path_hash(args[1])
    present = {} if cell is None else cell.path_hash.paths.get(args[2], {})
    if condition == b"FNX" and any(field in present for field in pairs[::2]):
        return None
    if condition == b"FXX" and not all(field in present for field in pairs[::2]):
        return None
    return _set(dataset, _to_write(dataset, args[1]), args[2], pairs)


@handles(b"PHMSET")
def phmset(dataset: Dataset, args: list[bytes]) -> object:
    dataset.path_hash(args[1])  # of another type: nothing is looked at
    parts: list[tuple[bytes, list[bytes]]] = []
    at = 2
    while at < len(args):
        end = _fields_at(args, at + 1)
        parts.append((args[at], args[at + 3 : end]))
        at = end
    cell = _to_write(dataset, args[1])
    return sum(_set(dataset, cell, path, pairs) for path, pairs in parts)


def _set(dataset: Dataset, cell: PathHashCell, path: bytes, pairs: list[bytes]) -> int:
    fields = cell.path_hash.paths.setdefault(path, {})
    before = len(fields)
    for i in range(0, len(pairs), 2):
        fields[pairs[i]] = pairs[i + 1]
    dataset.dirty += len(pairs) // 2
    return len(fields) - before


@handles(b"PHDEL")
def phdel(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.path_hash(args[1])
    fields = None if cell is None else cell.path_hash.paths.get(args[2])
    if cell is None or fields is None:
        return 0
    names = args[3:]
    if names:
        removed = sum(fields.pop(name, None) is not None for name in names)
    else:
        removed = 1
        fields.clear()
    if not fields:
        del cell.path_hash.paths[args[2]]
    dataset.dirty += removed
    return removed


@handles(b"PHDELPREFIX")
def phdelprefix(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.path_hash(args[1])
    if cell is None:
        return 0
    gone = [path for path in cell.path_hash.paths if path.startswith(args[2])]
    for path in gone:
        del cell.path_hash.paths[path]
    dataset.dirty += len(gone)
    return len(gone)
