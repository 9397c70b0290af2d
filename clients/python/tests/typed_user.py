"""A user's script, which must pass `mypy --strict` with the installed package alone."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from image_storage import AsyncImageStorage, Image, ImageStorage, ImageStorageError, Selection


def keep(address: str, file: Path) -> Image | None:
    with ImageStorage(address, token="secret", retries=3) as storage:
        try:
            image = storage.save(
                file,
                prompt="a red fox",
                model="flux-schnell",
                parameters={"seed": 2**64 - 1},
                timestamp=datetime.now(timezone.utc),
            )
        except ImageStorageError as error:
            if not (error.outcome_unknown and error.retry_with):
                print(error.reason or error.code.name, error.retryable)
                return None
            image = storage.save(file, prompt="a red fox", model="flux-schnell", **error.retry_with)
        with storage.open(image.filename) as reader:
            head: bytes = reader.read(8)
        path: Path = storage.download(image.filename, file.parent)
        print(path, storage.exists(image.filename), storage.image(image.filename).link)
        print(head, image.sha256.hex(), image.metadata.parameters["seed"], storage.get(image.filename)[:8])
        freed: int = storage.cleanup(older_than=timedelta(days=30), keep_count=1000, dry_run=True).freed_bytes
        planned = storage.cleanup(selection=Selection(query="fox", until="7d"), dry_run=True)
        print(planned.plan, [image.filename for image in storage.list(view="row")])
        print(freed, [group.name for provider in storage.stats() for group in provider.by_model])
        totals = storage.totals(by="month", query="fox", time_zone="Europe/Berlin")
        print([group.count for group in totals.groups], image.generation.seed if image.generation else "")
        return image


async def find(address: str) -> list[str]:
    async with AsyncImageStorage(address) as storage:
        found: list[str] = [image.filename async for image in storage.list(query="fox", since="1h", order="oldest")]
        reader = await storage.open(found[0])
        print(len(await reader.read()), [result.deleted for result in await storage.delete(found)])
        return found


if __name__ == "__main__":
    keep(sys.argv[1], Path(sys.argv[2]))
    asyncio.run(find(sys.argv[1]))
