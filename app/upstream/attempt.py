"""One model that was asked for an answer, or passed over, and what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from app.entities import Model

#: Of these the provider is the cause, and asked again it may do better.
RETRYABLE = frozenset((408, 409, 429, *range(500, 600)))
#: Of these too it is not the request that is wrong: another model may do better.
PROVIDERS_FAULT = RETRYABLE | {401, 403, 404}

_FAILURES = frozenset(("timeout", "unreachable", *map(str, PROVIDERS_FAULT)))


@dataclass(slots=True)
class Attempt:
    """A model's turn; times as `time.perf_counter` has them, `arrived` the request's.

    `why`: chosen, fallback, retry or hedge; `outcome`: the HTTP status, or timeout, unreachable, open (its breaker),
    over_budget, cancelled; `seconds`: until the answer began, or failed. Both words become labels of metrics: they are
    never text of a provider or a client.
    """

    model: Model
    why: str
    arrived: float
    began: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0
    outcome: str = "cancelled"

    def end(self, outcome: str) -> None:
        """It came to this."""
        self.seconds = time.perf_counter() - self.began
        self.outcome = outcome

    @property
    def started(self) -> float:
        """Seconds after the request's arrival."""
        return self.began - self.arrived

    @property
    def asked(self) -> bool:
        """Whether the provider was called at all."""
        return self.outcome not in ("open", "over_budget")

    @property
    def failed(self) -> bool:
        """Whether it came to something that is the provider's fault; passed over or given up is not."""
        return self.outcome in _FAILURES

    def __str__(self) -> str:
        return f"{self.model.name};why={self.why};status={self.outcome};ms={self.seconds * 1000:.1f}"
