"""Lets another thread end what a blocking call waits for."""

from __future__ import annotations

from concurrent.futures import CancelledError
from threading import Event
from typing import Protocol


class Cancellable(Protocol):
    def cancel(self) -> object: ...


class Cancellation:
    """Of one verb with all its attempts."""

    def __init__(self) -> None:
        self._is_cancelled = Event()
        self._call: Cancellable | None = None

    def watch(self, call: Cancellable) -> None:
        """Names the call that runs now."""
        self._call = call
        if self._is_cancelled.is_set():
            call.cancel()

    def cancel(self) -> None:
        self._is_cancelled.set()
        if self._call:
            self._call.cancel()

    def sleep(self, seconds: float) -> None:
        """Waits; CancelledError as soon as it is."""
        if self._is_cancelled.wait(seconds):
            raise CancelledError
