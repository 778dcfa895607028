"""What was found in a damaged RDB: the runs of records that can be read, what is lost, and all of it as a sound RDB."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any, Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from rdbtool.errors import printable
from rdbtool.findings import plural
from rdbtool.io.random_access import Pages, Span
from rdbtool.io.window import CHUNK, Readable, Window, window_over
from rdbtool.rdb import opcodes
from rdbtool.rdb.layout.encoders import put_length, put_u64
from rdbtool.rdb.layout.templates import Template
from rdbtool.servers.releases import CHECKSUM_SINCE

IN_STEP: Final = "in step"
"""How sure a run is: it begins with the header."""
TO_THE_END: Final = "up to the end mark"
"""It begins behind damage, and its last record is followed by the end mark, where the file ends."""
IN_A_ROW: Final = "records in a row"
"""It begins behind damage, and so many records follow each other that chance can be left out."""
SUSPECTS: Final[i64] = 32
"""Records before a break that are judged once more."""
ZEROED: Final = "zeroed"
"""Code of a file of NULs: all of it is lost."""
LEADING: Final = "leading-bytes"
"""Code of bytes in front of the snapshot: they are left out, and nothing of it is lost."""


@final
class Lost:
    """Bytes ``start`` to ``end`` that are left out, and why. ``keys``: the names that can be read in them, of the
    damaged keys, or of those that their neighbour's damage takes along. ``in_step``: the damage is inside a record
    whose end is known.
    """

    def __init__(self, start: i64, end: i64, code: str, message: str, *, in_step: bool) -> None:
        self.start: i64 = start
        self.end: i64 = end
        self.code = code
        self.message = message
        self.keys: list[bytes] = []
        self.in_step = in_step
        self.is_key = False
        """Whether it is a key, and the only one in these bytes."""
        self.put = b""
        """What takes its place: a record with what could be read of its value."""
        self.elements: i64 = 0
        """How many elements that has."""

    def as_json(self) -> dict[str, Any]:
        """As data."""
        facts: dict[str, Any] = {
            "start": int(self.start),
            "end": int(self.end),
            "bytes": int(self.end - self.start),
            "code": self.code,
            "message": self.message,
            "keys": [printable(key, 4096) for key in self.keys],
        }
        if self.put:
            facts["elements_kept"] = int(self.elements)
        return facts


@final
class Part:
    """Keys of one database that follow each other: see `Run.parts`."""

    def __init__(self, start: i64, db: i64) -> None:
        self.start: i64 = start
        self.db: i64 = db
        self.keys: i64 = 0
        self.said: i64 = -1
        self.expires: i64 = 0
        self.said_expires: i64 = -1
        """How many of the keys have an expiry, and are said to."""


@final
class Run:
    """Records from ``start`` to ``end``, the first of them in database ``db``.

    ``sure``: one of the above; ``sure_of_db``: whether the number of the database is known; ``parts``: databases,
    where each begins, how many keys of it follow, with those that are left out for their value, and how many it is
    said to have, or -1.
    """

    def __init__(self, start: i64, db: i64, sure: str) -> None:
        self.start: i64 = start
        self.end: i64 = start
        self.db: i64 = db
        self.sure = sure
        self.sure_of_db = True
        self.is_bare = False
        """Whether nothing tells when its first key was used."""
        self.parts: list[Part] = [Part(start, db)]
        self.is_weak = False
        """Whether the name of the first key tells next to nothing."""
        self.lacking: Lost | None = None
        """The bytes in front of its first key, where that may lack an expiry which stood there."""

    @property
    def keys(self) -> i64:
        """How many keys there are."""
        keys: i64 = 0
        for part in self.parts:
            keys += part.keys
        return keys

    @property
    def is_guessed(self) -> bool:
        """Whether it was found, and not led to."""
        return self.sure != IN_STEP

    def as_json(self) -> dict[str, Any]:
        """As data."""
        return {
            "start": int(self.start),
            "end": int(self.end),
            "db": int(self.db),
            "db_sure": self.sure_of_db,
            "keys": int(self.keys),
            "sure": self.sure,
        }


@final
class Undone:
    """Bytes ``start`` to ``end`` of a file, in whose place ``put`` makes its checksum right; ``what`` happened."""

    def __init__(self, start: i64, end: i64, put: bytes, what: str) -> None:
        self.start: i64 = start
        self.end: i64 = end
        self.put = put
        self.what = what

    def __str__(self) -> str:
        return f"{self.what}: this is undone, and the checksum of the whole is right again"

    def offset_in_file(self, offset: int) -> int:
        """The offset in the file of what stands at ``offset`` when the damage is undone."""
        at = int(offset - self.start)
        size = len(self.put)
        return offset if at < 0 else int(self.end) + at - size if at >= size else int(self.start)

    def as_json(self) -> dict[str, Any]:
        """As data."""
        return {"start": int(self.start), "end": int(self.end), "put": self.put.hex(), "message": self.what}


@final
class Salvaged:
    """``runs`` and ``lost`` in the order of the file, whose ``size`` is in bytes.

    ``dialect`` and ``version`` of the RDB, guessed where ``headless``; ``start``: where the RDB begins; ``complete``:
    whether its end mark was found; ``tail``: where what follows it begins, -1 for nothing; ``checksum``: as
    `End.checksum`, or ``unread`` where not all was read in step; ``plain``: values of plain text, of which only the
    checksum tells whether they are right; ``miscounted``: streams whose count of entries is wrong, and nothing else;
    ``line_ends``: of a copy in which each CR LF is an LF again; ``undone``: of the file as it was written, see there.
    """

    def __init__(self, path: str, size: i64) -> None:
        self.path = path
        self.size: i64 = size
        self.dialect: i64 = opcodes.REDIS
        self.version: i64 = 0
        self.headless = False
        self.start: i64 = 0
        self.complete = False
        self.tail: i64 = -1
        self.checksum = "unread"
        self.runs: list[Run] = []
        self.lost: list[Lost] = []
        self.plain: i64 = 0
        self.miscounted: i64 = 0
        self.line_ends = False
        self.undone: Undone | None = None
        self.templates: dict[bytes, Template] = {}
        """Of hashes, by id in 8 bytes, from wherever in the file they were read."""
        self.template_places: dict[bytes, tuple[int, int]] = {}
        """Where the record of each begins and ends."""
        self._pieces: list[Piece] = []
        self._begins: list[int] = []
        """Where each of those begins, in the sound RDB."""

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged, as far as can be told."""
        return not (self.lossy or self.mended)

    @property
    def mended(self) -> bool:
        """Whether damage was undone, and nothing is lost."""
        return not self.lossy and (self.undone is not None or self.line_ends or bool(self.lost))

    @property
    def lossy(self) -> bool:
        """Whether something is lost, or may be wrong."""
        turned = self.line_ends and self.checksum != "ok"
        return self.lacking or self.headless or turned or self.checksum == "bad"

    @property
    def lacking(self) -> bool:
        """Whether something is lost."""
        return not self.complete or any(lost.code != LEADING for lost in self.lost)

    @property
    def zeroed(self) -> bool:
        """Whether the file has nothing but NULs in it."""
        return bool(self.lost) and self.lost[0].code == ZEROED

    @property
    def doubt(self) -> str:
        """What is to be said of a checksum that is wrong."""
        in_form = "" if self.lost else ", and every record is in form"
        values = plural(int(self.plain), "value")
        return f"the checksum differs{in_form}: at most {values} of plain text may be wrong"

    @property
    def lost_bytes(self) -> int:
        """Bytes of it that are left out."""
        return sum(int(lost.end - lost.start) for lost in self.lost if lost.code != LEADING)

    @property
    def skipped(self) -> int:
        """Keys that are left out for their values, and nothing else."""
        return sum(lost.is_key and not lost.put for lost in self.lost)

    @property
    def keys(self) -> int:
        """Keys that can be read."""
        return sum(int(run.keys) for run in self.runs) - self.skipped

    @property
    def behind(self) -> int:
        """Keys that stand behind damage which puts a reader out of step."""
        return sum(int(run.keys) for run in self.runs if run.is_guessed)

    def as_json(self) -> dict[str, Any]:
        """As data."""
        return {
            "size": int(self.size if self.undone is None else self.undone.offset_in_file(int(self.size))),
            "dialect": opcodes.DIALECT_NAMES[self.dialect],
            "version": int(self.version),
            "header": not self.headless,
            "complete": self.complete,
            "checksum": self.checksum,
            "line_ends_turned_back": self.line_ends,
            "undone": None if self.undone is None else self.undone.as_json(),
            "keys": self.keys,
            "keys_behind_damage": self.behind,
            "lost_bytes": self.lost_bytes,
            "plain_values": int(self.plain),
            "runs": [run.as_json() for run in self.runs],
            "lost": [lost.as_json() for lost in self.lost],
        }

    def pieces(self) -> list[Piece]:
        """What a sound RDB of it is made of."""
        magic = opcodes.MAGICS[self.dialect]
        head = magic + b"%0*d" % (9 - len(magic), self.version)
        pieces = [Piece(self.start, -1, head + self._missing_templates())]
        lost = sorted(self.lost, key=_start_of)
        i = 0
        for run in self.runs:
            at = run.start
            if run.is_guessed and (run.db != 0 or run is not self.runs[0]):  # fields about the file stand before any
                out = BytesWriter()
                out.append(u8(opcodes.SELECT_DB))
                put_length(out, run.db)
                pieces.append(Piece(at, -1, out.getvalue()))
            while i < len(lost) and lost[i].start <= run.end:
                hole = lost[i]
                i += 1
                if hole.start < at:
                    continue
                if hole.start > at:
                    pieces.append(Piece(at, hole.start))
                if hole.put:
                    pieces.append(Piece(hole.start, -1, hole.put))
                at = hole.end
            if run.end > at:
                pieces.append(Piece(at, run.end))
        end = self.runs[-1].end if self.runs else self.size
        pieces.append(Piece(end, -1, b"\xff" + (bytes(8) if self.version >= CHECKSUM_SINCE else b"")))
        if self.tail >= 0:
            pieces.append(Piece(self.tail, self.size))
        return pieces

    def _missing_templates(self) -> bytes:
        """The records of templates that are known, and do not stand in what is kept."""
        out = BytesWriter()
        lost = sorted(self.lost, key=_start_of)
        run_starts = [int(run.start) for run in self.runs]
        lost_starts = [int(hole.start) for hole in lost]
        for key, (start, end) in self.template_places.items():
            number = bisect_right(run_starts, start) - 1
            hole = bisect_left(lost_starts, end) - 1
            in_run = number >= 0 and end <= self.runs[number].end
            if not in_run or (hole >= 0 and start < lost[hole].end):
                out.append(u8(opcodes.HASH_TEMPLATE_OR_UPDATE))
                put_u64(out, int.from_bytes(key, "little"))
                out.write(self.templates[key].packed[1:])  # what comes first says how the names are packed
        return out.getvalue()

    def window(self, pages: Pages) -> Window:
        """A window over a sound RDB with what can be read, and what follows the damaged one. ``pages``: of its file."""
        return Window(Mended(pages, self.pieces()), path=self.path)

    def offset_in_file(self, offset: int) -> int:
        """The offset in the damaged file of what stands at ``offset`` of that RDB. Asked when all is found."""
        if not self._pieces:
            self._pieces = self.pieces()
            begin = 0
            for piece in self._pieces:
                self._begins.append(begin)
                begin += int(piece.size)
        number = bisect_right(self._begins, offset) - 1
        piece = self._pieces[number]
        within = offset - self._begins[number]
        at = int(piece.start if piece.end < 0 else piece.start + within)
        if within >= piece.size:
            at = int(self.size)
        return at if self.undone is None else self.undone.offset_in_file(at)


