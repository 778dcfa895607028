from __future__ import annotations

import pytest

from rdbtool.engine.geohash import point_of
from tests.engine.commanding import Engine

SICILY = "GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania"


def test_scores_are_geohashes_of_52_bits() -> None:
    e = Engine()
    assert e.run(SICILY) == 2
    assert e.zset("Sicily") == {"Palermo": 3479099956230698, "Catania": 3479447370796909}
    longitude, latitude = point_of(3479099956230698.0)
    assert (longitude, latitude) == (13.361389338970184, 38.1155563954963)


def test_geoadd_takes_the_conditions_of_zadd() -> None:
    e = Engine()
    e.run(SICILY)
    assert e.run("GEOADD Sicily NX 1 1 Palermo") == 0
    assert e.run("GEOADD Sicily XX CH 1 1 Palermo 2 2 Rome") == 1
    assert set(e.zset("Sicily")) == {"Palermo", "Catania"}


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("GEOADD g 181 0 a", "ERR invalid longitude,latitude pair 181.000000,0.000000"),
        ("GEOADD g 0 86 a", "ERR invalid longitude,latitude pair 0.000000,86.000000"),
        ("GEOADD g 0 0", "ERR wrong number of arguments for 'geoadd' command"),
        ("GEOADD g 0 0 a 1", "ERR syntax error"),
        ("GEOADD g NX XX 0 0 a", "ERR syntax error"),
        ("GEORADIUS Sicily 15 37 x km STORE d", "ERR need numeric radius"),
        ("GEORADIUS Sicily 15 37 -1 km STORE d", "ERR radius cannot be negative"),
        ("GEORADIUS Sicily 15 37 1 parsec STORE d", "ERR unsupported unit provided. please use M, KM, FT, MI"),
        ("GEORADIUSBYMEMBER Sicily Rome 1 km STORE d", "ERR could not decode requested zset member"),
        (
            "GEOSEARCHSTORE d Sicily BYRADIUS 1 km ASC COUNT 1",
            "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCHSTORE",
        ),
        (
            "GEOSEARCHSTORE d Sicily FROMLONLAT 15 37 ASC COUNT 1",
            "ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCHSTORE",
        ),
        ("GEOSEARCHSTORE d Sicily FROMLONLAT 15 37 BYRADIUS 1 km ANY", "ERR the ANY argument requires COUNT argument"),
        ("GEOSEARCHSTORE d Sicily FROMLONLAT 15 37 BYRADIUS 1 km COUNT 0", "ERR COUNT must be > 0"),
    ],
)
def test_a_bad_command_changes_nothing_and_has_the_servers_text(command: str, error: str) -> None:
    e = Engine()
    e.run(SICILY)
    assert e.run(command) == error
    assert list(e.dataset.keys) == [b"Sicily"]


def test_searches_store_geohashes_or_distances() -> None:
    e = Engine()
    e.run(SICILY)
    assert e.run("GEORADIUS Sicily 15 37 200 km STORE near") == 2
    assert e.zset("near") == e.zset("Sicily")
    assert e.run("GEORADIUS Sicily 15 37 100 km STOREDIST near") == 1
    assert e.zset("near") == {"Catania": pytest.approx(56.4413, abs=1e-4)}
    assert e.run("GEORADIUSBYMEMBER Sicily Palermo 0 m STORE near") == 1
    assert e.run("GEOSEARCHSTORE box Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC STOREDIST COUNT 1") == 1
    assert list(e.zset("box")) == ["Catania"]


def test_a_search_that_finds_nothing_deletes_the_target() -> None:
    e = Engine()
    e.all(SICILY, "SET d x", "GEORADIUS Sicily 0 0 1 m STORE d")
    assert b"d" not in e.dataset.keys
    e.all("SET d x", "GEOSEARCHSTORE d none FROMLONLAT 0 0 BYRADIUS 1 m")
    assert b"d" not in e.dataset.keys


def test_the_few_nearest_or_farthest() -> None:
    e = Engine()
    e.run("GEOADD g 0.1 0 a 0.2 0 b 0.3 0 c 0.4 0 d")
    e.all(
        "GEOSEARCHSTORE near g FROMLONLAT 0 0 BYRADIUS 500 km COUNT 2",
        "GEOSEARCHSTORE far g FROMLONLAT 0 0 BYRADIUS 500 km COUNT 2 DESC",
    )
    assert set(e.zset("near")) == {"a", "b"}
    assert set(e.zset("far")) == {"c", "d"}
