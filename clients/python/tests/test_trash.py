"""What the clients delete and take back, and what they say of daemons that cannot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import grpc
import pytest
from support import Scripted, png

from image_storage import CleanupReason, ImageStorageError, PurgeResult
from imagestorage.v1 import image_storage_pb2 as pb

UNTIL = datetime(2026, 12, 7, tzinfo=timezone.utc)


def test_deletes_and_cleanups_say_until_when_they_can_be_taken_back(connect: Any) -> None:
    daemon = Trash()
    with daemon as address, connect(address) as client:
        [kept] = client.delete("a.png")
        [gone] = client.delete("a.png", permanent=True)
        planned = client.cleanup(policy="drafts", dry_run=True)
        [stats] = client.stats()
    assert (kept.restorable_until, gone.restorable_until) == (UNTIL, None)
    assert planned.restorable_until == UNTIL
    assert planned.reasons == (CleanupReason("older than 30d", 2, 10),)
    assert (stats.trash_count, stats.trash_bytes) == (3, 30)
    assert [(policy.name, policy.last_run, policy.next_run) for policy in stats.policies] == [("drafts", None, UNTIL)]


def test_images_come_back_in_any_number(connect: Any) -> None:
    daemon = Trash()
    with daemon as address, connect(address) as client:
        results = client.restore([str(number) for number in range(1001)])
    assert daemon.groups == [1000, 1]
    assert [(result.filename, result.reason) for result in results if not result.restored] == [("7", "NOT_DELETED")]


def test_the_trash_is_listed_over_streams_that_break(connect: Any) -> None:
    daemon = Trash()
    with daemon as address, connect(address) as client:
        listed = [*client.list_trash(query="fox", limit=2)]
    assert [(image.filename, image.purge_time) for image in listed] == [("a", UNTIL), ("b", UNTIL)]
    assert [(asked.query, asked.limit, asked.page_token) for asked in daemon.listed] == [
        ("fox", 2, ""),
        ("fox", 1, "behind a"),
    ]


def test_a_purge_goes_on_until_all_is_gone(connect: Any) -> None:
    daemon = Trash()
    with daemon as address, connect(address) as client:
        assert client.purge(all=True) == PurgeResult(count=4, bytes=20)
        assert client.purge("a.png") == PurgeResult(count=2, bytes=10)
        for nothing in ({}, {"filenames": ["a.png"], "all": True}):
            with pytest.raises(ValueError, match="all=True"):
                client.purge(**nothing)
    assert [(asked.all, [*asked.filenames]) for asked in daemon.purged] == [(True, []), (True, []), (False, ["a.png"])]


def test_a_save_says_that_its_image_was_deleted_since(connect: Any) -> None:
    daemon = Trash()
    with daemon as address, connect(address) as client:
        image = client.save(png(), idempotency_key="k", ttl="2h", unless_deleted=True)
        client.save(png(), ttl=timedelta(seconds=90))
        with pytest.raises(ValueError, match="expected a time such as"):
            client.save(png(), ttl="2024-09-27")
    assert (image.replayed, image.deleted, image.expire_time) == (True, True, UNTIL)
    sent, draft = daemon.headers
    assert (sent.ttl.ToTimedelta(), sent.unless_deleted) == (timedelta(hours=2), True)
    assert (draft.ttl.ToTimedelta(), draft.unless_deleted) == (timedelta(seconds=90), False)


def test_an_older_daemon_promises_nothing(connect: Any) -> None:
    with Older() as address, connect(address) as client:
        assert client.delete("a.png")[0].restorable_until is None
        for call in (lambda: client.restore("a.png"), lambda: [*client.list_trash()], lambda: client.purge(all=True)):
            with pytest.raises(ImageStorageError, match="this daemon is older: it has no trash") as caught:
                call()
            assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED


class Trash(Scripted):
    """A daemon with a trash; keeps the requests."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[int] = []
        self.listed: list[pb.ListTrashRequest] = []
        self.purged: list[pb.PurgeRequest] = []
        self.headers: list[pb.SaveHeader] = []

    def Save(self, requests: Iterator[pb.SaveRequest], context: Any) -> pb.SaveResponse:  # noqa: N802
        header, *_ = requests
        self.headers.append(header.header)
        answer = pb.SaveResponse(replayed=True, deleted=True)
        answer.image.expire_time.FromDatetime(UNTIL)
        return answer

    def Delete(self, request: pb.DeleteRequest, context: Any) -> pb.DeleteResponse:  # noqa: N802
        results = [pb.DeleteResult(filename=name, deleted=True) for name in request.filenames]
        for result in results if not request.permanent else []:
            result.restorable_until.FromDatetime(UNTIL)
        return pb.DeleteResponse(results=results)

    def Restore(self, request: pb.RestoreRequest, context: Any) -> pb.RestoreResponse:  # noqa: N802
        self.groups.append(len(request.filenames))
        reasons = {"7": "NOT_DELETED"}
        return pb.RestoreResponse(
            results=[
                pb.RestoreResult(filename=name, restored=name not in reasons, reason=reasons.get(name, ""))
                for name in request.filenames
            ]
        )

    def ListTrash(self, request: pb.ListTrashRequest, context: Any) -> Iterator[pb.ListTrashResponse]:  # noqa: N802
        self.listed.append(request)
        image = pb.Image(filename="b" if request.page_token else "a")
        image.purge_time.FromDatetime(UNTIL)
        yield pb.ListTrashResponse(images=[image], next_page_token="" if request.page_token else "behind a")
        if not request.page_token:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")

    def Purge(self, request: pb.PurgeRequest, context: Any) -> pb.PurgeResponse:  # noqa: N802
        self.purged.append(request)
        return pb.PurgeResponse(count=2, bytes=10, more=len(self.purged) == 1)

    def Cleanup(self, request: pb.CleanupRequest, context: Any) -> pb.CleanupResponse:  # noqa: N802
        assert request.policy == "drafts"
        answer = pb.CleanupResponse(reasons=[pb.Reason(text="older than 30d", count=2, bytes=10)])
        answer.restorable_until.FromDatetime(UNTIL)
        return answer

    def Stats(self, request: pb.StatsRequest, context: Any) -> pb.StatsResponse:  # noqa: N802
        policy = pb.PolicyStats(name="drafts")
        policy.next_run.FromDatetime(UNTIL)
        return pb.StatsResponse(providers=[pb.ProviderStats(trash_count=3, trash_bytes=30, policies=[policy])])


class Older(Scripted):
    """Deletes as daemons did before."""

    def Delete(self, request: pb.DeleteRequest, context: Any) -> pb.DeleteResponse:  # noqa: N802
        return pb.DeleteResponse(results=[pb.DeleteResult(filename=name, deleted=True) for name in request.filenames])
