"""Where an image comes from: what makes its URL absolute, and reads its bytes to show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    #: Such as `http://127.0.0.1:50051`; empty for a Unix socket.
    base_url: str
    #: Returns the bytes of an image, by filename and provider. Raises ImageStorageError, without a retry.
    read: Callable[[str, str], bytes]

    def link(self, url: str) -> str:
        """Returns the URL made absolute; empty where that cannot be."""
        if not url.startswith("/"):
            return url
        return self.base_url + url if self.base_url else ""
