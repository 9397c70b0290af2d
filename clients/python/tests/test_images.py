"""What is done with images: described, written into files, encoded, shown."""

from __future__ import annotations

import io
import logging
import os
import pickle
import textwrap
import urllib.request
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from support import CLIENT, Daemon, Scripted, png

from image_storage import ImageStorage, ImageStorageError
from imagestorage.v1 import image_storage_pb2 as pb

PIXELS = np.arange(50 * 70 * 3, dtype=np.uint32).astype(np.uint8).reshape(50, 70, 3)


def test_an_image_is_described_by_its_filename(client: Any, model: str) -> None:
    image = client.save(png(), model=model, prompt="a red fox")
    assert client.image(image.filename) == image
    assert client.exists(image.filename)
    client.delete(image.filename)
    assert not client.exists(image.filename)
    with pytest.raises(ImageStorageError, match="IMAGE_NOT_FOUND"):
        client.image(image.filename)
    with pytest.raises(ImageStorageError, match="PROVIDER_NOT_FOUND"):
        client.exists(image.filename, provider="nowhere")


def test_an_image_is_written_into_a_file_or_a_folder(client: Any, tmp_path: Path) -> None:
    image = png(600_000)
    filename = client.save(image).filename
    (tmp_path / "fox.png").write_bytes(b"before")
    assert client.download(filename, tmp_path / "fox.png") == tmp_path / "fox.png"
    assert client.download(filename, str(tmp_path)) == tmp_path / filename
    assert {(tmp_path / name).read_bytes() for name in ("fox.png", filename)} == {image}
    with pytest.raises(ImageStorageError, match="IMAGE_NOT_FOUND"):
        client.download("20240101_000000_none_aaaaaa.png", tmp_path / "fox.png")
    assert (tmp_path / "fox.png").read_bytes() == image
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["fox.png", filename])


