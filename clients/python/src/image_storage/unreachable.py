"""Says in one sentence why there is no connection to a daemon."""

from __future__ import annotations

import os
import re
from errno import EACCES, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ENOENT, EPIPE, ETIMEDOUT

#: How grpcio begins what it says of a call that had no connection. An answer may come before it tells that it sent one.
_UNCONNECTED = re.compile(r"failed to connect to all|DNS resolution failed|errors resolving|empty address list")
#: Of the system, which grpcio puts somewhere into its text.
_SYSTEM = [os.strerror(number) for number in (ECONNREFUSED, ENOENT, EACCES, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT)]
_CLOSED = [os.strerror(number) for number in (ECONNRESET, EPIPE)] + ["Socket closed", "End of TCP stream"]
#: What else grpcio says, in the versions that are supported.
_MEANINGS = {
    r"SETTINGS frame$|Deadline Exceeded|timed? ?out": "it does not answer",
    r"DNS|resolving|lookup": "its name is not known",
    r"http1|HTTP/2|SETTINGS": "what answers there does not speak gRPC",
    r"WRONG_VERSION_NUMBER": "it does not speak TLS",
    r"CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted",
    r"[Hh]ostname|[Pp]eer name": "its certificate is that of another name",
    r"[Hh]andshake": "no TLS connection could be made",
}


def is_unconnected(text: str) -> bool:
    """Returns whether the text of grpcio is of a call without a connection."""
    return _UNCONNECTED.match(text) is not None


def cause_of(text: str) -> str:
    """Returns the cause in the text of grpcio for a call without a connection; the whole text where none is found."""
    for system in _SYSTEM:
        if system in text:
            return system[0].lower() + system[1:]
    for pattern, meaning in _MEANINGS.items():
        if re.search(pattern, text):
            return meaning
    if any(closed in text for closed in _CLOSED):
        return "it closes the connection, as a daemon with TLS does (https://…)"
    return text
