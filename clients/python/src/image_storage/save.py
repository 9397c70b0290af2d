"""One save over all its attempts: the messages of each, and what is known of the outcome."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

from imagestorage.v1 import image_storage_pb2 as pb

from .convert import EMBEDDED, Embedded, tags_of, timestamp_of, ttl_of
from .dates import aware
from .errors import ImageStorageError, RetryWith
from .inside import generation_text
from .pixels import Encoding
from .source import MAX_BUFFERED_BYTES, OpenSource, Source
from .text import joined

#: Called with the further bytes handed to the connection, as `tqdm.update` is; negative when an attempt starts over.
Progress = Callable[[int], object]
#: A mapping, or JSON text of one object that is kept byte for byte.
Parameters = Mapping[str, Any] | str


class Saving:
    """Fixes timestamp and idempotency key before the first attempt, so that the daemon recognises a retry."""

    def __init__(
        self,
        source: Source,
        *,
        prompt: str,
        model: str,
        parameters: Parameters | None,
        category: str,
        tags: Iterable[str],
        timestamp: datetime | None,
        provider: str,
        pinned: bool,
        content_type: str,
        idempotency_key: str | None,
        embedded: Embedded,
        ttl: timedelta | str | None,
        unless_deleted: bool,
        progress: Progress | None,
        format: str,
        quality: int | None,
    ) -> None:
        self._retry_with = RetryWith(
            idempotency_key=idempotency_key or uuid4().hex,
            timestamp=datetime.now(timezone.utc) if timestamp is None else aware(timestamp),
        )
        self._header = pb.SaveHeader(
            metadata=pb.ImageMetadata(
                prompt=joined(prompt, "prompt"),
                model=joined(model, "model"),
                parameters_json=joined(_json(parameters), "parameters"),
                category=joined(category, "category"),
                tags=tags_of(tags),
                timestamp=timestamp_of(self._retry_with["timestamp"]),
            ),
            provider=provider,
            pinned=pinned,
            content_type=content_type,
            embedded=EMBEDDED[embedded],
            ttl=ttl_of(ttl),
            unless_deleted=unless_deleted,
            idempotency_key=self._retry_with["idempotency_key"],
        )
        sent = self._header.metadata
        inside = generation_text(sent.prompt, sent.model, sent.parameters_json)
        self._source = OpenSource(source, Encoding(format, quality, inside))
        if self._source.size is not None:
            self._header.size = self._source.size
        self._progress = progress or (lambda _: None)
        self._reported_bytes = 0
        self._outcome_unknown = False

    def messages(self) -> Iterator[bytes]:
        """Yields the messages of one attempt, encoded: header, chunks, trailer."""
        self._report(-self._reported_bytes)
        yield pb.SaveRequest(header=self._header).SerializeToString()
        sha256 = hashlib.sha256()
        size = 0
        for chunk in self._source.chunks():
            sha256.update(chunk)
            size += len(chunk)
            yield _encoded_chunk(chunk)
            self._report(len(chunk))
        yield pb.SaveRequest(trailer=pb.SaveTrailer(size=size, sha256=sha256.digest())).SerializeToString()

    @property
    def repeatable(self) -> bool:
        return self._source.repeatable

    def judge(self, error: ImageStorageError) -> ImageStorageError:
        """Adds to the error of an attempt what is known of the whole save."""
        # A later refusal does not settle an earlier attempt that was never answered.
        self._outcome_unknown |= error.outcome_unknown
        error.outcome_unknown = self._outcome_unknown
        error.retry_with = self._retry_with
        if error.retryable and not self.repeatable:
            error.message += f" (not tried again: the source is a stream of more than {MAX_BUFFERED_BYTES >> 20} MiB)"
        return error

    def close(self) -> None:
        self._source.close()

    def _report(self, more_bytes: int) -> None:
        if more_bytes:
            self._reported_bytes += more_bytes
            self._progress(more_bytes)


def _encoded_chunk(chunk: bytes) -> bytes:
    """Returns SaveRequest(chunk=chunk), encoded; protobuf would copy every chunk twice more."""
    length, varint = len(chunk), bytearray()
    while length > 0x7F:
        varint.append(length & 0x7F | 0x80)
        length >>= 7
    varint.append(length)
    return b"".join((b"\x12", varint, chunk))


def _json(parameters: Parameters | None) -> str:
    if parameters is None or isinstance(parameters, str):
        return parameters or ""
    return json.dumps(dict(parameters), ensure_ascii=False, allow_nan=False, default=_number)


def _number(value: object) -> object:
    """Returns the number in a scalar of NumPy or Torch, which is not JSON itself. Raises TypeError for other types."""
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, str | int | float):
        return number
    raise TypeError(f"a parameter of type {type(value).__name__} has no place in JSON")
