"""List commands."""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.basics.numbers import is_integer
from rdbtool.engine.cells.deque import Deque
from rdbtool.engine.cells.lists import QUICK, ListCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import I64_MAX, double, integer, integer_between, positive
from rdbtool.engine.replies import NO_SUCH_KEY, OK, OUT_OF_RANGE, CommandError, syntax_error, wrong_arity
from rdbtool.engine.table import handles


def _push(dataset: Dataset, args: list[bytes], head: bool, must_exist: bool) -> object:
    cell = dataset.list(args[1])
    if cell is None:
        if must_exist:
            return 0
        cell = ListCell(dataset.list_kind)
        dataset.keys[args[1]] = cell
    n: i64 = len(args)
    if n == 3:
        cell.grow(len(args[2]))
        cell.push(args[2], head)
    else:
        size: i64 = 0
        for i in range(2, n):
            size += len(args[i])
        cell.grow(size)
        for i in range(2, n):
            cell.push(args[i], head)
    dataset.dirty += n - 2
    return len(cell.items)


@handles(b"RPUSH")
def rpush(dataset: Dataset, args: list[bytes]) -> object:
    return _push(dataset, args, False, False)


@handles(b"LPUSH")
def lpush(dataset: Dataset, args: list[bytes]) -> object:
    return _push(dataset, args, True, False)


@handles(b"RPUSHX")
def rpushx(dataset: Dataset, args: list[bytes]) -> object:
    return _push(dataset, args, False, True)


@handles(b"LPUSHX")
def lpushx(dataset: Dataset, args: list[bytes]) -> object:
    return _push(dataset, args, True, True)


def _settle(dataset: Dataset, key: bytes, cell: ListCell) -> None:
    if len(cell.items):
        if cell.kind == QUICK:
            cell.shrink()
    else:
        dataset.settle(key, cell)


def _pop_range(dataset: Dataset, key: bytes, cell: ListCell, count: i64, head: bool) -> list[object]:
    popped: list[object] = [cell.pop(head) for _ in range(min(count, len(cell.items)))]
    dataset.dirty += len(popped)
    _settle(dataset, key, cell)
    return popped


def _pop(dataset: Dataset, args: list[bytes], head: bool) -> object:
    if len(args) > 3:
        raise wrong_arity(args[0])
    count: i64 = positive(args[2]) if len(args) == 3 else -1
    cell = dataset.list(args[1])
    if cell is None:
        return None
    if count < 0:
        element = cell.pop(head)
        dataset.dirty += 1
        _settle(dataset, args[1], cell)
        return element
    return _pop_range(dataset, args[1], cell, count, head) if count else []


@handles(b"LPOP")
def lpop(dataset: Dataset, args: list[bytes]) -> object:
    return _pop(dataset, args, True)


@handles(b"RPOP")
def rpop(dataset: Dataset, args: list[bytes]) -> object:
    return _pop(dataset, args, False)


def _is_head(text: bytes) -> bool:
    side = text.upper()
    if side not in {b"LEFT", b"RIGHT"}:
        raise syntax_error()
    return side == b"LEFT"


def _check_timeout(text: bytes) -> None:
    if double(text, "ERR timeout is not a float or out of range") < 0:
        raise CommandError("ERR timeout is negative")


def _mpop(dataset: Dataset, args: list[bytes], at: i64) -> object:
    count_of_keys = integer_between(args[at], 1, I64_MAX, "ERR numkeys should be greater than 0")
    if count_of_keys > len(args) - at - 2:
        raise syntax_error()
    where = at + 1 + count_of_keys
    head = _is_head(args[where])
    count: i64 = 1
    rest = args[where + 1 :]
    if rest:
        if len(rest) != 2 or rest[0].upper() != b"COUNT":
            raise syntax_error()
        count = integer_between(rest[1], 1, I64_MAX, "ERR count should be greater than 0")
    if at == 2:
        _check_timeout(args[1])
    for key in args[at + 1 : where]:
        cell = dataset.list(key)
        if cell is not None:
            return [key, _pop_range(dataset, key, cell, count, head)]
    return None


