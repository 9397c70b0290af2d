"""Save: what comes back is what was sent, from every kind of source, and refusals say why."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image as Pillow
from support import REAL_IMAGES, Daemon, lacking, png
from tqdm import tqdm

from image_storage import ImageStorageError


def test_real_images_come_back_as_they_were(client: Any, model: str) -> None:
    files = sorted(REAL_IMAGES.glob("*")) if REAL_IMAGES.is_dir() else lacking(str(REAL_IMAGES))
    for file in files:
        image = client.save(file, prompt="ein Fuchs 🦊 im Schnee", model=model, category="real")
        with Pillow.open(file) as opened:
            assert (image.width, image.height, image.content_type) == (*opened.size, opened.get_format_mimetype())
        assert (image.size, image.sha256) == (file.stat().st_size, hashlib.sha256(file.read_bytes()).digest())
        assert client.get(image.filename) == file.read_bytes()
    found = [*client.list(model=model, query="fuchs schnee", category="real")]
    assert len(found) == len(files)


def test_metadata_is_kept(client: Any, model: str) -> None:
    moment = datetime(2024, 9, 27, 16, 15, 22, 123000, timezone(timedelta(hours=2)))
    image = client.save(
        png(),
        prompt="a red fox",
        model=model,
        parameters={"seed": 2**64 - 1, "sampler": np.int64(2**62 + 1), "guidance": np.float32(7.5), "lora": "é"},
        category="drafts",
        tags=["fox", "red"],
        timestamp=moment,
        pinned=True,
    )
    assert image.filename.startswith("20240927_141522_model-")
    assert image.pinned
    assert not image.replayed
    assert image.metadata.timestamp == moment
    assert (image.metadata.prompt, image.metadata.model) == ("a red fox", model)
    assert (image.metadata.category, image.metadata.tags) == ("drafts", ("fox", "red"))
    assert image.metadata.parameters == {
        "seed": 18446744073709551615,
        "sampler": 4611686018427387905,
        "guidance": 7.5,
        "lora": "é",
    }
    assert [*client.list(model=model)] == [image]


def test_json_text_is_kept_byte_for_byte(client: Any) -> None:
    text = '{ "cfg": 7.50, "seed": 18446744073709551615 }'
    assert client.save(png(), parameters=text).metadata.parameters_json == text


def test_every_kind_of_source(client: Any, tmp_path: Path) -> None:
    image = png(600_000)
    path = tmp_path / "image.png"
    path.write_bytes(image)
    behind = io.BytesIO(b"skipped" + image)
    behind.seek(len(b"skipped"))

    class TellsNothing(io.BytesIO):
        def seek(self, offset: int, whence: int = 0, /) -> Any:
            super().seek(offset, whence)

    read_end, write_end = os.pipe()

    def write() -> None:
        with os.fdopen(write_end, "wb") as file:
            file.write(image)

    writer = threading.Thread(target=write)
    writer.start()
    with path.open("rb") as file, os.fdopen(read_end, "rb") as pipe:
        for source in (
            image,
            bytearray(image),
            memoryview(image),
            path,
            str(path),
            file,
            behind,
            TellsNothing(image),
            pipe,
        ):
            assert client.get(client.save(source).filename) == image
        assert not file.closed
    writer.join()


def test_pixels_are_kept_as_png(client: Any) -> None:
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    for source in (pixels, Pillow.fromarray(pixels)):
        image = client.save(source)
        assert (image.width, image.height, image.content_type) == (7, 5, "image/png")
        with Pillow.open(io.BytesIO(client.get(image.filename))) as stored:
            assert np.array_equal(np.asarray(stored), pixels)


def test_a_key_is_saved_once(client: Any, model: str) -> None:
    image, key, moment = png(), os.urandom(8).hex(), datetime.now(timezone.utc)
    first = client.save(image, model=model, idempotency_key=key, timestamp=moment)
    again = client.save(image, model=model, idempotency_key=key, timestamp=moment)
    assert again.replayed
    assert again.filename == first.filename
    with pytest.raises(ImageStorageError) as caught:
        client.save(png(), model=model, idempotency_key=key, timestamp=moment)
    assert caught.value.reason == "IDEMPOTENCY_KEY_REUSED"
    assert len([*client.list(model=model)]) == 1


@pytest.mark.parametrize(
    ("source", "metadata", "reason", "field"),
    [
        (b"", {}, "IMAGE_EMPTY", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {}, "TYPE_NOT_ALLOWED", None),
        (png(5000)[:-20], {}, "IMAGE_TRUNCATED", None),
        (png(), {"content_type": "image/jpeg"}, "TYPE_MISMATCH", "content_type"),
        (png(), {"prompt": "x" * 70_000}, "FIELD_INVALID", "metadata.prompt"),
        (png(), {"parameters": "[1]"}, "FIELD_INVALID", "metadata.parameters_json"),
        (png(), {"provider": "nowhere"}, "PROVIDER_NOT_FOUND", "provider"),
    ],
)
def test_refusals_say_why(
    client: Any, model: str, source: bytes, metadata: dict[str, Any], reason: str, field: str | None
) -> None:
    with pytest.raises(ImageStorageError) as caught:
        client.save(source, model=model, **metadata)
    error = caught.value
    assert error.reason == reason
    assert str(error).startswith(f"{reason}: ")
    assert error.code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
    assert not error.retryable
    assert not error.outcome_unknown
    assert error.field == field
    assert [*client.list(model=model)] == []


def test_what_cannot_be_sent_is_refused_before_anything_is(client: Any, tmp_path: Path) -> None:
    spent = io.BytesIO(png())
    spent.read()
    with pytest.raises(ValueError, match="seek"):
        client.save(spent)
    with pytest.raises(FileNotFoundError):
        client.save(tmp_path / "missing.png")
    with pytest.raises(TypeError, match="int"):
        client.save(7)
    with pytest.raises(ValueError, match="time zone"):
        client.save(png(), timestamp=datetime(2024, 9, 27))
    with pytest.raises(TypeError, match="datetime"):
        client.save(png(), timestamp=0)
    with pytest.raises(ValueError, match="JSON"):
        client.save(png(), parameters={"strength": float("nan")})
    with pytest.raises(TypeError, match="longdouble"):
        client.save(png(), parameters={"strength": np.longdouble(1)})
    with pytest.raises(TypeError, match="tags are several"):
        client.save(png(), tags="fox")
    with pytest.raises(TypeError, match="tags are several"):
        [*client.list(tags="fox")]
    with pytest.raises(TypeError, match=r"uint8 .* not <f4 in 1 x 4 x 4 x 3"):
        client.save(np.zeros((1, 4, 4, 3), np.float32))


class Waiting(io.RawIOBase):
    """A pipe that does not block, whose writer is slow: it has an image and, later, something behind it."""

    def __init__(self, image: bytes) -> None:
        self._parts = iter([image, None, b"behind"])

    def read(self, size: int = -1, /) -> bytes | None:
        return next(self._parts, b"")


def test_a_source_that_gives_no_bytes_is_no_image_that_ended(client: Any, model: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="NoneType, not bytes"):
        client.save(Waiting(png()), model=model)
    (tmp_path / "image.png").write_bytes(png())
    with (tmp_path / "image.png").open(encoding="latin-1") as text, pytest.raises(TypeError, match="binary"):
        client.save(text, model=model)
    assert [*client.list(model=model)] == []


def test_an_error_of_the_source_is_passed_on_and_nothing_is_kept(client: Any, model: str) -> None:
    class Failing(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 0:
                raise OSError("the disk is gone")
            return super().read1(size)

    with pytest.raises(OSError, match="the disk is gone"):
        client.save(Failing(png(600_000)), model=model)
    assert [*client.list(model=model)] == []


def test_progress_moves_a_bar(client: Any) -> None:
    image = png(600_000)
    with tqdm(total=len(image), file=io.StringIO()) as bar:
        client.save(image, progress=bar.update)
        assert bar.n == len(image)


def test_a_unix_socket_and_the_variable_lead_to_the_daemon(
    connect: Any, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(daemon.unix_address) as client:
        filename = client.save(png(600_000)).filename
    monkeypatch.setenv("IMAGE_STORAGE_ADDRESS", daemon.address)
    with connect() as client:
        assert len(client.get(filename)) == 600_000
