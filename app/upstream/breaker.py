"""Remembers which models fail again and again, so that they are passed over while another can serve."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Failures in a row from which on a model is passed over.
FAILURES = 5
#: For how long at first, seconds; it doubles each time that the probe fails too, up to the longest.
PAUSE = 10.0
LONGEST = 120.0

CLOSED, HALF_OPEN, OPEN = 0, 1, 2


@dataclass(slots=True)
class _State:
    failures: int = 0
    pause: float = PAUSE
    until: float = 0.0
    probing: bool = False


class Breakers:
    """A circuit breaker for each model of each provider, of this process.

    Closed, a model is asked. Open, it is not, until its time is up; then one request is let through, half-open, and
    what comes of it closes the breaker or opens it for twice as long. (M. Nygard, Release It!, 2007.)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._states: dict[tuple[str, str], _State] = {}

    def allows(self, provider: str, model: str) -> bool:
        """Whether to ask a model now; a True of a breaker that was open is for one request alone."""
        state = self._states.get((provider, model))
        if state is None or state.until == 0.0:
            return True
        if state.probing or self._clock() < state.until:
            return False
        state.probing = True
        return True

    def record_success(self, provider: str, model: str) -> None:
        """It answered, be it that the request is wrong."""
        if self._states:
            self._states.pop((provider, model), None)

    def record_failure(self, provider: str, model: str, retry_after: float | None = None) -> None:
        """It did not answer, or said that it cannot; for `retry_after` seconds, at most `LONGEST`, it is believed."""
        state = self._states.setdefault((provider, model), _State())
        state.failures += 1
        if state.probing:
            state.probing = False
            state.pause = min(LONGEST, state.pause * 2)
            state.until = self._clock() + min(LONGEST, max(state.pause, retry_after or 0.0))
        elif retry_after is not None and retry_after >= 1:
            state.until = max(state.until, self._clock() + min(retry_after, LONGEST))
        elif state.failures >= FAILURES:
            state.until = self._clock() + state.pause

    def record_abort(self, provider: str, model: str) -> None:
        """Nobody knows what would have come of it, as the client left: the next request may probe."""
        state = self._states.get((provider, model))
        if state is not None:
            state.probing = False

    def states(self) -> Iterator[tuple[str, str, int]]:
        """Provider, model and `CLOSED`, `HALF_OPEN` or `OPEN` of those that failed lately."""
        now = self._clock()
        for (provider, model), state in list(self._states.items()):
            closed = state.until == 0.0
            yield provider, model, CLOSED if closed else HALF_OPEN if state.probing or now >= state.until else OPEN
