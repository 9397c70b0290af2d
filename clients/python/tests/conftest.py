"""One daemon for all tests, and every test of the clients with both of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from support import Blocking, Daemon

from image_storage import ImageStorage


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("store")) as daemon:
        yield daemon


@pytest.fixture(params=[ImageStorage, Blocking], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Any:
    """Opens a client of either kind, as the classes do."""
    return request.param


@pytest.fixture
def client(connect: Any, daemon: Daemon) -> Iterator[Any]:
    with connect(daemon.address) as client:
        yield client


@pytest.fixture
def model() -> str:
    """A name that no other test uses, so that its images can be told apart."""
    return f"model-{uuid4().hex[:8]}"
