"""Makes the bytes of an image readable again for a retry, as far as possible."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, Protocol, cast

from .pixels import Encoding, NumpyArray, PillowImage, encoded, image_of

CHUNK_BYTES = 256 * 1024
#: The most bytes to keep of a stream that can be read only once.
MAX_BUFFERED_BYTES = 64 * 1024 * 1024


class Readable(Protocol):
    """A binary file, a pipe, a response body."""

    def read(self, size: int, /) -> bytes: ...


#: The bytes of an image file, its path, an open file, or pixels, which are encoded.
Source = bytes | bytearray | memoryview | str | os.PathLike[str] | Readable | PillowImage | NumpyArray


class OpenSource:
    """One image to send. A file is read from its position; the caller's file stays open, at any position."""

    def __init__(self, source: Source, encoding: Encoding) -> None:
        """Raises OSError for a path, ValueError for a file at its end, TypeError for an unknown type."""
        self._file, self._is_ours = _open(source, encoding)
        self._start = self._file.tell() if _can_seek(self._file) else None
        self._kept: list[bytes] = []
        self._read_bytes = 0
        #: In bytes; None where it is unknown before all is read.
        self.size = None if self._start is None else self._remaining_bytes(self._start)

    def chunks(self) -> Iterator[bytes]:
        """Yields chunks from the beginning; again only while `repeatable`. Does not wait for a pipe to fill a chunk."""
        if self._start is not None:
            self._file.seek(self._start)
        yield from self._kept
        read = getattr(self._file, "read1", self._file.read)
        while chunk := _checked(read(CHUNK_BYTES)):
            self._keep(chunk)
            yield chunk

    @property
    def repeatable(self) -> bool:
        return self._start is not None or self._read_bytes <= MAX_BUFFERED_BYTES

    def close(self) -> None:
        self._kept.clear()
        if self._is_ours:
            self._file.close()

    def _remaining_bytes(self, start: int) -> int:
        self._file.seek(0, os.SEEK_END)
        size = self._file.tell() - start
        if size == 0 and start > 0:
            raise ValueError("the file stands at its end; seek(0) before saving it")
        return size

    def _keep(self, chunk: bytes) -> None:
        if self._start is not None:
            return
        self._read_bytes += len(chunk)
        if self.repeatable:
            self._kept.append(chunk)
        else:
            self._kept.clear()


def _open(source: Source, encoding: Encoding) -> tuple[BinaryIO, bool]:
    is_file = isinstance(source, bytes | bytearray | memoryview | str | os.PathLike) or hasattr(source, "read")
    if is_file and encoding.is_chosen:
        raise TypeError("format and quality are for pixels: a file is stored as it is")
    if isinstance(source, bytes | bytearray | memoryview):
        return BytesIO(source), True
    if isinstance(source, str | os.PathLike):
        return open(source, "rb"), True
    if hasattr(source, "read"):
        return cast(BinaryIO, source), False
    if hasattr(source, "save"):
        return encoded(cast(PillowImage, source), encoding), True
    if hasattr(source, "__array_interface__"):
        return encoded(image_of(source), encoding), True
    raise TypeError(
        f"cannot save a {type(source).__name__}: give bytes, a path, a binary file, a PIL image or an array"
    )


def _checked(chunk: object) -> bytes:
    """Returns the bytes. Raises TypeError for str (a text file) and None (a non-blocking file, not its end)."""
    if isinstance(chunk, bytes | bytearray | memoryview):
        return bytes(chunk)
    raise TypeError(f"the source's read gives {type(chunk).__name__}, not bytes: it must be binary, and block")


def _can_seek(file: BinaryIO) -> bool:
    return hasattr(file, "seekable") and file.seekable()
