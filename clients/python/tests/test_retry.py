"""What happens when connections break, daemons are away, and answers are lost: never a second image, never a lie."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import socket
import subprocess
import sys
import threading
import traceback
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from support import Daemon, Proxy, Scripted, lacking, png

from image_storage import AsyncImageStorage, ImageStorage, ImageStorageError
from imagestorage.v1 import image_storage_pb2 as pb


class Pipe(io.RawIOBase):
    """Bytes that come once."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._data.readinto(buffer)


@pytest.mark.parametrize("key", [None, ""])
def test_an_answer_that_is_lost_after_the_commit_makes_no_second_image(
    connect: Any, daemon: Daemon, model: str, key: str | None
) -> None:
    with ImageStorage(daemon.address) as direct:

        def is_committed(sent: int, received: int) -> bool:
            return any(direct.list(model=model))

        with Proxy(daemon.address, is_committed) as proxy, connect(proxy.address) as client:
            image = client.save(png(), model=model, idempotency_key=key)
            assert image.replayed
            assert proxy.connections == 2
        [stored] = direct.list(model=model)
        assert replace(stored, replayed=True, link=image.link) == image


@pytest.mark.parametrize("kind", ["bytes", "file", "pipe"])
def test_a_save_that_breaks_is_sent_again(connect: Any, daemon: Daemon, model: str, kind: str) -> None:
    image = png(2_000_000)
    source = {"bytes": image, "file": io.BytesIO(image), "pipe": Pipe(image)}[kind]
    told: list[int] = []
    with Proxy(daemon.address, *[lambda sent, _: sent > 1_000_000] * 2) as proxy, connect(proxy.address) as client:
        saved = client.save(source, model=model, progress=told.append)
        assert client.get(saved.filename) == image
        assert len([*client.list(model=model)]) == 1
    assert sum(told) == len(image)
    assert min(told) < 0


def test_a_stream_too_large_to_keep_is_not_sent_again_and_says_so(connect: Any, daemon: Daemon, model: str) -> None:
    image = png(80 * 1024 * 1024)
    with Proxy(daemon.address, lambda sent, _: sent > 70 * 1024 * 1024) as proxy, connect(proxy.address) as client:
        with pytest.raises(ImageStorageError, match="64 MiB") as caught:
            client.save(Pipe(image), model=model)
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        assert not caught.value.outcome_unknown
        assert [*client.list(model=model)] == []


def test_reads_resume_where_they_broke(connect: Any, daemon: Daemon, model: str) -> None:
    image = png(2_000_000)
    breaks = [lambda _, received: received > 700_000] * 2
    with connect(daemon.address) as client:
        filename = client.save(image, model=model).filename
        for _ in range(250):
            client.save(png(), model=model, prompt="x" * 4000)
        with Proxy(daemon.address, *breaks) as proxy, connect(proxy.address) as broken:
            assert broken.get(filename) == image
            assert proxy.connections == 3
        with Proxy(daemon.address, *breaks) as proxy, connect(proxy.address) as broken:
            names = [image.filename for image in broken.list(model=model)]
            assert proxy.connections > 1
            assert names == [image.filename for image in client.list(model=model)]
            assert len(names) == 251


def test_a_cleanup_whose_answer_is_lost_is_not_repeated(connect: Any, daemon: Daemon, model: str) -> None:
    with ImageStorage(daemon.address) as direct:
        for _ in range(2):
            direct.save(png(), model=model)

        def is_done(sent: int, received: int) -> bool:
            return not any(direct.list(model=model))

        with Proxy(daemon.address, is_done) as proxy, connect(proxy.address) as client:
            with pytest.raises(ImageStorageError) as caught:
                client.cleanup(model=model, keep_count=0)
            assert caught.value.outcome_unknown
            assert proxy.connections == 1


