"""Bytes out: files and directories that appear under their final name when they are whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final, NamedTuple, Protocol, final

from rdbtool.errors import NotSyncedError, OutputError, reason

from . import ownership
from .destination import Destination, find
from .signals import held_back
from .temporary import Temporary, make_temporary, promise, second_name, sweep

BUFFER: Final = 1 << 20
"""Bytes collected before they are written."""
BEHIND: Final = 8 << 20
"""Bytes after which the system is told to begin to bring them to the disk: else it may do so only when all are written,
and is waited for.
"""
NO_SYNC: Final = (errno.EINVAL, errno.ENOTSUP)
"""What file systems answer on which directories cannot be synced."""
OPEN_FILES: Final = "/proc/{}/fd/{}"
"""Where the system shows the open files of a process, by their descriptors."""
INPUT_TOO: Final = "is an input of this run, and would be overwritten"

COMPRESSED: Final = (".gz", ".zst")
"""How names of files end that are written compressed."""


def without_compression(path: str) -> str:
    """A name without what says that the file is compressed."""
    stem, ending = os.path.splitext(path)
    return stem if ending.lower() in COMPRESSED else path


class Place(NamedTuple):
    """Where another process of this machine can write what comes next: to the open file that ``path`` names in /proc,
    at the byte ``offset``, or behind what is there for -1.
    """

    path: str
    offset: int

    def open(self) -> int:
        """Open it for writing: its descriptor, or -1 where that cannot be done. It does not wait for a reader."""
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return -1
        os.set_blocking(handle, True)
        return handle


class Pending(Protocol):
    """An output under construction: a file or a directory. Its methods raise `OutputError`."""

    name: str
    """For messages."""
    path: str
    """The final name, behind all links; "" for what has none, as standard output."""

    @property
    def promised(self) -> str:
        """Its temporary name, where it is to take the place of whatever has the final one; else ""."""

    def sync(self) -> None:
        """Bring all of it to the disk, under its temporary name."""

    def publish(self, *, revocable: bool) -> None:
        """Give it its final name. ``revocable``: `withdraw` may follow."""

    def withdraw(self) -> None:
        """Take `publish` back: what was there under the name before is there again."""

    def abort(self) -> None:
        """Drop what is left of it: all, or, once it is published, only what `withdraw` would need."""


class PendingFile(Pending, Protocol):
    """A file under construction."""

    def write(self, data: bytes, /) -> object:
        """Append ``data``."""


def commit_all(outputs: Sequence[Pending]) -> None:
    """Give all outputs their final names, or none. Raises `OutputError`.

    `NotSyncedError`: all have their names, but a power cut might undo that.
    """
    try:
        for output in outputs:
            output.sync()
        with held_back():
            _publish(outputs)
    finally:
        for output in outputs:
            output.abort()
    for directory, name in {os.path.dirname(output.path): output.name for output in outputs if output.path}.items():
        sync_directory(directory, name)


def _publish(outputs: Sequence[Pending]) -> None:
    done: list[Pending] = []
    names = [(output.promised, output.path) for output in outputs if output.promised]
    try:
        promised = promise(names) if len(names) > 1 else None
    except OSError as e:
        raise OutputError(f"cannot write: {reason(e)}", path=outputs[0].name) from e
    try:
        for output in outputs:
            output.publish(revocable=len(outputs) > 1)
            done.append(output)
    except BaseException:
        for output in reversed(done):
            output.withdraw()
        raise
    finally:
        if promised is not None:
            promised.remove()


@final
class Sink:
    """A file under construction. Nothing shows under the final name before `commit`.

    Use it as a context manager: leaving it normally commits, leaving it by an exception removes the temporary file.
    To standard output, and to what is no regular file, bytes go as they come. ``name`` is for messages; ``path``:
    the final name behind all links, or ""; ``temporary``: where the bytes are meanwhile, or "".
    """

    def __init__(
        self, name: str, stream: BinaryIO, *, path: str = "", made: Temporary | None = None, exclusive: bool = False
    ) -> None:
        self.name = name
        self.path = path
        self.temporary = "" if made is None else made.path
        self.written = 0
        self._sent = 0
        """Bytes that are on their way to the disk."""
        self._stream = stream
        self._standard = stream is sys.stdout.buffer
        self._made = made
        self._exclusive = exclusive
        self._old: Temporary | None = None
        self._inode: tuple[int, int] | None = None
        """Of the published file, where it took no other's place."""
        self._parts: list[bytes] = []
        self._held = 0

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.abort()

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises `OutputError`; for standard output, a broken pipe stays `BrokenPipeError`."""
        if len(data) >= BUFFER and self._parts:
            self.flush()  # what is long goes out as it is, and is not joined with what is before it
        self._parts.append(data)
        self._held += len(data)
        self.written += len(data)
        if self._held >= BUFFER:
            self.flush()

    @property
    def promised(self) -> str:
        """Its temporary name, where it is to take the place of whatever has the final one; else ""."""
        return "" if self._exclusive else self.temporary

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks at the bytes as they come."""
        return self._made is None and self._stream.isatty()

    def flush(self) -> None:
        """Hand what is collected to the system."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self._held = 0
        with self._writing(len(data)):
            view = memoryview(data)
            while view:
                view = view[self._stream.write(view) or 0 :]
            self._stream.flush()
        if self._made is not None and self.written - self._sent >= BEHIND:
            self._begin_to_sync()

    def written_by(self, another: Callable[[Place], bool], size: int) -> bool:
        """Let ``another`` write the next ``size`` bytes, and say whether it could get to the place. False, and nothing
        is written, where it could not, or nobody could. Raises as `write` does.
        """
        self.flush()
        place = self._place()
        if place is None:
            return False
        self.written += size
        with self._writing(size):
            done = another(place)
        if not done:
            self.written -= size
        elif place.offset >= 0:
            os.lseek(self._stream.fileno(), place.offset + size, os.SEEK_SET)
        return done

    @contextlib.contextmanager
    def _writing(self, size: int) -> Iterator[None]:
        """Where the last ``size`` bytes of all are written. Raises as `write` does."""
        try:
            yield
        except OSError as e:
            if isinstance(e, BrokenPipeError) and self._standard:
                raise
            raise OutputError(f"cannot write: {reason(e)}", path=self.name, offset=self.written - size) from e

    def _place(self) -> Place | None:
        if sys.platform != "linux":
            return None
        import fcntl  # not there on every system

        try:
            handle = self._stream.fileno()
            mode = os.fstat(handle).st_mode
            path = OPEN_FILES.format(os.getpid(), handle)
            if stat.S_ISREG(mode) and not fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_APPEND:
                return Place(path, os.lseek(handle, 0, os.SEEK_CUR))
        except OSError:
            return None
        is_stream = stat.S_ISFIFO(mode) or (stat.S_ISCHR(mode) and not os.isatty(handle))
        return Place(path, -1) if is_stream else None

    def _begin_to_sync(self) -> None:
        """Let the disk begin on what was written: see POSIX_FADV_DONTNEED in posix_fadvise(2). It is only advice."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                size = self.written - self._sent
                os.posix_fadvise(self._stream.fileno(), self._sent, size, os.POSIX_FADV_DONTNEED)
        self._sent = self.written

    def commit(self) -> None:
        """Sync and give the output its final name. Raises `OutputError`."""
        commit_all([self])

    def sync(self) -> None:
        """Bring all of it to the disk, under its temporary name."""
        self.flush()
        if self._made is not None:
            try:
                os.fsync(self._stream.fileno())
            except OSError as e:
                raise OutputError(f"cannot write: {reason(e)}", path=self.name) from e

    def publish(self, *, revocable: bool) -> None:
        """Give it its final name."""
        made = self._made
        if made is None:
            return
        status = os.fstat(made.handle)
        new = True
        try:
            if self._exclusive:
                _link(made.path, self.path)
            else:
                new = not os.path.lexists(self.path)
                if revocable and not new:
                    self._old = second_name(self.path)
                os.replace(made.path, self.path)
        except OSError as e:
            raise OutputError(f"cannot write: {reason(e)}", path=self.name) from e
        if new:
            self._inode = status.st_dev, status.st_ino
        made.remove()
        self._made = None

    def withdraw(self) -> None:
        """Take `publish` back, as far as that can be done."""
        with contextlib.suppress(OSError):
            if self._old is not None:
                os.replace(self._old.path, self.path)
            elif self._inode is not None:
                status = os.lstat(self.path)
                if (status.st_dev, status.st_ino) == self._inode:  # not another's
                    os.unlink(self.path)

    def abort(self) -> None:
        """Drop the output, unless it is published; what was there under its name before stays."""
        self._parts = []
        self._held = 0
        if not self._standard:
            with contextlib.suppress(OSError):
                self._stream.close()
        if self._old is not None:
            self._old.remove()
            self._old = None
        if self._made is not None:
            self._made.remove()
            self._made = None


