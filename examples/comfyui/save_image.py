"""The node "Save Image (ImageStorage)"."""

from __future__ import annotations

import atexit
import json
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
from comfy.cli_args import args
from image_storage import ImageStorage, ImageStorageError
from PIL import Image
from PIL.PngImagePlugin import PngInfo

#: By the ids of its nodes.
Graph = dict[str, Any]


@cache
def storage() -> ImageStorage:
    """One connection for all nodes, to IMAGE_STORAGE_ADDRESS, else 127.0.0.1:50051."""
    client = ImageStorage()
    atexit.register(client.close)
    return client


class SaveImageToImageStorage:
    """Stores each image of a batch as PNG, with the workflow inside as Save Image does; the daemon reads it."""

    DESCRIPTION = "Stores images in ImageStorage, with their prompt, model, seed and workflow."
    CATEGORY = "image"
    FUNCTION = "save_images"
    OUTPUT_NODE = True
    RETURN_TYPES = ()

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {
            "required": {"images": ("IMAGE", {"tooltip": "The images to store."})},
            "optional": {
                "category": ("STRING", {"default": "", "tooltip": "A label to find them by."}),
                "provider": ("STRING", {"default": "", "tooltip": "Where to keep them; empty: the daemon's default."}),
            },
            "hidden": {"graph": "PROMPT", "extra": "EXTRA_PNGINFO"},
        }

    def save_images(
        self,
        images: Any,
        category: str = "",
        provider: str = "",
        graph: Graph | None = None,
        extra: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Takes a tensor of batch x height x width x channels, 0 to 1."""
        texts = _texts(graph, extra)
        previews = []
        for image in images:
            png = _png(image, texts)
            try:
                stored = storage().save(png, category=category, provider=provider)
            except ImageStorageError as error:
                raise RuntimeError(_explained(error)) from error
            previews.append(_preview(png, stored.filename))
        return {"ui": {"images": previews}}


def _texts(graph: Graph | None, extra: dict[str, Any] | None) -> PngInfo:
    """What ComfyUI reads back when the image is dropped on its canvas."""
    texts = PngInfo()
    if not args.disable_metadata:
        known = {"prompt": graph} if graph else {}
        for name, value in {**known, **(extra or {})}.items():
            texts.add_text(name, json.dumps(value))
    return texts


def _png(image: Any, texts: PngInfo) -> bytes:
    pixels = np.clip(255 * image.cpu().numpy(), 0, 255).astype(np.uint8)
    encoded = BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", pnginfo=texts, compress_level=4)
    return encoded.getvalue()


def _preview(png: bytes, filename: str) -> dict[str, str]:
    """ComfyUI shows only what lies in its own folders; it empties this one when it starts."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / filename).write_bytes(png)
    return {"filename": filename, "subfolder": "", "type": "temp"}


def _explained(error: ImageStorageError) -> str:
    if error.reason == "DAEMON_UNREACHABLE":
        return f"ImageStorage: {error.message}. Start it, or set IMAGE_STORAGE_ADDRESS before starting ComfyUI."
    return f"ImageStorage did not keep the image: {error.message} ({error.reason or error.code.name})"
