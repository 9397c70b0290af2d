"""What clients say, and how soon, where there is no daemon, and that they outlast one that starts again."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import Any

import grpc
import pytest
from support import Daemon, Scripted, lacking, png

from image_storage import ImageStorage, ImageStorageError
from image_storage.unreachable import cause_of

#: What is promised; a machine under load gets a little more.
PROMISED_SECONDS = 3.0


@pytest.fixture
def silent() -> Any:
    """The address of a port where connections are taken and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def refusal(client: Any, call: Any) -> str:
    began = monotonic()
    with client, pytest.raises(ImageStorageError) as caught:
        call(client)
    assert monotonic() - began < PROMISED_SECONDS
    assert caught.value.reason == "DAEMON_UNREACHABLE"
    assert caught.value.retryable
    assert not caught.value.outcome_unknown
    return caught.value.message


@pytest.mark.parametrize(
    "call",
    [lambda client: client.save(png()), lambda client: [*client.list()], lambda client: client.get("a.png")],
    ids=["save", "list", "get"],
)
def test_without_a_daemon_calls_end_within_three_seconds_in_one_sentence(
    connect: Any, call: Any, tmp_path: Path
) -> None:
    assert refusal(connect("127.0.0.1:1"), call) == "no daemon at 127.0.0.1:1: connection refused"
    nowhere = f"unix:{tmp_path}/daemon.sock"
    assert refusal(connect(nowhere), call) == f"no daemon at {nowhere}: no such file or directory"


def test_what_does_not_answer_is_told_from_what_is_not_there(connect: Any, silent: str) -> None:
    assert refusal(connect(silent), lambda client: client.stats()) == f"no daemon at {silent}: it does not answer"


def test_a_name_that_is_not_known_is_told(connect: Any) -> None:
    message = refusal(connect("image-storage.invalid"), lambda client: client.stats())
    assert message == "no daemon at image-storage.invalid:50051: its name is not known"


def test_a_script_ends_in_one_sentence() -> None:
    script = "from image_storage import ImageStorage; ImageStorage('127.0.0.1:1').stats()"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    [*_, last] = ended.stderr.strip().splitlines()
    assert last.endswith("DAEMON_UNREACHABLE: no daemon at 127.0.0.1:1: connection refused")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        # grpcio 1.62 and 1.85.
        ("…; last error: UNKNOWN: unix:/a: No such file or directory", "no such file or directory"),
        ("…: unix:/a: connect failed: addr: unix:/a error: Permission denied", "permission denied"),
        ("…: connection attempt timed out before receiving SETTINGS frame", "it does not answer"),
        ("DNS resolution failed for a:1: C-ares status is not ARES_SUCCESS: …", "its name is not known"),
        ("errors resolving a:1: [field:hostname lookup error:…]", "its name is not known"),
        ("…: Trying to connect an http1.x server", "what answers there does not speak gRPC"),
        ("…: Tls handshake failed (TSI_PROTOCOL_FAILURE): …WRONG_VERSION_NUMBER: …", "it does not speak TLS"),
        ("…: Ssl handshake failed: …CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
        ("something else", "something else"),
    ],
)
def test_causes(text: str, cause: str) -> None:
    assert cause_of(text) == cause


def test_a_client_that_had_a_connection_outlasts_a_restart(connect: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
    is_gone = threading.Event()
    started: list[Daemon] = []

    def start_again() -> None:
        is_gone.wait()
        started.append(Daemon(tmp_path, address))

    # With time to connect for none at all: what counts is that there was a connection.
    options = {"retries": 50, "connect_timeout": 0.0, "on_retry": lambda error, seconds: is_gone.set()}
    with connect(address, **options) as client:
        with Daemon(tmp_path, address):
            filename = client.save(png()).filename
        starter = threading.Thread(target=start_again)
        starter.start()
        assert client.exists(filename)
    starter.join()
    with started[0]:
        pass


def test_retries_are_logged(connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    with connect("127.0.0.1:1", retries=1) as client, caplog.at_level(logging.INFO), pytest.raises(ImageStorageError):
        client.stats()
    [record] = [record for record in caplog.records if record.name == "image_storage"]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(
        "DAEMON_UNREACHABLE: no daemon at 127.0.0.1:1: connection refused; attempt 2 follows in 0."
    )


def test_an_address_without_a_port_has_the_default_one() -> None:
    for address, found in {
        "localhost": "localhost:50051",
        "images.example": "images.example:50051",
        "[::1]": "[::1]:50051",
    }.items():
        assert ImageStorage(address)._connection._address == found


FORK = """
import os, signal, sys, threading
from image_storage import ImageStorage, ImageStorageError
client = ImageStorage(sys.argv[1])
client.stats()
if sys.argv[2] == "in a call":
    begun = threading.Event()
    read_end, _ = os.pipe()
    source = os.fdopen(read_end, "rb")
    class Pipe:
        def read(self, size):
            begun.set()
            return source.read(size)
    threading.Thread(target=lambda: client.save(Pipe()), daemon=True).start()
    begun.wait()
child = os.fork()
if child:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(abs(status))
# What would hang is ended, and seen by its status.
signal.alarm(20)
try:
    for used in (client, ImageStorage(sys.argv[1])):
        used.stats()
    print("works", flush=True)
except ImageStorageError as error:
    print(error, flush=True)
os._exit(0)
"""


def forked(address: str, when: str, support: str | None) -> str:
    if sys.platform != "linux":
        lacking("a grpcio that takes part in forks")
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"}
    if support is not None:
        environment["GRPC_ENABLE_FORK_SUPPORT"] = support
    command = [sys.executable, "-c", FORK, address, when]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)
    return ended.stdout.strip()


def test_a_process_that_was_forked_without_fork_support_is_told_at_once(daemon: Daemon) -> None:
    assert forked(daemon.address, "between calls", None) == "works"
    assert forked(daemon.address, "in a call", None).startswith("FORKED: this process was forked while a call ran")
    for when in ("between calls", "in a call"):
        assert "with GRPC_ENABLE_FORK_SUPPORT off" in forked(daemon.address, when, "0")


def test_a_client_from_before_a_fork_is_replaced_where_grpcio_closed_it(daemon: Daemon) -> None:
    # grpcio 1.62 closes it, later ones do not.
    assert forked(daemon.address, "between calls", "1") in (
        "works",
        "FORKED: this client was used before the process was forked: make another one",
    )


class Draining(Scripted):
    """A daemon that answers, and is not available."""

    def Stats(self, request: Any, context: Any) -> Any:  # noqa: N802
        context.abort(grpc.StatusCode.UNAVAILABLE, "draining")


def test_a_daemon_that_answers_is_not_one_that_cannot_be_reached(connect: Any) -> None:
    with Draining() as address, connect(address, retries=1) as client, pytest.raises(ImageStorageError) as caught:
        client.stats()
    assert str(caught.value) == "UNAVAILABLE: draining"
