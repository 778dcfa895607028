"""Geo commands: points are members of sorted sets, whose scores are geohashes."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.engine.cells.zset import SortedSetCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.geohash import LATITUDE_MAX, LONGITUDE_MAX, Shape, encode, point_of
from rdbtool.engine.numbers import integer
from rdbtool.engine.pqsort import partly_sorted
from rdbtool.engine.replies import CommandError, syntax_error
from rdbtool.engine.scores import double_of
from rdbtool.engine.table import handles
from rdbtool.servers.features import NAMES_MISSING_MEMBER, SEARCH_POLYGON, UNITS_IN_ANY_CASE
from rdbtool.servers.releases import Release

from .zsets import store_zset, zadd

UNITS: Final = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}
RADIUS: Final = 0
BY_MEMBER: Final = 1
SEARCH: Final = 2
SEARCH_STORE: Final = 3


@handles(b"GEOADD")
def geoadd(dataset: Dataset, args: list[bytes]) -> object:
    options: set[bytes] = set()
    argc: i64 = len(args)
    i: i64 = 2
    while i < argc and args[i].upper() in {b"NX", b"XX", b"CH"}:
        options.add(args[i].upper())
        i += 1
    if (argc - i) % 3 or options >= {b"NX", b"XX"}:
        raise syntax_error()
    rewritten = [b"ZADD", *args[1:i]]
    while i < argc:
        longitude, latitude = _point(dataset, args, i)
        rewritten.append(str(encode(longitude, latitude)).encode())
        rewritten.append(args[i + 2])
        i += 3
    return zadd(dataset, rewritten)


def _point(dataset: Dataset, args: list[bytes], at: i64) -> tuple[float, float]:
    longitude = double_of(dataset.release, args[at])
    latitude = double_of(dataset.release, args[at + 1])
    if abs(longitude) > LONGITUDE_MAX or abs(latitude) > LATITUDE_MAX:
        raise CommandError(f"ERR invalid longitude,latitude pair {longitude:f},{latitude:f}")
    return longitude, latitude


def _unit(release: Release, text: bytes) -> float:
    any_case = release.has(UNITS_IN_ANY_CASE)
    unit = UNITS.get(text.upper())
    if unit is None or (not any_case and not text.islower()):
        units = "M, KM, FT, MI" if any_case else "m, km, ft, mi"
        raise CommandError(f"ERR unsupported unit provided. please use {units}")
    return unit


def _no_member(release: Release, member: bytes) -> CommandError:
    if release.has(NAMES_MISSING_MEMBER):
        return CommandError(f"ERR member {member.decode('utf-8', 'surrogateescape')} does not exist")
    return CommandError("ERR could not decode requested zset member")


@final
class Query:
    """The arguments of a search. Raises `CommandError`."""

    def __init__(self, dataset: Dataset, args: list[bytes], kind: i64) -> None:
        self.shape = Shape()
        self.target: bytes | None = None
        self.store_distance = False
        self.order: i64 = 0
        """1 from near to far, -1 from far to near."""
        self.count: i64 = 0
        self.any = False
        self.extras: set[bytes] = set()
        self._placed = False
        self._sized = False
        source = args[2 if kind == SEARCH_STORE else 1]
        self.cell = dataset.sorted_set(source)
        at: i64 = 2
        if kind == RADIUS:
            self._place(_point(dataset, args, 2))
            self._circle(dataset, args, 4)
            at = 6
        elif kind == BY_MEMBER:
            if self.cell is not None:
                self._at_member(dataset.release, args[2])
                self._circle(dataset, args, 3)
            at = 5
        elif kind == SEARCH_STORE:
            self.target = args[1]
            at = 3
        self._options(dataset, args, at, kind)
        if self.target is not None and self.extras:
            what = "GEOSEARCHSTORE" if kind == SEARCH_STORE else "STORE option in GEORADIUS"
            raise CommandError(f"ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
        if kind >= SEARCH:
            name = args[0].decode("latin-1")
            if not self._placed:
                raise CommandError(f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}")
            if not self._sized:
                areas = (
                    "BYRADIUS, BYBOX and BYPOLYGON" if dataset.release.does(SEARCH_POLYGON) else "BYRADIUS and BYBOX"
                )
                raise CommandError(f"ERR exactly one of {areas} can be specified for {name}")
        if self.any and not self.count:
            raise CommandError("ERR the ANY argument requires COUNT argument")
        if self.count and not self.order and not self.any:
            self.order = 1

    def _options(self, dataset: Dataset, args: list[bytes], at: i64, kind: i64) -> None:
        argc: i64 = len(args)
        search = kind >= SEARCH
        by_member = by_point = box = circle = polygon = False
        while at < argc:
            option = args[at].upper()
            left = argc - at - 1
            if option in {b"WITHDIST", b"WITHHASH", b"WITHCOORD"}:
                self.extras.add(option)
            elif option == b"ANY":
                self.any = True
            elif option == b"ASC":
                self.order = 1
            elif option == b"DESC":
                self.order = -1
            elif option == b"COUNT" and left >= 1:
                self.count = integer(args[at + 1])
                if self.count <= 0:
                    raise CommandError("ERR COUNT must be > 0")
                at += 1
            elif option in {b"STORE", b"STOREDIST"} and left >= 1 and not search:
                self.target = args[at + 1]
                self.store_distance = option == b"STOREDIST"
                at += 1
            elif option == b"STOREDIST" and kind == SEARCH_STORE:
                self.store_distance = True
            elif option == b"FROMMEMBER" and left >= 1 and search and not (by_point or polygon):
                self._at_member(dataset.release, args[at + 1])
                by_member = True
                at += 1
            elif option == b"FROMLONLAT" and left >= 2 and search and not (by_member or polygon):
                self._place(_point(dataset, args, at + 1))
                by_point = True
                at += 2
            elif option == b"BYRADIUS" and left >= 2 and search and not (box or polygon):
                self._circle(dataset, args, at + 1)
                circle = True
                at += 2
            elif option == b"BYBOX" and left >= 3 and search and not (circle or polygon):
                self._box(dataset, args, at + 1)
                box = True
                at += 3
            elif (
                option == b"BYPOLYGON"
                and left >= 2
                and search
                and not (circle or box or by_member or by_point)
                and dataset.release.does(SEARCH_POLYGON)
            ):
                at += 1 + 2 * self._polygon(dataset, args, at + 1)
                polygon = True
            else:
                raise syntax_error()
            at += 1

    def _place(self, point: tuple[float, float]) -> None:
        self.shape.longitude, self.shape.latitude = point
        self._placed = True

    def _at_member(self, release: Release, member: bytes) -> None:
        self._placed = True
        if self.cell is None:
            return
        score = self.cell.scores.get(member)
        if score is None:
            raise _no_member(release, member)
        self._place(point_of(score))

    def _circle(self, dataset: Dataset, args: list[bytes], at: i64) -> None:
        radius = double_of(dataset.release, args[at], "ERR need numeric radius")
        if radius < 0:
            raise CommandError("ERR radius cannot be negative")
        self.shape.radius = radius
        self.shape.unit = _unit(dataset.release, args[at + 1])
        self._sized = True

    def _box(self, dataset: Dataset, args: list[bytes], at: i64) -> None:
        width = double_of(dataset.release, args[at], "ERR need numeric width")
        height = double_of(dataset.release, args[at + 1], "ERR need numeric height")
        if width < 0 or height < 0:
            raise CommandError("ERR height or width cannot be negative")
        self.shape.is_box = True
        self.shape.width = width
        self.shape.height = height
        self.shape.unit = _unit(dataset.release, args[at + 2])
        self._sized = True

    def _polygon(self, dataset: Dataset, args: list[bytes], at: i64) -> i64:
        """The vertices whose number is ``args[at]``; how many they are."""
        count: i64 = integer(args[at], "ERR invalid number of vertices")
        argc: i64 = len(args)
        if count < 3 or (argc - at - 1) // 2 < count:
            raise CommandError("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices")
        self.shape.enclose([_point(dataset, args, at + 1 + 2 * i) for i in range(count)])
        self._placed = self._sized = True
        return count

    def run(self, dataset: Dataset, cell: SortedSetCell) -> list[tuple[bytes, float]]:
        """The members found, with their distances in metres, in the order asked for and not more than asked for."""
        found: list[tuple[bytes, float]] = []
        limit: i64 = self.count if self.any else 0
        order = cell.order()
        for low, high in self.shape.score_ranges(dataset.release):
            start = order.rank_of_score(low, False)
            for member in order.slice(start, max(start, order.rank_of_score(high, False))):
                metres = self.shape.distance_within(dataset.release, cell.scores[member])
                if metres is not None:
                    found.append((member, metres))
                if found and limit and len(found) >= limit:
                    break
            if found and limit and len(found) >= limit:
                break
        total: i64 = len(found)
        wanted: i64 = total if self.count == 0 or total < self.count else self.count
        if self.order == 0:
            return found[:wanted]
        if wanted == total:
            found.sort(key=_near if self.order > 0 else _far)
            return found
        distances = sorted({metres for _, metres in found}, reverse=self.order < 0)
        ranks = {metres: rank for rank, metres in enumerate(distances)}
        chosen = partly_sorted([ranks[metres] for _, metres in found], 0, wanted - 1)
        return [found[i] for i in chosen[:wanted]]


def _near(point: tuple[bytes, float]) -> float:
    return point[1]


def _far(point: tuple[bytes, float]) -> float:
    return -point[1]


def _search(dataset: Dataset, args: list[bytes], kind: i64) -> object:
    query = Query(dataset, args, kind)
    cell = query.cell
    found = [] if cell is None else query.run(dataset, cell)
    unit = query.shape.unit
    if query.target is None:
        if cell is None or not query.extras:
            return [member for member, _ in found]
        return [_described(member, metres / unit, cell.scores[member], query.extras) for member, metres in found]
    result = SortedSetCell()
    if cell is not None:
        for member, metres in found:
            result.scores[member] = metres / unit if query.store_distance else cell.scores[member]
    result.pack(dataset.release)
    return store_zset(dataset, query.target, result)


def _described(member: bytes, far: float, score: float, extras: set[bytes]) -> list[object]:
    reply: list[object] = [member]
    if b"WITHDIST" in extras:
        reply.append(b"%.4f" % far)
    if b"WITHHASH" in extras:
        reply.append(int(score))
    if b"WITHCOORD" in extras:
        reply.append(list(point_of(score)))
    return reply


@handles(b"GEORADIUS")
def georadius(dataset: Dataset, args: list[bytes]) -> object:
    return _search(dataset, args, RADIUS)


@handles(b"GEORADIUSBYMEMBER")
def georadiusbymember(dataset: Dataset, args: list[bytes]) -> object:
    return _search(dataset, args, BY_MEMBER)


@handles(b"GEOSEARCHSTORE")
def geosearchstore(dataset: Dataset, args: list[bytes]) -> object:
    return _search(dataset, args, SEARCH_STORE)


@handles(b"GEOSEARCH")
def geosearch(dataset: Dataset, args: list[bytes]) -> object:
    return _search(dataset, args, SEARCH)
