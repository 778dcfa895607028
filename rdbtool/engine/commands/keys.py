"""Commands on keys of any type."""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.engine.cells.cell import FrameCell, copy_of_held
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.encodings import type_name
from rdbtool.engine.expiry import any_absolute_ms
from rdbtool.engine.loading import cell_of
from rdbtool.engine.numbers import i32_of, integer
from rdbtool.engine.payload import BAD_DATA, frame_of_payload
from rdbtool.engine.replies import BUSY_KEY, NO_SUCH_KEY, OK, SAME_OBJECT, CommandError, Status, syntax_error
from rdbtool.engine.table import handles
from rdbtool.model import NO_EXPIRY, Stream
from rdbtool.servers.commands import COMMANDS


@handles(b"DEL", b"UNLINK")
def del_(dataset: Dataset, args: list[bytes]) -> object:
    count = 0
    for i in range(1, len(args)):
        if dataset.remove(args[i]):
            count += 1
    dataset.dirty += count
    return count


@handles(b"EXISTS", b"TOUCH")
def exists(dataset: Dataset, args: list[bytes]) -> object:
    return sum(1 for key in args[1:] if key in dataset.keys)


@handles(b"TYPE")
def type_(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.any(args[1])
    return Status(b"none" if cell is None else type_name(cell).encode())


def _expire(dataset: Dataset, args: list[bytes], seconds: bool, relative: bool, name: bytes) -> object:
    nx = xx = gt = lt = False
    for i in range(3, len(args)):
        option = args[i].upper()
        nx = nx or option == b"NX"
        xx = xx or option == b"XX"
        gt = gt or option == b"GT"
        lt = lt or option == b"LT"
        if option not in {b"NX", b"XX", b"GT", b"LT"}:
            raise CommandError(f"ERR Unsupported option {args[i].decode('latin-1')}")
    if nx and (xx or gt or lt):
        raise CommandError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if gt and lt:
        raise CommandError("ERR GT and LT options at the same time are not compatible")
    when = any_absolute_ms(dataset, args[2], seconds, relative, name)
    cell = dataset.cell(args[1])
    if cell is None:
        return 0
    now = cell.expire_at_ms
    if (
        (nx and now != NO_EXPIRY)
        or (xx and now == NO_EXPIRY)
        or (gt and (now == NO_EXPIRY or when <= now))
        or (lt and now != NO_EXPIRY and when >= now)
    ):
        return 0
    cell.expire_at_ms = when
    dataset.dirty += 1
    return 1


@handles(b"PEXPIREAT")
def pexpireat(dataset: Dataset, args: list[bytes]) -> object:
    if len(args) == 3:
        when = integer(args[2])
        cell = dataset.cell(args[1])
        if cell is None:
            return 0
        cell.expire_at_ms = when
        dataset.dirty += 1
        return 1
    return _expire(dataset, args, False, False, b"pexpireat")


@handles(b"EXPIREAT")
def expireat(dataset: Dataset, args: list[bytes]) -> object:
    return _expire(dataset, args, True, False, b"expireat")


@handles(b"EXPIRE")
def expire(dataset: Dataset, args: list[bytes]) -> object:
    return _expire(dataset, args, True, True, b"expire")


@handles(b"PEXPIRE")
def pexpire(dataset: Dataset, args: list[bytes]) -> object:
    return _expire(dataset, args, False, True, b"pexpire")


@handles(b"PERSIST")
def persist(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.cell(args[1])
    if cell is None or cell.expire_at_ms == NO_EXPIRY:
        return 0
    cell.expire_at_ms = NO_EXPIRY
    dataset.dirty += 1
    return 1


def _ttl(dataset: Dataset, key: bytes, absolute: bool) -> i64:
    cell = dataset.cell(key)
    if cell is None:
        return -2
    if cell.expire_at_ms == NO_EXPIRY:
        return -1
    return cell.expire_at_ms if absolute else max(0, cell.expire_at_ms - dataset.now_ms)


@handles(b"PTTL")
def pttl(dataset: Dataset, args: list[bytes]) -> object:
    return _ttl(dataset, args[1], False)


@handles(b"TTL")
def ttl(dataset: Dataset, args: list[bytes]) -> object:
    left = _ttl(dataset, args[1], False)
    return left if left < 0 else (left + 500) // 1000


@handles(b"PEXPIRETIME")
def pexpiretime(dataset: Dataset, args: list[bytes]) -> object:
    return _ttl(dataset, args[1], True)


@handles(b"EXPIRETIME")
def expiretime(dataset: Dataset, args: list[bytes]) -> object:
    at = _ttl(dataset, args[1], True)
    return at if at < 0 else (at + 500) // 1000


def _rename(dataset: Dataset, args: list[bytes], only_new: bool) -> bool:
    cell = dataset.keys.get(args[1])
    if cell is None:
        raise CommandError(NO_SUCH_KEY)
    if args[1] == args[2] or (only_new and args[2] in dataset.keys):
        return False
    del dataset.keys[args[1]]
    dataset.keys[args[2]] = cell
    dataset.dirty += 1
    return True


@handles(b"RENAME")
def rename(dataset: Dataset, args: list[bytes]) -> object:
    _rename(dataset, args, False)
    return OK


@handles(b"RENAMENX")
def renamenx(dataset: Dataset, args: list[bytes]) -> object:
    return int(_rename(dataset, args, True))


@handles(b"MOVE")
def move(dataset: Dataset, args: list[bytes]) -> object:
    db = i32_of(args[2])
    dataset.check_db(db)
    if db == dataset.db:
        raise CommandError(SAME_OBJECT)
    n: i64 = len(args)
    if n > 4 or (n == 4 and args[3].upper() != b"REPLACE"):
        raise syntax_error()
    cell = dataset.keys.get(args[1])
    target = dataset.database(db)
    if cell is None or (n == 3 and args[1] in target):
        return 0
    del dataset.keys[args[1]]
    target[args[1]] = cell
    dataset.dirty += 1
    return 1


@handles(b"COPY")
def copy(dataset: Dataset, args: list[bytes]) -> object:
    replace = False
    db = dataset.db
    i: i64 = 3
    n: i64 = len(args)
    while i < n:
        option = args[i].upper()
        if option == b"REPLACE":
            replace = True
        elif option == b"DB" and i + 1 < n:
            i += 1
            db = i32_of(args[i])
            dataset.check_db(db)
        else:
            raise syntax_error()
        i += 1
    if db == dataset.db and args[1] == args[2]:
        raise CommandError(SAME_OBJECT)
    held = dataset.keys.get(args[1])
    if held is None:
        return 0
    target = dataset.database(db)
    if args[2] in target and not replace:
        return 0
    target[args[2]] = copy_of_held(held)
    dataset.dirty += 1
    return 1


@handles(b"RESTORE", b"RESTORE-ASKING")
def restore(dataset: Dataset, args: list[bytes]) -> object:
    replace = absolute = False
    idle_s: i64 = -1
    freq: i64 = -1
    i: i64 = 4
    n: i64 = len(args)
    while i < n:
        option = args[i].upper()
        if option == b"REPLACE":
            replace = True
        elif option == b"ABSTTL":
            absolute = True
        elif option == b"IDLETIME" and i + 1 < n and freq == -1:
            i += 1
            idle_s = integer(args[i])
            if idle_s < 0:
                raise CommandError("ERR Invalid IDLETIME value, must be >= 0")
        elif option == b"FREQ" and i + 1 < n and idle_s == -1:
            i += 1
            freq = integer(args[i])
            if freq < 0 or freq > 255:
                raise CommandError("ERR Invalid FREQ value, must be >= 0 and <= 255")
        else:
            raise syntax_error()
        i += 1
    if not replace and args[1] in dataset.keys:
        raise CommandError(BUSY_KEY)
    when = integer(args[2])
    if when < 0:
        raise CommandError("ERR Invalid TTL value, must be >= 0")
    frame, value = frame_of_payload(dataset.db, args[1], args[3])
    if not isinstance(value, Stream) and cell_of(dataset.release, value).is_empty():
        raise CommandError(BAD_DATA)
    frame.idle_s = idle_s
    frame.freq = freq
    if when and not absolute:
        when += dataset.now_ms
        dataset.relative += 1
    cell = FrameCell(frame)
    cell.expire_at_ms = when or NO_EXPIRY
    dataset.keys[args[1]] = cell
    dataset.dirty += 1
    return OK


@handles(b"MIGRATE")
def migrate(dataset: Dataset, args: list[bytes]) -> object:
    """Deletes the keys, as if the migration had gone well: what a log tells is what happened."""
    for i in range(6, len(args)):
        option = args[i].upper()
        if option == b"COPY":
            return OK
        if option == b"KEYS":
            break
    for key in COMMANDS[b"MIGRATE"].keys(args):
        if dataset.remove(key):
            dataset.dirty += 1
    return OK
