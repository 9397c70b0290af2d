"""Hands requests to the thread in which gRPC sends them, and records whether the last one was sent."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Semaphore

#: The most requests that wait: the next ones are read and hashed while the thread sends.
AHEAD = 4
_END = object()
_CLOSED = object()


class Feed:
    """A queue: one side puts, gRPC iterates, and requests the next item only when the one before was sent."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[object] = SimpleQueue()
        self._room = Semaphore(AHEAD)
        self._is_closed = False
        self._is_taken = False
        #: True once gRPC has sent the first request: there was a connection.
        self.is_begun = False
        #: True once gRPC is about to half-close; before, the daemon has not seen the end of the request.
        self.is_sent = False

    def put(self, item: bytes) -> bool:
        """Waits for room and adds the item. Returns False when the call is over."""
        self._room.acquire()
        if self._is_closed:
            return False
        self._queue.put(item)
        return True

    def end(self) -> None:
        self._queue.put(_END)

    def close(self) -> None:
        """Wakes both sides when the call is over. Idempotent."""
        self._is_closed = True
        self._queue.put(_CLOSED)
        self._room.release()

    def __iter__(self) -> Feed:
        return self

    def __next__(self) -> bytes:
        self.is_begun = self._is_taken
        item = self._queue.get()
        self._is_taken = item is not _CLOSED
        if item is _END:
            self.is_sent = True
        if item is _END or item is _CLOSED:
            raise StopIteration
        self._room.release()
        return item  # type: ignore[return-value]
