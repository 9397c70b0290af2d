"""Repeats failed attempts: exponential backoff with jitter, bounded by attempts and by the deadline."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable
from time import monotonic

from .errors import ImageStorageError

DEFAULT_RETRIES = 6
FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 5.0

#: Before its first connection, a client looks this long for its daemon.
DEFAULT_CONNECT_SECONDS = 2.5

_LOG = logging.getLogger("image_storage")

OnRetry = Callable[[ImageStorageError, float], object]


class Retry:
    """The attempts of one call."""

    def __init__(
        self,
        retries: int | None,
        timeout_seconds: float,
        on_retry: OnRetry | None,
        sleep: Callable[[float], None],
        connect_seconds: float = DEFAULT_CONNECT_SECONDS,
        was_reached: Callable[[], bool] = lambda: True,
    ) -> None:
        """A timeout of 0 means no limit, as does infinity. `was_reached`: whether there was a connection."""
        self._retries = retries
        self._deadline = monotonic() + timeout_seconds if timeout_seconds not in (0, math.inf) else None
        self._on_retry = on_retry
        self._sleep = sleep
        self._failures = 0
        self._connect_seconds = connect_seconds
        self._was_reached = was_reached
        self._began = self._attempt_began = monotonic()

    @property
    def seconds_left(self) -> float | None:
        return None if self._deadline is None else self._deadline - monotonic()

    def reset(self) -> None:
        """Starts the count of failures again, after progress."""
        self._failures = 0

    def wait(self, error: ImageStorageError, repeatable: bool = True) -> None:
        """Waits before the next attempt, or raises the error when there is none."""
        if not (repeatable and error.retryable):
            raise error
        step = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**self._failures)
        # At least half of the step: all steps together must outlast a restart of the daemon.
        seconds = (error.retry_after or 0) + random.uniform(step / 2, step)
        self._failures += 1
        left = self.seconds_left
        if self._is_last(error, seconds) or (left is not None and seconds >= left):
            raise error
        _LOG.warning("%s; attempt %d follows in %.1f s", error, self._failures + 1, seconds)
        if self._on_retry:
            self._on_retry(error, seconds)
        self._sleep(seconds)
        self._attempt_began = monotonic()

    def _is_last(self, error: ImageStorageError, seconds: float) -> bool:
        was_reached = self._was_reached()
        retries = DEFAULT_RETRIES if self._retries is None and was_reached else self._retries
        if retries is not None and self._failures > retries:
            return True
        now = monotonic()
        # Another attempt may take as long as the last one.
        until = now - self._began + seconds + now - self._attempt_began
        return not was_reached and until > self._connect_seconds
