"""Generates src/imagestorage from the contract; with `--check` it only tells whether that is fresh."""

from __future__ import annotations

import filecmp
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

HERE = Path(__file__).parent
PROTO = HERE.parent.parent / "proto"
WELL_KNOWN_TYPES = Path(grpc_tools.__file__).parent / "_proto"
# The oldest supported: what it generates runs with every later protobuf and grpcio, what a later one does not.
GRPCIO_TOOLS = "1.62.3"


def generate(out: Path) -> None:
    """Writes the package `imagestorage` into the folder."""
    package = out / "imagestorage" / "v1"
    package.mkdir(parents=True, exist_ok=True)
    outputs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    if (
        # Maintenance is for operators.
        protoc.main(["protoc", f"-I{PROTO}", f"-I{WELL_KNOWN_TYPES}", *outputs, "imagestorage/v1/image_storage.proto"])
        != 0
    ):
        sys.exit("protoc failed")
    for folder in (package.parent, package):
        (folder / "__init__.py").write_text('"""Generated from the contract of ImageStorage."""\n')
    (package.parent / "py.typed").touch()


def stale(folder: Path) -> list[str]:
    """The files of `src/imagestorage` that differ from those in the folder, or are missing in one of them."""
    ours = HERE / "src"
    names = {
        str(path.relative_to(root))
        for root in (ours, folder)
        for path in (root / "imagestorage").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    _, different, missing = filecmp.cmpfiles(ours, folder, names, shallow=False)
    return sorted(different + missing)


if __name__ == "__main__":
    if version("grpcio-tools") != GRPCIO_TOOLS:
        sys.exit(f"generate with grpcio-tools {GRPCIO_TOOLS}: pip install -r requirements-dev.txt")
    if sys.argv[1:] == ["--check"]:
        with tempfile.TemporaryDirectory() as folder:
            generate(Path(folder))
            if files := stale(Path(folder)):
                sys.exit(f"out of date, run `python generate.py`: {', '.join(files)}")
    else:
        generate(HERE / "src")
