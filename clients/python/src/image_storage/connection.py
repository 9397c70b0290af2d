"""One connection to a daemon: makes each call with its retries, ending in a message or an ImageStorageError."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event
from typing import TypeVar

import grpc

from imagestorage.v1 import image_storage_pb2 as pb

from .cancellation import Cancellable, Cancellation, Closing
from .endpoint import Endpoint
from .errors import ImageStorageError, error_from
from .feed import Feed
from .forking import calling, check, forked, is_broken
from .methods import Method, RequestT, ResponseT
from .origin import Origin
from .resume import Download, ItemT, Reading
from .retry import OnRetry, Retry
from .unreachable import cause_of, is_unconnected

DEFAULT_TIMEOUT_SECONDS = 600.0
NO_END = 0.0
_SHOWING_SECONDS = 10.0
#: The most for one attempt to connect.
_ATTEMPT_MS = 2000

#: What ends a call that had no connection yet, without a word of a daemon.
_WITHOUT_CONNECTION = (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)

CallT = TypeVar("CallT", bound=Cancellable)

CHANNEL_OPTIONS = (
    # The client itself retries: it keeps the idempotency key and knows which source can be read again.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # In spite of its name the most for one attempt to connect.
    ("grpc.min_reconnect_backoff_ms", _ATTEMPT_MS),
    ("grpc.dns_ares_query_timeout", _ATTEMPT_MS),
    # Detects a daemon whose machine vanished, which never answers.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.use_local_subchannel_pool", 1),
    # The http_proxy of the environment must not apply to a daemon on the generator's machine.
    ("grpc.enable_http_proxy", 0),
)


class Connection:
    """Connects on the first call. Threads may share it."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        retries: int | None,
        timeout: float | None,
        connect_timeout: float,
        on_retry: OnRetry | None,
    ) -> None:
        self._channel = (
            grpc.secure_channel(endpoint.address, endpoint.credentials, CHANNEL_OPTIONS)
            if endpoint.credentials
            else grpc.insecure_channel(endpoint.address, CHANNEL_OPTIONS)
        )
        # Not call credentials, which grpcio drops without TLS.
        self._metadata = (("authorization", f"Bearer {endpoint.token}"),) if endpoint.token else ()
        self._address = endpoint.address
        self._base_url = endpoint.base_url
        self._reached = Event()
        self._retries = retries
        self._timeout_seconds = timeout
        self._connect_seconds = connect_timeout
        self._on_retry = on_retry
        self._closing = Closing()
        # A channel that is still open at the end of the program, after retries, keeps grpcio from ending.
        self._close_channel = weakref.finalize(self._closing, _close, self._channel)
        self._cancellation = Cancellation(self._closing)

    @property
    def origin(self) -> Origin:
        return Origin(self._base_url, self._read_once)

    def cancellable(self) -> tuple[Connection, Cancellation]:
        """Returns the same connection for one verb, and the means to cancel that verb from another thread."""
        connection = copy.copy(self)
        connection._cancellation = Cancellation(self._closing)
        return connection, connection._cancellation

    def retry(self, default_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> Retry:
        seconds = default_seconds if self._timeout_seconds is None else self._timeout_seconds
        return Retry(
            self._retries,
            seconds,
            self._on_retry,
            self._sleep,
            self._connect_seconds,
            self._reached.is_set,
        )

    def ask(self, method: Method[RequestT, ResponseT], request: RequestT, *, repeatable: bool = True) -> ResponseT:
        """Makes a call with its retries. `repeatable`: a retry does no harm after an attempt that was carried out."""
        retry = self.retry()
        while True:
            try:
                return self.send(method, iter([request.SerializeToString()]), retry.seconds_left)
            except ImageStorageError as error:
                retry.wait(error, repeatable or not error.outcome_unknown)

    def send(self, method: Method[RequestT, ResponseT], messages: Iterator[bytes], seconds: float | None) -> ResponseT:
        """Makes one attempt. A single message is a stream, too: only a stream shows whether all of it was sent."""
        feed = Feed()
        start: grpc.StreamUnaryMultiCallable[bytes, ResponseT] = self._channel.stream_unary(
            method.path, None, method.response.FromString
        )
        with calling():
            call = self._started(lambda: start.future(feed, timeout=seconds, metadata=self._metadata))
            call.add_done_callback(lambda _: feed.close())
            try:
                for message in messages:
                    # An early answer is an error or a replayed save; neither needs the rest.
                    if not feed.put(message):
                        break
                else:
                    feed.end()
                answer: ResponseT = call.result()
                self._reached.set()
                return answer
            except grpc.RpcError as failure:
                raise self._error(failure, feed, feed.is_sent) from None
            finally:
                call.cancel()
                feed.close()

    def read(self, reading: Reading[RequestT, ResponseT, ItemT]) -> Iterator[ItemT]:
        """Yields the items; resumes a broken call until all of them were read."""
        method, retry = reading.method, self.retry(NO_END)
        # As in `send`, a stream of one.
        start: grpc.StreamStreamMultiCallable[bytes, ResponseT] = self._channel.stream_stream(
            method.path, None, method.response.FromString
        )
        while (request := reading.request()) is not None:
            feed = Feed()
            feed.put(request.SerializeToString())
            feed.end()
            with calling():
                make = partial(start, feed, timeout=retry.seconds_left, metadata=self._metadata)
                call = self._started(make)
                try:
                    for message in call:
                        self._reached.set()
                        retry.reset()
                        yield from reading.accept(message)
                    reading.finish()
                    return
                except grpc.RpcError as failure:
                    error = self._error(failure, feed, sent=False)
                finally:
                    call.cancel()
                    feed.close()
            retry.wait(error)

    def close(self) -> None:
        self._closing.close()
        self._close_channel()

    def _read_once(self, filename: str, provider: str) -> bytes:
        # The verb that the image came from may be over, or cancelled.
        connection, _ = self.cancellable()
        connection._retries, connection._timeout_seconds, connection._on_retry = 0, _SHOWING_SECONDS, None
        request = pb.GetRequest(filename=filename, provider=provider)
        return b"".join(connection.read(Download(request, self.origin)))

    def _error(self, failure: grpc.RpcError, feed: Feed, sent: bool) -> ImageStorageError:
        error = error_from(failure, sent)
        is_unavailable = error.code is grpc.StatusCode.UNAVAILABLE and error.reason is None
        if is_unavailable and not feed.is_begun and is_unconnected(error.message):
            error.explain("DAEMON_UNREACHABLE", f"no daemon at {self._address}: {cause_of(error.message)}")
        elif feed.is_begun or error.code not in _WITHOUT_CONNECTION:
            self._reached.set()
        return error

    def _started(self, start: Callable[[], CallT]) -> CallT:
        check()
        try:
            call = start()
        except ValueError as error:
            # grpcio raises it for a closed channel, and for other reasons.
            if self._closing.is_closed:
                raise ImageStorageError(grpc.StatusCode.CANCELLED, "the client was closed") from error
            if "fork" in str(error):
                raise forked() from error
            raise
        self._cancellation.watch(call)
        return call

    def _sleep(self, seconds: float) -> None:
        # Before grpcio 1.80 nothing connects while no call runs and nothing is subscribed.
        with calling():
            self._channel.subscribe(_ignore)
            try:
                self._cancellation.sleep(seconds)
            finally:
                self._channel.unsubscribe(_ignore)


def _close(channel: grpc.Channel) -> None:
    # In a process that was forked in passing it would never return.
    if not is_broken():
        channel.close()


def _ignore(_: grpc.ChannelConnectivity) -> None:
    pass