@handles(b"LMPOP")
def lmpop(dataset: Dataset, args: list[bytes]) -> object:
    return _mpop(dataset, args, 1)


@handles(b"BLMPOP")
def blmpop(dataset: Dataset, args: list[bytes]) -> object:
    return _mpop(dataset, args, 2)


def _blocking_pop(dataset: Dataset, args: list[bytes], head: bool) -> object:
    _check_timeout(args[-1])
    for key in args[1:-1]:
        cell = dataset.list(key)
        if cell is not None:
            return [key, _pop_range(dataset, key, cell, 1, head)[0]]
    return None


@handles(b"BLPOP")
def blpop(dataset: Dataset, args: list[bytes]) -> object:
    return _blocking_pop(dataset, args, True)


@handles(b"BRPOP")
def brpop(dataset: Dataset, args: list[bytes]) -> object:
    return _blocking_pop(dataset, args, False)


def _move(dataset: Dataset, source: bytes, target: bytes, from_head: bool, to_head: bool) -> object:
    cell = dataset.list(source)
    if cell is None:
        return None
    goal = dataset.list(target)
    was_quick = cell.kind == QUICK
    element = cell.pop(from_head)
    if goal is None:
        goal = ListCell(dataset.list_kind)
        dataset.keys[target] = goal
    # The server does not count an integer that came out of a quicklist.
    goal.grow(0 if was_quick and is_integer(element) else len(element))
    goal.push(element, to_head)
    _settle(dataset, source, cell)
    dataset.dirty += 1
    return element


@handles(b"LMOVE")
def lmove(dataset: Dataset, args: list[bytes]) -> object:
    return _move(dataset, args[1], args[2], _is_head(args[3]), _is_head(args[4]))


@handles(b"BLMOVE")
def blmove(dataset: Dataset, args: list[bytes]) -> object:
    from_head = _is_head(args[3])
    to_head = _is_head(args[4])
    _check_timeout(args[5])
    return _move(dataset, args[1], args[2], from_head, to_head)


@handles(b"LMOVEM")
def lmovem(dataset: Dataset, args: list[bytes]) -> object:
    return _move_many(dataset, args[1], args[2], _is_head(args[3]), _is_head(args[4]), args[5:])


@handles(b"BLMOVEM")
def blmovem(dataset: Dataset, args: list[bytes]) -> object:
    from_head = _is_head(args[3])
    to_head = _is_head(args[4])
    _check_timeout(args[5])
    return _move_many(dataset, args[1], args[2], from_head, to_head, args[6:])


def _move_many(
    dataset: Dataset, source: bytes, target: bytes, from_head: bool, to_head: bool, options: list[bytes]
) -> object:
    """Move so many elements, or (EXACTLY) none: one by one (OBO), or as a block that keeps its order (BULK)."""
    count: i64 = 1
    exactly = True
    block = True
    if options:
        if len(options) != 3:
            raise syntax_error()
        how = options[0].upper()
        order = options[2].upper()
        if how not in {b"COUNT", b"EXACTLY"} or order not in {b"OBO", b"BULK"}:
            raise syntax_error()
        count = integer_between(options[1], 1, I64_MAX, "ERR count should be greater than 0")
        exactly = how == b"EXACTLY"
        block = order == b"BULK"
    cell = dataset.list(source)
    goal = dataset.list(target)
    there: i64 = 0 if cell is None else len(cell.items)
    if cell is None or (exactly and there < count):
        return None
    elements = [cell.pop(from_head) for _ in range(min(count, there))]
    if goal is None:
        goal = ListCell(dataset.list_kind)
        dataset.keys[target] = goal
    if block and from_head == to_head:  # elements that come back to the same end keep their order
        elements.reverse()
    for element in elements:
        goal.grow(len(element))
        goal.push(element, to_head)
    if cell is not goal:
        _settle(dataset, source, cell)
    dataset.dirty += len(elements)
    return elements[::-1] if to_head else elements


