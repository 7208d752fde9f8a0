"""The ranking of candidates: one call of Postgres, with an embedding of the prompt where the policy needs one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from pgvector import HalfVector

from ..entities import Caller, Policy
from ..memory.embedders import CachedEmbedder, EmbeddingFailed, Paid
from ..memory.spaces import Spaces
from ..store.database import Database
from ..store.decisions import Ask, Question
from ..telemetry import metrics
from .plan import Timings

#: Policies of tenants that are remembered as cold.
REMEMBERED = 1_000_000


class Costs(Protocol):
    """Books the costs of embeddings, as `app.accounting.embedding_costs` does."""

    def payer(self, caller: Caller, embedder: CachedEmbedder) -> Paid | None:
        """Return what is called with the tokens of an embedding; None: it is not booked."""

    def paused(self, caller: Caller) -> bool:
        """Return whether the caller's requests are refused, so that an embedding would cost in vain."""


class Ranking:
    """Ranks candidates by what the tenant's memory holds."""

    def __init__(self, db: Database, spaces: Spaces, *, deadline: float, costs: Costs | None = None) -> None:
        """`deadline`: seconds for Postgres to answer; `costs`: books embeddings that cost money."""
        self._db = db
        self._spaces = spaces
        self._deadline = deadline
        self._costs = costs
        # (tenant, policy) whose memory had too few examples at the last request.
        self._cold: set[tuple[int, int]] = set()

    def space_of(self, caller: Caller) -> int:
        """Return the number of the embedding space that serves a caller."""
        return self._spaces.own.space_id if caller.space is None else caller.space.space_id

    async def rank(
        self, caller: Caller, policy: Policy, text: str, question: Question, ask: Ask, timings: Timings
    ) -> tuple[list[Mapping[str, Any]], str]:
        """Return the rows that `ask` gives for a prompt, best first, and the reason of the decision.

        If the policy was cold at its last request, Postgres is asked without an embedding first: most likely it still
        is. Raises `DatabaseUnavailable`.
        """
        key = (caller.tenant_id, policy.policy_id)
        if policy.backend != "knn" or key in self._cold:
            rows = await self._timed(ask, question, None, timings)
            reason: str = rows[0]["reason"]
            if reason != "no_signal":
                return rows, reason
            self._cold.discard(key)
        failed = False
        embedding = None
        if text:
            began = time.perf_counter()
            try:
                space = await self._spaces.of(caller)
                if space.embedder.model is None or self._costs is None:
                    embedding = await space.embedder.embed_one(text)
                elif self._costs.paused(caller):
                    raise EmbeddingFailed("the caller's limits have refused a request just now")
                else:
                    embedding = await space.embedder.embed_one(text, self._costs.payer(caller, space.embedder))
            except EmbeddingFailed:
                failed = True
                metrics.fail_opens.labels("embedding", "embedder").inc()
            timings.embedding = time.perf_counter() - began
        rows = await self._timed(ask, question, embedding, timings)
        reason = rows[0]["reason"]
        if reason == "cold" and len(self._cold) < REMEMBERED:
            self._cold.add(key)
        return rows, "embedding_failed" if failed and reason == "no_signal" else reason

    async def _timed(
        self, ask: Ask, question: Question, embedding: HalfVector | None, timings: Timings
    ) -> list[Mapping[str, Any]]:
        began = time.perf_counter()
        try:
            return await ask(self._db, question, embedding, deadline=self._deadline)
        finally:
            timings.decision = (timings.decision or 0.0) + time.perf_counter() - began
