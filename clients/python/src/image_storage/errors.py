"""The one exception of the client, and the conversion of a gRPC status with its details to it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypedDict, cast

import grpc

from .details import DecodeError, details_in
from .proxy import explanation, http_status_in


class RetryWith(TypedDict):
    """The values to send again to learn the outcome of a save: `client.save(source, **error.retry_with, …)`."""

    idempotency_key: str
    timestamp: datetime


class ImageStorageError(Exception):
    """A failed call.

    Attributes:
        code: The gRPC status code.
        message: The text of the daemon or the connection.
        reason: The contract's reason in UPPER_SNAKE, or DAEMON_UNREACHABLE, TOKEN_IN_PLAINTEXT, FORKED of this client;
            None for what else the connection reports.
        field: The request field at fault, such as `metadata.prompt`.
        retry_after: A retry after this many seconds may succeed.
        outcome_unknown: The write may have happened; a save with `retry_with` returns its outcome.
        http_status: The HTTP status that a proxy answered with, in place of a gRPC answer.
        retry_with: The idempotency key and timestamp of the save that failed.
    """

    def __init__(self, code: grpc.StatusCode, message: str, *, reason: str | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.reason = reason
        self.field: str | None = None
        self.retry_after: float | None = None
        self.outcome_unknown = False
        self.http_status: int | None = None
        self.retry_with: RetryWith | None = None

    @property
    def retryable(self) -> bool:
        """True when the same call may succeed later, unchanged."""
        return self.code is grpc.StatusCode.UNAVAILABLE or self.retry_after is not None

    def explain(self, reason: str | None, message: str) -> None:
        """Puts words of ours in place of those of the connection."""
        self.reason, self.message = reason, message
        self.args = (self.code, message)

    def __str__(self) -> str:
        return f"{self.reason or self.code.name}: {self.message}"


# A proxy gives it before it has passed on the whole request.
_PAYLOAD_TOO_LARGE = 413

# Codes that the connection itself reports when no answer came.
_MAY_BE_UNANSWERED = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
}


def error_from(failure: grpc.RpcError, sent: bool) -> ImageStorageError:
    """Converts a status. `sent`: the whole request was sent, so that its outcome is unknown without an answer."""
    call = cast(grpc.Call, failure)
    error = ImageStorageError(call.code(), call.details() or "")
    # A traceback would begin with grpcio's, which is long and says no more.
    error.__suppress_context__ = True
    _read_details(error, call.trailing_metadata() or ())
    if error.reason is None:
        _read_http_status(error)
        if error.code in _MAY_BE_UNANSWERED and error.http_status != _PAYLOAD_TOO_LARGE:
            error.outcome_unknown = sent
    return error


def _read_http_status(error: ImageStorageError) -> None:
    error.http_status = http_status_in(error.message)
    if error.http_status is not None:
        error.explain(None, explanation(error.http_status))


def _read_details(error: ImageStorageError, metadata: Iterable[tuple[str, str | bytes]]) -> None:
    encoded = next((value for key, value in metadata if key == "grpc-status-details-bin"), b"")
    try:
        for detail in details_in(cast(bytes, encoded)):
            error.reason = detail.reason or error.reason
            error.outcome_unknown |= detail.outcome_unknown
            error.field = detail.field or error.field
            error.retry_after = detail.retry_after if detail.retry_after is not None else error.retry_after
    except DecodeError:
        # A proxy changed the details; the status itself still holds.
        return
