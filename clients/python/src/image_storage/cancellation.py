"""Lets another thread end what a blocking call waits for."""

from __future__ import annotations

from concurrent.futures import CancelledError
from threading import Condition
from typing import Protocol


class Cancellable(Protocol):
    def cancel(self) -> object: ...


class Closing:
    """Of a connection: ends what any of its verbs waits for."""

    def __init__(self) -> None:
        #: Notified when it is closed or any verb is cancelled.
        self.changed = Condition()
        self.is_closed = False

    def close(self) -> None:
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()


class Cancellation:
    """Of one verb with all its attempts."""

    def __init__(self, closing: Closing) -> None:
        self._closing = closing
        self._is_cancelled = False
        self._call: Cancellable | None = None

    def watch(self, call: Cancellable) -> None:
        """Names the call that runs now."""
        self._call = call
        if self._is_cancelled:
            call.cancel()

    def cancel(self) -> None:
        with self._closing.changed:
            self._is_cancelled = True
            self._closing.changed.notify_all()
        if self._call:
            self._call.cancel()

    def sleep(self, seconds: float) -> None:
        """Waits; CancelledError as soon as it is. Woken by the end of the connection, the next attempt says so."""
        with self._closing.changed:
            self._closing.changed.wait_for(lambda: self._is_cancelled or self._closing.is_closed, seconds)
        if self._is_cancelled:
            raise CancelledError
