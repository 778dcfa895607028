"""Files elsewhere, by URL: object stores and other file systems that fsspec knows.

An input is streamed in ranges, some of which are fetched ahead. An output appears whole or not at all where the store
can do that, as object stores do: an object is there when its upload is completed. Passwords are in no message.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

from rdbtool.errors import InputError, OutputError, RdbToolError, UnsupportedError, printable_text
from rdbtool.extras import how_to_install

from .source import Input, detected

if TYPE_CHECKING:
    from concurrent.futures import Future

LOCAL: Final = "file"
SCHEMES: Final = (
    *("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "sftp", "ssh", "ftp", "smb", "hdfs", "webhdfs"),
    *("http", "https", "memory", LOCAL),
)
"""What begins a URL of a file, and not a path."""
STORES: Final = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl")
"""Those of object stores: what is written there appears when its upload is completed, and elsewhere as it is written.
"""
RANGE: Final = 4 << 20
"""Bytes that are asked for at a time."""
AHEAD: Final = 4
"""Ranges that are fetched while what is before them is worked on."""
BLOCK: Final = 32 << 20
"""Bytes of an output that are sent at a time; S3 takes 10,000 such parts."""
NO_FSSPEC: Final = f"files elsewhere need the extra: {how_to_install('remote')}"

_MAGIC: Final = re.compile(r"[*?\[]")
_AUTHORITY: Final = re.compile(r"(\w://)[^/\s@]*@")
_QUERY: Final = re.compile(r"\?\S+")
_passwords: Final[dict[str, str]] = {}
"""Passwords of URLs, by what is left of them."""


def is_remote(path: str) -> bool:
    """Whether this is the URL of a file, and not a path."""
    scheme, separator, _ = path.partition("://")
    return bool(separator) and scheme in SCHEMES


def local_path(path: str) -> str:
    """The path that a ``file://`` URL stands for; anything else as it is."""
    if not path.startswith(f"{LOCAL}://"):
        return path
    from urllib.parse import unquote

    return unquote(path.partition("://")[2])


def keep_password(url: str, password: str) -> None:
    """Let ``url``, which has none, be opened with this password, percent signs and all."""
    _passwords[url] = password


def has_magic(path: str) -> bool:
    """Whether this is the URL of files whose names match a pattern."""
    return is_remote(path) and _MAGIC.search(path.partition("://")[2]) is not None


def expand(url: str) -> list[str]:
    """The URLs that match the pattern ``url``, in order. Raises `InputError` where there are none."""
    files, path = _file_system(url, InputError)
    scheme, _, rest = url.partition("://")
    # A store may leave out what stands before the name: a host, a user.
    before = f"{scheme}://{rest[: len(rest) - len(path.lstrip('/'))]}" if rest.endswith(path.lstrip("/")) else ""
    with _told(url, InputError, "cannot list"):
        found = [str(name) for name in files.glob(path)]
    if not found:
        raise InputError("no file matches", path=url)
    return sorted(f"{before}{name.lstrip('/')}" if before else f"{scheme}://{name}" for name in found)


def exists(url: str) -> bool:
    """Whether something is at ``url``. Raises `InputError` where that cannot be told."""
    files, path = _file_system(url, InputError)
    with _told(url, InputError, "cannot look"):
        return bool(files.exists(path))


def open_remote(url: str) -> Input:
    """Open the file at ``url``. Raises `InputError`, and `UnsupportedError` without what it takes."""
    if url.startswith(f"{LOCAL}://"):
        from .source import open_input

        return open_input(local_path(url))
    files, path = _file_system(url, InputError)
    with _told(url, InputError, "cannot open"):
        about = files.info(path)
    if about.get("type") == "directory":
        raise InputError("cannot open: Is a directory", path=url)
    ranges = _Ranges(files, path, url, about)
    try:
        return detected(url, ranges, ranges.size, ranges.close)
    except BaseException:
        ranges.close()
        raise


def _file_system(url: str, kind: type[RdbToolError]) -> tuple[Any, str]:
    """The file system, and the path in it."""
    try:
        import fsspec
    except ImportError as e:
        raise UnsupportedError(NO_FSSPEC, path=url) from e
    password = _passwords.get(url)
    if password is not None:
        scheme, _, rest = url.partition("://")
        user, at, place = rest.partition("@")
        url = f"{scheme}://{user if at else ''}:{password}@{place if at else rest}"
    with _told(url, kind, "cannot open"):
        files, path = fsspec.core.url_to_fs(url)
    return files, str(path)


def without_secrets(text: str) -> str:
    """A message without what may let somebody in: users and passwords in URLs, and their queries, as signed ones."""
    return _QUERY.sub("?...", _AUTHORITY.sub(r"\1", text))


