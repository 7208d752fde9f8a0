"""Circuit breakers, which keep requests from models that fail repeatedly.

One tenant's requests may fail by their own fault. Therefore a breaker opens for the tenant whose requests fail, and for
all tenants only if requests of several fail without an answer to any tenant in between. Statuses that the request
itself causes count neither as a failure nor as a success: 400, 404, 413 and 422 always; 401 and 403 if a header or
parameter of the caller that may grant or deny access was forwarded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

#: Consecutive failures that open a breaker.
FAILURES = 5
#: Of the failures that open a breaker for all tenants, those of one tenant that count.
OF_ONE_TENANT = 3
#: Seconds that a breaker stays open at first, and at most; the time doubles with each probe that fails.
PAUSE = 10.0
LONGEST = 120.0
#: Seconds that a client has to wait in vain before its disconnect counts as a failure of the model.
WAIT = 0.25
#: Tenants whose failures of a model are remembered.
TENANTS = 1000

CLOSED, HALF_OPEN, OPEN = 0, 1, 2
#: Statuses that deny access: to the router's key, or to what the caller has sent.
_ACCESS = (401, 403)


@dataclass(slots=True)
class _State:
    """The breaker of one tenant for one model."""

    #: Consecutive failures of the tenant's requests.
    failures: int = 0
    #: Those since the last answer for any tenant, which is that of `era`.
    recent: int = 0
    era: int = 0
    pause: float = PAUSE
    until: float = 0.0
    probing: bool = False
    #: When another probe may be sent, because the answer of this one has begun but goes on.
    probe_until: float = float("inf")
    #: Those of the failures that are clients that left while they waited.
    waited: int = 0


@dataclass(slots=True)
class _Model:
    """The breakers of a model. `until`: when the one of all tenants is half-open, 0: it is closed."""

    until: float = 0.0
    #: Increases with every answer.
    era: int = 0
    #: Time of the last failure.
    failed: float = 0.0
    tenants: dict[int, _State] = field(default_factory=dict)


class Breakers:
    """The circuit breakers of a process, one for each model of each provider and each tenant, and one for all tenants.

    A closed breaker lets requests through, an open one does not. After its pause it is half-open: one request, the
    probe, is let through; its success closes the breaker, its failure opens it for twice as long. (M. Nygard, Release
    It!, 2007.) After the pause of a breaker of all tenants each tenant has a probe of its own, so that none can keep it
    open; the first success closes it for all.

    An answer that is sent on while it arrives counts when it has ended: as a success, or as a failure if it was cut.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._models: dict[tuple[str, str], _Model] = {}

    def of(self, tenant: int, sends_access: Callable[[], bool] | None = None) -> TenantBreakers:
        """Return the breakers for one request of a tenant.

        `sends_access`: whether something of the caller's that may grant or deny access goes up with the request.
        """
        return TenantBreakers(self, tenant, sends_access)

    def allows(self, provider: str, model: str, tenant: int = 0) -> bool:
        """Whether a request may be sent to a model; if its breaker was open, the caller's request is the probe."""
        known = self._models.get((provider, model))
        if known is None:
            return True
        state = known.tenants.get(tenant)
        if state is None or state.until == 0.0:
            if known.until == 0.0:
                return True
            if self._clock() < known.until:
                return False
            state = self._state(known, tenant)
            state.until = known.until
        elif self._clock() < (state.probe_until if state.probing else state.until):
            return False
        state.probing, state.probe_until = True, float("inf")
        return True

    def record_begin(self, provider: str, model: str, tenant: int = 0) -> float:
        """Record an answer that has begun and goes on; return the time, for `record_success` at its end."""
        now = self._clock()
        known = self._models.get((provider, model)) if self._models else None
        state = known.tenants.get(tenant) if known is not None else None
        if state is not None:
            # The model does not hang. If this is a probe, it may take minutes, and others need not wait for its end.
            state.failures, state.recent = state.failures - state.waited, max(0, state.recent - state.waited)
            state.waited = 0
            if state.probing:
                state.probe_until = now + PAUSE
        return now

    def record_success(self, provider: str, model: str, tenant: int = 0, began: float | None = None) -> None:
        """Record an answer. If the model has failed since it `began`, it says nothing of how the model is now."""
        if not self._models:
            return
        known = self._models.get((provider, model))
        if known is None or (began is not None and began < known.failed):
            return
        known.tenants.pop(tenant, None)
        known.era += 1
        if known.until or not known.tenants:
            # What was closed to all tenants is open to all of them again.
            del self._models[provider, model]

    def record_failure(self, provider: str, model: str, retry_after: float | None = None, tenant: int = 0) -> None:
        """Record a failure. If the answer has `Retry-After`, open for `retry_after` seconds, `LONGEST` at most."""
        known = self._models.setdefault((provider, model), _Model())
        state = self._state(known, tenant)
        known.failed = self._clock()
        waits = retry_after is not None and retry_after >= 1
        state.failures += 1
        if state.era != known.era:
            state.era, state.recent = known.era, 0
        # The answer names when the provider serves again: such an answer counts as much as a tenant's failures may.
        state.recent = OF_ONE_TENANT if waits else state.recent + 1
        if state.probing:
            state.probing = False
            state.pause = min(LONGEST, state.pause * 2)
            state.until = self._clock() + min(LONGEST, max(state.pause, retry_after or 0.0))
        elif waits:
            state.until = max(state.until, self._clock() + min(retry_after or 0.0, LONGEST))
        elif state.failures >= FAILURES:
            state.until = self._clock() + state.pause
        if known.until == 0.0 and self._agreed(known):
            known.until = self._clock() + min(LONGEST, max(PAUSE, retry_after or 0.0))

    def record_nothing(self, provider: str, model: str, tenant: int = 0) -> None:
        """Record a request that says nothing of the model: the next one may be the probe."""
        known = self._models.get((provider, model))
        state = None if known is None else known.tenants.get(tenant)
        if state is not None:
            state.probing = False

    record_abort = record_nothing

    def reset(self) -> None:
        """Close all breakers."""
        self._models.clear()

    def record_waiting(self, provider: str, model: str, tenant: int = 0) -> None:
        """Record that a client left after `WAIT` seconds or more, while no answer had begun."""
        self.record_failure(provider, model, tenant=tenant)
        known = self._models.get((provider, model))
        if known is not None:
            self._state(known, tenant).waited += 1

    def states(self) -> Iterator[tuple[str, str, int]]:
        """Yield provider, model and `CLOSED`, `HALF_OPEN` or `OPEN` of each model whose last request failed.

        The state is the worst one of all tenants.
        """
        now = self._clock()
        for (provider, model), known in list(self._models.items()):
            found = [OPEN if now < known.until else HALF_OPEN] if known.until else []
            found += [
                HALF_OPEN if state.probing or now >= state.until else OPEN
                for state in known.tenants.values()
                if state.until
            ]
            yield provider, model, max(found, default=CLOSED)

    @staticmethod
    def _state(known: _Model, tenant: int) -> _State:
        state = known.tenants.get(tenant)
        if state is None:
            if len(known.tenants) >= TENANTS:
                del known.tenants[next(iter(known.tenants))]
            state = known.tenants[tenant] = _State()
        return state

    @staticmethod
    def _agreed(known: _Model) -> bool:
        """Whether the failures since the last answer are of several tenants, and enough."""
        counted = 0
        for state in known.tenants.values():
            if state.era == known.era:
                counted += min(state.recent, OF_ONE_TENANT)
                if counted >= FAILURES:
                    return True
        return False


