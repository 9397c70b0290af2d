"""What the tests stand on: a real daemon, a proxy that breaks connections, a scripted server, and images."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import socket
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn
from uuid import uuid4

import grpc
import pytest

from image_storage import AsyncImageStorage
from imagestorage.v1 import image_storage_pb2_grpc as rpc

CLIENT = Path(__file__).parents[1]
REPOSITORY = CLIENT.parents[1]
NODE = REPOSITORY / "node_modules/.bin/node"
REAL_IMAGES = REPOSITORY.parent / "shared/images"


def lacking(what: str) -> NoReturn:
    """A laptop may lack it, CI must not."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI lacks {what}")
    pytest.skip(f"this machine lacks {what}")


def png(size_bytes: int = 0) -> bytes:
    """A whole PNG of one pixel, unlike any other, padded to the size."""
    head = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    head += _chunk(b"tEXt", b"id\0" + uuid4().bytes.hex().encode())
    tail = _chunk(b"IDAT", zlib.compress(b"\0\0")) + _chunk(b"IEND", b"")
    padding = max(size_bytes - len(head) - len(tail) - 12, 0)
    return head + (_chunk(b"paDd", bytes(padding)) if padding else b"") + tail


def png_file(path: Path, size_bytes: int) -> None:
    """The same in a file, without ever holding all of it."""
    image = png(64 * 1024)
    # A trailer after IEND belongs to the file as well; the daemon keeps it as it came.
    with path.open("wb") as file:
        file.write(image)
        file.truncate(size_bytes)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class Daemon:
    """`image-storage serve` on a folder, reached at `address` and `unix_address`."""

    def __init__(self, folder: Path, listen: str = "127.0.0.1:0") -> None:
        if not NODE.exists():
            lacking(f"{NODE}; run npm ci")
        self.unix_address = f"unix:{folder}/daemon.sock"
        listening = ["--listen", listen, "--listen", self.unix_address]
        quiet = ["--log-level", "error"]
        self._process = subprocess.Popen(
            [NODE, "bin/image-storage.js", "serve", *listening, "--base-path", folder / "outputs", *quiet],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.address = self._process.stdout.readline().split()[-1]

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.resume()
        self._process.terminate()
        self._process.communicate()


#: Told how many bytes went to the daemon and came back; true breaks the connection.
Break = Callable[[int, int], bool]


class Proxy:
    """Breaks its first connections, one condition for each; later ones are left alone."""

    def __init__(self, target: str, *breaks: Break) -> None:
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._breaks = [*breaks]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            broken = self._breaks[self.connections] if self.connections < len(self._breaks) else lambda *_: False
            self.connections += 1
            server = socket.create_connection(self._target)
            passed = [0, 0]
            for sides in ((0, client, server), (1, server, client)):
                threading.Thread(target=self._forward, args=(*sides, passed, broken), daemon=True).start()

    @staticmethod
    def _forward(side: int, source: socket.socket, target: socket.socket, passed: list[int], broken: Break) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                passed[side] += len(data)
                if broken(passed[0], passed[1]):
                    break
                target.sendall(data)
        for end in (source, target):
            # Wakes the thread of the other direction, which close alone does not.
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.close()


class Scripted(rpc.ImageStorageServicer):
    """A gRPC server that answers what the test says; use it as a context that gives its address."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self._server = grpc.server(ThreadPoolExecutor(4))
        rpc.add_ImageStorageServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        if credentials:
            port = self._server.add_secure_port("localhost:0", credentials)
        else:
            port = self._server.add_insecure_port("localhost:0")
        self._address = f"localhost:{port}"

    def __enter__(self) -> str:
        self._server.start()
        return self._address

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop(None)


class Blocking:
    """AsyncImageStorage, and what its verbs give, as if it were ImageStorage: one suite for both."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._inner: Any = AsyncImageStorage(*args, **options)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return (lambda *args, **options: self._waited(value(*args, **options))) if callable(value) else value

    def _waited(self, result: Any) -> Any:
        if inspect.iscoroutine(result):
            result = self._loop.run_until_complete(result)
        if inspect.isasyncgen(result):
            return self._items(result)
        if not hasattr(result, "read"):
            return result
        reader = object.__new__(Blocking)
        reader._loop, reader._inner = self._loop, result
        return reader

    def _items(self, items: Any) -> Iterator[Any]:
        while (item := self._loop.run_until_complete(anext(items, None))) is not None:
            yield item

    def __enter__(self) -> Blocking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        self._loop.close()
