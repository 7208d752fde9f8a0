"""Routing decisions: decides, explains, and reads decisions of the ledger."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

from pgvector import HalfVector

from ..errors import DatabaseUnavailable
from .database import Database
from .decision_batches import ARGUMENTS, DECIDE, DecisionBatcher
from .errors import or_unavailable
from .reals import short

log = logging.getLogger("pgrouter.store")

_EXPLAIN = f"select * from router.explain{ARGUMENTS[:-1]}, p_k => $13, p_tau => $14)"

_batchers: WeakKeyDictionary[Database, DecisionBatcher] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The arguments of `router.decide` in its order, without the embedding."""

    #: Number of the tenant.
    tenant_id: int
    #: Number of the tenant's policy.
    policy_id: int
    #: Number of the embedding space of the tenant's memory.
    space_id: int
    #: Name of the task; None: no task.
    task: str | None
    #: Estimated tokens of the prompt.
    prompt_tokens: int
    #: `model_id` of the default model.
    default_model: int
    #: `model_id` of each model that can serve the request; None: every candidate.
    models: Sequence[int] | None = None
    #: Weight of cost against quality; None: that of the policy.
    alpha: float | None = None
    #: Hash of the conversation, 16 bytes.
    conversation: bytes | None = None
    #: Whether the request contains an answer, so that it continues a conversation.
    continues: bool = False
    #: Random number from 0 to 1, for exploration.
    random: float = 1.0

    def arguments(self, embedding: HalfVector | None) -> tuple[Any, ...]:
        """Return the arguments in the order of the SQL functions."""
        return (
            self.tenant_id, self.policy_id, self.space_id, embedding, self.task, self.prompt_tokens,
            self.default_model, self.models, self.alpha, self.conversation, self.continues, self.random,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dials:
    """Settings that replace a policy's in one explanation; None: the policy's."""

    k: int | None = None
    tau: float | None = None


NO_DIALS = Dials()


async def decide(
    db: Database, question: Question, embedding: HalfVector | None, *, deadline: float
) -> list[Mapping[str, Any]]:
    """Return the candidates, best first, as rows of `router.decide`; concurrent calls share statements.

    Raises `DatabaseUnavailable` after `deadline` seconds, and for any other database error: the request is then served
    without a decision.
    """
    batcher = _batchers.get(db)
    if batcher is None:
        batcher = _batchers[db] = DecisionBatcher(db)
    return await _decided(batcher.decide(question.arguments(embedding), deadline))


async def decide_alone(db: Database, question: Question, embedding: HalfVector | None) -> list[Mapping[str, Any]]:
    """Return the rows of `router.decide` in a statement of its own, as `decide` does without concurrent calls."""
    return await db.read(DECIDE, *question.arguments(embedding))


async def explain(
    db: Database, question: Question, embedding: HalfVector | None, *, deadline: float, dials: Dials = NO_DIALS
) -> list[Mapping[str, Any]]:
    """Make the same decision and return all its numbers, as rows of `router.explain`; raises as `decide` does."""
    arguments = (*question.arguments(embedding), dials.k, dials.tau)
    return await _decided(db.background.read(_EXPLAIN, *arguments, timeout=deadline))


async def _decided(answer: Coroutine[Any, Any, list[Any]]) -> list[Mapping[str, Any]]:
    rows = await or_unavailable("router.decide", answer)
    if not rows:
        # The default model has just been disabled, and it was the only candidate.
        raise DatabaseUnavailable("Postgres returned no candidate.")
    return rows


class Ask(Protocol):
    """The type of `decide` and `explain`."""

    async def __call__(
        self, db: Database, question: Question, embedding: HalfVector | None, *, deadline: float
    ) -> list[Mapping[str, Any]]: ...


async def evidence(
    db: Database,
    tenant_id: int,
    policy_id: int,
    space_id: int,
    embedding: HalfVector,
    limit: int,
    dials: Dials = NO_DIALS,
    *,
    task: str | None,
) -> list[Mapping[str, Any]]:
    """Return the memories nearest to an embedding with their labels, as rows of `router.evidence`.

    `task`: that of the request, on which the effects of the memories depend; None: no task.
    """
    return await db.read(
        "select * from router.evidence($1, $2, $3, $4, $5, $6, $7, $8)",
        tenant_id, policy_id, space_id, embedding, limit, dials.k, dials.tau, task,
    )  # fmt: skip


def effects(row: Mapping[str, Any]) -> dict[str, float]:
    """Return by how much a row of `evidence` moves the quality of each candidate, by name; none without a prior."""
    pairs = zip(row["candidates"] or (), row["effects"] or (), strict=True)
    return {name: short(effect) for name, effect in pairs if effect is not None}


async def decision(db: Database, tenant_id: int, decision_id: UUID) -> Mapping[str, Any] | None:
    """Return a decision of the ledger; None if this tenant has none with that id."""
    rows = await db.read("select * from router.decision($1, $2)", tenant_id, decision_id)
    return rows[0] if rows else None
