"""Where images come from: a diffusers pipeline, or a stub that needs no weights."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from PIL import Image

from jobs import GeneratorOf, Pipeline


def load(model: str) -> tuple[Pipeline, GeneratorOf]:
    """The text-to-image pipeline of a model of the Hugging Face hub, or in a folder."""
    import torch
    from diffusers import DiffusionPipeline

    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    pipeline = DiffusionPipeline.from_pretrained(model, dtype=torch.bfloat16).to(device)
    # On the CPU, so that a seed draws the same noise on every machine.
    return pipeline, lambda seed: torch.Generator("cpu").manual_seed(seed)


def stub() -> tuple[Pipeline, GeneratorOf]:
    """A pipeline that draws a gradient by the seed, at once."""
    return StubPipeline(), random.Random


@dataclass
class StubOutput:
    """What the stub returns."""

    images: list[Any]


class StubPipeline:
    """Called as a diffusers pipeline is, whatever its settings."""

    name_or_path = "stub/gradient"

    def __call__(
        self, *, prompt: str, num_images_per_prompt: int, generator: list[random.Random], **settings: Any
    ) -> StubOutput:
        size = (settings.get("width", 512), settings.get("height", 512))
        return StubOutput([_gradient(size, generator[index]) for index in range(num_images_per_prompt)])


def _gradient(size: tuple[int, int], generator: random.Random) -> Image.Image:
    bands = [Image.linear_gradient("L").rotate(generator.uniform(0, 360)).resize(size) for _ in "RGB"]
    return Image.merge("RGB", bands)
