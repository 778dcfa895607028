"""The envelope of Valkey 9.2 around a whole snapshot (``rdbcompression lz4``): 7 bytes, and one LZ4 frame.

Not compiled, and imported only when one turns up. Facts: Valkey's source before 9.2, in which a reader takes any
valid frame, refuses bytes behind the snapshot inside the frame, and never looks at those behind the frame.
"""

from __future__ import annotations

from typing import Any, Final

from rdbtool.errors import FormatError, TruncatedError, UnsupportedError
from rdbtool.extras import how_to_install

from .window import Envelope, Readable

MAGIC: Final = b"VCS"
VERSION: Final = 1
LZ4: Final = 1
SNAPSHOT: Final = 1
NO_LZ4: Final = f"a snapshot of Valkey 9.2 that is compressed with LZ4 needs the extra: {how_to_install('lz4')}"
HEADER: Final = MAGIC + bytes((VERSION, LZ4, 0, SNAPSHOT))
"""Envelope version 1 of a snapshot, with an LZ4 frame inside."""
_STEP: Final = 1 << 16
# Of an LZ4 frame: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
_FLAGS_END: Final = 5
_DICTIONARY: Final = 1
_CONTENT_SIZE: Final = 8
_BLOCK_CHECKSUMS: Final = 16
_SIZE: Final = 0x7FFFFFFF
"""The other bit says that the block is not compressed."""
_LONGEST_BLOCK: Final = (4 << 20) + 4


def open_frame(name: str) -> Any:  # noqa: ANN401 - the module, which comes without types
    """``lz4.frame``. Raises `UnsupportedError` where it is not installed."""
    try:
        import lz4.frame
    except ImportError as e:
        raise UnsupportedError(NO_LZ4, path=name) from e
    return lz4.frame


class VcsReader:
    """The bytes of the snapshot in an envelope, and, once `Envelope.left` is set, those behind it, such as a log.

    The frame is read block by block, so that damage is told at the block it is in, and all before it is given. `read`
    raises `FormatError` and `TruncatedError`: the message holds the offset in the file, ``offset`` is that in the data.
    """

    def __init__(self, source: Readable, name: str) -> None:
        self.envelope = Envelope()
        self._source = source
        self._name = name
        self._held = b""
        """What was read, and is not used yet."""
        self._at = 0
        """The offset in the file of what is held."""
        self._given = 0
        self._ready = b""
        self._frame: Any = None
        self._trailer = 0
        self._ended = False

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes; b"" at the end."""
        if self._frame is None:
            self._open()
        while not self._ready and not self._ended:
            self._ready = self._block()
        if self._ready:
            data, self._ready = self._ready[:n], self._ready[n:]
            self._given += len(data)
            return data
        if not self.envelope.left:
            return b""
        if self._held:
            data, self._held = self._held[:n], self._held[n:]
            return data
        return self._source.read(n)

    def _open(self) -> None:
        self._fill(len(HEADER), "the envelope of a compressed snapshot (VCS)")
        head = self._held[: len(HEADER)]
        if head != HEADER:
            version, codec, reserved, kind = head[len(MAGIC) :]
            raise FormatError(
                f"an envelope of a compressed snapshot (VCS) that no release reads: version {version}, codec {codec}, "
                f"reserved {reserved}, kind {kind}",
                path=self._name,
                offset=0,
            )
        self._pass(len(head))
        self._frame = open_frame(self._name).LZ4FrameDecompressor()
        self._fill(_FLAGS_END, "the header of the LZ4 frame")
        flags = self._held[4]
        self._trailer = 4 if flags & _BLOCK_CHECKSUMS else 0
        size = 7 + (8 if flags & _CONTENT_SIZE else 0) + (4 if flags & _DICTIONARY else 0)
        self._fill(size, "the header of the LZ4 frame")
        self._decompress(size)

    def _block(self) -> bytes:
        """The data of the next block; b"" where the frame ends."""
        self._fill(4, "the LZ4 frame")
        head = int.from_bytes(self._held[:4], "little")
        if head:
            size = (head & _SIZE) + self._trailer
            if size > _LONGEST_BLOCK:
                raise self._damaged(f"a block of {size} bytes")
            size += 4
        else:
            size = 4
        self._fill(size, "a block of the LZ4 frame" if head else "the end of the LZ4 frame")
        data = self._decompress(size)
        if not head and not self._frame.eof:  # a checksum of the content follows
            self._fill(4, "the checksum at the end of the LZ4 frame")
            data += self._decompress(4)
        if self._frame.eof:
            self._ended = True
        return data

    def _decompress(self, size: int) -> bytes:
        try:
            out: bytes = self._frame.decompress(self._held[:size])
        except RuntimeError as e:
            raise self._damaged(str(e)) from e
        self._pass(size)
        return out

    def _pass(self, size: int) -> None:
        self._held = self._held[size:]
        self._at += size

    def _fill(self, size: int, what: str) -> None:
        """Hold so many bytes at least. Raises `TruncatedError`."""
        parts = [self._held]
        have = len(self._held)
        while have < size:
            more = self._source.read(max(_STEP, size - have))
            if not more:
                raise TruncatedError(
                    f"{what} is cut: it begins at byte {self._at} of the file, which ends at {self._at + have}",
                    path=self._name,
                    offset=self._given,
                    doing="decompressing a snapshot",
                )
            parts.append(more)
            have += len(more)
        self._held = b"".join(parts)

    def _damaged(self, why: str) -> FormatError:
        return FormatError(
            f"the LZ4 frame is damaged at byte {self._at} of the file: {why}",
            path=self._name,
            offset=self._given,
            doing="decompressing a snapshot",
        )


class VcsCompressor:
    """Makes an envelope of what it is given bit by bit, in the form that Valkey 9.2 writes: linked blocks of 64 KiB
    with a checksum each, and one of the content. Raises `UnsupportedError`.
    """

    def __init__(self, name: str) -> None:
        frame = open_frame(name)
        self._frame = frame.LZ4FrameCompressor(
            block_size=frame.BLOCKSIZE_MAX64KB,
            block_linked=True,
            content_checksum=True,
            block_checksum=True,
        )
        self._head: bytes = HEADER + self._frame.begin()

    def compress(self, data: bytes, /) -> bytes:
        """Take ``data``; what is ready."""
        head, self._head = self._head, b""
        made: bytes = self._frame.compress(data)
        return head + made

    def flush(self) -> bytes:
        """The end of the frame."""
        head, self._head = self._head, b""
        made: bytes = self._frame.flush()
        return head + made
