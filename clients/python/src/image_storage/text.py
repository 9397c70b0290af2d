"""Text as the contract wants it: without the surrogates that JSON and file names bring along."""

from __future__ import annotations

import logging

_LOG = logging.getLogger("image_storage")


def joined(text: str, field: str) -> str:
    """Returns the text with pairs of surrogates joined to their characters, and single ones replaced by U+FFFD.

    The log names the field where some were replaced.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if whole.count("\ufffd") > text.count("\ufffd"):
            _LOG.warning("%s has surrogates that are no characters; they are stored as U+FFFD", field)
        return whole
    return text