@final
class CompressedSink:
    """A file whose bytes are compressed, as ``ending`` says (`compression.compressor`). Raises `UnsupportedError` where
    nothing does that here.
    """

    def __init__(self, sink: PendingFile, ending: str) -> None:
        from .compression import compressor

        self.name = sink.name
        self.path = sink.path
        self._sink = sink
        self._compressor = compressor(ending, sink.name)
        self._ended = False

    @property
    def promised(self) -> str:
        """Its temporary name, where it is to take the place of whatever has the final one; else ""."""
        return self._sink.promised

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises `OutputError`."""
        compressed = self._compressor.compress(data)
        if compressed:
            self._sink.write(compressed)

    def sync(self) -> None:
        """Bring all of it to the disk, under its temporary name."""
        if not self._ended:
            self._ended = True
            self._sink.write(self._compressor.flush())
        self._sink.sync()

    def publish(self, *, revocable: bool) -> None:
        """Give it its final name."""
        self._sink.publish(revocable=revocable)

    def withdraw(self) -> None:
        """Take `publish` back."""
        self._sink.withdraw()

    def abort(self) -> None:
        """Drop the output, unless it is published."""
        self._sink.abort()


@final
class DirectorySink:
    """A directory under construction, made of files that are whole: it appears under its final name, or not at all.

    The name must be free, or that of an empty directory. Use it as a context manager, as a `Sink`. ``temporary``:
    where the files are meanwhile. Raises `OutputError`.
    """

    def __init__(self, name: str, *, inputs: tuple[str, ...] = ()) -> None:
        self.name = name
        self.inputs = inputs
        there = find(name.rstrip(os.sep) or os.sep)
        self.path = there.path
        self._model = there.status
        if there.status is not None:
            if not stat.S_ISDIR(there.status.st_mode):
                raise OutputError("is no directory", path=name)
            if os.listdir(there.path):
                raise OutputError("the directory is not empty: a set goes into a new one", path=name)
        self._made = _make(self.path, name, directory=True)
        self.temporary = self._made.path

    @property
    def promised(self) -> str:
        """Its temporary name."""
        return self.temporary

    def __enter__(self) -> DirectorySink:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.abort()

    def file(self, name: str, *, like: str = "") -> Sink:
        """A file in it; ``like`` as for `open_sink`."""
        path = os.path.join(self.temporary, name)
        return open_sink(path, inputs=self.inputs, like=like, shown=os.path.join(self.name, name))

    def commit(self) -> None:
        """Give the directory its final name. Raises `OutputError`."""
        commit_all([self])

    def sync(self) -> None:
        """Bring the names of its files to the disk."""
        try:
            if self._model is not None:
                ownership.keep(self._made.handle, self._model)
            else:
                ownership.derive(self._made.handle, self.inputs)
            os.fsync(self._made.handle)
        except OSError as e:
            raise OutputError(f"cannot create: {reason(e)}", path=self.name) from e

    def publish(self, *, revocable: bool) -> None:
        """Give it its final name, unless another has filled that meanwhile."""
        del revocable  # an empty directory that was there is made again
        try:
            os.rename(self.temporary, self.path)
        except OSError as e:
            raise OutputError(f"cannot create: {reason(e)}", path=self.name) from e

    def withdraw(self) -> None:
        """Take `publish` back."""
        with contextlib.suppress(OSError):
            os.rename(self.path, self.temporary)
            if self._model is not None:
                os.mkdir(self.path, stat.S_IMODE(self._model.st_mode))

    def abort(self) -> None:
        """Drop the directory, unless it is published."""
        self._made.remove()


def open_sink(
    path: str,
    *,
    inputs: tuple[str, ...] = (),
    binary: bool = True,
    like: str = "",
    exclusive: bool = False,
    shown: str = "",
) -> Sink:
    """An output at ``path``, or standard output for ``-``. ``shown``: how messages name it.

    A regular file is replaced when the new one is whole, and keeps its owner, group and mode; links to it stay.
    Descriptors, FIFOs and character devices are written to. A new file is for nobody to whom one of ``inputs`` is
    closed, or has what the file ``like`` has. ``inputs`` must not be replaced; ``binary`` output refuses a terminal;
    ``exclusive``: the name must be free at the end. Raises `OutputError`.
    """
    if path == "-":
        if binary and sys.stdout.isatty():
            _refuse_terminal("standard output")
        return Sink("standard output", sys.stdout.buffer)
    shown = shown or path
    refuse_input_as_output(path, inputs)
    there = find(path)
    if there.is_stream:
        return Sink(shown, _open_stream(there, shown, binary=binary))
    if there.status is not None and stat.S_ISDIR(there.status.st_mode):
        raise OutputError("is a directory", path=shown)
    made = _make(there.path, shown, directory=False)
    try:
        model = os.stat(like) if like and os.path.exists(like) else there.status
        if model is not None:
            ownership.keep(made.handle, model)
        else:
            ownership.derive(made.handle, inputs)
    except OSError as e:
        made.remove()
        raise OutputError(f"cannot set the mode: {reason(e)}", path=shown) from e
    stream = open(made.handle, "wb", buffering=0, closefd=False)  # noqa: SIM115 - the Sink closes it
    return Sink(shown, stream, path=there.path, made=made, exclusive=exclusive)


def open_named(path: str, *, inputs: tuple[str, ...] = (), binary: bool = True) -> PendingFile:
    """`open_sink`, or a file elsewhere for a URL; compressed where the name ends in one of `COMPRESSED`."""
    ending = os.path.splitext(path)[1].lower()
    sink = _open_anywhere(path, inputs, binary=binary or ending in COMPRESSED)
    if ending not in COMPRESSED:
        return sink
    try:
        return CompressedSink(sink, ending)
    except BaseException:
        sink.abort()
        raise


def _open_anywhere(path: str, inputs: tuple[str, ...], *, binary: bool) -> PendingFile:
    if "://" in path:
        from .remote import RemoteSink, is_remote, local_path

        path = local_path(path)
        if is_remote(path):
            if path in inputs:
                raise OutputError(INPUT_TOO, path=path)
            return RemoteSink(path)
    return open_sink(path, inputs=inputs, binary=binary)


def _make(path: str, shown: str, *, directory: bool) -> Temporary:
    sweep(os.path.dirname(path))
    try:
        return make_temporary(path, directory=directory)
    except OSError as e:
        raise OutputError(f"cannot create: {reason(e)}", path=shown) from e


def _open_stream(there: Destination, shown: str, *, binary: bool) -> BinaryIO:
    """Open what is written to where it is."""
    assert there.status is not None
    mode = there.status.st_mode
    if there.descriptor < 0 and not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        kind = "socket" if stat.S_ISSOCK(mode) else "disk"
        raise OutputError(f"is a {kind}: nothing is written to it", path=shown)
    try:
        if there.descriptor >= 0:
            handle = os.dup(there.descriptor)
        else:
            handle = os.open(there.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
        if binary and os.isatty(handle):
            os.close(handle)
            _refuse_terminal(shown)
        return open(handle, "wb", buffering=0)
    except OSError as e:
        raise OutputError(f"cannot open: {reason(e)}", path=shown) from e


def _refuse_terminal(shown: str) -> None:
    raise OutputError("binary output does not go to a terminal: name a file, or redirect", path=shown)


def _link(made: str, path: str) -> None:
    """Give the file ``made`` the name ``path`` too, or instead. Raises `FileExistsError` where that is taken."""
    try:
        os.link(made, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without second names
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.replace(made, path)


def refuse_input_as_output(path: str, inputs: tuple[str, ...]) -> None:
    """Raise `OutputError` when ``path`` is one of the files being read, which would be overwritten."""
    for name in inputs:
        try:
            same = os.path.samefile(name, path) and stat.S_ISREG(os.stat(path).st_mode)
        except OSError:
            same = False
        if same:
            raise OutputError(INPUT_TOO, path=path)


def sync_directory(directory: str, path: str = "") -> None:
    """Make renames in ``directory`` survive a power cut. Raises `NotSyncedError`, about ``path``."""
    try:
        handle = os.open(directory or ".", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as e:
        if e.errno in NO_SYNC:
            return
        message = f"is written, whole, but a power cut may undo that: cannot sync the directory: {reason(e)}"
        raise NotSyncedError(message, path=path or directory) from e