def test_whoever_asks_before_the_daemon_is_there_waits_for_it(connect: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
    is_refused = threading.Event()
    started: list[Daemon] = []

    def start() -> None:
        is_refused.wait()
        started.append(Daemon(tmp_path, address))

    starter = threading.Thread(target=start)
    starter.start()
    with connect(address, connect_timeout=60, on_retry=lambda error, seconds: is_refused.set()) as client:
        assert client.cleanup(keep_count=1).deleted_count == 0
    starter.join()
    with started[0]:
        pass


def test_retries_end(connect: Any) -> None:
    told: list[float] = []
    with connect("127.0.0.1:1", retries=2, on_retry=lambda error, seconds: told.append(seconds)) as client:
        for call in (lambda: client.save(png()), lambda: client.cleanup(keep_count=1), lambda: [*client.list()]):
            told.clear()
            with pytest.raises(ImageStorageError) as caught:
                call()
            assert caught.value.code is grpc.StatusCode.UNAVAILABLE
            assert str(caught.value) == "DAEMON_UNREACHABLE: no daemon at 127.0.0.1:1: connection refused"
            assert caught.value.retryable
            assert not caught.value.outcome_unknown
            assert len(told) == 2
            assert "grpc._channel" not in "".join(traceback.format_exception(caught.value))


def test_timeouts_without_an_end(connect: Any, daemon: Daemon) -> None:
    for timeout in (0, float("inf")):
        with connect(daemon.address, timeout=timeout) as client:
            assert client.stats()


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:50051",
        "localhost:",
        "localhost:65536",
        "/run/images.sock",
        "unix://run/images.sock",
    ],
)
def test_what_is_no_address_is_refused_at_once(connect: Any, address: str) -> None:
    with pytest.raises(ValueError, match="expected host:port"):
        connect(address)


# grpcio watches a connection in a thread of its own, which takes its end badly.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_close_ends_what_waits_for_another_attempt() -> None:
    client = ImageStorage("127.0.0.1:1", on_retry=lambda *_: threading.Thread(target=client.close).start())
    with pytest.raises(ImageStorageError, match="closed") as caught:
        client.save(png())
    assert caught.value.code is grpc.StatusCode.CANCELLED


def test_a_closed_client_says_so(connect: Any, daemon: Daemon) -> None:
    with connect(daemon.address) as client:
        reader = client.open(client.save(png()).filename)
        client.close()
        for call in (client.stats, reader.read, lambda: client.save(png()), lambda: [*client.list()]):
            with pytest.raises(ImageStorageError, match="the client was closed") as caught:
                call()
            assert caught.value.code is grpc.StatusCode.CANCELLED


ENDS = {
    "after retries": """
from image_storage import ImageStorage, ImageStorageError
try:
    ImageStorage("127.0.0.1:1", retries=2).stats()
except ImageStorageError:
    print("told")
""",
    "while a loop that was left still retries": """
import asyncio
from image_storage import AsyncImageStorage
loop = asyncio.new_event_loop()
left = loop.create_task(AsyncImageStorage("127.0.0.1:1", retries=1_000_000).stats())
loop.run_until_complete(asyncio.sleep(0.2))
print("told")
""",
}


@pytest.mark.parametrize("program", ENDS.values(), ids=ENDS)
def test_a_program_that_closes_nothing_ends(program: str) -> None:
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "told\n"


def test_clients_go_on_in_a_process_that_was_forked_between_calls(daemon: Daemon) -> None:
    if sys.platform != "linux":
        lacking("a grpcio that takes part in forks")
    program = """
import asyncio, os, signal, sys
from image_storage import AsyncImageStorage, ImageStorage
client, asynchronous = ImageStorage(sys.argv[1]), AsyncImageStorage(sys.argv[1])
for process in ("parent", "child"):
    client.stats()
    asyncio.run(asynchronous.stats())
    if process == "parent" and (child := os.fork()):
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    signal.alarm(30)
"""
    subprocess.run([sys.executable, "-c", program, daemon.address], timeout=60, check=True)


