"""The decision and its ledger: the one question of a routed request, and what is written down afterwards."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

from pgvector import HalfVector

from app.errors import DatabaseUnavailable
from app.store.database import Database, or_unavailable
from app.store.decision_batches import ARGUMENTS, DECIDE, Questions

log = logging.getLogger("pgrouter.store")

_EXPLAIN = f"select * from router.explain{ARGUMENTS}"

_questions: WeakKeyDictionary[Database, Questions] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a decision is made of but the embedding: the arguments of `router.decide`, in its order.

    `prompt_tokens` is an estimate; `models`: who can serve it, None: every candidate; `alpha` None: the policy's;
    `conversation`: 16 bytes; `random`: 0 to 1.
    """

    tenant_id: int
    policy_id: int
    space_id: int
    task: str | None
    prompt_tokens: int
    default_model: int
    models: Sequence[int] | None = None
    alpha: float | None = None
    conversation: bytes | None = None
    continues: bool = False
    random: float = 1.0

    def arguments(self, embedding: HalfVector | None) -> tuple[Any, ...]:
        """In the order of the SQL functions."""
        return (
            self.tenant_id, self.policy_id, self.space_id, embedding, self.task, self.prompt_tokens,
            self.default_model, self.models, self.alpha, self.conversation, self.continues, self.random,
        )  # fmt: skip


async def decide(
    db: Database, question: Question, embedding: HalfVector | None, *, deadline: float
) -> list[Mapping[str, Any]]:
    """The candidates best first, as rows of `router.decide`, which is asked along with whoever asks at the same moment.

    Raises `DatabaseUnavailable` past `deadline` (seconds), and for any other database error: the request is then served
    without a decision.
    """
    asked = _questions.get(db)
    if asked is None:
        asked = _questions[db] = Questions(db)
    return await _decided(asked.decide(question.arguments(embedding), deadline))


async def decide_alone(db: Database, question: Question, embedding: HalfVector | None) -> list[Mapping[str, Any]]:
    """Ask `router.decide` in a statement of its own, as `decide` does if no other question comes at the same moment."""
    return await db.read(DECIDE, *question.arguments(embedding))


async def explain(
    db: Database, question: Question, embedding: HalfVector | None, *, deadline: float
) -> list[Mapping[str, Any]]:
    """The same decision with every number it is made of, as rows of `router.explain`; raises as `decide` does."""
    return await _decided(db.read(_EXPLAIN, *question.arguments(embedding), timeout=deadline))


async def _decided(answer: Coroutine[Any, Any, list[Any]]) -> list[Mapping[str, Any]]:
    rows = await or_unavailable("router.decide", answer)
    if not rows:
        # The default model was disabled a moment ago, and nothing else is left.
        raise DatabaseUnavailable("Postgres knows no candidate.")
    return rows


class Ask(Protocol):
    """`decide` or `explain`."""

    async def __call__(
        self, db: Database, question: Question, embedding: HalfVector | None, *, deadline: float
    ) -> list[Mapping[str, Any]]: ...


async def evidence(
    db: Database, tenant_id: int, policy_id: int, space_id: int, embedding: HalfVector, limit: int
) -> list[Mapping[str, Any]]:
    """The memories nearest to an embedding with what they say, as rows of `router.evidence`."""
    return await db.read(
        "select * from router.evidence($1, $2, $3, $4, $5)", tenant_id, policy_id, space_id, embedding, limit
    )


async def decision(db: Database, tenant_id: int, decision_id: UUID) -> Mapping[str, Any] | None:
    """One decision of the ledger; None when this tenant has none of that number."""
    rows = await db.read("select * from router.decision($1, $2)", tenant_id, decision_id)
    return rows[0] if rows else None
