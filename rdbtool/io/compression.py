"""Compressed inputs and outputs. Not compiled, and imported only when one turns up."""

from __future__ import annotations

import zlib
from typing import IO, Any, Final, Protocol, cast

from rdbtool.errors import UnsupportedError
from rdbtool.extras import how_to_install

from .window import Readable

VCS: Final = "vcs"
ZSTD_SKIPPABLE: Final = 0x184D2A50
"""The last four bits of a skippable frame's magic are free."""
ZSTD_LONGEST_HEADER: Final = 18
NO_ZSTD: Final = f"zstd needs Python 3.14, or the extra: {how_to_install('zstd')}"


class Compressor(Protocol):
    """Makes a compressed stream of what it is given bit by bit."""

    def compress(self, data: bytes, /) -> bytes:
        """Take ``data``; what is ready."""

    def flush(self) -> bytes:
        """The end of the stream."""


def compressor(ending: str, name: str) -> Compressor:
    """What compresses a file whose name ends so: ``.gz`` or ``.zst``; `VCS` stands for the envelope of Valkey 9.2.

    Raises `UnsupportedError`.
    """
    if ending == VCS:
        from .vcs import VcsCompressor

        return VcsCompressor(name)
    if ending == ".gz":
        return zlib.compressobj(wbits=31)
    made: Any
    try:
        from compression import zstd  # Python 3.14 and later

        made = zstd.ZstdCompressor()
    except ImportError:
        try:
            import zstandard
        except ImportError as e:
            raise UnsupportedError(NO_ZSTD, path=name) from e
        made = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return cast("Compressor", made)


class _Gzip:
    """Members of a gzip stream, one after the other.

    `gzip.GzipFile` wants to seek; a pipe cannot.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._inflate = zlib.decompressobj(31)
        self._ended = False

    def read(self, n: int, /) -> bytes:
        while not self._ended:
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            if self._inflate.eof:
                data = data.lstrip(b"\0") or self._source.read(1 << 16).lstrip(b"\0")
                if not data:
                    self._ended = True
                    break
                self._inflate = zlib.decompressobj(31)
            elif not data:
                data = self._source.read(1 << 16)
                if not data:
                    msg = "the gzip stream is cut short"
                    raise EOFError(msg)
            try:
                out = self._inflate.decompress(data, n)
            except zlib.error as e:
                msg = f"the gzip stream is damaged: {e}"
                raise OSError(msg) from e
            if out:
                return out
        return b""


class _ZstdFrames:
    """A zstd stream on its way to the decoder, followed from block to block (RFC 8878, section 3.1).

    The decoder takes the end of its input for the end of the data. ``whole`` tells whether that was the end of
    a frame.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._held = b""
        self._skip = 0
        self._in_frame = False
        self._checksum = 0

    @property
    def whole(self) -> bool:
        return not (self._held or self._skip or self._in_frame)

    def read(self, n: int, /) -> bytes:
        data = self._source.read(n)
        rest = self._held + data
        at = 0
        while at < len(rest):
            if self._skip:
                passed = min(self._skip, len(rest) - at)
                self._skip -= passed
            else:
                passed = self._header(rest[at : at + ZSTD_LONGEST_HEADER])
                if not passed:
                    break
            at += passed
        self._held = rest[at:]
        return data

    def _header(self, head: bytes) -> int:
        """Note what a header of a frame or block says; its length, or 0 if it is not all there."""
        if self._in_frame:
            if len(head) < 3:
                return 0
            block = int.from_bytes(head[:3], "little")
            repeated = block >> 1 & 3 == 1
            self._skip = 1 if repeated else block >> 3
            if block & 1:  # the last one
                self._in_frame = False
                self._skip += self._checksum
            return 3
        if len(head) < 5:
            return 0
        if int.from_bytes(head[:4], "little") & ~15 == ZSTD_SKIPPABLE:
            if len(head) < 8:
                return 0
            self._skip = int.from_bytes(head[4:8], "little")
            return 8
        flags = head[4]
        single = flags >> 5 & 1
        length = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
        if len(head) < length:
            return 0
        self._in_frame = True
        self._checksum = 4 if flags & 4 else 0
        return length


class _Zstd:
    """A decoder's output, with errors as a `Window` knows them."""

    def __init__(self, frames: _ZstdFrames, decoder: Readable, error: type[Exception]) -> None:
        self._frames = frames
        self._decoder = decoder
        self._error = error

    def read(self, n: int, /) -> bytes:
        try:
            data = self._decoder.read(n)
        except self._error as e:
            msg = f"the zstd stream is damaged: {e}"
            raise OSError(msg) from e
        if not data and n and not self._frames.whole:
            msg = "the zstd stream is cut short"
            raise EOFError(msg)
        return data


def gzip_reader(source: Readable) -> Readable:
    """The uncompressed bytes of a gzip stream."""
    return _Gzip(source)


def zstd_reader(source: Readable, name: str) -> Readable:
    """The uncompressed bytes of a zstd stream, with whatever decoder Python has here."""
    frames = _ZstdFrames(source)
    try:
        from compression import zstd  # Python 3.14 and later
    except ImportError:
        zstd = None
    if zstd is not None:
        return _Zstd(frames, cast("Readable", zstd.ZstdFile(frames)), zstd.ZstdError)
    try:
        import zstandard
    except ImportError as e:
        raise UnsupportedError(NO_ZSTD, path=name) from e
    reader = zstandard.ZstdDecompressor().stream_reader(cast("IO[bytes]", frames), read_across_frames=True)
    return _Zstd(frames, cast("Readable", reader), zstandard.ZstdError)
