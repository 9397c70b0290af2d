"""The client: every verb of the contract, blocking."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from types import TracebackType

import grpc

from imagestorage.v1 import image_storage_pb2 as pb

from .cancellation import Cancellation
from .connection import Connection
from .convert import (
    GROUPS,
    ORDERS,
    VIEWS,
    Embedded,
    GroupBy,
    Order,
    View,
    date_range,
    image_from,
    stats_from,
    tags_of,
    totals_from,
)
from .dates import Instant
from .deleting import Deleting, explain_older
from .download import written
from .endpoint import endpoint_of
from .errors import ImageStorageError
from .image_reader import ImageReader
from .methods import SAVE, STATS, UPDATE
from .resume import Download, Listing, OnHints
from .retry import DEFAULT_CONNECT_SECONDS, OnRetry
from .save import Parameters, Progress, Saving
from .source import Source
from .text import joined
from .types import Image, ProviderStats, Totals

# Inside the class `list` is the method.
AllStats = list[ProviderStats]


class ImageStorage(Deleting):
    """A client of the daemon at `host:port` or `unix:PATH`; it connects on the first call. Threads may share it.

    All calls raise ImageStorageError; UNAVAILABLE and errors with RetryInfo are retried first.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        token: str | None = None,
        tls: bool | grpc.ChannelCredentials = False,
        allow_plaintext_token: bool = False,
        retries: int | None = None,
        timeout: float | None = None,
        connect_timeout: float = DEFAULT_CONNECT_SECONDS,
        on_retry: OnRetry | None = None,
    ) -> None:
        """Sends nothing to the daemon yet.

        Args:
            address: Default: the variable IMAGE_STORAGE_ADDRESS, else 127.0.0.1:50051. `https://host:port` means TLS.
            token: Sent as `authorization: Bearer` with every call. Default: the variable IMAGE_STORAGE_TOKEN, else what
                the file has that IMAGE_STORAGE_TOKEN_FILE names; empty: none.
            tls: True trusts the roots in the file that IMAGE_STORAGE_CA_FILE names, else grpcio's; for others, or a
                client certificate: `grpc.ssl_channel_credentials(…)`.
            allow_plaintext_token: Lets the token go to another machine without TLS.
            retries: The most retries of a call, by default 6; progress of a list or a get starts the count again. They
                are logged as warnings of the logger `image_storage`.
            timeout: Seconds for one call with all its attempts; 0 means no limit. Default: 600; none for list and get.
            connect_timeout: Seconds in which a client that never reached a daemon looks for it, before it raises
                DAEMON_UNREACHABLE; more for one that may start before its daemon.
            on_retry: Called with the error and the seconds before each wait for another attempt.

        Raises:
            ValueError: The address or the token is invalid.
            ImageStorageError: TOKEN_IN_PLAINTEXT.
            OSError: A file that a variable names cannot be read.
        """
        self._connection = Connection(
            endpoint_of(address, token=token, tls=tls, allow_plaintext_token=allow_plaintext_token),
            retries=retries,
            timeout=timeout,
            connect_timeout=connect_timeout,
            on_retry=on_retry,
        )

    def save(
        self,
        source: Source,
        *,
        prompt: str = "",
        model: str = "",
        parameters: Parameters | None = None,
        category: str = "",
        tags: Iterable[str] = (),
        timestamp: datetime | None = None,
        provider: str = "",
        pinned: bool = False,
        content_type: str = "",
        idempotency_key: str | None = None,
        embedded: Embedded = "fill",
        ttl: timedelta | str | None = None,
        unless_deleted: bool = False,
        progress: Progress | None = None,
        format: str = "",
        quality: int | None = None,
    ) -> Image:
        """Stores one image; when it returns the image is on stable storage.

        A retry never makes a second image. Up to 64 MiB of a stream that cannot seek are kept for retries; a longer one
        is not retried. When the error has `outcome_unknown`, a later save with its `retry_with` returns the outcome.

        Args:
            source: Bytes, a path or a binary file (read from its position), stored unchanged; or a PIL image or uint8
                array, whose pixels are encoded, without further frames of their file. What a generator wrote into the
                PIL image stays inside; else prompt, model and parameters are put there, as A1111 does.
            prompt: At most 64 KiB.
            model: Kept verbatim; folders and filenames use its slug.
            parameters: Numbers are kept exactly, a 64-bit seed too; a str is JSON text, kept byte for byte.
            category: A free label, matched exactly by filters.
            tags: At most 64.
            timestamp: When the image was generated, with its zone, kept to the millisecond. Default: now.
            provider: Default: the daemon's default provider.
            pinned: Keeps the image out of every cleanup.
            content_type: The expected type, such as `image/png`, checked when given.
            idempotency_key: Default: a generated one. A repeated save with it returns the first result, `replayed`, and
                `deleted` where that image was deleted since.
            embedded: `fill`: the daemon fills what is left empty of prompt, model and parameters from what the
                generator wrote into the file; the result shows it. `ignore`: the metadata is stored as given. An older
                daemon reads nothing.
            ttl: How long the image is wanted, such as `2h`; then it goes, a day after the save at the earliest, unless
                it is pinned. An older daemon keeps it: the image has no `expire_time` then.
            unless_deleted: Raises DELETED_BEFORE, in place of `deleted` in the result, and where the same bytes were
                deleted within a year and are not there. An older daemon ignores it, or looks at the key alone.
            progress: Called with the further bytes sent, as `tqdm.update` is; negative when an attempt starts over.
            format: That of pixels, as Pillow names it: `PNG` (default), `JPEG`, `WEBP`, `AVIF`, `GIF`.
            quality: That of pixels in a lossy format, as Pillow takes it.
        """
        saving = Saving(
            source,
            prompt=prompt,
            model=model,
            parameters=parameters,
            category=category,
            tags=tags,
            timestamp=timestamp,
            provider=provider,
            pinned=pinned,
            content_type=content_type,
            idempotency_key=idempotency_key,
            embedded=embedded,
            ttl=ttl,
            unless_deleted=unless_deleted,
            progress=progress,
            format=format,
            quality=quality,
        )
        retry = self._connection.retry()
        try:
            while True:
                try:
                    answer = self._connection.send(SAVE, saving.messages(), retry.seconds_left)
                    return image_from(
                        answer.image, self._connection.origin, replayed=answer.replayed, deleted=answer.deleted
                    )
                except ImageStorageError as error:
                    retry.wait(saving.judge(error), saving.repeatable)
        finally:
            saving.close()

    def get(self, filename: str, *, provider: str = "", offset: int = 0, limit: int = 0) -> bytes:
        """Returns the bytes of an image, checked against its sha256, or a range of them; limit 0 means to the end.

        Raises:
            ImageStorageError: IMAGE_NOT_FOUND, OFFSET_OUT_OF_RANGE or BYTES_CORRUPT.
        """
        request = pb.GetRequest(filename=filename, provider=provider, offset=offset, limit=limit)
        data = BytesIO()
        for chunk in self._connection.read(Download(request, self._connection.origin)):
            data.write(chunk)
        return data.getvalue()

    def image(self, filename: str, *, provider: str = "") -> Image:
        """Returns what is known of an image, without its bytes.

        Raises:
            ImageStorageError: IMAGE_NOT_FOUND.
        """
        download = Download(
            pb.GetRequest(filename=filename, provider=provider, metadata_only=True), self._connection.origin
        )
        for _ in self._connection.read(download):
            pass
        return download.described()

    def exists(self, filename: str, *, provider: str = "") -> bool:
        """Returns whether there is an image of that filename; one in the trash is none."""
        try:
            self.image(filename, provider=provider)
        except ImageStorageError as error:
            if error.reason != "IMAGE_NOT_FOUND":
                raise
            return False
        return True

    def download(self, filename: str, path: str | os.PathLike[str], *, provider: str = "") -> Path:
        """Writes an image into a file, and returns its path; in a folder it has the filename of the image.

        The file is there when all of it was read and its sha256 is that of the image; one of before is replaced then.

        Raises:
            ImageStorageError: IMAGE_NOT_FOUND or BYTES_CORRUPT.
            OSError: The file cannot be written.
        """
        request = pb.GetRequest(filename=filename, provider=provider)
        return written(self._connection.read(Download(request, self._connection.origin)), filename, Path(path))

    def open(self, filename: str, *, provider: str = "") -> ImageReader:
        """Returns an image as a binary file that reads ahead 1 MiB and seeks; `.image` describes it.

        Raises:
            ImageStorageError: IMAGE_NOT_FOUND.
        """
        return ImageReader(
            self.image(filename, provider=provider),
            lambda offset, limit: self.get(filename, provider=provider, offset=offset, limit=limit),
        )

    def list(
        self,
        *,
        provider: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        model: str = "",
        category: str = "",
        query: str = "",
        tags: Iterable[str] = (),
        pinned: bool | None = None,
        order: Order = "newest",
        view: View = "full",
        limit: int = 0,
        on_hints: OnHints | None = None,
    ) -> Iterator[Image]:
        """Yields the images that match all filters. Sends nothing before the first; resumes a lost connection.

        Args:
            provider: Default: the default provider; `*` means all of them.
            since: First instant of the image's timestamp: a datetime, a date (UTC), an age, or one of them as text.
            until: First instant after the range; a date includes that whole day.
            model: The name as it was saved, or its slug.
            category: The exact category.
            query: Terms that must all hold: words of the prompt or their beginnings, `"a phrase"`, `-not`, `a OR b`,
                and fields such as `seed:42`, `steps:>=30`, `lora:ink`, `negative:blurry`, `after:2026-11-01`; the
                contract has them all. Any other text, such as a pasted prompt, is searched for its words.
            tags: The image must have all of them.
            pinned: Only pinned images, or only those that are not; None means both.
            order: By timestamp.
            view: `row` is what a row of a table shows: without parameters, prompt and negative prompt cut after 300
                characters; the daemon then reads and sends no workflows. An older daemon sends all.
            limit: The most images; 0 means all.
            on_hints: Called when nothing matches and no image has the model, the category or a tag that was asked for,
                with what there is instead. An older daemon gives no hints.
        """
        request = pb.ListRequest(
            provider=provider,
            date_range=date_range(since, until),
            model=joined(model, "model"),
            category=joined(category, "category"),
            query=joined(query, "query"),
            tags=tags_of(tags),
            order=ORDERS[order],
            view=VIEWS[view],
            limit=limit,
            pinned=pinned,  # type: ignore[arg-type]  # None is unset
            hints=on_hints is not None,
        )
        return self._connection.read(Listing(request, self._connection.origin, on_hints))

    def update(
        self,
        filename: str,
        *,
        pinned: bool | None = None,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
        category: str | None = None,
        provider: str = "",
    ) -> Image:
        """Changes the pin, the tags and the category of an image; returns the image as it is then.

        Repeating it changes nothing more.

        Args:
            filename: The filename of the image.
            pinned: True: no cleanup deletes the image. False: removes the pin. None: stays.
            add_tags: The image has at most 64 tags with these.
            remove_tags: None of `add_tags`.
            category: Empty: none. None: stays.
            provider: Default: the default provider.

        Raises:
            ImageStorageError: IMAGE_NOT_FOUND, FIELD_INVALID, or UNIMPLEMENTED when the daemon is older.
        """
        request = pb.UpdateRequest(
            filename=filename,
            provider=provider,
            pinned=pinned,  # type: ignore[arg-type]  # None is unset
            add_tags=tags_of(add_tags),
            remove_tags=tags_of(remove_tags),
            category=category if category is None else joined(category, "category"),
        )
        try:
            return image_from(self._connection.ask(UPDATE, request).image, self._connection.origin)
        except ImageStorageError as error:
            raise explain_older(error, "it cannot change images") from None

    def stats(self, provider: str = "") -> AllStats:
        """Returns the counts of one provider, or of each for `*`; default: the default provider."""
        return [*map(stats_from, self._connection.ask(STATS, pb.StatsRequest(provider=provider)).providers)]

    def totals(
        self,
        *,
        by: GroupBy | None = None,
        provider: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        model: str = "",
        category: str = "",
        query: str = "",
        tags: Iterable[str] = (),
        pinned: bool | None = None,
        starts_with: str = "",
        time_zone: str = "",
        limit: int = 0,
    ) -> Totals:
        """Counts the images that match all filters, in total and by group.

        Args:
            by: The groups; None means none. An image with several tags or LoRAs counts in each of them.
            provider: Default: the default provider; `*` means all of them.
            since: First instant of the image's timestamp, as in `list`.
            until: First instant after the range; a date includes that whole day.
            model: The name as it was saved, or its slug.
            category: The exact category.
            query: As in `list`.
            tags: The image must have all of them.
            pinned: Only pinned images, or only those that are not; None means both.
            starts_with: Only groups whose names begin so; case is ignored.
            time_zone: The IANA time zone of days and months, such as `Europe/Berlin`; default UTC.
            limit: The most groups: 1 to 10,000, default 100. Those beyond are one rest.

        Raises:
            ImageStorageError: UNIMPLEMENTED when the daemon is older: it counts only whole providers.
        """
        request = pb.StatsRequest(
            provider=provider,
            date_range=date_range(since, until),
            model=joined(model, "model"),
            category=joined(category, "category"),
            query=joined(query, "query"),
            tags=tags_of(tags),
            pinned=pinned,  # type: ignore[arg-type]  # None is unset
            by=GROUPS[by] if by else pb.GROUP_BY_UNSPECIFIED,
            starts_with=starts_with,
            time_zone=time_zone,
            limit=limit,
        )
        return totals_from(self._connection.ask(STATS, request))

    def close(self) -> None:
        """Closes the connection and cancels the calls that still run."""
        self._connection.close()

    def __enter__(self) -> ImageStorage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _cancellable(self) -> tuple[ImageStorage, Cancellation]:
        client = copy.copy(self)
        client._connection, cancellation = self._connection.cancellable()
        return client, cancellation
