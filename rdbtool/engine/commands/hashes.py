"""Hash commands, without those on the expiry of fields."""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.basics.numbers import decimal
from rdbtool.engine import long_double as extended
from rdbtool.engine.cells.cell import HASHTABLE, KNOWN, NEW, TOO_LARGE, HashCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import I64_MAX, I64_MIN, integer
from rdbtool.engine.replies import OK, OVERFLOW, CommandError, wrong_arity
from rdbtool.engine.table import handles
from rdbtool.servers.features import HASH_LENGTHS_WHEN_SET, SIZE_HINTS


def hash_to_write(dataset: Dataset, key: bytes) -> HashCell:
    """The hash at ``key``, made if it is not there: the caller adds a field."""
    cell = dataset.hash(key)
    if cell is None:
        cell = HashCell()
        if not dataset.limits.hash_entries:
            cell.encoding = HASHTABLE
        dataset.keys[key] = cell
    return cell


def put_field(dataset: Dataset, cell: HashCell, field: bytes, value: bytes) -> bool:
    """Set a field, whose expiry stays as it is; whether it is new. The encoding follows."""
    done = cell.put_small(field, value, dataset.scratch)
    if done == TOO_LARGE:
        fields = cell.fields
        before: i64 = len(fields)
        fields[dataset.fields.one(field)] = value
        done = NEW if len(fields) != before else KNOWN
    if cell.encoding != HASHTABLE:
        limits = dataset.limits
        if len(field) > limits.hash_value or len(value) > limits.hash_value or len(cell) > limits.hash_entries:
            cell.encoding = HASHTABLE
    return done == NEW


def forget_expiry(cell: HashCell, field: bytes) -> bool:
    """Make ``field`` last; whether it had an expiry."""
    expiries = cell.expiries
    if expiries is None or field not in expiries:
        return False
    del expiries[field]
    if not expiries:
        cell.expiries = None
    return True


def remove_field(dataset: Dataset, cell: HashCell, field: bytes) -> bool:
    """Remove a field with its expiry; whether it was there."""
    if not cell.remove(field, dataset.scratch):
        return False
    forget_expiry(cell, field)
    return True


def set_fields(dataset: Dataset, cell: HashCell, args: list[bytes], start: i64, keep_expiry: bool) -> i64:
    """Set the fields and values in turn from ``args[start]`` on; how many are new."""
    n: i64 = len(args)
    if (n - start) // 2 > dataset.limits.hash_entries and dataset.release.has(SIZE_HINTS):
        cell.encoding = HASHTABLE
    created: i64 = 0
    while start < n:
        if put_field(dataset, cell, args[start], args[start + 1]):
            created += 1
        elif not keep_expiry and cell.expiries is not None:
            forget_expiry(cell, args[start])
        start += 2
    return created


@handles(b"HIMPORT|PREPARE")
def himport_prepare(dataset: Dataset, args: list[bytes]) -> object:
    names = args[3:]
    if len(set(names)) != len(names):
        raise CommandError("ERR duplicate field in HIMPORT PREPARE")
    dataset.templates[args[2]] = names
    return OK


@handles(b"HIMPORT|SET")
def himport_set(dataset: Dataset, args: list[bytes]) -> object:
    names = dataset.templates.get(args[3])
    if names is None:
        raise CommandError("ERR no such fieldset")
    if len(args) - 4 != len(names):
        raise CommandError("ERR value count does not match fieldset field count")
    dataset.hash(args[2])  # of another type: it stays
    cell = HashCell()
    if not dataset.limits.hash_entries:
        cell.encoding = HASHTABLE
    dataset.keys[args[2]] = cell
    for name, value in zip(names, args[4:], strict=True):
        put_field(dataset, cell, name, value)
    dataset.dirty += 1
    return OK


@handles(b"HIMPORT|DISCARD")
def himport_discard(dataset: Dataset, args: list[bytes]) -> object:
    return int(dataset.templates.pop(args[2], None) is not None)


@handles(b"HIMPORT|DISCARDALL")
def himport_discardall(dataset: Dataset, args: list[bytes]) -> object:
    count = len(dataset.templates)
    dataset.templates.clear()
    return count


