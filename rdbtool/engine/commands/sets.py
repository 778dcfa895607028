"""Set commands."""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.basics.numbers import is_integer
from rdbtool.engine.cells.cell import HASHTABLE, INTSET, LISTPACK, NEW, TOO_LARGE, SetCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.encodings import set_encoding
from rdbtool.engine.numbers import I64_MAX, integer_between, positive
from rdbtool.engine.replies import CommandError, syntax_error
from rdbtool.engine.table import handles
from rdbtool.servers.features import SIZE_HINTS


def new_set(dataset: Dataset, first: bytes, hint: i64) -> SetCell:
    """An empty set for members of which ``first`` is the first, and ``hint`` says how many there are."""
    limits = dataset.limits
    if not dataset.release.has(SIZE_HINTS):
        return SetCell(None, INTSET if limits.set_intset_entries and is_integer(first) else HASHTABLE)
    if is_integer(first) and hint <= limits.set_intset_entries:
        return SetCell(None, INTSET)
    return SetCell(None, LISTPACK if hint <= limits.set_entries else HASHTABLE)


def add_member(dataset: Dataset, cell: SetCell, member: bytes) -> bool:
    """Add a member; whether it was new. The encoding follows as it does in the server."""
    done = cell.add_small(member, dataset.scratch)
    if done == TOO_LARGE:
        members = cell.members
        known: i64 = len(members)
        members[dataset.members.one(member)] = None
        if len(members) != known:
            done = NEW
    if done != NEW:
        return False
    before: i64 = len(cell) - 1
    limits = dataset.limits
    if cell.encoding == INTSET:
        if is_integer(member):
            if before >= limits.set_intset_entries:
                cell.encoding = HASHTABLE
        elif before < limits.set_entries and len(member) <= limits.set_value:
            cell.encoding = LISTPACK
        else:
            cell.encoding = HASHTABLE
    elif cell.encoding == LISTPACK:
        if before >= limits.set_entries or len(member) > limits.set_value:
            cell.encoding = HASHTABLE
    return True


@handles(b"SADD")
def sadd(dataset: Dataset, args: list[bytes]) -> object:
    limits = dataset.limits
    cell = dataset.set(args[1])
    n: i64 = len(args)
    if cell is None:
        cell = new_set(dataset, args[2], n - 2)
        dataset.keys[args[1]] = cell
    elif (
        (cell.encoding == LISTPACK and n - 2 > limits.set_entries)
        or (cell.encoding == INTSET and n - 2 > limits.set_intset_entries)
    ) and dataset.release.has(SIZE_HINTS):
        cell.encoding = HASHTABLE
    added: i64 = 0
    for i in range(2, n):
        if add_member(dataset, cell, args[i]):
            added += 1
    dataset.dirty += added
    return added


