"""Warnings about faults that clients can repeat as often as they like."""

from __future__ import annotations

import logging
import time

#: Seconds between two lines about the same fault.
INTERVAL = 10.0


class RepeatedWarnings:
    """Logs the same warning once in `INTERVAL` seconds, with the number of those in between.

    Messages are few and constant: each is kept.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._last: dict[str, tuple[float, int]] = {}

    def warn(self, message: str) -> None:
        """Log `message`, unless it was logged less than `INTERVAL` seconds ago."""
        now = time.monotonic()
        last, between = self._last.get(message, (-INTERVAL, 0))
        if now - last < INTERVAL:
            self._last[message] = (last, between + 1)
            return
        self._last[message] = (now, 0)
        self._log.warning("%s%s", message, f" ({between} more since the last such line)" if between else "")
