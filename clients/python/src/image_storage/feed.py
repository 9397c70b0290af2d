"""Hands requests to the thread in which gRPC sends them, and knows whether the last one has left."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Semaphore

#: How many requests may wait: the next ones are read and hashed while the thread sends.
AHEAD = 4
_END = object()
_CLOSED = object()


class Feed:
    """One side puts, gRPC iterates. It asks for the next item only when the one before was sent."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[object] = SimpleQueue()
        self._room = Semaphore(AHEAD)
        self._is_closed = False
        #: gRPC is about to half-close. As long as this is False the daemon has not seen the end of the request.
        self.is_sent = False

    def put(self, item: bytes) -> bool:
        """Waits for room; False when nobody takes items any more."""
        self._room.acquire()
        if self._is_closed:
            return False
        self._queue.put(item)
        return True

    def end(self) -> None:
        self._queue.put(_END)

    def close(self) -> None:
        """The call is over: wakes both sides. Idempotent."""
        self._is_closed = True
        self._queue.put(_CLOSED)
        self._room.release()

    def __iter__(self) -> Feed:
        return self

    def __next__(self) -> bytes:
        item = self._queue.get()
        if item is _END:
            self.is_sent = True
        if item is _END or item is _CLOSED:
            raise StopIteration
        self._room.release()
        return item  # type: ignore[return-value]
