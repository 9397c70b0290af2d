"""The verbs that delete images and take that back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import grpc

from imagestorage.v1 import image_storage_pb2 as pb

from .connection import Connection
from .convert import age_of, cleanup_from, delete_result_from, restore_result_from, timestamp_of
from .dates import Instant
from .errors import ImageStorageError
from .methods import CLEANUP, DELETE, PURGE, RESTORE, Method, RequestT, ResponseT
from .resume import TrashListing
from .selection import Selection
from .text import joined
from .types import CleanupResult, DeleteResult, Image, PurgeResult, RestoreResult

#: The contract's limit for one call.
MAX_FILENAMES_PER_CALL = 1000
_NO_TRASH = "it has no trash and deletes for good; update it to take deletes back"

T = TypeVar("T")


class Deleting:
    """The verbs of ImageStorage that delete."""

    _connection: Connection

    def delete(
        self, filenames: str | Iterable[str], *, provider: str = "", permanent: bool = False
    ) -> list[DeleteResult]:
        """Deletes any number of images, pinned ones too; returns one result per filename, in order.

        They go into the trash, where the store has one; the results tell until when `restore` can bring them back.
        After a lost answer the retry reports as not found what the lost attempt deleted.

        Args:
            filenames: One, or several.
            provider: Default: the default provider.
            permanent: Deletes for good, past the trash and out of it.
        """
        results: list[DeleteResult] = []
        for names in _groups(filenames):
            request = pb.DeleteRequest(filenames=names, provider=provider, permanent=permanent)
            results += map(delete_result_from, self._connection.ask(DELETE, request).results)
        return results

    def restore(self, filenames: str | Iterable[str], *, provider: str = "") -> list[RestoreResult]:
        """Brings any number of images back from the trash, as they were; returns one result per filename, in order.

        After a lost answer the retry reports as NOT_DELETED what the lost attempt restored.

        Raises:
            ImageStorageError: UNIMPLEMENTED when the daemon is older: it has no trash.
        """
        results: list[RestoreResult] = []
        for names in _groups(filenames):
            answer = self._ask_trash(RESTORE, pb.RestoreRequest(filenames=names, provider=provider))
            results += map(restore_result_from, answer.results)
        return results

    def list_trash(self, *, provider: str = "", query: str = "", limit: int = 0) -> Iterator[Image]:
        """Yields the images in the trash, the last deleted first, each with `delete_time` and `purge_time`.

        Args:
            provider: Default: the default provider; `*` means all of them.
            query: As in `list`.
            limit: The most images; 0 means all.

        Raises:
            ImageStorageError: UNIMPLEMENTED when the daemon is older: it has no trash.
        """
        request = pb.ListTrashRequest(provider=provider, query=joined(query, "query"), limit=limit)
        return _explained(self._connection.read(TrashListing(request, self._connection.origin)))

    def purge(self, filenames: str | Iterable[str] = (), *, all: bool = False, provider: str = "") -> PurgeResult:
        """Deletes images of the trash for good, a live one never; returns what is gone.

        After a lost answer the result is without what the lost attempt deleted.

        Args:
            filenames: One, or several; what is not in the trash is left out.
            all: All that are in the trash.
            provider: Default: the default provider.

        Raises:
            ValueError: Neither filenames nor all are given, or both.
            ImageStorageError: UNIMPLEMENTED when the daemon is older: it has no trash.
        """
        groups = [*_groups(filenames)]
        if all == bool(groups):
            raise ValueError("purge filenames, or all=True")
        count = size = 0
        for names in [[]] if all else groups:
            more = True
            while more:
                answer = self._ask_trash(PURGE, pb.PurgeRequest(filenames=names, all=all, provider=provider))
                count, size, more = count + answer.count, size + answer.bytes, all and answer.more
        return PurgeResult(count, size)

    def cleanup(
        self,
        *,
        older_than: Instant | None = None,
        keep_count: int | None = None,
        keep_bytes: int | None = None,
        model: str = "",
        category: str = "",
        provider: str = "",
        dry_run: bool = False,
        max_deletes: int | None = None,
        permanent: bool = False,
        policy: str = "",
        selection: Selection | None = None,
    ) -> CleanupResult:
        """Deletes old images, or all of a selection, oldest first.

        Retried only when certainly nothing was deleted, or for a dry run. Requires a selection, a policy, or at least
        one criterion (older_than, keep_count, keep_bytes); each given one protects images. Pinned images, and where
        there are criteria those dated after the daemon's clock, are spared and not counted. The result tells until when
        `restore` can bring the images back.

        Args:
            older_than: Protects images whose timestamp is not before this: a date, a datetime, or an age such as `30d`,
                which the daemon resolves by its own clock. More than five minutes after that clock is refused.
            keep_count: Protects this many of the newest images that match the filters.
            keep_bytes: Protects the newest images that match the filters and together fit into this many bytes.
            model: Filter: the name as it was saved, or its slug.
            category: Filter: the exact category.
            provider: Default: the default provider; `*` means each of them on its own.
            dry_run: Only reports what would be deleted.
            max_deletes: The most images to delete.
            permanent: Deletes for good, past the trash.
            policy: A retention policy of the daemon's configuration, run now; it has its own criteria and filters, and
                none is given beside it.
            selection: The images to delete; no criterion, filter or policy is given beside it.

        Raises:
            ImageStorageError: CLEANUP_WITHOUT_CRITERION, FIELD_INVALID, POLICY_NOT_FOUND, PLAN_EXPIRED, or
                UNIMPLEMENTED when a policy or a selection is given and the daemon is older, which deletes nothing then.
        """
        request = pb.CleanupRequest(
            # Beside an age, for daemons that know none: they would protect no image by its age.
            older_than=timestamp_of(older_than),
            older_than_age=age_of(older_than),
            model=joined(model, "model"),
            category=joined(category, "category"),
            provider=provider,
            dry_run=dry_run,
            keep_count=keep_count,
            keep_bytes=keep_bytes,
            max_deletes=max_deletes,
            permanent=permanent,
            policy=policy,
            selection=None if selection is None else selection.message(),
        )
        is_selection = selection is not None and selection.selects_any()
        try:
            return cleanup_from(self._connection.ask(CLEANUP, request, repeatable=dry_run))
        except ImageStorageError as error:
            # An older daemon knows neither, and sees no criterion.
            if not (policy or is_selection) or error.reason != "CLEANUP_WITHOUT_CRITERION":
                raise
            raise older(f"it knows no {'policies' if policy else 'selections'}; update it, or give criteria") from None

    def _ask_trash(self, method: Method[RequestT, ResponseT], request: RequestT) -> ResponseT:
        try:
            return self._connection.ask(method, request)
        except ImageStorageError as error:
            raise explain_older(error, _NO_TRASH) from None


def older(lacks: str) -> ImageStorageError:
    """Returns the error of a daemon that is older than what is asked for."""
    return ImageStorageError(grpc.StatusCode.UNIMPLEMENTED, f"this daemon is older: {lacks}")


def explain_older(error: ImageStorageError, lacks: str) -> ImageStorageError:
    """Returns the error; that of an unknown method says what the daemon is too old for."""
    return older(lacks) if error.code is grpc.StatusCode.UNIMPLEMENTED else error


def _explained(items: Iterator[T]) -> Iterator[T]:
    try:
        yield from items
    except ImageStorageError as error:
        raise explain_older(error, _NO_TRASH) from None


def _groups(filenames: str | Iterable[str]) -> Iterator[list[str]]:
    """Yields the filenames in groups that fit into one call."""
    names = [filenames] if isinstance(filenames, str) else [*filenames]
    for start in range(0, len(names), MAX_FILENAMES_PER_CALL):
        yield names[start : start + MAX_FILENAMES_PER_CALL]
