"""Explains an HTTP status in place of a gRPC answer: a proxy in front of the daemon gave it."""

from __future__ import annotations

import re

# Of each status: what it means, and what to look at in nginx. docs/clients.md has the same table.
_MEANINGS = {
    401: "it asks for credentials; in nginx, check auth_basic and auth_request",
    403: "it refuses this client; in nginx, check allow and deny",
    404: "it does not know this call; in nginx, check the location of grpc_pass; with no proxy, the daemon is too old",
    408: "the request took too long to arrive; in nginx, raise client_body_timeout",
    413: "the request is too large for it; in nginx, raise client_max_body_size",
    429: "it limits calls; in nginx, check limit_req and limit_conn",
    502: "it cannot reach the daemon; in nginx, check grpc_pass, and that the daemon runs",
    503: "it has no daemon for the call, or limits calls; in nginx, check upstream, limit_req and limit_conn",
    504: "the daemon took too long for it; in nginx, raise grpc_read_timeout and grpc_send_timeout",
}
# The text of grpcio, which gives the status nowhere else.
_TEXT = re.compile(r"Received http2 header with status: (\d{3})")


def http_status_in(text: str) -> int | None:
    """Returns the HTTP status in the text of grpcio for a call without a gRPC answer; None where there is none."""
    found = _TEXT.fullmatch(text)
    return int(found[1]) if found else None


def explanation(status: int) -> str:
    meaning = _MEANINGS.get(status, "its log says why")
    return f"HTTP {status} instead of a gRPC answer, likely from a proxy: {meaning}"
