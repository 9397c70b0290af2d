"""Tokens and TLS: where they come from, and where a token does not go."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_storage import ImageStorage, ImageStorageError
from image_storage.endpoint import Endpoint, endpoint_of


def endpoint(address: str, token: str | None = None, *, allowed: bool = False) -> Endpoint:
    return endpoint_of(address, token=token, tls=False, allow_plaintext_token=allowed)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://images.example", "images.example:443"),
        ("https://images.example:50051/", "images.example:50051"),
        ("HTTPS://[::1]:8443", "[::1]:8443"),
    ],
)
def test_https_means_tls(text: str, address: str) -> None:
    found = endpoint(text)
    assert found.address == address
    assert found.credentials is not None


@pytest.mark.parametrize("text", ["https://", "https://a/b", "https://user@a", "http://a", "https://a:99999"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        ImageStorage(text)


def test_a_token_comes_from_the_argument_then_the_variable_then_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("of-file\n")
    monkeypatch.setenv("IMAGE_STORAGE_TOKEN_FILE", str(tmp_path / "token"))
    assert endpoint("unix:/a").token == "of-file"
    monkeypatch.setenv("IMAGE_STORAGE_TOKEN", "of-variable")
    assert endpoint("unix:/a").token == "of-variable"
    assert endpoint("unix:/a", "own").token == "own"
    assert endpoint("unix:/a", "").token == ""


def test_a_token_stays_where_it_would_cross_the_network_without_tls() -> None:
    with pytest.raises(ImageStorageError, match="without encryption") as refused:
        ImageStorage("10.0.0.7:50051", token="sesame")
    assert refused.value.reason == "TOKEN_IN_PLAINTEXT"
    assert "sesame" not in str(refused.value)
    for address in ("127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/a", "https://10.0.0.7"):
        assert endpoint(address, "sesame").token == "sesame"
    assert endpoint("10.0.0.7:50051", "sesame", allowed=True).token == "sesame"


def test_a_token_that_no_header_may_have_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="no header") as refused:
        endpoint("unix:/a", "sesame\n")
    assert "sesame" not in str(refused.value)
