"""What a reader finds in an RDB, one after the other; keys are `rdb.reader.Frame`."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64, mypyc_attr

from rdbtool.errors import UnsupportedError, printable, shortened

from .opcodes import DIALECT_NAMES


@mypyc_attr(acyclic=True)
class Event:
    """Something read from an RDB; ``offset`` is where it begins, in bytes from the start of the RDB."""

    __slots__ = ("offset",)

    def __init__(self, offset: i64) -> None:
        self.offset: i64 = offset

    def __repr__(self) -> str:
        what = self._told()
        return f"<{type(self).__name__}{' ' if what else ''}{what} at {self.offset}>"

    def _told(self) -> str:
        """What tells it from others, for `repr`."""
        return ""


@final
class Header(Event):
    """The magic and the version; ``dialect`` is `opcodes.REDIS` or `opcodes.VALKEY`."""

    def __init__(self, offset: i64, dialect: i64, version: i64) -> None:
        super().__init__(offset)
        self.dialect: i64 = dialect
        self.version: i64 = version

    def _told(self) -> str:
        return f"{DIALECT_NAMES[self.dialect]} {self.version}"


@final
class Aux(Event):
    """A fact about the file, such as ``redis-ver``."""

    def __init__(self, offset: i64, name: bytes, value: bytes) -> None:
        super().__init__(offset)
        self.name = name
        self.value = value

    def _told(self) -> str:
        return f"{shortened(self.name)}={shortened(self.value)}"


@final
class SelectDb(Event):
    """The number of the database of the keys that follow."""

    def __init__(self, offset: i64, db: i64) -> None:
        super().__init__(offset)
        self.db: i64 = db

    def _told(self) -> str:
        return f"db={self.db}"


@final
class ResizeDb(Event):
    """How many keys, and keys with an expiry, the database holds: a hint."""

    def __init__(self, offset: i64, keys: int, expires: int) -> None:
        super().__init__(offset)
        self.keys = keys
        self.expires = expires

    def _told(self) -> str:
        return f"keys={self.keys} expires={self.expires}"


@final
class SlotInfo(Event):
    """How many keys, and keys with an expiry, a hash slot holds: a hint."""

    def __init__(self, offset: i64, slot: int, keys: int, expires: int) -> None:
        super().__init__(offset)
        self.slot = slot
        self.keys = keys
        self.expires = expires

    def _told(self) -> str:
        return f"slot={self.slot} keys={self.keys} expires={self.expires}"


@final
class HashTemplate(Event):
    """Names of fields that hashes share, and the id by which they name it. ``flaw``: why no server takes it, or ""."""

    def __init__(self, offset: i64, template_id: int, names: list[bytes], flaw: str) -> None:
        super().__init__(offset)
        self.template_id = template_id
        self.names = names
        self.flaw = flaw


@final
class SlotImport(Event):
    """An atomic slot migration under way when Valkey wrote the file: job name and slot ranges."""

    def __init__(self, offset: i64, job: bytes, ranges: list[tuple[int, int]]) -> None:
        super().__init__(offset)
        self.job = job
        self.ranges = ranges

    def _told(self) -> str:
        return f"job={shortened(self.job)} ranges={self.ranges[:8]}"


@final
class Function(Event):
    """The source code of a function library."""

    def __init__(self, offset: i64, code: bytes) -> None:
        super().__init__(offset)
        self.code = code

    def _told(self) -> str:
        return f"code={shortened(self.code)}"


@final
class FunctionPreGa(Event):
    """A function library as release candidates 1 and 2 of Redis 7.0 wrote it. Servers after 7.0 refuse it."""

    def __init__(self, offset: i64, name: bytes, engine: bytes, description: bytes | None, code: bytes) -> None:
        super().__init__(offset)
        self.name = name
        self.engine = engine
        self.description = description
        self.code = code

    def _told(self) -> str:
        return f"name={shortened(self.name)} code={shortened(self.code)}"

    def upgraded(self) -> bytes:
        """The source code as Redis 7.0 and later take it."""
        return b"#!" + self.engine.lower() + b" name=" + self.name + b"\n" + self.code


@final
class ModuleAux(Event):
    """Data of a module beside the keys: the module type's name, ``when`` it is loaded, and the bytes.

    ``raw`` is everything after the opcode byte.
    """

    def __init__(self, offset: i64, module: str, when: int, raw: bytes) -> None:
        super().__init__(offset)
        self.module = module
        self.when = when
        self.raw = raw

    def _told(self) -> str:
        return f"{self.module} when={self.when} of {len(self.raw)} bytes"


@final
class Update(Event):
    """A command that changes what was read so far, in database ``db``: a master that saves without a fork sends it."""

    def __init__(self, offset: i64, db: i64, args: list[bytes]) -> None:
        super().__init__(offset)
        self.db: i64 = db
        self.args = args

    def refusal(self, path: str) -> UnsupportedError:
        """The error of whoever reads keys as they stand in the file, which this changes."""
        return UnsupportedError(
            f"commands inside the snapshot ({printable(self.args[0])}), as a master that saves without a fork sends "
            "them: they are applied where it is a file; a pipe cannot be replayed when keys were passed on already",
            path=path,
            offset=self.offset,
            doing="reading keys",
        )


@final
class Foreign(Event):
    """Something under a name that only another product has: a cron job of KeyDB."""

    def __init__(self, offset: i64, key: bytes) -> None:
        super().__init__(offset)
        self.key = key

    def _told(self) -> str:
        return f"key={shortened(self.key)}"


@final
class End(Event):
    """The end mark. ``stored`` and ``computed`` are the checksums; ``stored`` is 0 where it was off, and
    -1 where the version has none.
    """

    def __init__(self, offset: i64, stored: int, computed: int) -> None:
        super().__init__(offset)
        self.stored = stored
        self.computed = computed

    @property
    def checksum(self) -> str:
        """``ok``, ``bad``, ``off`` (saved without) or ``none`` (before version 5)."""
        if self.stored < 0:
            return "none"
        if self.stored == 0:
            return "off"
        return "ok" if self.stored == self.computed else "bad"

    def _told(self) -> str:
        return f"checksum={self.checksum}"
