"""The plan of a request: the models to try, in order, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..entities import Model, Policy

#: Why the first model serves, for reasons that are given without a ranking; those of rankings are SQL's.
_WHY = {
    "off": "routing is turned off: {} serves",
    "capability": "only {} is known to do what the request needs",
    "single_candidate": "{} is the only candidate",
    "embedding_failed": "the prompt could not be embedded: {} serves",
    "memory_unavailable": "Postgres did not answer in time: {} serves",
}


@dataclass(slots=True)
class Timings:
    """Durations of the steps of a decision, seconds; None: the step was not needed."""

    embedding: float | None = None
    decision: float | None = None

    def server_timing(self, overhead: float, upstream: float | None = None) -> str:
        """Return the value of a `Server-Timing` header (W3C), in milliseconds.

        `overhead`: seconds from arrival to the first call of a provider, these steps included; `upstream`: seconds
        until the answer began. `total` is their sum.
        """
        parts = [f"total;dur={(overhead + (upstream or 0.0)) * 1000:.2f}, overhead;dur={overhead * 1000:.2f}"]
        if self.embedding is not None:
            parts.append(f"embed;dur={self.embedding * 1000:.2f}")
        if self.decision is not None:
            parts.append(f"decide;dur={self.decision * 1000:.2f}")
        if upstream is not None:
            parts.append(f"upstream;dur={upstream * 1000:.2f}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Plan:
    """The models to try and what the decision is based on."""

    #: The models, best first; at least one.
    models: tuple[Model, ...]
    #: One of `router.reason`.
    reason: str
    #: The policy that routes the request; None: the request is passed through to the model that it names.
    policy: Policy | None = None
    #: Share of the estimates that neighbours account for, 0 to 1; None: nothing was ranked.
    confidence: float | None = None
    #: Rows of `router.decide`, best first: quality 0 to 1, cost in USD, score; empty: Postgres was not asked.
    ranking: tuple[Mapping[str, Any], ...] = ()
    #: The 16 bytes that identify the conversation within the policy.
    conversation: bytes | None = None
    #: The prompt's tokens, as counted for the decision.
    tokens: int | None = None
    #: Durations of the decision's steps.
    timings: Timings | None = None

    @property
    def routed(self) -> bool:
        """Whether a policy routes the request, so that the answer names the model and another one may serve."""
        return self.policy is not None

    @property
    def why(self) -> str:
        """Why the first model serves, as a sentence."""
        if self.ranking and self.reason == self.ranking[0]["reason"]:
            return str(self.ranking[0]["why"])
        return _WHY[self.reason].format(self.models[0].name)
