"""Compressed inputs. Not compiled, and imported only when one turns up."""

from __future__ import annotations

import zlib
from typing import IO, cast

from .errors import InputError, UnsupportedError
from .source import Readable


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


def gzip_reader(source: Readable) -> Readable:
    """The uncompressed bytes of a gzip stream."""
    return _Gzip(source)


def zstd_reader(source: Readable, name: str) -> Readable:
    """The uncompressed bytes of a zstd stream, with whatever decoder Python has here."""
    try:
        from compression import zstd  # Python 3.14 and later
    except ImportError:
        zstd = None
    if zstd is not None:
        return cast("Readable", zstd.ZstdFile(source))
    try:
        import zstandard
    except ImportError as e:
        raise UnsupportedError("zstd input needs Python 3.14 or the package 'zstandard'", path=name) from e
    reader = zstandard.ZstdDecompressor().stream_reader(cast("IO[bytes]", source), read_across_frames=True)

    class _Zstd:
        def read(self, n: int, /) -> bytes:
            try:
                data: bytes = reader.read(n)
            except zstandard.ZstdError as e:
                raise InputError(f"the zstd stream is damaged: {e}", path=name) from e
            return data

    return _Zstd()
