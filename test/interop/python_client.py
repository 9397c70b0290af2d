"""Interop runner of the Python client. Usage: python_client.py sync|async."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from datetime import datetime, timedelta, timezone
from threading import Timer
from typing import Any

import grpc
from image_storage import AsyncImageStorage, DeleteResult, Image, ImageStorage, ImageStorageError, Selection

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MILLISECOND = timedelta(milliseconds=1)
NAMES = {"start": "since", "end": "until", "parametersJson": "parameters"}


async def perform(client: Any, verb: str, command: dict[str, Any]) -> dict[str, Any]:
    match verb:
        case "save":
            image = await result(client.save(command.pop("file"), **arguments(command)))
            return {"image": described(image), "replayed": image.replayed, "deleted": image.deleted}
        case "get":
            data = await result(client.get(**command))
            return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        case "list":
            hints: list[dict[str, Any]] = []
            if command.pop("hints", False):
                command["onHints"] = lambda told: hints.extend(map(vars, told))
            return {
                "images": [described(image) for image in await result(client.list(**arguments(command)))],
                "hints": hints,
            }
        case "update":
            return {"image": described(await result(client.update(**arguments(command))))}
        case "delete":
            results = await result(client.delete(command.pop("filenames"), **command))
            return {"results": [described_result(each) for each in results]}
        case "restore":
            return {"results": [vars(each) for each in await result(client.restore(command["filenames"]))]}
        case "listTrash":
            return {"images": [described(image) for image in await result(client.list_trash(**command))]}
        case "purge":
            return vars(await result(client.purge(command["filenames"])))
        case "cleanup":
            if selection := command.pop("selection", None):
                given = arguments(selection)
                given |= {"except_": given.pop("except", ()), "plan": bytes.fromhex(given.get("plan", ""))}
                command["selection"] = Selection(**given)
            done = camel_cased(vars(await result(client.cleanup(**arguments(command)))))
            told = {name: value for name, value in done.items() if name not in ("reasons", "restorableUntil")}
            return told | {"plan": done["plan"].hex()}
        case "stats":
            [local] = await result(client.stats("local"))
            models = {group.name: vars(group) for group in local.by_model}
            return {"count": local.count, "bytes": local.bytes, "pinnedCount": local.pinned_count, "byModel": models}
        case "totals":
            totals = await result(client.totals(**arguments(command)))
            told = {f"{name}Ms": milliseconds(when) for name in ("oldest", "newest") if (when := getattr(totals, name))}
            groups = [vars(group) for group in totals.groups]
            return {"count": totals.count, "bytes": totals.bytes, "groups": groups, "more": totals.more} | told
    raise ValueError(f"unknown: {verb}")


async def result(given: Any) -> Any:
    """What a verb of either client gives, once it is there."""
    match given:
        case Awaitable():
            return await given
        case AsyncIterator():
            return [item async for item in given]
        case Iterator():
            return [*given]
    return given


def arguments(command: dict[str, Any]) -> dict[str, Any]:
    """The fields as people name and give them."""
    given = {}
    for name, value in command.items():
        if name.endswith("AgeMs") or name == "ttlMs":
            name, value = re.sub("(Age)?Ms$", "", name), value * MILLISECOND
        elif name.endswith("Ms"):
            name, value = name.removesuffix("Ms"), EPOCH + value * MILLISECOND
        if name == "parametersJson" and value.startswith("{"):
            value = json.loads(value)
        given[NAMES.get(name, re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name))] = value
    return given


def camel_cased(fields: dict[str, Any]) -> dict[str, Any]:
    return {re.sub("_(.)", lambda letter: letter[1].upper(), name): value for name, value in fields.items()}


def described(image: Image) -> dict[str, Any]:
    metadata = image.metadata
    assert metadata.parameters == json.loads(metadata.parameters_json or "{}")
    shown = {name: value for name, value in vars(image).items() if name != "_origin"}
    fields = camel_cased(shown | vars(metadata))
    times = ("timestamp", "createTime", "expireTime", "deleteTime", "purgeTime")
    for own in ("metadata", "replayed", "deleted", "thumbHash", *times):
        del fields[own]
    fields["generation"] = image.generation and camel_cased(vars(image.generation))
    return fields | {"sha256": image.sha256.hex(), "timestampMs": milliseconds(metadata.timestamp)}


def described_result(given: DeleteResult) -> dict[str, Any]:
    until = given.restorable_until
    return {"filename": given.filename, "deleted": given.deleted, "reason": given.reason, "restorable": until is not None}


def milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


async def answer(kind: str, command: dict[str, Any]) -> dict[str, Any]:
    verb, address, timeout = command.pop("do"), command.pop("address"), command.pop("timeoutMs", None)
    cancel_after = command.pop("cancelAfterMs", None)
    options = {name: command.pop(name) for name in ("retries", "token") if name in command}
    client = (ImageStorage if kind == "sync" else AsyncImageStorage)(address, timeout=timeout and timeout / 1000, **options)
    call = asyncio.ensure_future(perform(client, verb, command))
    if cancel_after and kind == "sync":
        # A call that blocks its thread is cancelled by another one that closes the client.
        Timer(cancel_after / 1000, client.close).start()
    elif cancel_after:
        asyncio.get_running_loop().call_later(cancel_after / 1000, call.cancel)
    try:
        return await call
    except asyncio.CancelledError:
        return {"error": {"code": grpc.StatusCode.CANCELLED.value[0]}}
    except ImageStorageError as error:
        said = {"reason": error.reason, "field": error.field, "message": error.message}
        return {"error": {"code": error.code.value[0], **said}}
    finally:
        await result(client.close())


async def main(kind: str) -> None:
    for line in sys.stdin:
        print(json.dumps(await answer(kind, json.loads(line))), flush=True)


asyncio.run(main(*sys.argv[1:]))
