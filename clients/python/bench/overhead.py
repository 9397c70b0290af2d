"""What the client costs: Save of 8 MiB against a bare grpcio stream of the same chunks, in pairs, in one run.

python bench/overhead.py [ADDRESS [ROUNDS]]
"""

from __future__ import annotations

import asyncio
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from os import urandom
from random import sample
from statistics import median
from time import perf_counter

import grpc

from image_storage import AsyncImageStorage, ImageStorage
from imagestorage.v1 import image_storage_pb2 as pb
from imagestorage.v1 import image_storage_pb2_grpc as rpc

SIZE_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 256 * 1024


def png(size_bytes: int) -> bytes:
    """A whole PNG of one pixel and as much noise in a private chunk."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    return header + chunk(b"noIs", urandom(size_bytes - len(header) - len(pixels) - 12)) + pixels


def bare(stub: rpc.ImageStorageStub, image: bytes) -> None:
    def requests() -> Iterator[pb.SaveRequest]:
        yield pb.SaveRequest(header=pb.SaveHeader())
        for start in range(0, len(image), CHUNK_BYTES):
            yield pb.SaveRequest(chunk=image[start : start + CHUNK_BYTES])

    stub.Save(requests())


def timed(save: Callable[[], object]) -> float:
    start = perf_counter()
    save()
    return perf_counter() - start


def main(address: str, rounds: int) -> None:
    image = png(SIZE_BYTES)
    loop = asyncio.new_event_loop()
    with grpc.insecure_channel(address) as channel, ImageStorage(address) as client:
        stub = rpc.ImageStorageStub(channel)  # type: ignore[no-untyped-call]
        asynchronous = AsyncImageStorage(address)
        savers: dict[str, Callable[[], object]] = {
            "bare grpcio": lambda: bare(stub, image),
            "ImageStorage": lambda: client.save(image),
            "AsyncImageStorage": lambda: loop.run_until_complete(asynchronous.save(image)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in savers}
        for save in savers.values():
            save()
        for _ in range(rounds):
            for name in sample([*savers], len(savers)):
                seconds[name].append(timed(savers[name]))
        loop.run_until_complete(asynchronous.close())
    bare_times = seconds["bare grpcio"]
    for name, times in seconds.items():
        paired = median(base / own for base, own in zip(bare_times, times, strict=True))
        print(f"{name:<18} median {median(times) * 1000:6.1f} ms, best {min(times) * 1000:6.1f} ms", end="   ")
        print(f"of bare grpcio: {paired:.2f} in pairs, {min(bare_times) / min(times):.2f} at best")


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    main(arguments.get(1, "127.0.0.1:50051"), int(arguments.get(2, "15")))
