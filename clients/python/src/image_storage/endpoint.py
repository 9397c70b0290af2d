"""Where a client connects, whom it trusts there, and the token that it shows."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

import grpc

from .errors import ImageStorageError

DEFAULT_PORT = 50051
DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PORT}"

# grpcio would look up anything else in DNS, again and again.
_ADDRESS = re.compile(r"unix:(?!//(?!/)).+|(\[[\da-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?")
_HTTPS = re.compile(r"https://(\[[\da-f:.]+\]|[\w.-]+)(:\d{1,5})?/?", re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]*")


@dataclass(frozen=True)
class Endpoint:
    """`address` is `host:port`, `[v6]:port` or `unix:PATH`; without credentials there is no TLS."""

    address: str
    token: str
    credentials: grpc.ChannelCredentials | None

    @property
    def base_url(self) -> str:
        """Where the daemon answers by HTTP, which is the port of gRPC; empty for a Unix socket."""
        return "" if self.address.startswith("unix:") else f"http{'s' if self.credentials else ''}://{self.address}"


def endpoint_of(
    address: str | None,
    *,
    token: str | None,
    tls: bool | grpc.ChannelCredentials,
    allow_plaintext_token: bool,
) -> Endpoint:
    """Raises ValueError for what is no address or no token, ImageStorageError for a token that needs TLS."""
    text = address or os.environ.get("IMAGE_STORAGE_ADDRESS") or DEFAULT_ADDRESS
    https = _HTTPS.fullmatch(text)
    target = f"{https[1]}{https[2] or ':443'}" if https else text
    match = _ADDRESS.fullmatch(target)
    if match is None or int(match[2] or 0) > 65535:
        message = f"{text!r} is no address: expected host:port, [v6]:port, unix:PATH, or https://host:port for TLS"
        raise ValueError(message)
    if match[1] and not match[2]:
        target = f"{target}:{DEFAULT_PORT}"
    credentials = _roots() if tls is True or (https and not tls) else tls or None
    shown = _token_of(token)
    if shown and credentials is None and not allow_plaintext_token and not _is_local(match[1]):
        message = (
            f"the token would reach {target} without encryption: use https://{target}, or allow_plaintext_token=True"
        )
        raise ImageStorageError(grpc.StatusCode.FAILED_PRECONDITION, message, reason="TOKEN_IN_PLAINTEXT")
    return Endpoint(target, shown, credentials)


def _roots() -> grpc.ChannelCredentials:
    ca_file = os.environ.get("IMAGE_STORAGE_CA_FILE")
    return grpc.ssl_channel_credentials(Path(ca_file).read_bytes() if ca_file else None)


def _token_of(token: str | None) -> str:
    token_file = os.environ.get("IMAGE_STORAGE_TOKEN_FILE")
    given = os.environ.get("IMAGE_STORAGE_TOKEN", "") if token is None else token
    if token is None and not given and token_file:
        given = Path(token_file).read_text().strip()
    if not _TOKEN.fullmatch(given):
        raise ValueError("the token has characters that no header may have")
    return given


def _is_local(host: str | None) -> bool:
    if host is None or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
