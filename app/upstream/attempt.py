"""One attempt of a request: the model, and how the call of its provider ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ..entities import Model

#: Statuses of transient failures: the same provider may succeed at a retry.
RETRYABLE = frozenset((408, 409, 429, *range(500, 600)))
#: Statuses that are due to the provider, the router's account there or the model, not to the request: another model may
#: succeed.
PROVIDERS_FAULT = RETRYABLE | {401, 402, 403, 404, 405, 410}

_FAILURES = frozenset(("timeout", "unreachable", "invalid", "cut", *map(str, PROVIDERS_FAULT)))


@dataclass(slots=True)
class Attempt:
    """A model's turn to serve a request. `why` and `outcome` are labels of metrics: never text of others."""

    #: The model.
    model: Model
    #: `chosen`, `fallback`, `retry` or `hedge`.
    why: str
    #: Arrival of the request, by `time.perf_counter`.
    arrived: float
    #: Beginning of the attempt, by `time.perf_counter`.
    began: float = field(default_factory=time.perf_counter)
    #: Seconds until the answer began, or until the call failed.
    seconds: float = 0.0
    #: The HTTP status, or `timeout`, `unreachable`, `invalid` (no answer of the API), `cut` (after its beginning),
    #: `open` (its circuit breaker), `over_budget`, `cancelled`.
    outcome: str = "cancelled"

    def end(self, outcome: str) -> None:
        """Set how the attempt ended, and how long it took."""
        self.seconds = time.perf_counter() - self.began
        self.outcome = outcome

    @property
    def started(self) -> float:
        """Seconds from the request's arrival to the beginning of the attempt."""
        return self.began - self.arrived

    @property
    def called(self) -> bool:
        """Whether the provider was called; False: the model was skipped."""
        return self.outcome not in ("open", "over_budget")

    @property
    def failed(self) -> bool:
        """Whether the provider failed; skipped and cancelled attempts are no failures."""
        return self.outcome in _FAILURES

    def __str__(self) -> str:
        return f"{self.model.name};why={self.why};status={self.outcome};ms={self.seconds * 1000:.1f}"
