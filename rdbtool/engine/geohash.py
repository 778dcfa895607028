"""Geohashes of 52 bits, as scores of sorted sets, and distances on the sphere (geohash.c, geohash_helper.c)."""

from __future__ import annotations

import math
from typing import Final, final

from mypy_extensions import i64

from rdbtool.servers.features import MERIDIAN_DISTANCE, SEARCH_COVERS_BOX
from rdbtool.servers.releases import Release

STEPS: Final = 26
"""Bits per coordinate of a whole geohash."""
LATITUDE_MAX: Final = 85.05112878
LONGITUDE_MAX: Final = 180.0
DEGREE: Final = math.pi / 180.0
EARTH_RADIUS: Final = 6372797.560856
MERCATOR_MAX: Final = 20037726.37
TWO_63: Final = 9223372036854775808.0
HALF: Final = 0xFFFFFFFF
"""Coordinates are unsigned numbers of 32 bits."""
EVEN: Final = 0x5555555555555555
ODD: Final = 0xAAAAAAAAAAAAAAAA


def _spread(x: i64) -> i64:
    x = (x | (x << 16)) & 0x0000FFFF0000FFFF
    x = (x | (x << 8)) & 0x00FF00FF00FF00FF
    x = (x | (x << 4)) & 0x0F0F0F0F0F0F0F0F
    x = (x | (x << 2)) & 0x3333333333333333
    return (x | (x << 1)) & EVEN


def _gather(x: i64) -> i64:
    x &= EVEN
    x = (x | (x >> 1)) & 0x3333333333333333
    x = (x | (x >> 2)) & 0x0F0F0F0F0F0F0F0F
    x = (x | (x >> 4)) & 0x00FF00FF00FF00FF
    x = (x | (x >> 8)) & 0x0000FFFF0000FFFF
    return (x | (x >> 16)) & 0x00000000FFFFFFFF


def encode(longitude: float, latitude: float, steps: i64 = STEPS) -> i64:
    """The cell of a point: latitude in the even bits, longitude in the odd ones, ``steps`` of each."""
    scale = float(i64(1) << steps)
    y = (latitude + LATITUDE_MAX) / (LATITUDE_MAX + LATITUDE_MAX) * scale
    x = (longitude + LONGITUDE_MAX) / (LONGITUDE_MAX + LONGITUDE_MAX) * scale
    return _spread(int(y)) | _spread(int(x)) << 1


@final
class Cell:
    """The area of a geohash, in degrees."""

    def __init__(self, bits: i64, steps: i64 = STEPS) -> None:
        scale = float(i64(1) << steps)
        y = _gather(bits)
        x = _gather(bits >> 1)
        height = LATITUDE_MAX + LATITUDE_MAX
        width = LONGITUDE_MAX + LONGITUDE_MAX
        self.south = -LATITUDE_MAX + float(y) / scale * height
        self.north = -LATITUDE_MAX + float((y + 1) & HALF) / scale * height
        self.west = -LONGITUDE_MAX + float(x) / scale * width
        self.east = -LONGITUDE_MAX + float((x + 1) & HALF) / scale * width


def _bits_of(score: float) -> i64:
    """The 64 bits that the servers' conversion of a score to an unsigned integer gives on x86-64."""
    if -TWO_63 < score < TWO_63:
        return int(score)
    if TWO_63 <= score < 2.0 * TWO_63:
        return int(score) - (1 << 64)
    return 0 if score > 0.0 else -0x8000000000000000


def point_of(score: float) -> tuple[float, float]:
    """Longitude and latitude of a member's score, even of one that is no geohash."""
    cell = Cell(_bits_of(score))
    longitude = (cell.west + cell.east) / 2.0
    latitude = (cell.south + cell.north) / 2.0
    return (
        max(min(longitude, LONGITUDE_MAX), -LONGITUDE_MAX),
        max(min(latitude, LATITUDE_MAX), -LATITUDE_MAX),
    )


