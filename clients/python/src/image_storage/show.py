"""Shows images: in one line, and as HTML for notebooks."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

import grpc

from .errors import ImageStorageError

if TYPE_CHECKING:
    from .types import Image

PREVIEW_PIXELS = 320
#: Larger ones are not fetched only to be shown.
MAX_FETCHED_BYTES = 32 * 1024 * 1024
#: The most that goes into a notebook as it is, where there is no Pillow to reduce it.
MAX_INLINE_BYTES = 256 * 1024
SHORT_CHARS = 60


def line_of(image: Image) -> str:
    prompt = short(image.metadata.prompt)
    parts = [
        image.filename,
        f"{image.width}x{image.height}",
        f"{image.size} bytes",
        *([repr(prompt)] if prompt else []),
    ]
    return f"<Image {', '.join(parts)}>"


def short(text: str) -> str:
    return text if len(text) <= SHORT_CHARS else f"{text[: SHORT_CHARS - 1]}…"


def html_of(image: Image) -> str:
    """Returns a figure: a preview, or none where the bytes cannot be had, and what the image is."""
    picture = _picture(image)
    name = escape(image.filename)
    if image.link:
        name = f'<a href="{escape(image.link)}" target="_blank">{name}</a>'
    about = " · ".join(
        escape(part) for part in (image.metadata.model, f"{image.width} x {image.height}", *_seed(image)) if part
    )
    prompt = escape(image.metadata.prompt)
    return f"<figure>{picture}<figcaption>{name}<br>{about}<br>{prompt}</figcaption></figure>"


def _seed(image: Image) -> list[str]:
    return [f"seed {image.generation.seed}"] if image.generation and image.generation.seed else []


def _picture(image: Image) -> str:
    if image._origin is None or image.size > MAX_FETCHED_BYTES:
        return ""
    try:
        data = image._origin.read(image.filename, image.provider)
    except ImageStorageError as error:
        return f"<p>{escape('deleted' if error.code is grpc.StatusCode.NOT_FOUND else str(error))}</p>"
    shown = _preview(data) or ((image.content_type, data) if len(data) <= MAX_INLINE_BYTES else None)
    if shown is None:
        return ""
    content_type, data = shown
    return f'<img src="data:{content_type};base64,{b64encode(data).decode()}" alt="">'


def _preview(data: bytes) -> tuple[str, bytes] | None:
    try:
        from PIL import Image as Pillow

        reduced = BytesIO()
        with Pillow.open(BytesIO(data)) as opened:
            opened.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
            opened.convert("RGBA").save(reduced, "WEBP", quality=80)
    except Exception:
        # No Pillow, one without a codec, or an image that it refuses: the preview is left out.
        return None
    return "image/webp", reduced.getvalue()