@final
class Piece:
    """Bytes ``start`` to ``end`` of a file, or, where ``end`` is negative, ``data``, which belongs there."""

    def __init__(self, start: i64, end: i64, data: bytes = b"") -> None:
        self.start: i64 = start
        self.end: i64 = end
        self.data = data

    @property
    def size(self) -> i64:
        """In bytes."""
        return len(self.data) if self.end < 0 else self.end - self.start


def _start_of(lost: Lost) -> int:
    return int(lost.start)


@final
class Mended:
    """A source (`Readable`): pieces of a file, one behind the other."""

    def __init__(self, pages: Pages, pieces: list[Piece]) -> None:
        self._pages = pages
        self._pieces = pieces
        self._next = 0
        self._source: Readable = Span(pages.file, 0, 0)

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes."""
        while True:
            data = self._source.read(n)
            if data or self._next >= len(self._pieces):
                return data
            piece = self._pieces[self._next]
            self._next += 1
            if piece.end < 0:
                self._source = Bytes(piece.data)
            else:
                self._source = Span(self._pages.file, piece.start, piece.end, CHUNK)


@final
class Bytes:
    """A source (`Readable`) of bytes at hand."""

    def __init__(self, data: bytes) -> None:
        self.window = window_over(data)

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes."""
        w = self.window
        return w.take(min(n, w.end - w.pos))
