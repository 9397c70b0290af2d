"""Python client of ImageStorage: streams generated images to the daemon and back, and never makes one twice."""

from .aio import AsyncImageStorage
from .client import ImageStorage
from .dates import Instant
from .errors import ImageStorageError, RetryWith
from .image_reader import AsyncImageReader, ImageReader
from .selection import Selection
from .source import Source
from .types import (
    CleanupReason,
    CleanupResult,
    DeleteResult,
    Generation,
    GroupStats,
    Hint,
    Image,
    ImageMetadata,
    PolicyStats,
    ProviderStats,
    PurgeResult,
    RestoreResult,
    Totals,
)

__version__ = "0.1.0"

__all__ = [
    "AsyncImageReader",
    "AsyncImageStorage",
    "CleanupReason",
    "CleanupResult",
    "DeleteResult",
    "Generation",
    "GroupStats",
    "Hint",
    "Image",
    "ImageMetadata",
    "ImageReader",
    "ImageStorage",
    "ImageStorageError",
    "Instant",
    "PolicyStats",
    "ProviderStats",
    "PurgeResult",
    "RestoreResult",
    "RetryWith",
    "Selection",
    "Source",
    "Totals",
    "__version__",
]
