"""Reads google.rpc.Status and its details, without the package that has them.

googleapis-common-protos would move an installed protobuf. The messages are in a pool and under a name of their own, so
that it may be installed and imported beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

__all__ = ["DecodeError", "Detail", "details_in"]

_TYPES = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "image_storage.details"
#: The fields that are read, by message: name, number, type, and whether there are several. The others are skipped.
_MESSAGES: dict[str, list[tuple[str, int, int | str, bool]]] = {
    "Status": [("details", 3, "Any", True)],
    "Any": [("type_url", 1, _TYPES.TYPE_STRING, False), ("value", 2, _TYPES.TYPE_BYTES, False)],
    "ErrorInfo": [("reason", 1, _TYPES.TYPE_STRING, False), ("metadata", 3, "Entry", True)],
    "Entry": [("key", 1, _TYPES.TYPE_STRING, False), ("value", 2, _TYPES.TYPE_STRING, False)],
    "BadRequest": [("field_violations", 1, "Violation", True)],
    "Violation": [("field", 1, _TYPES.TYPE_STRING, False)],
    "RetryInfo": [("retry_delay", 1, "Delay", False)],
    "Delay": [("seconds", 1, _TYPES.TYPE_INT64, False), ("nanos", 2, _TYPES.TYPE_INT32, False)],
}


@dataclass(frozen=True)
class Detail:
    """What one detail says; the rest is unset."""

    reason: str | None = None
    outcome_unknown: bool = False
    field: str | None = None
    retry_after: float | None = None


def details_in(encoded: bytes) -> Iterator[Detail]:
    """Yields the details in an encoded google.rpc.Status that the client understands. Raises DecodeError."""
    for detail in _CLASSES["Status"].FromString(encoded).details:
        kind = detail.type_url.rpartition("/")[2].removeprefix("google.rpc.")
        if kind in _READERS:
            yield _READERS[kind](_CLASSES[kind].FromString(detail.value))


def _info(info: Any) -> Detail:
    metadata = {entry.key: entry.value for entry in info.metadata}
    return Detail(reason=info.reason, outcome_unknown=metadata.get("outcome") == "unknown")


def _request(request: Any) -> Detail:
    return Detail(field=next((violation.field for violation in request.field_violations), None))


def _retry(retry: Any) -> Detail:
    return Detail(retry_after=retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9)


_READERS = {"ErrorInfo": _info, "BadRequest": _request, "RetryInfo": _retry}


def _field(name: str, number: int, kind: int | str, is_repeated: bool) -> descriptor_pb2.FieldDescriptorProto:
    field = descriptor_pb2.FieldDescriptorProto(name=name, number=number)
    field.label = _TYPES.LABEL_REPEATED if is_repeated else _TYPES.LABEL_OPTIONAL
    if isinstance(kind, str):
        field.type, field.type_name = _TYPES.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = kind  # type: ignore[assignment]  # One of TYPE_….
    return field


def _classes(names: Iterable[str]) -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="image_storage/details.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        file.message_type.add(name=name, field=[_field(*field) for field in fields])
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in names}


_CLASSES = _classes(_MESSAGES)
