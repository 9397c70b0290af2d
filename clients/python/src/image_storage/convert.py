"""Converts messages of the contract to the client's dataclasses, and arguments to parts of requests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from imagestorage.v1 import image_storage_pb2 as pb

from .dates import Instant, age, instant
from .errors import ImageStorageError
from .origin import Origin
from .text import joined
from .types import (
    CleanupReason,
    CleanupResult,
    DeleteResult,
    Generation,
    GroupStats,
    Hint,
    Image,
    ImageMetadata,
    PolicyStats,
    ProviderStats,
    RestoreResult,
    Totals,
)

Order = Literal["newest", "oldest"]
Embedded = Literal["fill", "ignore"]
EMBEDDED = {"fill": pb.EMBEDDED_FILL, "ignore": pb.EMBEDDED_IGNORE}
GroupBy = Literal["day", "month", "model", "category", "tag", "lora"]
GROUPS = {
    "day": pb.GROUP_BY_DAY,
    "month": pb.GROUP_BY_MONTH,
    "model": pb.GROUP_BY_MODEL,
    "category": pb.GROUP_BY_CATEGORY,
    "tag": pb.GROUP_BY_TAG,
    "lora": pb.GROUP_BY_LORA,
}
View = Literal["full", "row"]
VIEWS = {"full": pb.VIEW_UNSPECIFIED, "row": pb.VIEW_ROW}
ORDERS = {"newest": pb.ORDER_NEWEST_FIRST, "oldest": pb.ORDER_OLDEST_FIRST}

T = TypeVar("T")


def timestamp_of(moment: Instant | None, *, end: bool = False) -> Timestamp | None:
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(instant(moment, end=end))
    return timestamp


def age_of(moment: Instant | None) -> Duration | None:
    """Returns the age for the daemon to resolve by its own clock; None for any other instant."""
    since = None if moment is None else age(moment)
    return None if since is None else _duration(since)


def ttl_of(ttl: timedelta | str | None) -> Duration | None:
    """Returns how long an image is wanted. Raises ValueError for a text that is no time such as `2h`."""
    if ttl is None:
        return None
    wanted = age(ttl)
    if wanted is None:
        raise ValueError(f"{ttl!r}: expected a time such as 30m, 2h or 7d")
    return _duration(wanted)


def _duration(time: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(time)
    return duration


def date_range(since: Instant | None, until: Instant | None) -> pb.DateRange | None:
    if since is None and until is None:
        return None
    return pb.DateRange(start=timestamp_of(since), end=timestamp_of(until, end=True))


def tags_of(tags: Iterable[str]) -> Iterable[str]:
    """Returns the tags. Raises TypeError for a single text, whose letters would pass for tags."""
    if isinstance(tags, str):
        raise TypeError(f"tags are several: [{tags!r}], not {tags!r}")
    return [joined(tag, "tags") for tag in tags]


def image_from(message: pb.Image, origin: Origin, *, replayed: bool = False, deleted: bool = False) -> Image:
    metadata = _same(
        ImageMetadata,
        message.metadata,
        timestamp=_datetime(message.metadata.timestamp),
        tags=tuple(message.metadata.tags),
    )
    image = _same(
        Image,
        message,
        metadata=metadata,
        create_time=_datetime(message.create_time),
        expire_time=_datetime(message.expire_time) if message.HasField("expire_time") else None,
        delete_time=_datetime(message.delete_time) if message.HasField("delete_time") else None,
        purge_time=_datetime(message.purge_time) if message.HasField("purge_time") else None,
        generation=_generation(message.generation) if message.HasField("generation") else None,
        replayed=replayed,
        deleted=deleted,
        link=origin.link(message.url),
    )
    # The image is frozen.
    object.__setattr__(image, "_origin", origin)
    return image


def _generation(message: pb.Generation) -> Generation:
    return _same(
        Generation,
        message,
        steps=message.steps if message.HasField("steps") else None,
        cfg=message.cfg if message.HasField("cfg") else None,
        loras=tuple(message.loras),
    )


def hints_from(batch: pb.ListResponse) -> tuple[Hint, ...]:
    return tuple(Hint(hint.field, tuple(hint.values)) for hint in batch.hints)


def delete_result_from(message: pb.DeleteResult) -> DeleteResult:
    return _same(DeleteResult, message, restorable_until=_until(message))


def restore_result_from(message: pb.RestoreResult) -> RestoreResult:
    return _same(RestoreResult, message)


def cleanup_from(message: pb.CleanupResponse) -> CleanupResult:
    return _same(
        CleanupResult,
        message,
        filenames=tuple(message.filenames),
        reasons=tuple(_same(CleanupReason, reason) for reason in message.reasons),
        restorable_until=_until(message),
    )


def _until(message: pb.DeleteResult | pb.CleanupResponse) -> datetime | None:
    return _datetime(message.restorable_until) if message.HasField("restorable_until") else None


def totals_from(message: pb.StatsResponse) -> Totals:
    """Returns the totals. Raises UNIMPLEMENTED for the answer of a daemon that does not know them."""
    if not message.HasField("total"):
        text = "the daemon is older than totals: it counts only whole providers (stats), whatever was asked for"
        raise ImageStorageError(grpc.StatusCode.UNIMPLEMENTED, text)
    total = message.total
    return Totals(
        count=total.count,
        bytes=total.bytes,
        oldest=_datetime(total.oldest) if total.HasField("oldest") else None,
        newest=_datetime(total.newest) if total.HasField("newest") else None,
        groups=_groups(message.groups),
        more=message.more,
    )


def stats_from(message: pb.ProviderStats) -> ProviderStats:
    return _same(
        ProviderStats,
        message,
        oldest=_datetime(message.oldest) if message.HasField("oldest") else None,
        newest=_datetime(message.newest) if message.HasField("newest") else None,
        by_model=_groups(message.by_model),
        by_category=_groups(message.by_category),
        by_date=_groups(message.by_date),
        capacity_bytes=message.capacity_bytes if message.HasField("capacity_bytes") else None,
        free_bytes=message.free_bytes if message.HasField("free_bytes") else None,
        policies=tuple(map(_policy, message.policies)),
    )


def _policy(message: pb.PolicyStats) -> PolicyStats:
    return _same(
        PolicyStats,
        message,
        last_run=_datetime(message.last_run) if message.HasField("last_run") else None,
        next_run=_datetime(message.next_run) if message.HasField("next_run") else None,
    )


def _same(kind: type[T], message: Message, **converted: object) -> T:
    """Creates the dataclass from the fields that are equal in name and type in both, and from those converted."""
    names = {field.name for field in fields(kind)} - converted.keys()  # type: ignore[arg-type]
    same: dict[str, Any] = {name: getattr(message, name) for name in names}
    return kind(**same, **converted)


def _groups(messages: Iterable[pb.GroupStats]) -> tuple[GroupStats, ...]:
    return tuple(_same(GroupStats, message) for message in messages)


def _datetime(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(timezone.utc)
