"""Writes an image into a file that is whole when it is there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4


def written(chunks: Iterable[bytes], filename: str, path: Path) -> Path:
    """Returns the path of the file; below a folder it is the filename. Nothing is left where the chunks fail."""
    target = path / os.path.basename(filename) if path.is_dir() else path
    beside = target.with_name(f".{uuid4().hex}.part")
    try:
        with beside.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return target
