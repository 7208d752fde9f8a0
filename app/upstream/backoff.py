"""Computes the wait before a retry: that of `Retry-After`, else exponential back-off with jitter."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: The first and the longest wait, seconds; each wait is twice as long as the one before.
FIRST = 0.25
LONGEST = 8.0


def backoff(repeated: int) -> float:
    """Return the seconds to wait after `repeated` retries: random, from half of the exponential wait to all of it."""
    return min(LONGEST, FIRST * 2.0**repeated) * random.uniform(0.5, 1.0)  # noqa: S311  (spreads load; no secret)


def retry_after(headers: Mapping[bytes, bytes], now: datetime | None = None) -> float | None:
    """Return the seconds in `retry-after-ms`, or in `Retry-After`, a number or a date (RFC 9110).

    None if neither header is present and valid.
    """
    value = headers.get(b"retry-after-ms")
    if value is not None:
        milliseconds = _number(value)
        if milliseconds is not None:
            return milliseconds / 1000
    value = headers.get(b"retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        at = parsedate_to_datetime(value.decode("latin-1"))
    except (ValueError, OverflowError):
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())


def _number(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None
