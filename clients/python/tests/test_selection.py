"""What a cleanup takes of a selection, by a plan, and what is said of a daemon that knows none."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from support import Scripted, png

from image_storage import ImageStorageError, Selection
from imagestorage.v1 import image_storage_pb2 as pb


def test_a_plan_takes_what_it_saw_and_nobody_touched_since(client: Any, model: str) -> None:
    names = [client.save(png(), model=model, tags=["junk"], pinned=number == 0).filename for number in range(5)]
    selection = Selection(model=model, query="tag:junk", since="1h", except_=[names[4]])
    planned = client.cleanup(selection=selection, dry_run=True)
    assert (planned.deleted_count, planned.kept_pinned, bool(planned.plan)) == (3, 1, True)
    client.update(names[1], add_tags=["mine"])
    client.update(names[2], pinned=True)
    client.save(png(), model=model, tags=["junk"])
    done = client.cleanup(selection=replace(selection, plan=planned.plan))
    assert (done.filenames, done.kept_changed, done.kept_pinned) == ((names[3],), 2, 2)
    assert client.cleanup(selection=Selection(only=names[:2], tags=["mine"])).filenames == (names[1],)


def test_the_plan_of_another_selection_is_refused(client: Any, model: str) -> None:
    planned = client.cleanup(selection=Selection(model=model), dry_run=True)
    with pytest.raises(ImageStorageError) as caught:
        client.cleanup(selection=Selection(query="fox", plan=planned.plan))
    assert (caught.value.reason, caught.value.field) == ("FIELD_INVALID", "selection.plan")


def test_a_selection_is_sent_by_itself(connect: Any) -> None:
    daemon = Older()
    selection = Selection(
        until="2026-11-01", pinned=False, except_=["a.png"], older_than="30d", keep_bytes=0, plan=b"a plan"
    )
    with daemon as address, connect(address) as client:
        for given in (selection, Selection(only=["a.png"]), Selection(keep_count=0), Selection(plan=b"p")):
            with pytest.raises(ImageStorageError, match="this daemon is older: it knows no selections") as caught:
                client.cleanup(selection=given, provider="archive")
            assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED
        for nothing in (Selection(), Selection(except_=["a.png"])):
            with pytest.raises(ImageStorageError, match="CLEANUP_WITHOUT_CRITERION"):
                client.cleanup(selection=nothing)
        with pytest.raises(TypeError, match="several"):
            client.cleanup(selection=Selection(only="a.png"))
    sent = daemon.seen[0]
    assert [sent.HasField(name) for name in ("older_than", "older_than_age", "keep_bytes")] == [False] * 3
    assert (sent.provider, sent.model, sent.policy) == ("archive", "", "")
    assert (sent.selection.plan, [*getattr(sent.selection, "except")]) == (b"a plan", ["a.png"])
    assert sent.selection.date_range.end.ToDatetime(timezone.utc) == datetime(2026, 11, 2, tzinfo=timezone.utc)
    assert sent.selection.older_than_age.seconds == 30 * 86400
    assert [sent.selection.HasField(name) for name in ("keep_bytes", "pinned", "keep_count")] == [True, True, False]


class Older(Scripted):
    """Refuses as daemons did before; keeps the requests."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[pb.CleanupRequest] = []

    def Cleanup(self, request: pb.CleanupRequest, context: Any) -> pb.CleanupResponse:  # noqa: N802
        self.seen.append(request)
        detail = AnyMessage()
        detail.Pack(ErrorInfo(reason="CLEANUP_WITHOUT_CRITERION", domain="imagestorage.dev"))
        status = Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "name a criterion")
        raise AssertionError
