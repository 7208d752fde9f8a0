"""Circuit breakers, which keep requests from models that fail repeatedly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Consecutive failures that open a breaker.
FAILURES = 5
#: Seconds that a breaker stays open at first, and at most; the time doubles with each probe that fails.
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
    """The circuit breakers of a process, one for each model of each provider.

    A closed breaker lets requests through, an open one does not. After its pause it is half-open: one request, the
    probe, is let through; its success closes the breaker, its failure opens it for twice as long. (M. Nygard, Release
    It!, 2007.)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._states: dict[tuple[str, str], _State] = {}

    def allows(self, provider: str, model: str) -> bool:
        """Whether a request may be sent to a model; if its breaker was open, the caller's request is the probe."""
        state = self._states.get((provider, model))
        if state is None or state.until == 0.0:
            return True
        if state.probing or self._clock() < state.until:
            return False
        state.probing = True
        return True

    def record_success(self, provider: str, model: str) -> None:
        """Record an answer; one that reports a faulty request counts too."""
        if self._states:
            self._states.pop((provider, model), None)

    def record_failure(self, provider: str, model: str, retry_after: float | None = None) -> None:
        """Record a failure. If the answer has `Retry-After`, open for `retry_after` seconds, `LONGEST` at most."""
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
        """Record a request without a result, because its client disconnected: the next request may be the probe."""
        state = self._states.get((provider, model))
        if state is not None:
            state.probing = False

    def states(self) -> Iterator[tuple[str, str, int]]:
        """Yield provider, model and `CLOSED`, `HALF_OPEN` or `OPEN` of each model whose last request failed."""
        now = self._clock()
        for (provider, model), state in list(self._states.items()):
            closed = state.until == 0.0
            yield provider, model, CLOSED if closed else HALF_OPEN if state.probing or now >= state.until else OPEN
