"""The one exception of the client, and the conversion of a gRPC status with its details to it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypedDict, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status


class RetryWith(TypedDict):
    """The values to send again to learn the outcome of a save: `client.save(source, **error.retry_with, …)`."""

    idempotency_key: str
    timestamp: datetime


class ImageStorageError(Exception):
    """A failed call.

    Attributes:
        code: The gRPC status code.
        message: The text of the daemon or the connection.
        reason: The contract's reason in UPPER_SNAKE; None when the error did not come from the daemon.
        field: The request field at fault, such as `metadata.prompt`.
        retry_after: A retry after this many seconds may succeed.
        outcome_unknown: The write may have happened; a save with `retry_with` returns its outcome.
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
        self.retry_with: RetryWith | None = None

    @property
    def retryable(self) -> bool:
        """True when the same call may succeed later, unchanged."""
        return self.code is grpc.StatusCode.UNAVAILABLE or self.retry_after is not None

    def __str__(self) -> str:
        return f"{self.reason or self.code.name}: {self.message}"


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
    if error.reason is None and error.code in _MAY_BE_UNANSWERED:
        error.outcome_unknown = sent
    return error


def _read_details(error: ImageStorageError, metadata: Iterable[tuple[str, str | bytes]]) -> None:
    encoded = next((value for key, value in metadata if key == "grpc-status-details-bin"), b"")
    info, request, retry = ErrorInfo(), BadRequest(), RetryInfo()
    try:
        for detail in Status.FromString(cast(bytes, encoded)).details:
            if detail.Unpack(info):
                error.reason = info.reason
                error.outcome_unknown = info.metadata.get("outcome") == "unknown"
            elif detail.Unpack(request) and request.field_violations:
                error.field = request.field_violations[0].field
            elif detail.Unpack(retry):
                error.retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    except DecodeError:
        # A proxy changed the details; the status itself still holds.
        return
