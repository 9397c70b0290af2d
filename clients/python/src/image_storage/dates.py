"""Reads points in time as people give them: datetimes, dates, ages, and the same as text."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone

#: A datetime with its zone, a date (UTC), or an age; as text RFC 3339, `2024-09-27`, or `90m`, `12h`, `30d`, `2w`.
Instant = datetime | date | timedelta | str

_AGE = re.compile(r"(\d+)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_EXPECTED = (
    "expected RFC 3339 with its zone (2024-09-27T14:15:22Z), a date (2024-09-27, UTC) or an age (90m, 12h, 30d, 2w)"
)


def instant(value: Instant, *, end: bool = False) -> datetime:
    """Returns the instant; a date is its first or, as the end of a range, the first after it. Raises ValueError."""
    if isinstance(value, str):
        value = _parse(value.strip())
    if isinstance(value, timedelta):
        return datetime.now(timezone.utc) - value
    if isinstance(value, datetime):
        return aware(value)
    return datetime.combine(value, time(), timezone.utc) + timedelta(days=1 if end else 0)


def age(value: Instant) -> timedelta | None:
    """Returns the age, also of one as text; None for any other instant. Raises ValueError."""
    if isinstance(value, str):
        value = _parse(value.strip())
    return value if isinstance(value, timedelta) else None


def aware(value: datetime) -> datetime:
    """Returns a datetime with its zone. Raises ValueError for one without, TypeError for anything else."""
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} is no datetime")
    if value.utcoffset() is None:
        raise ValueError(
            f"{value!r} has no time zone; datetime.now(timezone.utc) has one, .astimezone() adds the local one"
        )
    return value


def _parse(text: str) -> datetime | date | timedelta:
    try:
        if age := _AGE.fullmatch(text):
            return timedelta(**{_UNITS[age[2]]: int(age[1])})
        if moment := _RFC_3339.fullmatch(text):
            day, minutes, seconds, fraction, zone = moment.groups()
            # Python 3.10 reads neither Z nor fractions of other lengths.
            offset = "+00:00" if zone in "Zz" else zone
            return datetime.fromisoformat(f"{day}T{minutes}{seconds or ':00'}.{(fraction or '')[:6]:0<6}{offset}")
        return date.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r}: {_EXPECTED}") from None
