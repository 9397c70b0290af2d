"""Python client of ImageStorage: streams generated images to the daemon and back, and never makes one twice."""

from .aio import AsyncImageStorage
from .client import ImageStorage
from .dates import Instant
from .errors import ImageStorageError, RetryWith
from .image_reader import AsyncImageReader, ImageReader
from .source import Source
from .types import CleanupResult, DeleteResult, GroupStats, Image, ImageMetadata, ProviderStats

__all__ = [
    "AsyncImageReader",
    "AsyncImageStorage",
    "CleanupResult",
    "DeleteResult",
    "GroupStats",
    "Image",
    "ImageMetadata",
    "ImageReader",
    "ImageStorage",
    "ImageStorageError",
    "Instant",
    "ProviderStats",
    "RetryWith",
    "Source",
]