@handles(b"HSET")
def hset(dataset: Dataset, args: list[bytes]) -> object:
    n: i64 = len(args)
    if n % 2:
        raise wrong_arity(args[0])
    dataset.dirty += (n - 2) // 2
    return set_fields(dataset, hash_to_write(dataset, args[1]), args, 2, False)


@handles(b"HMSET")
def hmset(dataset: Dataset, args: list[bytes]) -> object:
    hset(dataset, args)
    return OK


@handles(b"HSETNX")
def hsetnx(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.hash(args[1])
    if cell is not None and cell.get(args[2], dataset.scratch) is not None:
        if not dataset.release.has(HASH_LENGTHS_WHEN_SET):
            if max(len(args[2]), len(args[3])) > dataset.limits.hash_value:
                cell.encoding = HASHTABLE
        return 0
    put_field(dataset, hash_to_write(dataset, args[1]), args[2], args[3])
    dataset.dirty += 1
    return 1


@handles(b"HDEL")
def hdel(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.hash(args[1])
    if cell is None:
        return 0
    removed: i64 = 0
    for i in range(2, len(args)):
        if remove_field(dataset, cell, args[i]):
            removed += 1
    dataset.dirty += removed
    dataset.settle(args[1], cell)
    return removed


def _field(dataset: Dataset, key: bytes, field: bytes) -> bytes | None:
    cell = dataset.hash(key)
    return None if cell is None else cell.get(field, dataset.scratch)


@handles(b"HINCRBY")
def hincrby(dataset: Dataset, args: list[bytes]) -> object:
    change = integer(args[3])
    old = _field(dataset, args[1], args[2])
    value: i64 = 0
    if old is not None:
        value = integer(old, "ERR hash value is not an integer")
    if (change < 0 and value < I64_MIN - change) or (change > 0 and value > I64_MAX - change):
        raise CommandError(OVERFLOW)
    value += change
    _put_number(dataset, args, decimal(value))
    dataset.dirty += 1
    return value


@handles(b"HINCRBYFLOAT")
def hincrbyfloat(dataset: Dataset, args: list[bytes]) -> object:
    change = extended.parse(args[3])
    if change is None:
        raise CommandError("ERR value is NaN or Infinity")
    old = _field(dataset, args[1], args[2])
    value = extended.parse(b"0" if old is None else old, "ERR hash value is not a float")
    text = extended.text_of(extended.add(value, change))
    _put_number(dataset, args, text)
    dataset.dirty += 1
    return text


def _put_number(dataset: Dataset, args: list[bytes], text: bytes) -> None:
    cell = hash_to_write(dataset, args[1])
    encoding = cell.encoding
    put_field(dataset, cell, args[2], text)
    if len(cell) <= dataset.limits.hash_entries and not dataset.release.has(HASH_LENGTHS_WHEN_SET):
        cell.encoding = encoding


@handles(b"HGET")
def hget(dataset: Dataset, args: list[bytes]) -> object:
    return _field(dataset, args[1], args[2])


@handles(b"HMGET")
def hmget(dataset: Dataset, args: list[bytes]) -> object:
    return [_field(dataset, args[1], field) for field in args[2:]]


@handles(b"HEXISTS")
def hexists(dataset: Dataset, args: list[bytes]) -> object:
    return int(_field(dataset, args[1], args[2]) is not None)


@handles(b"HSTRLEN")
def hstrlen(dataset: Dataset, args: list[bytes]) -> object:
    return len(_field(dataset, args[1], args[2]) or b"")


@handles(b"HLEN")
def hlen(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.hash(args[1])
    return 0 if cell is None else len(cell)


@handles(b"HKEYS")
def hkeys(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.hash(args[1])
    return [] if cell is None else list(cell.fields)


@handles(b"HVALS")
def hvals(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.hash(args[1])
    return [] if cell is None else list(cell.fields.values())


@handles(b"HGETALL")
def hgetall(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.hash(args[1])
    return [] if cell is None else [item for pair in cell.fields.items() for item in pair]
