"""How to reach the daemon: address, credentials, channel options and the methods of the contract."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
from google.protobuf.message import Message

from imagestorage.v1 import image_storage_pb2 as pb

from .retry import OnRetry, Retry

DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_RETRIES = 6
DEFAULT_TIMEOUT_SECONDS = 600.0
NO_END = 0.0
#: The contract's bound on one Delete.
MAX_DELETES_PER_CALL = 1000

CHANNEL_OPTIONS = (
    # Retries are ours: they keep the idempotency key and know which source can be read again.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A daemon whose machine vanished never answers; this is how the connection learns it.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.use_local_subchannel_pool", 1),
    # A daemon beside its generator must not be looked for behind the http_proxy of the environment.
    ("grpc.enable_http_proxy", 0),
)

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True)
class Method(Generic[RequestT, ResponseT]):
    """One rpc of the contract."""

    name: str
    request: type[RequestT]
    response: type[ResponseT]

    @property
    def path(self) -> str:
        return f"/imagestorage.v1.ImageStorage/{self.name}"


SAVE = Method("Save", pb.SaveRequest, pb.SaveResponse)
GET = Method("Get", pb.GetRequest, pb.GetResponse)
LIST = Method("List", pb.ListRequest, pb.ListResponse)
DELETE = Method("Delete", pb.DeleteRequest, pb.DeleteResponse)
CLEANUP = Method("Cleanup", pb.CleanupRequest, pb.CleanupResponse)
STATS = Method("Stats", pb.StatsRequest, pb.StatsResponse)


class Connection:
    """What every call of a client shares, whatever its transport."""

    def __init__(
        self,
        address: str | None,
        *,
        token: str | None,
        tls: bool | grpc.ChannelCredentials,
        retries: int,
        timeout: float | None,
        on_retry: OnRetry | None,
    ) -> None:
        self.address = address or os.environ.get("IMAGE_STORAGE_ADDRESS") or DEFAULT_ADDRESS
        self.credentials = grpc.ssl_channel_credentials() if tls is True else tls or None
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._retries = retries
        self._timeout_seconds = timeout
        self._on_retry = on_retry

    def retry(self, default_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> Retry:
        seconds = default_seconds if self._timeout_seconds is None else self._timeout_seconds
        return Retry(self._retries, seconds, self._on_retry)
