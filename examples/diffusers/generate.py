"""The command: draws images with a diffusers pipeline and stores them."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from image_storage import Image, ImageStorage, ImageStorageError

import pipelines
from jobs import SEEDS, Job, run


def setting(text: str) -> tuple[str, Any]:
    """`num_inference_steps=4`; a value that is not JSON is text."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def instant(text: str) -> datetime:
    """ISO 8601; without a zone it is local time."""
    return datetime.fromisoformat(text).astimezone()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", help="a name on the Hugging Face hub, or a folder")
    source.add_argument("--stub", action="store_true", help="gradients, without torch and weights")
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(SEEDS), help="default: a random one of 64 bits")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="NAME=VALUE", dest="settings")
    parser.add_argument("--job", default=uuid4().hex, help="with --created: what is run again is not stored again")
    parser.add_argument("--created", type=instant, default=datetime.now(timezone.utc), help="ISO 8601; default: now")
    parser.add_argument("--address", help="of the daemon; default: IMAGE_STORAGE_ADDRESS, else 127.0.0.1:50051")
    return parser.parse_args()


def show(image: Image) -> None:
    seed = image.metadata.parameters["seed"]
    before = "  (stored before, and deleted since)" if image.deleted else "  (stored before)" if image.replayed else ""
    print(f"{image.filename}  seed {seed}{before}", flush=True)


def expect_daemon(storage: ImageStorage) -> None:
    """Ends the program where there is no daemon, before the model is loaded."""
    try:
        storage.stats()
    except ImageStorageError as error:
        # A token may be for saving only.
        if error.reason == "DAEMON_UNREACHABLE":
            sys.exit(f"{error.message}: start it, or give its --address")


def main() -> None:
    options = parse()
    settings = dict(options.settings)
    job = Job(options.prompt, options.seed, options.images, settings, options.job, options.created)
    # An image costs more than waiting for a daemon that restarts.
    with ImageStorage(options.address, retries=20) as storage:
        expect_daemon(storage)
        pipeline, generator_of = pipelines.stub() if options.stub else pipelines.load(options.model)
        try:
            for image in run(job, pipeline, generator_of, storage):
                show(image)
        except ImageStorageError as error:
            again = f"--seed {job.seed} --job {job.id} --created {job.created.isoformat()}"
            sys.exit(f"not stored: {error}\nWith {again} it can be run again: nothing is stored twice.")


if __name__ == "__main__":
    main()
