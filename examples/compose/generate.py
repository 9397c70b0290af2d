"""Stands for an image generator: draws a gradient every ten seconds and streams it to the daemon."""

import json
import os
import struct
import time
import uuid
import zlib

import grpc
from imagestorage.v1 import image_storage_pb2 as pb
from imagestorage.v1 import image_storage_pb2_grpc as pb_grpc

CHUNK_BYTES = 256 * 1024


def draw(seed: int, side: int = 512) -> bytes:
    """A square RGB gradient as PNG."""
    row = lambda y: b"\0" + bytes(v for x in range(side) for v in (x & 255, y & 255, seed & 255))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(map(row, range(side))))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def save_requests(image: bytes, metadata: pb.ImageMetadata):
    """The header, then the bytes; the end of the stream is the commit."""
    # A retry with the same key never makes a second image.
    header = pb.SaveHeader(metadata=metadata, size=len(image), idempotency_key=str(uuid.uuid4()))
    yield pb.SaveRequest(header=header)
    for start in range(0, len(image), CHUNK_BYTES):
        yield pb.SaveRequest(chunk=image[start : start + CHUNK_BYTES])


def main() -> None:
    address = os.environ.get("IMAGE_STORAGE_ADDRESS", "127.0.0.1:50051")
    with grpc.insecure_channel(address) as channel:
        storage = pb_grpc.ImageStorageStub(channel)
        while True:
            seed = time.time_ns()
            metadata = pb.ImageMetadata(
                prompt="a calm gradient", model="gradient", parameters_json=json.dumps({"seed": seed})
            )
            requests = save_requests(draw(seed), metadata)
            image = storage.Save(requests, timeout=60, wait_for_ready=True).image
            print("saved", image.path or image.url, flush=True)
            time.sleep(10)


if __name__ == "__main__":
    main()