class TenantBreakers:
    """The breakers for one request of a tenant."""

    __slots__ = ("_breakers", "_sends_access", "_tenant")

    def __init__(self, breakers: Breakers, tenant: int, sends_access: Callable[[], bool] | None) -> None:
        self._breakers = breakers
        self._tenant = tenant
        self._sends_access = sends_access

    def allows(self, provider: str, model: str) -> bool:
        """Return as `Breakers.allows` does."""
        return self._breakers.allows(provider, model, self._tenant)

    def record_begin(self, provider: str, model: str) -> float:
        """Record an answer that has begun and goes on, as `Breakers.record_begin` does."""
        return self._breakers.record_begin(provider, model, self._tenant)

    def record_success(self, provider: str, model: str, began: float | None = None) -> None:
        """Record an answer, as `Breakers.record_success` does."""
        self._breakers.record_success(provider, model, self._tenant, began)

    def record_waiting(self, provider: str, model: str) -> None:
        """Record a client that left while it waited, as `Breakers.record_waiting` does."""
        self._breakers.record_waiting(provider, model, self._tenant)

    def record_failure(
        self, provider: str, model: str, retry_after: float | None = None, status: int | None = None
    ) -> None:
        """Record a failure as `Breakers.record_failure` does; one that the caller may have caused says nothing."""
        if status in _ACCESS and self._sends_access is not None and self._sends_access():
            self.record_nothing(provider, model)
        else:
            self._breakers.record_failure(provider, model, retry_after, self._tenant)

    def record_nothing(self, provider: str, model: str) -> None:
        """Record a request that says nothing of the model: the next one may be the probe."""
        self._breakers.record_nothing(provider, model, self._tenant)

    record_abort = record_nothing
