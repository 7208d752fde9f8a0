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

#: Seconds that a client has to wait in vain before its disconnect is a mark against the model.
WAIT = 0.25
#: Tenants' marks that are kept.
MARKS = 10_000

CLOSED, HALF_OPEN, OPEN = 0, 1, 2


@dataclass(slots=True)
class _State:
    failures: int = 0
    pause: float = PAUSE
    until: float = 0.0
    probing: bool = False
    #: When another probe may be sent, because the answer of this one has begun but goes on.
    probe_until: float = float("inf")
    #: Time of the last failure.
    failed: float = 0.0

    def allows(self, now: float) -> bool:
        """Whether a request may be sent; if the breaker was open, it is the probe."""
        if self.until == 0.0:
            return True
        if now < (self.probe_until if self.probing else self.until):
            return False
        self.probing, self.probe_until = True, float("inf")
        return True

    def fail(self, now: float, retry_after: float | None = None) -> None:
        """Count a failure, and open the breaker if it is one too many."""
        self.failures += 1
        self.failed = now
        if self.probing:
            self.probing = False
            self.pause = min(LONGEST, self.pause * 2)
            self.until = now + min(LONGEST, max(self.pause, retry_after or 0.0))
        elif retry_after is not None and retry_after >= 1:
            self.until = max(self.until, now + min(retry_after, LONGEST))
        elif self.failures >= FAILURES:
            self.until = now + self.pause


class Breakers:
    """The circuit breakers of a process, one for each model of each provider.

    A closed breaker lets requests through, an open one does not. After its pause it is half-open: one request, the
    probe, is let through; its success closes the breaker, its failure opens it for twice as long. (M. Nygard, Release
    It!, 2007.)

    An answer that is sent on while it arrives counts when it has ended: as a success, or as a failure if it was cut.
    Clients that leave while nothing has come are marks that open the breaker too, but for their own tenant alone: a
    client may leave for any reason.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._states: dict[tuple[str, str], _State] = {}
        self._marks: dict[tuple[str, str, int], _State] = {}

    def allows(self, provider: str, model: str, tenant: int | None = None) -> bool:
        """Whether a request may be sent to a model; if its breaker was open, the caller's request is the probe."""
        if not self._states and not self._marks:
            return True
        now = self._clock()
        mark = None if tenant is None else self._marks.get((provider, model, tenant))
        if mark is not None and not mark.allows(now):
            return False
        state = self._states.get((provider, model))
        return state is None or state.allows(now)

    def record_begin(self, provider: str, model: str, tenant: int | None = None) -> float:
        """Record an answer that has begun and goes on; return the time, for `record_success` at its end."""
        now = self._clock()
        if self._marks and tenant is not None:
            self._marks.pop((provider, model, tenant), None)
        if self._states:
            state = self._states.get((provider, model))
            if state is not None and state.probing:
                # It may take minutes: others need not wait for its end.
                state.probe_until = now + PAUSE
        return now

    def record_success(self, provider: str, model: str, tenant: int | None = None, began: float | None = None) -> None:
        """Record an answer; one that reports a faulty request counts too.

        If the model has failed since the answer `began`, the answer says nothing of how it is now.
        """
        if self._marks and tenant is not None:
            self._marks.pop((provider, model, tenant), None)
        if self._states:
            state = self._states.get((provider, model))
            if state is not None and (began is None or began >= state.failed):
                del self._states[provider, model]

    def record_failure(self, provider: str, model: str, retry_after: float | None = None) -> None:
        """Record a failure. If the answer has `Retry-After`, open for `retry_after` seconds, `LONGEST` at most."""
        self._states.setdefault((provider, model), _State()).fail(self._clock(), retry_after)

    def record_abort(self, provider: str, model: str) -> None:
        """Record a request without a result, because its client disconnected: the next request may be the probe."""
        state = self._states.get((provider, model))
        if state is not None:
            state.probing = False

    def record_waiting(self, provider: str, model: str, tenant: int) -> None:
        """Record that a client of a tenant left after `WAIT` seconds or more, while nothing of an answer had come."""
        if len(self._marks) >= MARKS:
            self._marks.clear()
        self._marks.setdefault((provider, model, tenant), _State()).fail(self._clock())

    def states(self) -> Iterator[tuple[str, str, int]]:
        """Yield provider, model and `CLOSED`, `HALF_OPEN` or `OPEN` of each model whose last request failed."""
        now = self._clock()
        for (provider, model), state in list(self._states.items()):
            closed = state.until == 0.0
            yield provider, model, CLOSED if closed else HALF_OPEN if state.probing or now >= state.until else OPEN
