"""What a server says of itself."""

from __future__ import annotations

import re
from typing import Final

from rdbtool.servers.releases import Release, writer_of

_KEYS: Final = re.compile(r"keys=([0-9]{1,19})")


def release_of_server(info: dict[str, str]) -> Release | None:
    """The release of a server whose INFO has these fields; None where they do not say."""
    fields = (("valkey_version", b"valkey-ver"), ("redis_version", b"redis-ver"))
    return writer_of({name: info[field].encode() for field, name in fields if field in info})


def keys_of_server(info: dict[str, str]) -> int:
    """How many keys a server has, in all databases."""
    found = [_KEYS.match(text) for name, text in info.items() if name.startswith("db") and name[2:].isdigit()]
    return sum(int(one.group(1)) for one in found if one is not None)


def is_clustered(info: dict[str, str]) -> bool:
    """Whether a server is a node of a cluster."""
    return "cluster" in {info.get("redis_mode"), info.get("server_mode")}
