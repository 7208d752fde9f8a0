"""How long to wait before a provider is asked again: as it says, else a while that grows, with jitter."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: The first wait, seconds; each next one is twice as long, up to the longest.
FIRST = 0.25
LONGEST = 8.0


def backoff(repeated: int) -> float:
    """Seconds before the next attempt after so many repeated ones: half to all of a wait that doubles."""
    return min(LONGEST, FIRST * 2.0**repeated) * random.uniform(0.5, 1.0)  # noqa: S311  (spreads load; no secret)


def retry_after(headers: Mapping[bytes, bytes], now: datetime | None = None) -> float | None:
    """Seconds that an answer asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date (RFC 9110).

    None when it says nothing that can be understood.
    """
    said = headers.get(b"retry-after-ms")
    if said is not None:
        found = _number(said)
        if found is not None:
            return found / 1000
    said = headers.get(b"retry-after")
    if said is None:
        return None
    found = _number(said)
    if found is not None:
        return found
    try:
        at = parsedate_to_datetime(said.decode("latin-1"))
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