@handles(b"SREM")
def srem(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.set(args[1])
    if cell is None:
        return 0
    removed: i64 = 0
    for i in range(2, len(args)):
        if cell.remove(args[i], dataset.scratch):
            removed += 1
    dataset.dirty += removed
    dataset.settle(args[1], cell)
    return removed


@handles(b"SMOVE")
def smove(dataset: Dataset, args: list[bytes]) -> object:
    if args[1] not in dataset.keys:
        return 0
    source = dataset.set(args[1])
    target = dataset.set(args[2])
    assert source is not None
    member = args[3]
    if source is target:
        return int(source.has(member, dataset.scratch))
    if not source.remove(member, dataset.scratch):
        return 0
    dataset.settle(args[1], source)
    if target is None:
        target = new_set(dataset, member, 1)
        dataset.keys[args[2]] = target
    add_member(dataset, target, member)
    dataset.dirty += 1
    return 1


@handles(b"SPOP")
def spop(dataset: Dataset, args: list[bytes]) -> object:
    """Servers pop a random member and log which; only hand-made and very old logs hold SPOP itself."""
    if len(args) > 3:
        raise syntax_error()
    count: i64 = positive(args[2]) if len(args) == 3 else -1
    cell = dataset.set(args[1])
    if cell is None:
        return None if count < 0 else []
    popped: list[object] = []
    members = cell.members
    n: i64 = min(len(members), 1 if count < 0 else count)
    if n < len(members):
        dataset.random += 1
    for _ in range(n):
        member, _none = members.popitem()
        popped.append(member)
    dataset.dirty += n
    dataset.settle(args[1], cell)
    return popped[0] if count < 0 else popped


def _operands(dataset: Dataset, keys: list[bytes]) -> list[SetCell | None]:
    return [dataset.set(key) for key in keys]


def _store(dataset: Dataset, key: bytes, members: dict[bytes, None], encoding: int) -> object:
    if members:
        dataset.keys[key] = SetCell(members, encoding)
        dataset.dirty += 1
    elif dataset.remove(key):
        dataset.dirty += 1
    return len(members)


def intersection(sets: list[SetCell | None]) -> dict[bytes, None]:
    """Members of all; none where one set is missing."""
    found = [cell.members for cell in sets if cell is not None]
    if len(found) < len(sets):
        return {}
    smallest = min(found, key=len)
    others = [members for members in found if members is not smallest]
    return {member: None for member in smallest if all(member in members for members in others)}


def union(sets: list[SetCell | None]) -> dict[bytes, None]:
    """Members of any."""
    result: dict[bytes, None] = {}
    for cell in sets:
        if cell is not None:
            result.update(cell.members)
    return result


def difference(sets: list[SetCell | None]) -> dict[bytes, None]:
    """Members of the first and of no other."""
    first = sets[0]
    if first is None:
        return {}
    result = first.members.copy()
    for cell in sets[1:]:
        if cell is not None:
            for member in result.copy() if len(result) < len(cell.members) else cell.members:
                if member in cell.members:
                    result.pop(member, None)
    return result


@handles(b"SINTERSTORE")
def sinterstore(dataset: Dataset, args: list[bytes]) -> object:
    members = intersection(_operands(dataset, args[2:]))
    return _store(dataset, args[1], members, set_encoding(dataset.release, members))


@handles(b"SUNIONSTORE")
def sunionstore(dataset: Dataset, args: list[bytes]) -> object:
    members = union(_operands(dataset, args[2:]))
    return _store(dataset, args[1], members, set_encoding(dataset.release, members))


@handles(b"SDIFFSTORE")
def sdiffstore(dataset: Dataset, args: list[bytes]) -> object:
    sets = _operands(dataset, args[2:])
    members = difference(sets)
    built = members
    first = sets[0]
    if first is not None:
        # Where that is less work the server copies the first set and removes from the copy, which
        # then keeps the encoding of the whole.
        work = sum(len(cell.members) for cell in sets if cell is not None)
        if len(first.members) * sum(1 for cell in sets if cell is not None) // 2 > work:
            built = first.members
    return _store(dataset, args[1], members, set_encoding(dataset.release, built))


@handles(b"SINTER")
def sinter(dataset: Dataset, args: list[bytes]) -> object:
    return list(intersection(_operands(dataset, args[1:])))


@handles(b"SUNION")
def sunion(dataset: Dataset, args: list[bytes]) -> object:
    return list(union(_operands(dataset, args[1:])))


@handles(b"SDIFF")
def sdiff(dataset: Dataset, args: list[bytes]) -> object:
    return list(difference(_operands(dataset, args[1:])))


@handles(b"SINTERCARD")
def sintercard(dataset: Dataset, args: list[bytes]) -> object:
    count = integer_between(args[1], 1, I64_MAX, "ERR numkeys should be greater than 0")
    if count > len(args) - 2:
        raise CommandError("ERR Number of keys can't be greater than number of args")
    limit: i64 = 0
    rest = args[2 + count :]
    if rest:
        if len(rest) != 2 or rest[0].upper() != b"LIMIT":
            raise syntax_error()
        limit = integer_between(rest[1], 0, I64_MAX, "ERR LIMIT can't be negative")
    found = len(intersection(_operands(dataset, args[2 : 2 + count])))
    return min(found, limit) if limit else found


@handles(b"SCARD")
def scard(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.set(args[1])
    return 0 if cell is None else len(cell)


@handles(b"SISMEMBER")
def sismember(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.set(args[1])
    return int(cell is not None and cell.has(args[2], dataset.scratch))


@handles(b"SMISMEMBER")
def smismember(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.set(args[1])
    return [int(cell is not None and cell.has(member, dataset.scratch)) for member in args[2:]]


@handles(b"SMEMBERS")
def smembers(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.set(args[1])
    return [] if cell is None else list(cell.members)
