"""The images that a cleanup is to take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imagestorage.v1 import image_storage_pb2 as pb

from .convert import age_of, date_range, tags_of, timestamp_of
from .dates import Instant, instant
from .text import joined


@dataclass(frozen=True)
class Selection:
    """The images that match every filter, and that no criterion and no pin protects.

    Without any criterion, images dated after now go, too. Requires a filter, a criterion or a plan; `except_` is none.
    To carry out a plan: `dataclasses.replace(selection, plan=planned.plan)`.
    """

    #: First instant of the image's timestamp, as in `list`. An age counts from the creation of the selection.
    since: Instant | None = None
    #: First instant after the range, likewise; a date includes that whole day.
    until: Instant | None = None
    #: The name as it was saved, or its slug.
    model: str = ""
    #: The exact category.
    category: str = ""
    #: As in `list`.
    query: str = ""
    #: The image must have all of them.
    tags: Sequence[str] = ()
    #: Only pinned images, none of which goes, or only those that are not; None means both.
    pinned: bool | None = None
    #: Only images with these filenames, at most 1,000; empty: any.
    only: Sequence[str] = ()
    #: No image with one of these filenames, at most 1,000.
    except_: Sequence[str] = ()
    #: Criterion: as in `cleanup`. An age counts from the call, or from the plan.
    older_than: Instant | None = None
    #: Criterion: protects this many of the newest images that match the filters.
    keep_count: int | None = None
    #: Criterion: protects the newest images that match the filters and together fit into this many bytes.
    keep_bytes: int | None = None
    #: That of a dry run with the same provider, filters and criteria: nothing goes that would not have gone then, and
    #: nothing that the daemon has learnt or changed since.
    plan: bytes = b""

    def __post_init__(self) -> None:
        """Fixes the range, so that the plan of a selection is one of the same images later."""
        if self.since is not None:
            object.__setattr__(self, "since", instant(self.since))
        if self.until is not None:
            object.__setattr__(self, "until", instant(self.until, end=True))

    def selects_any(self) -> bool:
        """Whether it has what a cleanup requires."""
        filled = (self.model, self.category, self.query, self.tags, self.only, self.plan)
        given = (self.since, self.until, self.pinned, self.older_than, self.keep_count, self.keep_bytes)
        return any(filled) or any(value is not None for value in given)

    def message(self) -> pb.Selection:
        """The selection in the contract's terms."""
        message = pb.Selection(
            date_range=date_range(self.since, self.until),
            model=joined(self.model, "model"),
            category=joined(self.category, "category"),
            query=joined(self.query, "query"),
            tags=tags_of(self.tags),
            pinned=self.pinned,  # type: ignore[arg-type]  # None is unset
            only=_names_of(self.only),
            older_than=timestamp_of(self.older_than),
            older_than_age=age_of(self.older_than),
            keep_count=self.keep_count,
            keep_bytes=self.keep_bytes,
            plan=self.plan,
        )
        # A keyword of Python.
        getattr(message, "except").extend(_names_of(self.except_))
        return message


def _names_of(filenames: Sequence[str]) -> Sequence[str]:
    """Returns the filenames. Raises TypeError for a single text, whose letters would pass for names."""
    if isinstance(filenames, str):
        raise TypeError(f"filenames are several: [{filenames!r}], not {filenames!r}")
    return filenames
