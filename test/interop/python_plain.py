"""Interop runner of grpcio with the generated messages and nothing else. Usage: python_plain.py STUBS."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any
from uuid import uuid4

sys.path.insert(0, sys.argv[1])

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from imagestorage.v1 import image_storage_pb2 as pb
from imagestorage.v1 import image_storage_pb2_grpc as rpc

CHUNK_BYTES = 256 * 1024
ATTEMPTS = 6

Command = dict[str, Any]


def perform(stub: rpc.ImageStorageStub, command: Command) -> Command:
    match command["do"]:
        case "save":
            answer = save(stub, command)
            return {"image": described(answer.image), **fields(answer, "replayed", "deleted")}
        case "get":
            messages = started(stub.Get, pb.GetRequest(**only(command, "filename", "offset", "limit")), command)
            data = b"".join(message.chunk for message in messages)
            return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        case "list":
            batches = [*started(stub.List, list_request(command), command)]
            images = [described(image) for batch in batches for image in batch.images]
            hints = [{"field": hint.field, "values": [*hint.values]} for batch in batches for hint in batch.hints]
            return {
                "images": images,
                "hints": hints,
                "nextPageToken": batches[-1].next_page_token if batches else "",
            }
        case "update":
            answer = started(stub.Update.future, update_request(command), command).result()
            return {"image": described(answer.image)}
        case "delete":
            request = pb.DeleteRequest(**only(command, "filenames", "permanent"))
            results = started(stub.Delete.future, request, command).result().results
            return {
                "results": [
                    {**fields(each, "filename", "deleted", "reason"), "restorable": each.HasField("restorable_until")}
                    for each in results
                ]
            }
        case "restore":
            answer = started(stub.Restore.future, pb.RestoreRequest(filenames=command["filenames"]), command).result()
            return {"results": [fields(each, "filename", "restored", "reason") for each in answer.results]}
        case "listTrash":
            batches = started(stub.ListTrash, pb.ListTrashRequest(**only(command, "query")), command)
            return {"images": [described(image) for batch in batches for image in batch.images]}
        case "purge":
            answer = started(stub.Purge.future, pb.PurgeRequest(filenames=command["filenames"]), command).result()
            return fields(answer, "count", "bytes")
        case "cleanup":
            answer = started(stub.Cleanup.future, cleanup_request(command), command).result()
            counts = fields(answer, "deleted_count", "freed_bytes", "kept_pinned", "kept_future", "kept_changed")
            flags = fields(answer, "dry_run", "more")
            return {**counts, **flags, "filenames": [*answer.filenames], "plan": answer.plan.hex()}
        case "stats":
            [local] = started(stub.Stats.future, pb.StatsRequest(provider="local"), command).result().providers
            models = {group.name: fields(group, "count", "bytes") for group in local.by_model}
            return {**fields(local, "count", "bytes", "pinned_count"), "byModel": models}
        case "totals":
            answer = started(stub.Stats.future, totals_request(command), command).result()
            groups = [fields(group, "name", "count", "bytes", "rest") for group in answer.groups]
            told = {
                f"{name}Ms": getattr(answer.total, name).ToMilliseconds()
                for name in ("oldest", "newest")
                if answer.total.HasField(name)
            }
            return {**fields(answer.total, "count", "bytes"), **told, "groups": groups, "more": answer.more}
        case verb:
            raise ValueError(f"unknown: {verb}")


def save(stub: rpc.ImageStorageStub, command: Command) -> pb.SaveResponse:
    """Tries again with the same header, so that the daemon recognises it."""
    header = save_header(command)
    for attempt in range(ATTEMPTS):
        try:
            return started(stub.Save.future, save_requests(header, command["file"]), command).result()
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.1 * 2**attempt)
    raise AssertionError


def started(method: Any, request: Any, command: Command) -> Any:
    timeout, cancel_after = command.get("timeoutMs"), command.get("cancelAfterMs")
    call = method(request, timeout=timeout and timeout / 1000)
    if cancel_after:
        Timer(cancel_after / 1000, call.cancel).start()
    return call


def save_requests(header: pb.SaveHeader, path: str) -> Iterator[pb.SaveRequest]:
    yield pb.SaveRequest(header=header)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield pb.SaveRequest(chunk=chunk)


def save_header(command: Command) -> pb.SaveHeader:
    metadata = pb.ImageMetadata(
        parameters_json=command.get("parametersJson"),
        timestamp=timestamp(command.get("timestampMs", time.time_ns() // 1_000_000)),
        **only(command, "prompt", "model", "category", "tags"),
    )
    return pb.SaveHeader(
        metadata=metadata,
        idempotency_key=command.get("idempotencyKey", uuid4().hex),
        content_type=command.get("contentType"),
        sha256=bytes.fromhex(command.get("sha256", "")),
        embedded=pb.EMBEDDED_IGNORE if command.get("embedded") == "ignore" else pb.EMBEDDED_UNSPECIFIED,
        ttl=duration(command.get("ttlMs")),
        unless_deleted=command.get("unlessDeleted"),
        **only(command, "provider", "pinned", "size"),
    )


def list_request(command: Command) -> pb.ListRequest:
    return pb.ListRequest(
        date_range=pb.DateRange(start=timestamp(command.get("startMs")), end=timestamp(command.get("endMs"))),
        order=pb.ORDER_OLDEST_FIRST if command.get("order") == "oldest" else pb.ORDER_UNSPECIFIED,
        view=pb.VIEW_ROW if command.get("view") == "row" else pb.VIEW_UNSPECIFIED,
        page_token=command.get("pageToken"),
        batch_size=command.get("batchSize"),
        **only(command, "model", "category", "query", "tags", "pinned", "limit", "hints"),
    )


def totals_request(command: Command) -> pb.StatsRequest:
    return pb.StatsRequest(
        date_range=pb.DateRange(start=timestamp(command.get("startMs")), end=timestamp(command.get("endMs"))),
        by=pb.GroupBy.Value(f"GROUP_BY_{command['by'].upper()}") if "by" in command else pb.GROUP_BY_UNSPECIFIED,
        starts_with=command.get("startsWith"),
        time_zone=command.get("timeZone"),
        **only(command, "model", "category", "query", "tags", "pinned", "limit"),
    )


def update_request(command: Command) -> pb.UpdateRequest:
    return pb.UpdateRequest(
        add_tags=command.get("addTags"),
        remove_tags=command.get("removeTags"),
        **only(command, "filename", "pinned", "category"),
    )


def cleanup_request(command: Command) -> pb.CleanupRequest:
    return pb.CleanupRequest(
        older_than=timestamp(command.get("olderThanMs")),
        older_than_age=duration(command.get("olderThanAgeMs")),
        keep_count=command.get("keepCount"),
        keep_bytes=command.get("keepBytes"),
        dry_run=command.get("dryRun"),
        max_deletes=command.get("maxDeletes"),
        selection=selection(command["selection"]) if "selection" in command else None,
        **only(command, "model", "category"),
    )


def selection(given: Command) -> pb.Selection:
    return pb.Selection(
        date_range=pb.DateRange(start=timestamp(given.get("startMs")), end=timestamp(given.get("endMs"))),
        older_than=timestamp(given.get("olderThanMs")),
        older_than_age=duration(given.get("olderThanAgeMs")),
        keep_count=given.get("keepCount"),
        keep_bytes=given.get("keepBytes"),
        plan=bytes.fromhex(given.get("plan", "")),
        **only(given, "model", "category", "query", "tags", "pinned", "only", "except"),
    )


def only(command: Command, *names: str) -> Command:
    """The fields that are the same in the contract, of those that were given."""
    return {name: command[name] for name in names if name in command}


def fields(message: Message, *names: str) -> Command:
    """These fields of an answer, as the runner names them."""
    return {re.sub("_(.)", lambda letter: letter[1].upper(), name): getattr(message, name) for name in names}


def described(image: pb.Image) -> Command:
    return {
        **fields(image, "filename", "size", "content_type", "width", "height", "pinned"),
        **fields(image.metadata, "prompt", "model", "category", "parameters_json"),
        "sha256": image.sha256.hex(),
        "tags": [*image.metadata.tags],
        "timestampMs": image.metadata.timestamp.ToMilliseconds(),
        "generation": settings(image.generation) if image.HasField("generation") else None,
    }


def settings(generation: pb.Generation) -> Command:
    optional = {name: getattr(generation, name) for name in ("steps", "cfg") if generation.HasField(name)}
    same = fields(generation, "negative_prompt", "seed", "sampler", "scheduler", "width", "height")
    return {**same, **optional, "loras": [*generation.loras]}


def timestamp(milliseconds: int | None) -> Timestamp | None:
    if milliseconds is None:
        return None
    value = Timestamp()
    value.FromMilliseconds(milliseconds)
    return value


def duration(milliseconds: int | None) -> Duration | None:
    if milliseconds is None:
        return None
    value = Duration()
    value.FromMilliseconds(milliseconds)
    return value


def refused(error: grpc.RpcError) -> Command:
    said = {"code": error.code().value[0], "message": error.details()}
    info, request = ErrorInfo(), BadRequest()
    status = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    for detail in Status.FromString(status).details:
        if detail.Unpack(info):
            said["reason"] = info.reason
        elif detail.Unpack(request):
            said["field"] = request.field_violations[0].field
    return {"error": said}


class WithToken(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamUnaryClientInterceptor):
    """Adds the token to the metadata of each call."""

    def __init__(self, token: str) -> None:
        self._metadata = [("authorization", f"Bearer {token}")]

    def _intercept(self, proceed: Any, details: Any, request: Any) -> Any:
        return proceed(details._replace(metadata=self._metadata), request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = _intercept


def open_channel(address: str, token: str | None) -> grpc.Channel:
    if address.startswith("https://"):
        roots = Path(os.environ["IMAGE_STORAGE_CA_FILE"]).read_bytes()
        channel = grpc.secure_channel(address.removeprefix("https://"), grpc.ssl_channel_credentials(roots))
    else:
        channel = grpc.insecure_channel(address)
    return grpc.intercept_channel(channel, WithToken(token)) if token else channel


for line in sys.stdin:
    command = json.loads(line)
    with open_channel(command["address"], command.get("token")) as channel:
        try:
            answer = perform(rpc.ImageStorageStub(channel), command)
        except grpc.RpcError as error:
            answer = refused(error)
        except grpc.FutureCancelledError:
            answer = {"error": {"code": grpc.StatusCode.CANCELLED.value[0]}}
    print(json.dumps(answer), flush=True)
