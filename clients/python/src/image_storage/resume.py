"""The state of reads over many messages and calls: where to resume, and when they are complete."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

import grpc

from imagestorage.v1 import image_storage_pb2 as pb

from .convert import hints_from, image_from
from .errors import ImageStorageError
from .methods import GET, LIST, LIST_TRASH, Method, RequestT, ResponseT
from .origin import Origin
from .types import Hint, Image

ItemT = TypeVar("ItemT", covariant=True)
ListedT = TypeVar("ListedT", pb.ListRequest, pb.ListTrashRequest)

#: Called before a list ends that matched nothing, with what there is instead.
OnHints = Callable[[tuple[Hint, ...]], object]


class Reading(Protocol, Generic[RequestT, ResponseT, ItemT]):
    """The state of a resumable read; the connection makes the calls."""

    method: Method[RequestT, ResponseT]

    def request(self) -> RequestT | None:
        """Returns the request for the rest; None when nothing is left."""

    def accept(self, message: ResponseT) -> Iterable[ItemT]: ...

    def finish(self) -> None:
        """Ends the read after the last message. Raises BYTES_CORRUPT when the bytes differ from those stored."""


class _Batches(Generic[ListedT]):
    """Where a list in batches resumes."""

    def __init__(self, request: ListedT, origin: Origin) -> None:
        self._request: ListedT = request
        self._origin = origin
        self._is_limited = request.limit > 0
        self._is_done = False

    def request(self) -> ListedT | None:
        return None if self._is_done else self._request

    def finish(self) -> None:
        self._is_done = True

    def _images(self, batch: pb.ListResponse | pb.ListTrashResponse) -> Iterable[Image]:
        return (image_from(image, self._origin) for image in batch.images)

    def _behind(self, batch: pb.ListResponse | pb.ListTrashResponse) -> None:
        self._request.page_token = batch.next_page_token
        if self._is_limited:
            self._request.limit = max(self._request.limit - len(batch.images), 0)
        # Limit 0 would mean all.
        self._is_done = not batch.next_page_token or (self._is_limited and self._request.limit == 0)


class Listing(_Batches[pb.ListRequest]):
    """The images of a List."""

    method = LIST

    def __init__(self, request: pb.ListRequest, origin: Origin, on_hints: OnHints | None = None) -> None:
        super().__init__(request, origin)
        self._on_hints = on_hints

    def accept(self, batch: pb.ListResponse) -> Iterable[Image]:
        self._behind(batch)
        if batch.hints and self._on_hints:
            self._on_hints(hints_from(batch))
        return self._images(batch)


class TrashListing(_Batches[pb.ListTrashRequest]):
    """The images of a ListTrash."""

    method = LIST_TRASH

    def accept(self, batch: pb.ListTrashResponse) -> Iterable[Image]:
        self._behind(batch)
        return self._images(batch)


class Download:
    """The bytes of a Get. `image` is known once the first message was accepted."""

    method = GET
    image: Image | None = None

    def __init__(self, request: pb.GetRequest, origin: Origin) -> None:
        self._request = request
        self._origin = origin
        self._is_whole = not (request.offset or request.limit or request.metadata_only)
        self._is_limited = request.limit > 0
        self._is_done = False
        self._sha256 = hashlib.sha256()

    def request(self) -> pb.GetRequest | None:
        return None if self._is_done else self._request

    def accept(self, message: pb.GetResponse) -> Iterable[bytes]:
        if message.HasField("image"):
            self.image = self.image or image_from(message.image, self._origin)
            return ()
        self._request.offset += len(message.chunk)
        if self._is_limited:
            self._request.limit -= len(message.chunk)
            # Limit 0 would mean to the end.
            self._is_done = self._request.limit == 0
        if self._is_whole:
            self._sha256.update(message.chunk)
        return (message.chunk,)

    def described(self) -> Image:
        """Returns the image of the first message. Raises INTERNAL when the daemon sent none."""
        if self.image is None:
            raise ImageStorageError(grpc.StatusCode.INTERNAL, "the daemon answered without an image")
        return self.image

    def finish(self) -> None:
        if self._is_whole and self.image and self._sha256.digest() != self.image.sha256:
            message = f"{self.image.filename} arrived with other bytes than were stored"
            raise ImageStorageError(grpc.StatusCode.DATA_LOSS, message, reason="BYTES_CORRUPT")
