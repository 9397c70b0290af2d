"""The client for asyncio: the verbs of ImageStorage, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from io import BytesIO
from types import TracebackType

import grpc
import grpc.aio

from imagestorage.v1 import image_storage_pb2 as pb

from .connection import (
    CHANNEL_OPTIONS,
    CLEANUP,
    DEFAULT_RETRIES,
    DELETE,
    MAX_DELETES_PER_CALL,
    NO_END,
    SAVE,
    STATS,
    Connection,
    Method,
    RequestT,
    ResponseT,
)
from .convert import ORDERS, Order, cleanup_from, date_range, delete_result_from, image_from, stats_from, timestamp_of
from .dates import Instant
from .errors import ImageStorageError, error_from
from .reader import AsyncImageReader
from .reading import Download, ItemT, Listing, Reading
from .retry import OnRetry
from .saving import Parameters, Progress, Saving
from .source import Source
from .types import CleanupResult, DeleteResult, Image, ProviderStats

# Inside the class `list` is a verb.
DeleteResults = list[DeleteResult]
AllStats = list[ProviderStats]


class AsyncImageStorage:
    """What ImageStorage does, for asyncio. Cancelling a task cancels its call; a save may have happened then."""

    def __init__(
        self,
        address: str | None = None,
        *,
        token: str | None = None,
        tls: bool | grpc.ChannelCredentials = False,
        retries: int = DEFAULT_RETRIES,
        timeout: float | None = None,
        on_retry: OnRetry | None = None,
    ) -> None:
        """As ImageStorage. The first call binds it to the running loop."""
        self._connection = Connection(
            address, token=token, tls=tls, retries=retries, timeout=timeout, on_retry=on_retry
        )

    async def save(
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
        progress: Progress | None = None,
    ) -> Image:
        """As ImageStorage.save. The source is read, and `progress` told, in a thread."""
        saving = await asyncio.to_thread(
            Saving,
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
            progress=progress,
        )
        retry = self._connection.retry()
        try:
            while True:
                try:
                    answer = await self._send(SAVE, _in_thread(saving.messages()), retry.seconds_left)
                    return image_from(answer.image, replayed=answer.replayed)
                except ImageStorageError as error:
                    await asyncio.sleep(retry.delay(saving.judge(error), saving.repeatable))
        finally:
            saving.close()

    async def get(self, filename: str, *, provider: str = "", offset: int = 0, limit: int = 0) -> bytes:
        """As ImageStorage.get."""
        request = pb.GetRequest(filename=filename, provider=provider, offset=offset, limit=limit)
        data = BytesIO()
        async for chunk in self._read(Download(request)):
            data.write(chunk)
        return data.getvalue()

    async def open(self, filename: str, *, provider: str = "") -> AsyncImageReader:
        """As ImageStorage.open; `read` is awaited."""
        download = Download(pb.GetRequest(filename=filename, provider=provider, metadata_only=True))
        async for _ in self._read(download):
            pass
        return AsyncImageReader(
            download.described(),
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
        limit: int = 0,
    ) -> AsyncIterator[Image]:
        """As ImageStorage.list: `async for image in client.list(…)`."""
        request = pb.ListRequest(
            provider=provider,
            date_range=date_range(since, until),
            model=model,
            category=category,
            query=query,
            tags=tags,
            order=ORDERS[order],
            limit=limit,
            pinned=pinned,  # type: ignore[arg-type]  # None is unset
        )
        return self._read(Listing(request))

    async def delete(self, filenames: str | Iterable[str], *, provider: str = "") -> DeleteResults:
        """As ImageStorage.delete."""
        names = [filenames] if isinstance(filenames, str) else [*filenames]
        results: DeleteResults = []
        for start in range(0, len(names), MAX_DELETES_PER_CALL):
            request = pb.DeleteRequest(filenames=names[start : start + MAX_DELETES_PER_CALL], provider=provider)
            results += map(delete_result_from, (await self._ask(DELETE, request)).results)
        return results

    async def cleanup(
        self,
        *,
        older_than: Instant | None = None,
        keep_count: int | None = None,
        keep_bytes: int | None = None,
        model: str = "",
        category: str = "",
        provider: str = "",
        dry_run: bool = False,
        max_deletes: int | None = None,
    ) -> CleanupResult:
        """As ImageStorage.cleanup."""
        request = pb.CleanupRequest(
            older_than=timestamp_of(older_than),
            model=model,
            category=category,
            provider=provider,
            dry_run=dry_run,
            keep_count=keep_count,
            keep_bytes=keep_bytes,
            max_deletes=max_deletes,
        )
        return cleanup_from(await self._ask(CLEANUP, request, repeatable=dry_run))

    async def stats(self, provider: str = "") -> AllStats:
        """As ImageStorage.stats."""
        return [*map(stats_from, (await self._ask(STATS, pb.StatsRequest(provider=provider))).providers)]

    async def close(self) -> None:
        """Closes the connection and cancels what still runs."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncImageStorage:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        target, credentials = self._connection.address, self._connection.credentials
        if credentials:
            return grpc.aio.secure_channel(target, credentials, CHANNEL_OPTIONS)
        return grpc.aio.insecure_channel(target, CHANNEL_OPTIONS)

    async def _ask(
        self, method: Method[RequestT, ResponseT], request: RequestT, *, repeatable: bool = True
    ) -> ResponseT:
        """`repeatable`: does no harm where an attempt without an answer had been carried out."""
        retry = self._connection.retry()
        while True:
            try:
                return await self._send(method, _only(request), retry.seconds_left)
            except ImageStorageError as error:
                await asyncio.sleep(retry.delay(error, repeatable or not error.outcome_unknown))

    async def _send(
        self, method: Method[RequestT, ResponseT], messages: AsyncIterator[RequestT], seconds: float | None
    ) -> ResponseT:
        """One attempt. A single message goes as a stream, too: only a stream tells whether all of it was sent."""
        start = self._channel.stream_unary(method.path, method.request.SerializeToString, method.response.FromString)
        call = start(timeout=seconds, metadata=self._connection.metadata)
        is_sent = False
        try:
            # An answer before the end is an error, or a save that was done before: nobody wants the rest.
            with suppress(asyncio.InvalidStateError):
                async for message in messages:
                    await call.write(message)
                is_sent = True
                await call.done_writing()
            answer: ResponseT = await call
            return answer
        except grpc.RpcError as failure:
            raise error_from(failure, is_sent) from failure
        finally:
            call.cancel()

    async def _read(self, reading: Reading[RequestT, ResponseT, ItemT]) -> AsyncIterator[ItemT]:
        method, retry = reading.method, self._connection.retry(NO_END)
        start = self._channel.unary_stream(method.path, method.request.SerializeToString, method.response.FromString)
        while (request := reading.request()) is not None:
            call = start(request, timeout=retry.seconds_left, metadata=self._connection.metadata)
            try:
                async for message in call:
                    retry.reset()
                    for item in reading.accept(message):
                        yield item
                reading.finish()
                return
            except grpc.RpcError as failure:
                await asyncio.sleep(retry.delay(error_from(failure, sent=False)))
            finally:
                call.cancel()


async def _only(request: RequestT) -> AsyncIterator[RequestT]:
    yield request


async def _in_thread(messages: Iterator[RequestT]) -> AsyncIterator[RequestT]:
    """Reads files and hashes where that does not hold up the loop."""
    while (message := await asyncio.to_thread(next, messages, None)) is not None:
        yield message
