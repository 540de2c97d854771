"""Points in time as people say them: ``7d``, ``3 days ago``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

__all__ = ["brief", "distance", "parse_until", "words"]

_SPAN: Final = re.compile(r"(\d{1,6})([smhd])\Z")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LETTERS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_STEPS: Final = (
    (365 * 86_400, "year"),
    (30 * 86_400, "month"),
    (86_400, "day"),
    (3600, "hour"),
    (60, "minute"),
    (1, "second"),
)


def parse_until(text: str, now: datetime) -> datetime:
    """A moment ahead: a span from now (``90s 10m 8h 7d``) or an RFC 3339 time.

    Raises:
        click.UsageError: it is neither, or has passed.
    """
    if span := _SPAN.match(text):
        return now + timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        moment = datetime.fromisoformat(text)
        passed = moment.tzinfo is not None and moment.astimezone(UTC) <= now
    except (ValueError, OverflowError):  # a zone may carry the last of days beyond the calendar
        raise click.UsageError(
            f"{text!r} is neither a span like 7d nor a time like 2030-12-31T00:00:00Z"
        ) from None
    if moment.tzinfo is None:
        raise click.UsageError(f"{text!r} names no zone: write 2030-12-31T00:00:00Z")
    if passed:
        raise click.UsageError(f"{text!r} has passed")
    return moment.astimezone(UTC)


def distance(seconds: float) -> str:
    """A span in its biggest unit: ``3 days``."""
    for size, unit in _STEPS:
        count = int(abs(seconds) // size)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a second"


def brief(moment: float, now: float) -> str:
    """The same in a few letters, for a table: ``3d ago``, ``in 9m``."""
    span = abs(moment - now)
    size, unit = next(((size, unit) for unit, size in _LETTERS.items() if span >= size), (1, "s"))
    told = f"{int(span // size)}{unit}"
    return "now" if span < 1 else f"in {told}" if moment > now else f"{told} ago"


def words(moment: float, now: float) -> str:
    """A moment seen from *now*: ``3 days ago``, ``in 9 minutes``."""
    if abs(moment - now) < 1:
        return "now"
    span = distance(moment - now)
    return f"in {span}" if moment > now else f"{span} ago"
