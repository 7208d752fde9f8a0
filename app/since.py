"""Reads the moment from which people want to know: a span until now, or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from app.errors import BadRequest

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def since(text: str, now: datetime) -> datetime:
    """`12h`, `7d`, `4w` before `now`, or a date or time in ISO 8601, UTC unless it says otherwise. In the past.

    Raises `BadRequest` naming `since`.
    """
    span = re.fullmatch(r"(\d{1,5})([hdw])", text)
    try:
        when = now - int(span[1]) * _UNITS[span[2]] if span else datetime.fromisoformat(text)
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(
            f"since: {text!r} is neither a span like 12h, 7d or 4w nor a date like 2026-01-31.", param="since"
        ) from None
    if when > now:
        raise BadRequest(f"since: {text!r} is not past yet.", param="since")
    return when