def test_a_deadline_leaves_the_outcome_open_and_the_next_save_tells(connect: Any, daemon: Daemon, model: str) -> None:
    image = png()
    with connect(daemon.address, timeout=1) as client:
        client.stats()
        daemon.pause()
        try:
            with pytest.raises(ImageStorageError) as caught:
                client.save(image, model=model)
        finally:
            daemon.resume()
    error = caught.value
    assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert error.outcome_unknown
    assert error.retry_with
    with connect(daemon.address) as client:
        saved = client.save(image, model=model, **error.retry_with)
        assert [image.filename for image in client.list(model=model)] == [saved.filename]


def test_a_cancelled_task_cancels_its_save(daemon: Daemon, model: str) -> None:
    async def cancel_on_the_way() -> None:
        async with AsyncImageStorage(daemon.address) as client:
            loop = asyncio.get_running_loop()
            save = asyncio.create_task(
                client.save(png(4_000_000), model=model, progress=lambda _: loop.call_soon_threadsafe(save.cancel))
            )
            with pytest.raises(asyncio.CancelledError):
                await save
            assert [image async for image in client.list(model=model)] == []

    asyncio.run(cancel_on_the_way())


def test_a_task_that_is_cancelled_twice_leaves_nothing_to_complain_of(daemon: Daemon) -> None:
    async def cancel_twice() -> list[Any]:
        complaints: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        read_end, write_end = os.pipe()
        async with AsyncImageStorage(daemon.address) as client:
            with os.fdopen(read_end, "rb") as pipe:
                save = asyncio.create_task(client.save(pipe))
                await asyncio.sleep(0.1)
                # The first one waits for the read.
                for _ in range(2):
                    save.cancel()
                    await asyncio.sleep(0)
                with pytest.raises(asyncio.CancelledError):
                    await save
                os.close(write_end)
                await asyncio.sleep(0.1)
        gc.collect()
        return complaints

    assert asyncio.run(cancel_twice()) == []


def details(*messages: Any) -> bytes:
    packed = []
    for message in messages:
        detail = AnyMessage()
        detail.Pack(message)
        packed.append(detail)
    encoded: bytes = Status(details=packed).SerializeToString()
    return encoded


class Busy(Scripted):
    """Refuses a first save for a moment; expects a token."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        super().__init__(credentials)
        self.seen: list[tuple[str, datetime]] = []

    def Save(self, requests: Any, context: Any) -> pb.SaveResponse:  # noqa: N802
        if ("authorization", "Bearer secret") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        header = next(requests).header
        self.seen.append((header.idempotency_key, header.metadata.timestamp.ToDatetime(timezone.utc)))
        if len(self.seen) == 1:
            busy = ErrorInfo(reason="TOO_MANY_SAVES", domain="imagestorage.dev")
            wait = RetryInfo(retry_delay=Duration(nanos=20_000_000))
            context.set_trailing_metadata((("grpc-status-details-bin", details(busy, wait)),))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many saves")
        for _ in requests:
            pass
        return pb.SaveResponse(image=pb.Image(filename="a.png"))


def test_a_busy_daemon_is_asked_again_with_the_same_key_and_timestamp(connect: Any) -> None:
    server = Busy()
    told: list[ImageStorageError] = []
    with server as address, connect(address, token="secret", on_retry=lambda error, _: told.append(error)) as client:
        assert client.save(png(3_000_000)).filename == "a.png"
    assert [(error.reason, error.retry_after) for error in told] == [("TOO_MANY_SAVES", 0.02)]
    assert server.seen[0] == server.seen[1]


def test_tls(connect: Any, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        lacking("openssl")
    server = Busy(grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())]))
    trusted = grpc.ssl_channel_credentials(certificate.read_bytes())
    with server as address:
        with connect(address, token="secret", tls=trusted) as client:
            assert client.save(png()).filename == "a.png"
        with connect(address, tls=True, retries=0) as client, pytest.raises(ImageStorageError):
            client.save(png())
