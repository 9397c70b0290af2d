"""Knows whether this process was forked in a way that grpcio does not survive: its calls would wait for ever."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import grpc

from .errors import ImageStorageError

_BROKEN = (
    "this process was forked {}, and grpcio does not work in it: start workers before the first call, or with "
    'multiprocessing.get_context("spawn")'
)
_CLOSED = "this client was used before the process was forked: make another one"


class _Process:
    """What grpcio does in this process."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.is_used = False
        self.calls = 0
        #: How it was forked, where that broke grpcio.
        self.broken = ""

    def forked(self) -> None:
        # The parent's threads, and what they hold, are not here.
        self.lock = Lock()
        setting = os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "").lower()
        if setting in ("0", "false", "no") and self.is_used:
            self.broken = "after a call, with GRPC_ENABLE_FORK_SUPPORT off"
        # By default grpcio takes part in a fork only while it is idle.
        elif not setting and self.calls > 0:
            self.broken = "while a call ran"
        self.calls = 0


_PROCESS = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_PROCESS.forked)


def is_broken() -> bool:
    return bool(_PROCESS.broken)


def check() -> None:
    """Raises FORKED where a call would never end."""
    if _PROCESS.broken:
        raise forked(_BROKEN.format(_PROCESS.broken))


def forked(message: str = _CLOSED) -> ImageStorageError:
    return ImageStorageError(grpc.StatusCode.FAILED_PRECONDITION, message, reason="FORKED")


@contextmanager
def calling() -> Iterator[None]:
    """Counts a call, or a wait between two attempts, while it runs."""
    process = os.getpid()
    with _PROCESS.lock:
        _PROCESS.is_used = True
        _PROCESS.calls += 1
    try:
        yield
    finally:
        # A list that was begun before a fork may end in the child, which does not count it.
        if process == os.getpid():
            with _PROCESS.lock:
                _PROCESS.calls -= 1
