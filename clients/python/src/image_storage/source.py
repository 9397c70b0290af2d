"""Makes the bytes of an image readable again for a retry, as far as possible."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any, BinaryIO, Protocol, cast

CHUNK_BYTES = 256 * 1024
#: The most bytes to keep of a stream that can be read only once.
MAX_BUFFERED_BYTES = 64 * 1024 * 1024


class Readable(Protocol):
    """A binary file, a pipe, a response body."""

    def read(self, size: int, /) -> bytes: ...


class PillowImage(Protocol):
    """A PIL.Image.Image."""

    def save(self, fp: IO[bytes], format: str, /) -> None: ...


class NumpyArray(Protocol):
    """An array of uint8 pixels: height x width, with 3 or 4 channels for colour."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


#: The bytes of an image file, its path, an open file, or pixels, which are stored as PNG.
Source = bytes | bytearray | memoryview | str | os.PathLike[str] | Readable | PillowImage | NumpyArray


class OpenSource:
    """One image to send. A file is read from its position; the caller's file stays open, at any position."""

    def __init__(self, source: Source) -> None:
        """Raises OSError for a path, ValueError for a file at its end, TypeError for an unknown type."""
        self._file, self._is_ours = _open(source)
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


def _open(source: Source) -> tuple[BinaryIO, bool]:
    if isinstance(source, bytes | bytearray | memoryview):
        return BytesIO(source), True
    if isinstance(source, str | os.PathLike):
        return open(source, "rb"), True
    if hasattr(source, "read"):
        return cast(BinaryIO, source), False
    if hasattr(source, "save"):
        return _png(cast(PillowImage, source)), True
    if hasattr(source, "__array_interface__"):
        return _png_of_array(source), True
    raise TypeError(
        f"cannot save a {type(source).__name__}: give bytes, a path, a binary file, a PIL image or an array"
    )


def _png(image: PillowImage) -> BytesIO:
    encoded = BytesIO()
    image.save(encoded, "PNG")
    encoded.seek(0)
    return encoded


def _png_of_array(pixels: NumpyArray) -> BytesIO:
    from PIL.Image import fromarray

    try:
        return _png(fromarray(cast(Any, pixels)))
    except (TypeError, OSError) as error:
        kind, shape = (pixels.__array_interface__[name] for name in ("typestr", "shape"))
        expected = "pixels are uint8 in height x width, with 3 or 4 channels for colour"
        raise TypeError(f"{expected}, not {kind} in {' x '.join(map(str, shape))}") from error


def _checked(chunk: object) -> bytes:
    """Returns the bytes. Raises TypeError for str (a text file) and None (a non-blocking file, not its end)."""
    if isinstance(chunk, bytes | bytearray | memoryview):
        return bytes(chunk)
    raise TypeError(f"the source's read gives {type(chunk).__name__}, not bytes: it must be binary, and block")


def _can_seek(file: BinaryIO) -> bool:
    return hasattr(file, "seekable") and file.seekable()