@handles(b"RPOPLPUSH")
def rpoplpush(dataset: Dataset, args: list[bytes]) -> object:
    return _move(dataset, args[1], args[2], False, True)


@handles(b"BRPOPLPUSH")
def brpoplpush(dataset: Dataset, args: list[bytes]) -> object:
    _check_timeout(args[3])
    return _move(dataset, args[1], args[2], False, True)


@handles(b"LINSERT")
def linsert(dataset: Dataset, args: list[bytes]) -> object:
    where = args[2].upper()
    if where not in {b"AFTER", b"BEFORE"}:
        raise syntax_error()
    cell = dataset.list(args[1])
    if cell is None:
        return 0
    cell.grow(len(args[4]))  # before it is known whether the pivot is there, as the server does
    try:
        index = cell.items.all().index(args[3])
    except ValueError:
        return -1
    cell.insert(index, args[4], where == b"AFTER")
    dataset.dirty += 1
    return len(cell.items)


@handles(b"LSET")
def lset(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.list(args[1])
    if cell is None:
        raise CommandError(NO_SUCH_KEY)
    index = integer(args[2])
    cell.grow(len(args[3]))
    n: i64 = len(cell.items)
    if index < 0:
        index += n
    if index < 0 or index >= n:
        raise CommandError(OUT_OF_RANGE)
    cell.replace(index, args[3])
    cell.shrink()
    dataset.dirty += 1
    return OK


@handles(b"LREM")
def lrem(dataset: Dataset, args: list[bytes]) -> object:
    count = integer(args[2])
    cell = dataset.list(args[1])
    if cell is None:
        return 0
    element = args[3]
    limit: i64 = I64_MAX if count == 0 else count if count > 0 else -count
    found: list[int] = []
    for i, item in enumerate(reversed(cell.items.all()) if count < 0 else cell.items.all()):
        if item == element:
            found.append(i)
            if len(found) >= limit:
                break
    if not found:
        return 0
    if count < 0:
        last = len(cell.items) - 1
        found = [last - i for i in reversed(found)]
    cell.delete_all(found, element)
    dataset.dirty += len(found)
    _settle(dataset, args[1], cell)
    return len(found)


@handles(b"LTRIM")
def ltrim(dataset: Dataset, args: list[bytes]) -> object:
    start = integer(args[2])
    end = integer(args[3])
    cell = dataset.list(args[1])
    if cell is None:
        return OK
    n: i64 = len(cell.items)
    start = max(0, start + n) if start < 0 else start
    end = end + n if end < 0 else min(end, n - 1)
    if start > end or start >= n:
        cell.items = Deque([])
        dataset.dirty += n
    else:
        cell.trim(start, True)
        cell.trim(n - 1 - end, False)
        dataset.dirty += start + n - 1 - end
    _settle(dataset, args[1], cell)
    return OK


@handles(b"LLEN")
def llen(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.list(args[1])
    return 0 if cell is None else len(cell.items)


@handles(b"LINDEX")
def lindex(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.list(args[1])
    if cell is None:
        return None
    index = integer(args[2])
    n: i64 = len(cell.items)
    if index < 0:
        index += n
    return cell.items.get(index) if 0 <= index < n else None


@handles(b"LRANGE")
def lrange(dataset: Dataset, args: list[bytes]) -> object:
    start = integer(args[2])
    end = integer(args[3])
    cell = dataset.list(args[1])
    if cell is None:
        return []
    n: i64 = len(cell.items)
    start = max(0, start + n) if start < 0 else start
    end = end + n if end < 0 else min(end, n - 1)
    return cell.items.all()[start : end + 1] if start <= end else []
