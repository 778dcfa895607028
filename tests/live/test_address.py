"""URLs of servers say where they are, and never show the password again."""

from __future__ import annotations

import pytest

from rdbtool.errors import UsageError
from rdbtool.live.address import PORT, Access, is_url, parse_url, shown_url


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password", "shown"),
    [
        ("redis://db", "db", PORT, "", "", "redis://db"),
        ("redis://db:1/0", "db", 1, "", "", "redis://db:1"),
        ("rediss://u:p%40ss@db:1", "db", 1, "u", "p@ss", "rediss://u:***@db:1"),
        ("redis://:pw@[::1]:7", "::1", 7, "", "pw", "redis://:***@[::1]:7"),
    ],
)
def test_a_url_is_taken_apart(url: str, host: str, port: int, user: str, password: str, shown: str) -> None:
    address = parse_url(url)
    assert (address.host, address.port, address.user, address.password) == (host, port, user, password)
    assert address.shown == shown == shown_url(url)


def test_a_socket_has_a_path() -> None:
    address = parse_url("unix://:pw@/run/redis.sock")
    assert (address.path, address.password, address.shown) == ("/run/redis.sock", "pw", "unix://:***@/run/redis.sock")


@pytest.mark.parametrize("url", ["redis://:secret@db:port", "redis://:secret@", "unix://:secret@", "http://secret@db"])
def test_what_is_wrong_with_a_url_is_told_without_the_password(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_url(url)
    assert "secret" not in str(raised.value)
    assert "secret" not in shown_url(url) or not is_url(url)


@pytest.mark.parametrize("tail", ["/3", "?db=3", "/0/1", "/0#x"])
def test_a_database_behind_a_url_is_refused_and_not_passed_over(tail: str) -> None:
    with pytest.raises(UsageError, match="--db chooses a database, and --db-map 0=3"):
        parse_url(f"redis://db:1{tail}")


def test_nothing_shows_the_password_of_options() -> None:
    assert "secret" not in repr(Access(password="secret")) + repr(parse_url("redis://:secret@db"))


def test_paths_are_no_urls() -> None:
    assert not any(map(is_url, ("redis", "redis:/x", "/redis://", "http://db", "dump.rdb")))
