"""The client for asyncio: the verbs of ImageStorage, awaited.

The calls run in threads, over the connection of one ImageStorage: grpc.aio loses the daemon's answer when it refuses a
stream that is still being sent (grpc/grpc#36066), and files are read in threads in any case.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from functools import wraps
from itertools import islice
from threading import Thread
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import grpc

from .cancellation import Cancellation
from .client import ImageStorage
from .image_reader import AsyncImageReader
from .retry import DEFAULT_CONNECT_SECONDS, OnRetry

P = ParamSpec("P")
T = TypeVar("T")

#: The most calls at once; further ones wait. The daemon accepts as many saves at once by default.
MAX_CALLS = 64
#: The most images that the daemon puts into one message.
IMAGES_PER_TURN = 100


def _awaited(
    verb: Callable[Concatenate[ImageStorage, P], T],
) -> Callable[Concatenate[AsyncImageStorage, P], Coroutine[Any, Any, T]]:
    @wraps(verb)
    async def method(self: AsyncImageStorage, /, *args: P.args, **options: P.kwargs) -> T:
        client, cancellation = self._client._cancellable()
        return await self._in_thread(cancellation, lambda: verb(client, *args, **options))

    return method


def _iterated(
    verb: Callable[Concatenate[ImageStorage, P], Iterator[T]],
) -> Callable[Concatenate[AsyncImageStorage, P], AsyncIterator[T]]:
    @wraps(verb)
    async def method(self: AsyncImageStorage, /, *args: P.args, **options: P.kwargs) -> AsyncIterator[T]:
        client, cancellation = self._client._cancellable()
        items = verb(client, *args, **options)
        try:
            while turn := await self._in_thread(cancellation, lambda: [*islice(items, IMAGES_PER_TURN)]):
                for item in turn:
                    yield item
        finally:
            cancellation.cancel()

    return method


class AsyncImageStorage:
    """ImageStorage for asyncio: the same verbs with the same arguments, awaited; `async for` over lists.

    Cancelling a task cancels its call; a save may have happened then. Sources are read and `progress` is called in a
    thread.
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
        """Takes the arguments of ImageStorage."""
        self._client = ImageStorage(
            address,
            token=token,
            tls=tls,
            allow_plaintext_token=allow_plaintext_token,
            retries=retries,
            timeout=timeout,
            connect_timeout=connect_timeout,
            on_retry=on_retry,
        )
        # A semaphore belongs to the event loop that waits for it.
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    save = _awaited(ImageStorage.save)
    get = _awaited(ImageStorage.get)
    image = _awaited(ImageStorage.image)
    exists = _awaited(ImageStorage.exists)
    download = _awaited(ImageStorage.download)
    list = _iterated(ImageStorage.list)
    update = _awaited(ImageStorage.update)
    delete = _awaited(ImageStorage.delete)
    restore = _awaited(ImageStorage.restore)
    list_trash = _iterated(ImageStorage.list_trash)
    purge = _awaited(ImageStorage.purge)
    cleanup = _awaited(ImageStorage.cleanup)
    stats = _awaited(ImageStorage.stats)
    totals = _awaited(ImageStorage.totals)

    async def open(self, filename: str, *, provider: str = "") -> AsyncImageReader:
        """Returns an image as a binary file whose `read` is awaited; `.image` describes it.

        Raises:
            ImageStorageError: IMAGE_NOT_FOUND.
        """
        image = await self.image(filename, provider=provider)
        return AsyncImageReader(
            image, lambda offset, limit: self.get(filename, provider=provider, offset=offset, limit=limit)
        )

    async def close(self) -> None:
        """Closes the connection and cancels the calls that still run."""
        self._client.close()

    async def __aenter__(self) -> AsyncImageStorage:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _in_thread(self, cancellation: Cancellation, work: Callable[[], T]) -> T:
        async with self._turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MAX_CALLS)):
            done = asyncio.wrap_future(_started(work))
            try:
                await asyncio.wait([done])
            except asyncio.CancelledError:
                # After a second cancellation nothing retrieves the exception, which asyncio would log.
                done.add_done_callback(lambda done: done.cancelled() or done.exception())
                cancellation.cancel()
                # The source must not be read any more when the caller continues.
                await asyncio.wait([done])
                raise
            return done.result()


def _started(work: Callable[[], T]) -> Future[T]:
    """Runs the work in a thread of its own.

    Those of a ThreadPoolExecutor keep a program from ending, and a forked process waits for them forever.
    """
    running: Future[T] = Future()

    def run() -> None:
        try:
            running.set_result(work())
        except BaseException as error:
            running.set_exception(error)

    Thread(target=copy_context().run, args=(run,), name="image-storage", daemon=True).start()
    return running