def test_a_download_of_other_bytes_leaves_no_file(connect: Any, tmp_path: Path) -> None:
    class Wrong(Scripted):
        def Get(self, request: pb.GetRequest, context: Any) -> Any:  # noqa: N802
            yield pb.GetResponse(image=pb.Image(filename="a.png", sha256=bytes(32)))
            yield pb.GetResponse(chunk=b"other")

    with Wrong() as address, connect(address) as client, pytest.raises(ImageStorageError, match="BYTES_CORRUPT"):
        client.download("a.png", tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_link_opens(client: Any, daemon: Daemon) -> None:
    data = png()
    image = client.save(data)
    assert image.link == f"http://{daemon.address}{image.url}"
    with urllib.request.urlopen(image.link) as answer:
        assert answer.read() == data
    assert [found.link for found in client.list(limit=1)] == [image.link]
    with ImageStorage(daemon.unix_address) as local:
        assert local.image(image.filename).link == ""


def test_a_url_that_is_absolute_is_the_link() -> None:
    class Public(Scripted):
        def Get(self, request: pb.GetRequest, context: Any) -> Any:  # noqa: N802
            yield pb.GetResponse(image=pb.Image(url="https://cdn.example/a.png"))

    with Public() as address, ImageStorage(address) as client:
        assert client.image("a.png").link == "https://cdn.example/a.png"


@pytest.mark.parametrize(
    ("format", "content_type"),
    [("", "image/png"), ("JPEG", "image/jpeg"), ("jpg", "image/jpeg"), ("webp", "image/webp"), ("AVIF", "image/avif")],
)
@pytest.mark.parametrize("of", [Pillow.fromarray, np.asarray], ids=["pillow", "numpy"])
def test_pixels_have_a_format_and_their_prompt_inside(
    client: Any, model: str, of: Any, format: str, content_type: str
) -> None:
    settings = {"seed": 2**64 - 1, "num_inference_steps": 4, "negative_prompt": "blur", "lora": "ink, red"}
    image = client.save(of(PIXELS), prompt="a red fox, 狐", model=model, parameters=settings, format=format)
    assert image.content_type == content_type
    assert image.metadata.parameters == settings
    # The file alone tells it: a daemon, A1111, Civitai.
    alone = client.save(client.get(image.filename))
    assert (alone.metadata.prompt, alone.metadata.model) == ("a red fox, 狐", model)
    assert (alone.generation.seed, alone.generation.steps) == (str(2**64 - 1), 4)
    assert alone.generation.negative_prompt == "blur"
    assert alone.metadata.parameters["lora"] == "ink, red"


def test_quality_is_that_of_the_file(client: Any) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    sizes = [client.save(noise, format="JPEG", quality=quality).size for quality in (20, 95)]
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_each_save_of_an_image_has_its_own_prompt(client: Any, format: str) -> None:
    picture = Pillow.fromarray(PIXELS)
    for prompt in ("first fox", "second fox"):
        image = client.save(picture, prompt=prompt, format=format)
        assert client.save(client.get(image.filename)).metadata.prompt == prompt
    assert len(picture.getexif()) == 0


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_what_a_generator_wrote_into_an_image_stays_inside(client: Any, format: str) -> None:
    written = PngInfo()
    written.add_text("parameters", "a cat\nSteps: 3, Seed: 5")
    file = io.BytesIO()
    Pillow.fromarray(PIXELS).save(file, "PNG", pnginfo=written)
    image = client.save(Pillow.open(file), format=format)
    assert (image.metadata.prompt, image.generation.seed) == ("a cat", "5")


def test_format_and_quality_are_not_for_files(client: Any, tmp_path: Path) -> None:
    (tmp_path / "fox.png").write_bytes(png())
    for source in (png(), tmp_path / "fox.png", io.BytesIO(png())):
        for options in ({"format": "JPEG"}, {"quality": 80}):
            with pytest.raises(TypeError, match="pixels"):
                client.save(source, **options)


def test_surrogates_are_joined_or_replaced_and_the_field_is_named(
    client: Any, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    image = client.save(png(), prompt="a \ud83e\udd8a", model=model, parameters={"text": "\ud83e\udd8a"})
    assert (image.metadata.prompt, image.metadata.parameters) == ("a 🦊", {"text": "🦊"})
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    image = client.save(png(), prompt="caf\udce9", model=model, tags=["a", "b\ud800"])
    assert (image.metadata.prompt, image.metadata.tags) == ("caf\ufffd", ("a", "b\ufffd"))
    assert [record.getMessage().split()[0] for record in caplog.records] == ["prompt", "tags"]
    assert [found.filename for found in client.list(query="caf\udce9", model=model)] == [image.filename]


def test_images_are_short_in_a_console(client: Any) -> None:
    image = client.save(png(), prompt="a red fox " * 100, parameters={"workflow": "x" * 10_000})
    assert repr(image).startswith(f"<Image {image.filename}, 1x1, {image.size} bytes, 'a red fox a red fox")
    assert max(len(repr(image)), len(repr(image.metadata))) < 200


def test_images_are_values(client: Any) -> None:
    image = client.save(png(), prompt="a red fox")
    assert pickle.loads(pickle.dumps(image)) == image
    assert replace(image, replayed=True).filename == image.filename
    assert asdict(image)["metadata"]["prompt"] == "a red fox"


def test_a_notebook_shows_an_image(client: Any) -> None:
    image = client.save(PIXELS, prompt="a <b>red</b> fox", model="flux")
    html = image._repr_html_()
    assert '<img src="data:image/webp;base64,' in html
    assert "a &lt;b&gt;red&lt;/b&gt; fox" in html
    assert f'<a href="{image.link}"' in html
    client.delete(image.filename, permanent=True)
    assert "<img" not in image._repr_html_()
    assert "deleted" in image._repr_html_()


def test_images_of_a_list_are_shown_as_well(client: Any, model: str) -> None:
    client.save(PIXELS, model=model)
    [image] = client.list(model=model)
    assert '<img src="data:image/webp;base64,' in image._repr_html_()


def test_a_kernel_gives_the_picture_to_its_notebook(daemon: Daemon, tmp_path: Path) -> None:
    Pillow.fromarray(PIXELS).save(tmp_path / "fox.png")
    manager, kernel = start_new_kernel(cwd=str(tmp_path), env={**os.environ, "PYTHONPATH": str(CLIENT / "src")})
    try:
        shown = run_cell(
            kernel,
            f"""
            from image_storage import AsyncImageStorage, ImageStorage
            storage = ImageStorage({daemon.address!r})
            storage.save("fox.png", prompt="a red fox")
            """,
        )
        assert shown["text/plain"].startswith("<Image ")
        assert '<img src="data:image/webp;base64,' in shown["text/html"]
        shown = run_cell(
            kernel,
            f"""
            storage = AsyncImageStorage({daemon.address!r})
            await storage.save("fox.png", prompt="a red fox")
            """,
        )
        assert '<img src="data:image/webp;base64,' in shown["text/html"]
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)


def run_cell(kernel: Any, code: str) -> dict[str, str]:
    """Returns what the last line of the cell shows."""
    results: list[dict[str, str]] = []

    def hook(message: Any) -> None:
        if message["msg_type"] == "execute_result":
            results.append(message["content"]["data"])

    reply = kernel.execute_interactive(textwrap.dedent(code), output_hook=hook, timeout=120)
    assert reply["content"]["status"] == "ok", reply["content"]
    return results[-1]
