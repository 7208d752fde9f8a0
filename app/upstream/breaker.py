"""Circuit breakers, which keep requests from models that fail repeatedly.

What one tenant's requests can cause says nothing of the model for the others: a breaker opens for the tenant whose
requests fail, and for all tenants only if those of several fail, without an answer for anybody in between. Statuses
that a caller's own request causes are neither failure nor success: 400, 404, 413, 422 and the like always, 401 and 403
if something of the caller's that may grant or deny access went up with the request.
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


@dataclass(slots=True)
class _Model:
    """The breakers of a model. `until`: when the one of all tenants is half-open, 0: it is closed."""

    until: float = 0.0
    #: Increases with every answer.
    era: int = 0
    tenants: dict[int, _State] = field(default_factory=dict)


class Breakers:
    """The circuit breakers of a process, one for each model of each provider and each tenant, and one for all tenants.

    A closed breaker lets requests through, an open one does not. After its pause it is half-open: one request, the
    probe, is let through; its success closes the breaker, its failure opens it for twice as long. (M. Nygard, Release
    It!, 2007.) After the pause of a breaker of all tenants each tenant has a probe of its own, so that none can keep it
    open; the first success closes it for all.
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
        elif state.probing or self._clock() < state.until:
            return False
        state.probing = True
        return True

    def record_success(self, provider: str, model: str, tenant: int = 0) -> None:
        """Record an answer."""
        if not self._models:
            return
        known = self._models.get((provider, model))
        if known is None:
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
        waits = retry_after is not None and retry_after >= 1
        state.failures += 1
        if state.era != known.era:
            state.era, state.recent = known.era, 0
        # The provider has told when it serves again: such an answer counts as much as a tenant's failures may.
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

    def record_success(self, provider: str, model: str) -> None:
        """Record an answer."""
        self._breakers.record_success(provider, model, self._tenant)

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
