"""Get, open, list, delete, cleanup and stats: what was saved is found, read, pruned and counted."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from grpc import StatusCode
from PIL import Image as Pillow
from support import Daemon, Scripted, png

from image_storage import Generation, GroupStats, Hint, ImageStorage, ImageStorageError, Totals
from imagestorage.v1 import image_storage_pb2 as pb


def saved(client: Any, model: str, *days: int, **metadata: Any) -> list[str]:
    """Saves one image for each day of January 2024; their filenames."""
    moments = [datetime(2024, 1, day, 12, tzinfo=timezone.utc) for day in days]
    return [client.save(png(), model=model, timestamp=moment, **metadata).filename for moment in moments]


def test_an_image_is_read_as_a_file(client: Any) -> None:
    image = png(3_000_000)
    filename = client.save(image).filename
    file, local = client.open(filename), io.BytesIO(image)
    assert file.image.filename == filename
    for offset, whence, size in [
        (0, 0, 8),
        (2_000_000, 0, 100),
        (10, 1, 1_500_000),
        (-12, 2, 50),
        (9, 2, 1),
        (0, 0, -1),
    ]:
        assert file.seek(offset, whence) == local.seek(offset, whence)
        assert file.read(size) == local.read(size)
        assert file.tell() == local.tell()
    with pytest.raises(ImageStorageError, match="IMAGE_NOT_FOUND"):
        client.open("20240101_000000_none_aaaaaa.png")


def test_libraries_read_it_where_it_is(daemon: Daemon) -> None:
    pixels = np.arange(64 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(64, 64, 3)
    with ImageStorage(daemon.address) as client, client.open(client.save(pixels).filename) as file:
        assert np.array_equal(np.asarray(Pillow.open(file)), pixels)


def test_ranges(client: Any) -> None:
    image = png(700_000)
    filename = client.save(image).filename
    assert client.get(filename, offset=300_000, limit=300_000) == image[300_000:600_000]
    assert client.get(filename, offset=len(image)) == b""
    with pytest.raises(ImageStorageError, match="OFFSET_OUT_OF_RANGE"):
        client.get(filename, offset=len(image) + 1)


def test_bytes_that_changed_on_the_disk_are_never_handed_out(client: Any) -> None:
    image = client.save(png(1000))
    os.chmod(image.path, 0o600)
    with open(image.path, "r+b") as file:
        file.seek(500)
        file.write(b"?")
    with pytest.raises(ImageStorageError) as caught:
        client.get(image.filename)
    assert caught.value.reason == "BYTES_CORRUPT"


def test_list_filters_and_orders(client: Any, model: str) -> None:
    first, second, third = saved(client, model, 1, 2, 3, prompt="a snow fox", tags=["x", "y"], category="kept")
    [other] = saved(client, model, 4, prompt="a bear", pinned=True)

    def names(**filters: Any) -> list[str]:
        return [image.filename for image in client.list(model=model, **filters)]

    assert names() == [other, third, second, first]
    assert names(order="oldest", limit=2) == [first, second]
    assert names(query="SNOW fo") == names(tags=["y", "x"]) == names(category="kept") == [third, second, first]
    assert names(pinned=True) == [other]
    assert names(pinned=False, since="2024-01-02") == [third, second]
    assert names(since=date(2024, 1, 2), until="2024-01-03") == [third, second]
    assert names(until=datetime(2024, 1, 2, 12, tzinfo=timezone.utc)) == [first]
    assert names(until="2024-01-02T13:00:00.5+01:00") == [second, first]
    assert names(since="2w") == []
    for wrong in ("yesterday", "2024-02-30", "2024-01-01T12:00:00", datetime(2024, 1, 1)):
        with pytest.raises(ValueError, match="2024"):
            names(since=wrong)


def test_delete_tells_what_was_there(client: Any, model: str) -> None:
    filenames = saved(client, model, 1, 2)
    [result] = client.delete(filenames[0])
    assert result.deleted
    results = client.delete([*filenames, *(f"none-{n}.png" for n in range(1500))])
    assert [result.deleted for result in results[:3]] == [False, True, False]
    assert [result.reason for result in results[:3]] == ["IMAGE_NOT_FOUND", "", "IMAGE_NOT_FOUND"]
    assert len(results) == 1502
    assert client.delete([]) == []


def test_cleanup_spares_what_any_criterion_protects(client: Any, model: str) -> None:
    [pinned] = saved(client, model, 1, pinned=True)
    oldest, _, newest = saved(client, model, 2, 3, 4)
    planned = client.cleanup(model=model, older_than=timedelta(days=30), keep_count=1, dry_run=True)
    assert (planned.deleted_count, planned.kept_pinned, planned.dry_run) == (2, 1, True)
    assert len([*client.list(model=model)]) == 4
    done = client.cleanup(model=model, older_than="30d", keep_count=1, max_deletes=1)
    assert (done.filenames, done.more, done.dry_run) == ((oldest,), True, False)
    client.cleanup(model=model, keep_bytes=0, older_than="2024-01-04")
    assert [image.filename for image in client.list(model=model)] == [newest, pinned]
    with pytest.raises(ImageStorageError, match="CLEANUP_WITHOUT_CRITERION"):
        client.cleanup(model=model)


@pytest.mark.parametrize("age", [timedelta(days=30), "30d"])
def test_an_age_is_sent_and_its_date_beside_it(connect: Any, age: timedelta | str) -> None:
    pruner = Pruner()
    with pruner as address, connect(address) as client:
        before = datetime.now(timezone.utc)
        assert client.cleanup(older_than=age).kept_future == 3
        client.cleanup(older_than="2024-01-01")
    by_age, by_date = pruner.seen
    assert by_age.older_than_age.ToTimedelta() == timedelta(days=30)
    sent = by_age.older_than.ToDatetime(timezone.utc)
    assert before <= sent + timedelta(days=30) <= datetime.now(timezone.utc)
    assert not by_date.HasField("older_than_age")
    assert by_date.older_than.ToDatetime(timezone.utc) == datetime(2024, 1, 1, tzinfo=timezone.utc)


def test_stats_count_by_group(client: Any, model: str) -> None:
    saved(client, model, 1, 2, category=model)
    [provider] = client.stats()
    assert provider.count >= 2
    assert provider.capacity_bytes > provider.free_bytes > 0
    assert [(group.count, group.rest) for group in provider.by_model if group.name == model] == [(2, False)]
    assert [group.count for group in provider.by_category if group.name == model] == [2]
    assert "2024-01-01" in {group.name for group in provider.by_date}
    assert provider.oldest <= datetime(2024, 1, 1, 12, tzinfo=timezone.utc) < provider.newest


def test_settings_hints_and_totals_are_told(connect: Any) -> None:
    told = Telling()
    heard: list[tuple[Hint, ...]] = []
    with told as address, connect(address) as client:
        image = client.save(png(), embedded="ignore")
        assert [*client.list(model="dreamshaper", on_hints=heard.append)] == []
        totals = client.totals(by="month", query="fox seed:42", tags=["snow"], pinned=False, time_zone="Europe/Berlin")
        client.save(png())
        assert [*client.list()] == []
    ignored, filled = told.headers
    assert (ignored.embedded, filled.embedded) == (pb.EMBEDDED_IGNORE, pb.EMBEDDED_FILL)
    assert image.thumb_hash == b"\1\2\3"
    assert image.generation == Generation("blurry", "18446744073709551615", 20, None, "euler", "", ("ink",), 832, 0)
    assert [request.hints for request in told.lists] == [True, False]
    assert heard == [(Hint("model", ("dreamshaper_8", "flux")),)]
    assert totals == Totals(
        count=3,
        bytes=2**40,
        oldest=datetime(2026, 11, 1, tzinfo=timezone.utc),
        newest=None,
        groups=(GroupStats(name="2026-11", count=3, bytes=2**40, rest=False),),
        more=True,
    )
    assert (told.counted.by, told.counted.query, told.counted.pinned) == (pb.GROUP_BY_MONTH, "fox seed:42", False)
    assert (told.counted.time_zone, [*told.counted.tags]) == ("Europe/Berlin", ["snow"])


def test_an_older_daemon_is_named_where_it_lacks_something(connect: Any) -> None:
    with Older() as address, connect(address) as client:
        older = client.save(png())
        assert (older.generation, older.thumb_hash) == (None, b"")
        assert [provider.count for provider in client.stats()] == [7]
        with pytest.raises(ImageStorageError, match="the daemon is older than totals") as caught:
            client.totals(query="fox")
    assert (caught.value.code, caught.value.retryable) == (StatusCode.UNIMPLEMENTED, False)


class Telling(Scripted):
    """Tells what daemons tell since they read files; keeps the requests."""

    def __init__(self) -> None:
        super().__init__()
        self.headers: list[pb.SaveHeader] = []
        self.lists: list[pb.ListRequest] = []
        self.counted = pb.StatsRequest()

    def Save(self, requests: Iterator[pb.SaveRequest], context: Any) -> pb.SaveResponse:  # noqa: N802
        header, *_ = requests
        self.headers.append(header.header)
        settings = pb.Generation(negative_prompt="blurry", steps=20, sampler="euler", loras=["ink"], width=832)
        settings.seed = "18446744073709551615"
        return pb.SaveResponse(image=pb.Image(generation=settings, thumb_hash=b"\1\2\3"))

    def List(self, request: pb.ListRequest, context: Any) -> Iterator[pb.ListResponse]:  # noqa: N802
        self.lists.append(request)
        if request.hints:
            yield pb.ListResponse(hints=[pb.Hint(field="model", values=["dreamshaper_8", "flux"])])

    def Stats(self, request: pb.StatsRequest, context: Any) -> pb.StatsResponse:  # noqa: N802
        self.counted = request
        total = pb.Totals(count=3, bytes=2**40)
        total.oldest.FromDatetime(datetime(2026, 11, 1))
        return pb.StatsResponse(total=total, groups=[pb.GroupStats(name="2026-11", count=3, bytes=2**40)], more=True)


class Older(Scripted):
    """Answers as daemons did before."""

    def Save(self, requests: Iterator[pb.SaveRequest], context: Any) -> pb.SaveResponse:  # noqa: N802
        return pb.SaveResponse(image=pb.Image(filename=f"{len([*requests])}.png"))

    def Stats(self, request: pb.StatsRequest, context: Any) -> pb.StatsResponse:  # noqa: N802
        return pb.StatsResponse(providers=[pb.ProviderStats(provider="local", count=7)])


class Pruner(Scripted):
    """Keeps the requests of cleanups."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[pb.CleanupRequest] = []

    def Cleanup(self, request: pb.CleanupRequest, context: Any) -> pb.CleanupResponse:  # noqa: N802
        self.seen.append(request)
        return pb.CleanupResponse(kept_future=3)
