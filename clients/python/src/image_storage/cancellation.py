"""Lets another thread end the waits of a blocking call."""

from __future__ import annotations

from concurrent.futures import CancelledError
from threading import Condition
from typing import Protocol


class Cancellable(Protocol):
    def cancel(self) -> object: ...


class Closing:
    """Ends the waits of all verbs of a connection."""

    def __init__(self) -> None:
        #: Notified when the connection is closed or a verb is cancelled.
        self.changed = Condition()
        self.is_closed = False

    def close(self) -> None:
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()


class Cancellation:
    """Cancels one verb with all its attempts."""

    def __init__(self, closing: Closing) -> None:
        self._closing = closing
        self._is_cancelled = False
        self._call: Cancellable | None = None

    def watch(self, call: Cancellable) -> None:
        """Sets the call that runs now; cancels it when the verb was cancelled before."""
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
        """Waits; raises CancelledError once cancelled. Closing ends the wait, and the next attempt reports it."""
        with self._closing.changed:
            self._closing.changed.wait_for(lambda: self._is_cancelled or self._closing.is_closed, seconds)
        if self._is_cancelled:
            raise CancelledError
