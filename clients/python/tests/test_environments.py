"""The client beside what others need: no installed protobuf is moved, and Google's messages are left alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import CLIENT, Daemon, png

#: Saves an image and reads a refusal with all its details.
USE = """
import sys
import google.protobuf
from image_storage import ImageStorage, ImageStorageError
with ImageStorage(sys.argv[1]) as storage:
    image = storage.save(sys.argv[2], prompt="a red fox", parameters={"seed": 2**64 - 1})
    assert image.generation.seed == str(2**64 - 1)
    try:
        storage.save(sys.argv[2], prompt="x" * 70_000)
    except ImageStorageError as error:
        assert (error.reason, error.field) == ("FIELD_INVALID", "metadata.prompt"), error
print(google.protobuf.__version__)
"""

BESIDE = """
import google.rpc.error_details_pb2, google.rpc.status_pb2, grpc_status.rpc_status
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


class Environment:
    """A virtual environment in a folder of its own, in which something is installed before the client."""

    def __init__(self, folder: Path, *before: str) -> None:
        self.folder = folder
        self.python = folder / "bin/python"
        run(sys.executable, "-m", "venv", folder, cwd=folder)
        self.install(*before)

    def install(self, *what: str | Path) -> None:
        run(self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what, cwd=self.folder)

    def protobuf(self) -> str:
        found = re.search(r"^protobuf==(.+)$", run(self.python, "-m", "pip", "freeze", cwd=self.folder), re.MULTILINE)
        assert found
        return found[1]

    def use(self, daemon: Daemon, script: str) -> str:
        (self.folder / "fox.png").write_bytes(png())
        command = (self.python, "-W", "error", "-c", script, daemon.address, "fox.png")
        return run(*command, cwd=self.folder).strip()


@pytest.mark.parametrize("protobuf", ["==4.25.0", ">=5,<6", ">=6,<7", ">=7,<8"])
def test_no_protobuf_is_moved(tmp_path: Path, daemon: Daemon, protobuf: str) -> None:
    environment = Environment(tmp_path, f"protobuf{protobuf}")
    before = environment.protobuf()
    environment.install(CLIENT)
    assert environment.protobuf() == before
    assert environment.use(daemon, USE) == before


def test_it_works_beside_grpcio_status_and_the_messages_of_google(tmp_path: Path, daemon: Daemon) -> None:
    environment = Environment(tmp_path, "grpcio-status", "googleapis-common-protos", "protobuf>=6,<7")
    before = environment.protobuf()
    environment.install(CLIENT)
    for script in (BESIDE + USE, USE + BESIDE):
        assert environment.use(daemon, script) == before
    run(environment.python, "-m", "pip", "check", cwd=tmp_path)


# Installs a gigabyte. Not skipped, since a skip says that this machine lacks something.
if os.environ.get("TEST_FULL"):

    def test_it_works_beside_mediapipe(tmp_path: Path, daemon: Daemon) -> None:
        environment = Environment(tmp_path, "mediapipe==0.10.14")
        before = environment.protobuf()
        assert before.startswith("4.")
        environment.install(CLIENT)
        assert environment.protobuf() == before
        run(environment.python, "-m", "pip", "check", cwd=tmp_path)
        # Not as strict: what mediapipe imports warns.
        run(environment.python, "-c", "import mediapipe\n" + USE, daemon.address, "fox.png", cwd=_with_fox(tmp_path))


def _with_fox(folder: Path) -> Path:
    (folder / "fox.png").write_bytes(png())
    return folder
