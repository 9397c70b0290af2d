"""A generator that knows nothing but the proto: saves each file named, over grpcio, and reads it back.

Usage: save_and_get.py STUBS ADDRESS FILE...; prints one JSON object for each file.
"""

import hashlib
import json
import sys

stubs, address, *paths = sys.argv[1:]
sys.path.insert(0, stubs)

import grpc  # noqa: E402
from imagestorage.v1 import image_storage_pb2 as pb  # noqa: E402
from imagestorage.v1 import image_storage_pb2_grpc as pb_grpc  # noqa: E402

CHUNK_BYTES = 256 * 1024


def requests(image: bytes, prompt: str):
    metadata = pb.ImageMetadata(prompt=prompt, model="python/grpcio", parameters_json='{"seed": 18446744073709551615}')
    yield pb.SaveRequest(header=pb.SaveHeader(metadata=metadata))
    for start in range(0, len(image), CHUNK_BYTES):
        yield pb.SaveRequest(chunk=image[start : start + CHUNK_BYTES])


with grpc.insecure_channel(address) as channel:
    stub = pb_grpc.ImageStorageStub(channel)
    for path in paths:
        with open(path, "rb") as file:
            image = file.read()
        saved = stub.Save(requests(image, f"a picture named {path.rsplit('/', 1)[-1]}")).image
        answers = stub.Get(pb.GetRequest(filename=saved.filename))
        described = next(answers).image
        read = b"".join(answer.chunk for answer in answers)
        print(
            json.dumps(
                {
                    "filename": saved.filename,
                    "path": saved.path,
                    "sent": hashlib.sha256(image).hexdigest(),
                    "stored": saved.sha256.hex(),
                    "read": hashlib.sha256(read).hexdigest(),
                    "parameters": described.metadata.parameters_json,
                }
            )
        )
