"""URLs of files among the arguments: patterns, and passwords, which nothing else gets to see."""

from collections.abc import Iterable

from rdbtool.errors import UsageError
from rdbtool.io.remote import expand, has_magic, is_remote, keep_password, local_path


def located(paths: Iterable[str]) -> list[str]:
    """The inputs at these paths and URLs: a URL that is a pattern stands for all that match it, as a path does in a
    shell, and one of a file of this machine for its path. Raises `InputError` where nothing matches.
    """
    found: list[str] = []
    for path in paths:
        if has_magic(path):
            found += map(local_path, expand(without_secret(path)))
        else:
            found.append(local_path(without_secret(path)))
    return found


def one_located(path: str) -> str:
    """The same of one input. Raises `UsageError` where it is several."""
    found = located([path])
    if len(found) > 1:
        raise UsageError(f"{len(found)} files match, and one is wanted", path=path)
    return found[0]


def without_secret(path: str) -> str:
    """A path as it is; a URL without its password, with which it will be opened."""
    if not is_remote(path):
        return path
    from rdbtool.live.address import without_password

    from .live import hide

    url, password = without_password(path)
    if password:
        keep_password(url, password)
        hide(password)
    return url
