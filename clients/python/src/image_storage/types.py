"""The results of the client: frozen dataclasses, times as aware datetimes in UTC, sizes in bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from .origin import Origin
from .show import html_of, line_of, short


@dataclass(frozen=True, repr=False)
class ImageMetadata:
    """The generator's description of an image."""

    prompt: str
    model: str
    #: When the image was generated, to the millisecond.
    timestamp: datetime
    category: str
    tags: tuple[str, ...]
    #: The parameters byte for byte as they were saved; empty when there were none.
    parameters_json: str

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters, with exact integers of any size."""
        parameters: dict[str, Any] = json.loads(self.parameters_json or "{}")
        return parameters

    def __repr__(self) -> str:
        return f"<ImageMetadata {self.model!r}, {short(self.prompt)!r}>"


@dataclass(frozen=True)
class Generation:
    """The settings of a generation, in one vocabulary for all generators, derived from the parameters."""

    #: Empty, like every text here, when the parameters do not name it.
    negative_prompt: str
    #: As it was written, so that one of 64 bits stays exact.
    seed: str
    steps: int | None
    #: The guidance scale.
    cfg: float | None
    sampler: str
    scheduler: str
    #: Names without folders and extension.
    loras: tuple[str, ...]
    #: Pixels that were asked for, which an upscaler may have changed; 0 when the parameters do not name them.
    width: int
    #: As `width`.
    height: int


@dataclass(frozen=True, repr=False)
class Image:
    """A stored image. A notebook shows it."""

    #: What shows it; no field, so that copies and pickles are without it.
    _origin: ClassVar[Origin | None] = None

    #: Where to fetch the bytes: a path below the daemon's publicUrl, a CDN URL or a presigned URL.
    url: str
    #: The image's identity within its provider, never reused.
    filename: str
    #: The absolute path on the daemon's machine; empty for object stores.
    path: str
    #: `outputs/images/generations/<YYYY-MM-DD>/<model-slug>/<filename>`
    key: str
    size: int
    #: `local` or `s3`.
    storage_type: str
    #: The name of the provider that keeps it.
    provider: str
    #: As it was sent, and what the daemon read in the file for fields that were left empty.
    metadata: ImageMetadata
    #: 32 bytes.
    sha256: bytes
    #: `image/png`, `image/jpeg`, `image/webp`, `image/gif` or `image/avif`.
    content_type: str
    #: Pixels.
    width: int
    #: Pixels.
    height: int
    #: When the daemon committed it.
    create_time: datetime
    #: Spared by cleanup.
    pinned: bool
    #: None when the parameters name no settings, and from an older daemon.
    generation: Generation | None = None
    #: True after a save whose idempotency key was used before; the rest is the result of that save.
    replayed: bool = False
    #: True when replayed, and the image was deleted since: it is in the trash, or gone. False from an older daemon.
    deleted: bool = False
    #: A blurred picture of about 25 bytes (evanw.github.io/thumbhash); empty until the daemon has made it.
    thumb_hash: bytes = b""
    #: When it goes as by a cleanup, unless it is pinned (`ttl`); None: never.
    expire_time: datetime | None = None
    #: When it was deleted; only from `list_trash`.
    delete_time: datetime | None = None
    #: Until when `restore` can bring it back, less where a store lacks room; only from `list_trash`.
    purge_time: datetime | None = None
    #: `url` made absolute, to open or to send; empty where the daemon is reached by a Unix socket and has no publicUrl.
    link: str = ""

    def __repr__(self) -> str:
        return line_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_origin"}


@dataclass(frozen=True)
class Hint:
    """What there is in place of a model, category or tag that no image has."""

    #: `model`, `category` or `tag`.
    field: str
    #: The most similar first, then those of most images; at most 5.
    values: tuple[str, ...]


@dataclass(frozen=True)
class DeleteResult:
    """The result for one filename."""

    filename: str
    #: True when this call deleted it.
    deleted: bool
    #: IMAGE_NOT_FOUND, or the reason of the error for this filename; empty when deleted.
    reason: str
    #: Until when `restore` can bring it back; None: it is deleted for good.
    restorable_until: datetime | None = None


@dataclass(frozen=True)
class RestoreResult:
    """The result of a restore for one filename."""

    filename: str
    #: True when this call brought it back.
    restored: bool
    #: IMAGE_NOT_FOUND, NOT_DELETED (it is live), or the reason of the error for this filename; empty when restored.
    reason: str


@dataclass(frozen=True)
class PurgeResult:
    """What a purge deleted."""

    count: int
    bytes: int


@dataclass(frozen=True)
class CleanupReason:
    """How many images go for one reason."""

    #: Such as `older than 30d, not among the last 1,000 of flux-schnell`.
    text: str
    count: int
    bytes: int


@dataclass(frozen=True)
class CleanupResult:
    """What a cleanup deleted, or would delete."""

    deleted_count: int
    freed_bytes: int
    #: The first 1,000, oldest first.
    filenames: tuple[str, ...]
    #: Images that would have been deleted but are pinned.
    kept_pinned: int
    dry_run: bool
    #: True when `max_deletes` was reached, now or in the plan, and more images would be deleted.
    more: bool
    #: Images dated after the daemon's clock: kept, and not counted by keep_count and keep_bytes.
    kept_future: int = 0
    #: Why images go; together the same images as `deleted_count`. Empty from an older daemon.
    reasons: tuple[CleanupReason, ...] = ()
    #: Until when `restore` can bring the images back, of a dry run if it ran now; None: they are deleted for good, or
    #: an older daemon answered.
    restorable_until: datetime | None = None
    #: Images that match and would have gone, but came or changed after the plan.
    kept_changed: int = 0
    #: Of a dry run without a policy: what deletes these images and no others, as the `plan` of a selection. Valid for
    #: an hour; then, or after a restart of the daemon, PLAN_EXPIRED. Empty from an older daemon.
    plan: bytes = b""


@dataclass(frozen=True)
class GroupStats:
    """The counts of one group."""

    #: Empty for images without one, and for the rest.
    name: str
    count: int
    bytes: int
    #: True for the sum of all groups that are not listed.
    rest: bool


@dataclass(frozen=True)
class Totals:
    """Count and size of the images that match."""

    count: int
    bytes: int
    #: None without images.
    oldest: datetime | None
    #: None without images.
    newest: datetime | None
    #: Days and months newest first, others by their images.
    groups: tuple[GroupStats, ...]
    #: True when the daemon ended counting before it saw all images that match: these are of the newest of them.
    more: bool


@dataclass(frozen=True)
class PolicyStats:
    """The runs of a retention policy on one provider."""

    #: As the configuration names it.
    name: str
    #: None: never.
    last_run: datetime | None
    next_run: datetime | None
    #: True while its next run is the first that deletes: the last one was a dry run, or none was.
    announced: bool
    #: Images that went by its last run, or would have gone by a dry run.
    last_count: int
    last_bytes: int


@dataclass(frozen=True)
class ProviderStats:
    """The counts of one provider."""

    provider: str
    storage_type: str
    count: int
    bytes: int
    pinned_count: int
    #: None without images.
    oldest: datetime | None
    #: None without images.
    newest: datetime | None
    by_model: tuple[GroupStats, ...]
    by_category: tuple[GroupStats, ...]
    #: By UTC day, newest first.
    by_date: tuple[GroupStats, ...]
    #: Of the file system; None for object stores.
    capacity_bytes: int | None
    #: Of the file system; None for object stores.
    free_bytes: int | None
    #: Images in the trash, which are counted nowhere else.
    trash_count: int = 0
    trash_bytes: int = 0
    #: The retention policies that apply to this provider.
    policies: tuple[PolicyStats, ...] = ()
