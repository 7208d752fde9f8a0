"""Who is to serve a request, and what is known of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.dialects import ParsedRequest
from app.entities import Model, Policy


@dataclass(slots=True)
class Timings:
    """What the steps of a decision took, seconds; None: there was none."""

    embedding: float | None = None
    decision: float | None = None

    def server_timing(self, overhead: float, upstream: float | None = None) -> str:
        """The value of a `Server-Timing` header (W3C), milliseconds: until the answer began, and what of it went where.

        All in seconds; `overhead` is from arrival to departure upstream, and these steps are part of it.
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
    """The models to try, best first, and the reason. `policy` is None when routing was not asked for.

    `ranking` has the rows of `router.decide` where the database was asked: quality 0 to 1, cost in USD, score.
    `reading` is the request as it was read, `tokens` what its prompt was taken for; None: nobody did.
    """

    models: tuple[Model, ...]
    reason: str
    policy: Policy | None = None
    confidence: float | None = None
    ranking: tuple[Mapping[str, Any], ...] = ()
    conversation: bytes | None = None
    tokens: int | None = None
    reading: ParsedRequest | None = None
    took: Timings | None = None

    @property
    def routed(self) -> bool:
        """Whether the request asked for a policy, so that the answer says who served it and another model may."""
        return self.policy is not None
