"""Encodes pixels as the file of an image, with the texts that belong to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any, Protocol, cast

_FORMATS = {"jpg": "JPEG"}
#: Texts of PNG by which generators tell how an image was made.
_GENERATORS = {"parameters", "prompt", "workflow", "Comment", "invokeai_metadata", "sd-metadata", "Dream"}
_USER_COMMENT = 0x9286
#: EXIF of a JPEG has 64 KiB.
_MAX_COMMENT_BYTES = 60_000
_EXIF_IFD = 0x8769
#: Begins a UserComment in UTF-16.
_UNICODE = b"UNICODE\0"


class PillowImage(Protocol):
    """A PIL.Image.Image."""

    def save(self, fp: IO[bytes], format: str, /) -> None: ...


class NumpyArray(Protocol):
    """An array of uint8 pixels: height x width, with 3 or 4 channels for colour."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Encoding:
    """How pixels become a file."""

    #: A format of Pillow, such as `JPEG`; empty: PNG.
    format: str = ""
    #: As Pillow takes it; None: its default.
    quality: int | None = None
    #: How the image was made, for programs that read its file.
    text: str = ""

    @property
    def is_chosen(self) -> bool:
        return self.format != "" or self.quality is not None


def encoded(image: PillowImage, encoding: Encoding) -> BytesIO:
    """Returns the file, from its beginning. The texts of the image stay; without those of a generator it has ours."""
    format = _FORMATS.get(encoding.format.lower(), encoding.format.upper()) or "PNG"
    options: dict[str, Any] = {} if encoding.quality is None else {"quality": encoding.quality}
    info: Mapping[str, Any] = getattr(image, "info", {})
    if format == "PNG":
        options |= _png_texts(info, encoding.text)
    elif format in ("JPEG", "WEBP", "AVIF"):
        options |= _exif(image, info.get("parameters") or encoding.text)
    file = BytesIO()
    cast(Any, image).save(file, format, **options)
    file.seek(0)
    return file


def image_of(pixels: NumpyArray) -> PillowImage:
    """Raises TypeError for an array of another shape or type."""
    from PIL.Image import fromarray

    try:
        image: PillowImage = fromarray(cast(Any, pixels))
    except (TypeError, OSError) as error:
        kind, shape = (pixels.__array_interface__[name] for name in ("typestr", "shape"))
        expected = "pixels are uint8 in height x width, with 3 or 4 channels for colour"
        raise TypeError(f"{expected}, not {kind} in {' x '.join(map(str, shape))}") from error
    return image


def _png_texts(info: Mapping[str, Any], text: str) -> dict[str, Any]:
    from PIL.PngImagePlugin import PngInfo

    written = PngInfo()
    for key, value in info.items():
        if isinstance(key, str) and isinstance(value, str):
            written.add_itxt(key, value)
    if text and not info.keys() & _GENERATORS:
        written.add_itxt("parameters", text)
    return {"pnginfo": written, **({"exif": info["exif"]} if "exif" in info else {})}


def _exif(image: Any, text: str) -> dict[str, Any]:
    from PIL.Image import Exif

    # The image keeps the one that it answers, and would have the prompt of this save at its next one.
    exif = Exif()
    exif.load(image.getexif().tobytes())
    inner = exif.get_ifd(_EXIF_IFD)
    comment = _UNICODE + text.encode("utf-16-be")
    if text and _USER_COMMENT not in inner and len(comment) <= _MAX_COMMENT_BYTES:
        inner[_USER_COMMENT] = comment
    # As bytes: Pillow takes an Exif without tags of its own for none, in AVIF.
    return {"exif": exif.tobytes()} if len(exif) or inner else {}
