"""Stored images as files: seekable, and read in ranges as needed."""

from __future__ import annotations

import io
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from .types import Image

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

READ_AHEAD_BYTES = 1024 * 1024


class ImageReader(io.BufferedReader):
    """A stored image as a read-only binary file. Reads raise ImageStorageError."""

    def __init__(self, image: Image, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__(_Ranges(image, fetch), READ_AHEAD_BYTES)

    @property
    def image(self) -> Image:
        return cast(_Ranges, self.raw).image


class _Ranges(io.RawIOBase):
    """Reads the ranges that `fetch(offset, limit)` returns; limit 0 means to the end."""

    def __init__(self, image: Image, fetch: Callable[[int, int], bytes]) -> None:
        self.image = image
        self._fetch = fetch
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = position(offset, whence, self._at, self.image.size)
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        data = self._next(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._next(0)

    def _next(self, limit: int) -> bytes:
        if self._at >= self.image.size:
            return b""
        data = self._fetch(self._at, limit)
        self._at += len(data)
        return data


class AsyncImageReader:
    """A stored image as a read-only binary file whose `read` is awaited. Reads raise ImageStorageError."""

    def __init__(self, image: Image, fetch: Callable[[int, int], Awaitable[bytes]]) -> None:
        self.image = image
        self._fetch = fetch
        self._at = 0
        self._window = b""
        self._window_start = 0

    async def read(self, size: int = -1) -> bytes:
        """Returns at most `size` bytes, fewer only at the end; by default all the rest."""
        end = self.image.size if size < 0 else min(self._at + size, self.image.size)
        data = self._windowed(end)
        if missing := max(end - self._at - len(data), 0):
            start = self._at + len(data)
            # Only a read of the whole image is checked against the sha256.
            limit = 0 if size < 0 else max(missing, READ_AHEAD_BYTES)
            self._window, self._window_start = await self._fetch(start, limit), start
            data += self._window[:missing]
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = position(offset, whence, self._at, self.image.size)
        return self._at

    def tell(self) -> int:
        return self._at

    def _windowed(self, end: int) -> bytes:
        start = self._at - self._window_start
        return self._window[start : max(end - self._window_start, 0)] if start >= 0 else b""


def position(offset: int, whence: int, at: int, size: int) -> int:
    """Returns the position after a seek. Raises ValueError before the beginning."""
    target = offset + {os.SEEK_SET: 0, os.SEEK_CUR: at, os.SEEK_END: size}[whence]
    if target < 0:
        raise ValueError(f"cannot seek to {target}")
    return target