def distance(release: Release, lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Metres between two points (haversine)."""
    v = math.sin((lon2 * DEGREE - lon1 * DEGREE) / 2.0)
    lat1r = lat1 * DEGREE
    lat2r = lat2 * DEGREE
    if v == 0.0 and release.has(MERIDIAN_DISTANCE):
        return EARTH_RADIUS * math.fabs(lat2r - lat1r)
    u = math.sin((lat2r - lat1r) / 2.0)
    return 2.0 * EARTH_RADIUS * math.asin(math.sqrt(u * u + math.cos(lat1r) * math.cos(lat2r) * v * v))


@final
class Shape:
    """The area that is searched: a circle or a box around a point, or a polygon. Sizes are in ``unit`` metres; only a
    box has a ``width`` and a ``height``, only a circle a ``radius``, only a polygon ``vertices``, of longitude and
    latitude.
    """

    def __init__(self) -> None:
        self.longitude = 0.0
        self.latitude = 0.0
        self.unit = 1.0
        self.is_box = False
        self.radius = 0.0
        self.width = 0.0
        self.height = 0.0
        self.vertices: list[tuple[float, float]] = []

    def enclose(self, vertices: list[tuple[float, float]]) -> None:
        """Be a polygon. Its centre is in the direction of the sum of its vertices (geohashBoundingBox)."""
        x = y = z = 0.0
        for longitude, latitude in vertices:
            x += math.cos(latitude * DEGREE) * math.cos(longitude * DEGREE)
            y += math.cos(latitude * DEGREE) * math.sin(longitude * DEGREE)
            z += math.sin(latitude * DEGREE)
        self.vertices = vertices
        self.longitude = math.atan2(y, x) / DEGREE
        self.latitude = math.atan2(z, math.sqrt(x * x + y * y)) / DEGREE

    def _encloses(self, longitude: float, latitude: float) -> bool:
        """Whether a ray from the point crosses an odd number of edges."""
        inside = False
        lon2, lat2 = self.vertices[-1]
        for lon1, lat1 in self.vertices:
            if (lat1 > latitude) != (lat2 > latitude):
                crossing = (lon2 - lon1) * (latitude - lat1) / (lat2 - lat1) + lon1
                inside = inside != (longitude < crossing)
            lon2, lat2 = lon1, lat1
        return inside

    def distance_within(self, release: Release, score: float) -> float | None:
        """Metres from the centre to a member, None if it is outside."""
        longitude, latitude = point_of(score)
        if self.vertices:
            if not self._encloses(longitude, latitude):
                return None
            return distance(release, self.longitude, self.latitude, longitude, latitude)
        if self.is_box:
            if distance(release, longitude, latitude, longitude, self.latitude) > self.height * self.unit / 2.0:
                return None
            if distance(release, longitude, latitude, self.longitude, latitude) > self.width * self.unit / 2.0:
                return None
            return distance(release, self.longitude, self.latitude, longitude, latitude)
        metres = distance(release, self.longitude, self.latitude, longitude, latitude)
        return None if metres > self.radius * self.unit else metres

    def score_ranges(self, release: Release) -> list[tuple[float, float]]:
        """The ranges of scores to search, without their upper ends: a cell and those of its neighbours that matter."""
        half_height = self.unit * (self.height / 2.0 if self.is_box else self.radius)
        half_width = self.unit * (self.width / 2.0 if self.is_box else self.radius)
        reach = self.radius
        if self.is_box:
            reach = math.sqrt((self.width / 2.0) * (self.width / 2.0) + (self.height / 2.0) * (self.height / 2.0))
        reach *= self.unit
        tall = half_height / EARTH_RADIUS / DEGREE
        edge = self.latitude - tall if self.latitude < 0.0 else self.latitude + tall
        wide = half_width / EARTH_RADIUS / math.cos(edge * DEGREE) / DEGREE
        west, east = self.longitude - wide, self.longitude + wide
        south, north = self.latitude - tall, self.latitude + tall
        if self.vertices:
            if math.fabs(self.latitude) > LATITUDE_MAX:
                return []  # beyond the map Valkey 9.1 finds nothing
            west, east = min(self.vertices)[0], max(self.vertices)[0]
            latitudes = [latitude for _, latitude in self.vertices]
            south, north = min(latitudes), max(latitudes)
            reach = 0.0
            for longitude in (west, east):
                for latitude in (south, north):
                    reach = max(reach, distance(release, self.longitude, self.latitude, longitude, latitude))

        steps = _steps(reach, self.latitude)
        bits = encode(self.longitude, self.latitude, steps)
        if steps > 1:
            above = Cell(_moved(bits, 0, 1, steps), steps).north
            below = Cell(_moved(bits, 0, -1, steps), steps).south
            right = Cell(_moved(bits, 1, 0, steps), steps).east
            left = Cell(_moved(bits, -1, 0, steps), steps).west
            if release.has(SEARCH_COVERS_BOX):
                covered = above >= north and below <= south and right >= east and left <= west
            else:
                covered = (
                    distance(release, self.longitude, self.latitude, self.longitude, above) >= reach
                    and distance(release, self.longitude, self.latitude, self.longitude, below) >= reach
                    and distance(release, self.longitude, self.latitude, right, self.latitude) >= reach
                    and distance(release, self.longitude, self.latitude, left, self.latitude) >= reach
                )
            if not covered:
                steps -= 1
                bits = encode(self.longitude, self.latitude, steps)
        area = Cell(bits, steps)
        ranges: list[tuple[float, float]] = []
        last: i64 = -1
        shift = 2 * (STEPS - steps)
        for dx, dy in _AROUND:
            if steps >= 2 and (
                (dy < 0 and area.south < south)
                or (dy > 0 and area.north > north)
                or (dx < 0 and area.west < west)
                or (dx > 0 and area.east > east)
            ):
                continue
            near = _moved(bits, dx, dy, steps)
            if near == last:
                continue
            ranges.append((float(near << shift), float((near + 1) << shift)))
            if dx or dy:  # the server compares neighbours with each other only
                last = near
        return ranges


_AROUND: Final = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""The steps, east and north, from a cell to itself and to its neighbours, in the order of the search."""


def _steps(reach: float, latitude: float) -> i64:
    """Bits per coordinate of cells that are about as large as ``reach`` metres."""
    if reach == 0.0:
        return STEPS
    steps: i64 = -1
    while reach < MERCATOR_MAX:
        reach *= 2.0
        steps += 1
    if latitude > 66.0 or latitude < -66.0:
        steps -= 1
        if latitude > 80.0 or latitude < -80.0:
            steps -= 1
    return max(1, min(steps, STEPS))


def _moved(bits: i64, dx: i64, dy: i64, steps: i64) -> i64:
    """The neighbour of a cell; beyond an edge of the map it is on the other side."""
    unused = int(64 - 2 * steps)
    low = int(EVEN) >> unused
    high = ODD >> unused
    x = int(bits) & ODD
    y = int(bits) & EVEN
    if dx > 0:
        x = (x + low + 1) & high
    elif dx < 0:
        x = ((x | low) - (low + 1)) & high
    if dy > 0:
        y = (y + high + 1) & low
    elif dy < 0:
        y = ((y | high) - (high + 1)) & low
    return x | y
