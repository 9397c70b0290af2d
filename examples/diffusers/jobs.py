"""Runs a pipeline and stores each image with the prompt, model, seed and settings that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol
from uuid import uuid4

from image_storage import Image, ImageStorage

#: torch.Generator takes seeds of 64 bits.
SEEDS = 2**64

#: Makes what a pipeline draws its noise from, by a seed.
GeneratorOf = Callable[[int], Any]


class Output(Protocol):
    """What a pipeline returns."""

    #: PIL images.
    images: list[Any]


class Pipeline(Protocol):
    """What is used of a diffusers.DiffusionPipeline."""

    @property
    def name_or_path(self) -> str: ...

    def __call__(self, *, prompt: str, num_images_per_prompt: int, generator: list[Any], **settings: Any) -> Output: ...


@dataclass(frozen=True)
class Job:
    """What to draw. A job that is run again is not stored again: its images are known by `id` and `created`."""

    prompt: str
    #: Of the first image; those after it count up.
    seed: int
    images: int = 1
    #: Further arguments of the pipeline that JSON can hold, such as num_inference_steps.
    settings: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid4().hex)
    created: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


def run(job: Job, pipeline: Pipeline, generator_of: GeneratorOf, storage: ImageStorage) -> Iterator[Image]:
    """Draws all images of the job at once, then gives each as soon as it is on stable storage."""
    # One generator for each image: with a single one only the first image could be drawn again by its seed.
    seeds = [(job.seed + index) % SEEDS for index in range(job.images)]
    output = pipeline(
        prompt=job.prompt,
        num_images_per_prompt=job.images,
        generator=[generator_of(seed) for seed in seeds],
        **job.settings,
    )
    for index, (seed, image) in enumerate(zip(seeds, output.images, strict=True)):
        yield storage.save(
            image,
            prompt=job.prompt,
            model=pipeline.name_or_path,
            parameters={"seed": seed, **job.settings},
            timestamp=job.created,
            idempotency_key=f"{job.id}/{index}",
        )