def why(error: BaseException) -> str:
    """What a file system says is wrong, in one line without secrets."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file, directory or bucket"
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, PermissionError):
        said = f"permission denied: {said}" if said != type(error).__name__ else "permission denied"
    elif isinstance(error, TimeoutError):
        said = "no answer in time"
    said = without_secrets(said)
    return printable_text(said if len(said) <= 300 else f"{said[:300]}...")


@contextlib.contextmanager
def _told(url: str, kind: type[RdbToolError], what: str) -> Iterator[None]:
    """Make one of our errors of what a file system raises: each has exceptions of its own, of no common kind."""
    try:
        yield
    except (RdbToolError, MemoryError):
        raise
    except Exception as e:  # noqa: BLE001
        _refuse(url, kind, what, e)


def _refuse(url: str, kind: type[RdbToolError], what: str, error: Exception) -> NoReturn:
    url = without_secrets(url)
    if isinstance(error, ImportError):
        said = f"{url.partition('://')[0]}:// needs a package that is not there: {how_to_install('remote')}"
        raise UnsupportedError(said, path=url) from error
    raise kind(f"{what}: {why(error)}", path=url) from error


@final
class _Ranges:
    """A source (`io.window.Readable`): the bytes of a file elsewhere, fetched range by range, some of them ahead.

    Ranges come side by side from a store that can do that; anything else is read in a row, by another thread.
    """

    def __init__(self, files: Any, path: str, url: str, about: dict[str, Any]) -> None:  # noqa: ANN401 - fsspec's
        from concurrent.futures import ThreadPoolExecutor

        size = about.get("size")
        self.size = -1 if size is None else int(size)
        self._files = files
        self._path = path
        self._url = url
        self._identity = _identity(about)
        self._given = 0
        self._next = 0
        """Where the next range begins that is to be fetched; -1 behind the last."""
        self._chunk = b""
        self._at = 0
        self._fetched: deque[Future[bytes]] = deque()
        self._stream: Any = None
        web = url.startswith("http")  # not each such server knows ranges
        if web or self.size < 0 or not getattr(files, "async_impl", False):
            with _told(url, InputError, "cannot open"):
                self._stream = files.open(path, "rb", block_size=RANGE, cache_type="none")
        self._pool = ThreadPoolExecutor(AHEAD if self._stream is None else 1, thread_name_prefix="rdbtool-remote")

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes; b"" at the end. Raises `InputError`."""
        if self._at >= len(self._chunk):
            self._chunk = self._next_chunk()
            self._at = 0
        data = self._chunk[self._at : self._at + n] if self._at or n < len(self._chunk) else self._chunk
        self._at += len(data)
        return data

    def _next_chunk(self) -> bytes:
        self._fetch_ahead()
        if not self._fetched:
            return b""
        with _told(self._url, InputError, f"cannot read from byte {self._given:,} on"):
            data = self._fetched.popleft().result()
        self._given += len(data)
        if self.size < 0:
            if len(data) < RANGE:
                self._next = -1
                self._fetched.clear()
        elif self._given < self.size and len(data) < RANGE:
            message = f"it ends after {self._given:,} bytes, and had {self.size:,} when it was opened"
            raise InputError(message, path=self._url)
        elif self._given == self.size:
            self._refuse_another()
        self._fetch_ahead()
        return data

    def _fetch_ahead(self) -> None:
        while len(self._fetched) < AHEAD and self._next >= 0 and (self.size < 0 or self._next < self.size):
            end = self._next + RANGE if self.size < 0 else min(self._next + RANGE, self.size)
            self._fetched.append(self._pool.submit(self._fetch, self._next, end))
            self._next = end

    def _fetch(self, start: int, end: int) -> bytes:
        if self._stream is None:
            return bytes(self._files.cat_file(self._path, start=start, end=end))
        parts = []
        while start < end:
            part = bytes(self._stream.read(end - start))
            if not part:
                break
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def _refuse_another(self) -> None:
        """Raise `InputError` where the file is another one than that whose first byte was read."""
        with _told(self._url, InputError, "cannot look at it again"):
            self._files.invalidate_cache()
            now = _identity(self._files.info(self._path))
        if now != self._identity:
            raise InputError("it was replaced while it was read", path=self._url)

    def close(self) -> None:
        """Drop what is being fetched."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._stream is not None:
            with contextlib.suppress(Exception):  # it was only read
                self._stream.close()


def _identity(about: dict[str, Any]) -> tuple[str, ...]:
    """What tells a file from another one that takes its place."""
    names = ("size", "ETag", "etag", "LastModified", "last_modified", "mtime", "modified", "created", "generation")
    return tuple(str(about.get(name)) for name in names)


@final
class RemoteSink:
    """A file elsewhere under construction, as `sink.Pending` says. Raises `OutputError`."""

    def __init__(self, url: str) -> None:
        self.name = without_secrets(url)
        self.path = ""
        self._files, self._place = _file_system(url, OutputError)
        self._temporary = "" if url.partition("://")[0] in STORES else f"{self._place}.{os.urandom(4).hex()}.part"
        self._published = False
        with _told(url, OutputError, "cannot create"):
            self._new = not self._files.exists(self._place)
            if self._temporary:
                self._stream = self._files.open(self._temporary, "wb", block_size=BLOCK)
            else:
                self._stream = self._files.open(self._place, "wb", block_size=BLOCK, autocommit=False)

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        self._do("cannot write", lambda: self._stream.write(data))

    def sync(self) -> None:
        """Send all of it."""
        self._do("cannot write", self._stream.close)

    @property
    def promised(self) -> str:
        """What is elsewhere has no temporary name."""
        return ""

    def publish(self, *, revocable: bool) -> None:
        """Complete the upload, or give the file its name."""
        del revocable
        if self._temporary:
            self._do("cannot rename", lambda: self._files.mv(self._temporary, self._place))
        else:
            self._do("cannot write", self._stream.commit)
        self._published = True

    def withdraw(self) -> None:
        """Remove it; what it took the place of is gone."""
        if self._new:
            self._do("cannot remove", lambda: self._files.rm_file(self._place))

    def abort(self) -> None:
        """Drop the upload, unless it is published."""
        if self._published:
            return
        with contextlib.suppress(Exception):  # a store drops what is left of an upload, in time
            if self._temporary:
                self._stream.close()
                self._files.rm_file(self._temporary)
            else:
                self._stream.discard()
        with contextlib.suppress(AttributeError):
            self._stream.closed = True  # else it sends the rest, and completes the upload, when nobody holds it

    def _do(self, what: str, job: Callable[[], object]) -> None:
        with _told(self.name, OutputError, what):
            job()
