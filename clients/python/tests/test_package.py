"""The package as users get it: fresh generated code, checked source, installable, typed, and small in memory."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support import CLIENT, Daemon, lacking, png, png_file


def run(*command: str | Path, cwd: Path = CLIENT) -> str:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("check", ["generate.py --check", "-m ruff check", "-m ruff format --check", "-m mypy"])
def test_the_source_is_checked(check: str) -> None:
    run(sys.executable, *check.split())


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the package, as `pip install` makes it."""
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin/python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", CLIENT)
    return python


def readme_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)


def test_the_lines_of_the_readme_work(fresh_python: Path, daemon: Daemon, tmp_path: Path) -> None:
    three_lines = readme_blocks()[0].replace("localhost:50051", daemon.address)
    assert three_lines.count("\n") == 3
    (tmp_path / "fox.png").write_bytes(png())
    show = "print(image.metadata.parameters['seed'], storage.get(image.filename) == open('fox.png', 'rb').read())"
    assert run(fresh_python, "-c", three_lines + show, cwd=tmp_path) == "18446744073709551615 True\n"


def test_a_users_script_is_typed_and_runs(fresh_python: Path, daemon: Daemon, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text((CLIENT / "tests/typed_user.py").read_text())
    run(sys.executable, "-m", "mypy", "--strict", "--python-executable", fresh_python, script, cwd=tmp_path)
    [again] = [block for block in readme_blocks() if "retry_with" in block]
    (tmp_path / "again.py").write_text(
        "from image_storage import ImageStorage, ImageStorageError\n"
        f"def again(storage: ImageStorage, path: str, prompt: str) -> None:\n{textwrap.indent(again, '    ')}"
    )
    run(sys.executable, "-m", "mypy", "--strict", "--python-executable", fresh_python, "again.py", cwd=tmp_path)
    (tmp_path / "fox.png").write_bytes(png())
    assert "True]" in run(fresh_python, "-W", "error", script, daemon.address, tmp_path / "fox.png", cwd=tmp_path)


def test_a_wrong_argument_is_a_type_error(fresh_python: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("from image_storage import ImageStorage\nImageStorage().save(b'', promt='x')\n")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", fresh_python, "wrong.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert 'did you mean "prompt"?' in checked.stdout


def test_wheel_and_sdist_build(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, CLIENT)
    [wheel] = tmp_path.glob("*.whl")
    assert [*tmp_path.glob("*.tar.gz")]
    names = run(sys.executable, "-m", "zipfile", "--list", wheel)
    for name in (
        "image_storage/py.typed",
        "imagestorage/py.typed",
        "image_storage_pb2_grpc.py",
        "LICENSE",
    ):
        assert name in names


def test_a_large_file_takes_no_more_memory_than_a_small_one(daemon: Daemon, tmp_path: Path) -> None:
    png_file(tmp_path / "small.png", 1024 * 1024)
    png_file(tmp_path / "large.png", 256 * 1024 * 1024)
    script = """
        import resource, sys
        from image_storage import ImageStorage

        def peak_after(file):
            saved = client.save(file)
            with client.open(saved.filename) as reader:
                while reader.read(1024 * 1024):
                    pass
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        with ImageStorage(sys.argv[1]) as client:
            small = peak_after("small.png")
            print(peak_after("large.png") - small)
    """
    if sys.platform != "linux":
        lacking("ru_maxrss in KiB")
    grown_kib = int(run(sys.executable, "-c", textwrap.dedent(script), daemon.address, cwd=tmp_path))
    assert grown_kib < 32 * 1024
