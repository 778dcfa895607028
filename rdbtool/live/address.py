"""Where a server is, and how to be let in: the URL that a person gives, and the options beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from rdbtool.errors import UsageError, printable_text

TCP: Final = "redis"
TLS: Final = "rediss"
UNIX: Final = "unix"
SCHEMES: Final = (TCP, TLS, UNIX)
PORT: Final = 6379
HIDDEN: Final = "***"
ENVIRONMENT: Final = "REDISCLI_AUTH"
"""Where redis-cli looks for the password, too."""


def is_url(text: str) -> bool:
    """Whether this is the URL of a server, and not a path."""
    return text.partition("://")[0] in SCHEMES and "://" in text


class Access(NamedTuple):
    """How a server is reached; what is "" is not given.

    ``password``: where a URL has none; ``passwords``: of URLs that had one, by what is left of them; ``cacert``: a file
    of certificates to trust instead of the system's; ``cert`` and ``key``: files with our own certificate;
    ``insecure``: trust any certificate; ``timeout_s``: seconds without a sign of life after which a server counts as
    gone.
    """

    password: str = ""
    passwords: Mapping[str, str] = {}
    cacert: str = ""
    cert: str = ""
    key: str = ""
    insecure: bool = False
    timeout_s: float = 60.0

    def __repr__(self) -> str:
        return _shown(self)


ANONYMOUS: Final = Access()


class Scan(NamedTuple):
    """How keys are asked for one by one. ``match``: a glob that the server applies, "" for all; ``rate``: keys per
    second, 0 for as many as come.
    """

    match: str = ""
    rate: float = 0


ALL: Final = Scan()


class Address(NamedTuple):
    """What a URL says. ``path``: of the socket, for `UNIX`; ``shown``: the URL without its password."""

    scheme: str
    host: str = ""
    port: int = PORT
    path: str = ""
    user: str = ""
    password: str = ""
    shown: str = ""

    def __repr__(self) -> str:
        return _shown(self)


def _shown(facts: Access | Address) -> str:
    """A repr that tells no password."""
    told = (f"{name}={value!r}" for name, value in facts._asdict().items() if not name.startswith("password"))
    return f"{type(facts).__name__}({', '.join(told)})"


def parse_url(url: str) -> Address:
    """``redis://[user:password@]host[:port]``, ``rediss://...``, ``unix://[user:password@]/path/of/socket``.

    Database 0 may stand behind it, as other tools want it: here it says nothing, for snapshots hold all, and any other
    is refused. Raises `UsageError`, without the password.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        what = _behind_secret(url)
        raise UsageError(f"not the URL of a server, which begins with redis://, rediss:// or unix://: {what}")
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        port = parts.port
    except ValueError:
        raise UsageError(f"not a URL: {scheme}://{_behind_secret(rest)}") from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    who = f"{parts.username or ''}{f':{HIDDEN}' if password else ''}@" if user or password else ""
    if scheme == UNIX:
        path = unquote(parts.path)
        if not path:
            raise UsageError("the path of the socket is missing: unix:///run/redis/redis.sock")
        return Address(scheme, path=path, user=user, password=password, shown=printable_text(f"unix://{who}{path}"))
    host = parts.hostname or ""
    if not host:
        raise UsageError(f"the host is missing: {scheme}://localhost:6379")
    if parts.path not in {"", "/", "/0"} or parts.query or parts.fragment:
        raise UsageError(
            f"behind {scheme}://host:port nothing follows: --db chooses a database, and --db-map 0=3 another one to "
            "load into; in a password, / ? # are written %2F %3F %23"
        )
    named = f"[{host}]" if ":" in host else host
    place = named if port is None else f"{named}:{port}"
    shown = printable_text(f"{scheme}://{who}{place}")
    return Address(scheme, unquote(host), port or PORT, user=user, password=password, shown=shown)


def without_password(url: str) -> tuple[str, str]:
    """A URL without its password, and the password as it stands there, percent signs and all; "" for none."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    who, at, place = authority.rpartition("@")
    user, colon, password = who.partition(":")
    return (f"{scheme}://{user}{at if user else ''}{place}{slash}{path}", password) if colon else (url, "")


def shown_url(text: str) -> str:
    """A path as it is, a URL without its password."""
    if not is_url(text):
        return text
    try:
        return parse_url(text).shown
    except UsageError:
        return f"{text.partition('://')[0]}://{_behind_secret(text.partition('://')[2])}"


def _behind_secret(rest: str) -> str:
    """What stands behind the password, if there is one."""
    return printable_text(rest.rpartition("@")[2])
