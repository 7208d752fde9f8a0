"""Parses times: a span relative to now, or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ..errors import BadRequest

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def moment(text: str, now: datetime, *, ago: bool = False) -> datetime:
    """Parse `12h`, `7d`, `4w` from `now` (`ago`: before it), or an ISO 8601 date or time, UTC if it has no zone.

    Raises `ValueError` or `OverflowError` for any other text.
    """
    span = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if span is None:
        when = datetime.fromisoformat(text)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    length = int(span[1]) * _UNITS[span[2]]
    return now - length if ago else now + length


def past(text: str, now: datetime, param: str) -> datetime:
    """Parse a time whose span goes back from `now`. Raises `BadRequest` naming `param`."""
    try:
        return moment(text, now, ago=True)
    except (ValueError, OverflowError):
        raise BadRequest(
            f"{param}: {text!r} is neither a span like 12h, 7d or 4w nor a date like 2026-01-31.", param=param
        ) from None


def since(text: str, now: datetime) -> datetime:
    """Parse a time before `now`. Raises `BadRequest` naming `since`."""
    when = past(text, now, "since")
    if when > now:
        raise BadRequest(f"since: {text!r} is in the future: give a past time.", param="since")
    return when
