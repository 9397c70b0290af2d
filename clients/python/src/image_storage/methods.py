"""The rpcs of the contract that the client calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from imagestorage.v1 import image_storage_pb2 as pb

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True)
class Method(Generic[RequestT, ResponseT]):
    """One rpc; the caller knows whether its request is a stream."""

    name: str
    request: type[RequestT]
    response: type[ResponseT]

    @property
    def path(self) -> str:
        return f"/imagestorage.v1.ImageStorage/{self.name}"


SAVE = Method("Save", pb.SaveRequest, pb.SaveResponse)
GET = Method("Get", pb.GetRequest, pb.GetResponse)
LIST = Method("List", pb.ListRequest, pb.ListResponse)
UPDATE = Method("Update", pb.UpdateRequest, pb.UpdateResponse)
DELETE = Method("Delete", pb.DeleteRequest, pb.DeleteResponse)
RESTORE = Method("Restore", pb.RestoreRequest, pb.RestoreResponse)
LIST_TRASH = Method("ListTrash", pb.ListTrashRequest, pb.ListTrashResponse)
PURGE = Method("Purge", pb.PurgeRequest, pb.PurgeResponse)
CLEANUP = Method("Cleanup", pb.CleanupRequest, pb.CleanupResponse)
STATS = Method("Stats", pb.StatsRequest, pb.StatsResponse)
