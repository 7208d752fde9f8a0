"""Warm-up of connections: runs the statements of a request once, so that the first requests need not wait for it.

Each server process of Postgres reads its catalogue, compiles functions and plans statements when it first needs them,
and asyncpg prepares each statement and looks up its types once for each connection: 60 to 150 ms together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pgvector import HalfVector

from ..errors import NotFound
from . import keys, ledger, models, policies
from .database import Database
from .decisions import Question, decide_alone

#: A number that no tenant, policy or model has.
NONE = 0
#: A decision that searches the memory and has no candidates. Plans do not depend on the tenant, so any number will do.
_LEARNED = """
    select from router.decide(
        0, 0, $1, $2, null, 100, 0::smallint, p_context => row(
            'knn', 'conversation', 0, 0.5, 0, 0, 100, 0.2, 20, 20, 0.3, 0, null, 0, 1000, 0, 100, 2, 2, 20, 2, 0.5,
            false, null, null, null
        )::router.context
    )
"""


async def warm_up(db: Database, space_id: int, embedding: HalfVector, connections: int) -> None:
    """Warm up so many connections of each pool, whose statements run at the same time. Raises `DatabaseUnavailable`."""
    question = Question(
        tenant_id=NONE, policy_id=NONE, space_id=space_id, task=None, prompt_tokens=100, default_model=NONE
    )
    steps: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: keys.authenticate(db, bytes(32)),
        lambda: policies.policies(db, NONE),
        lambda: models.models(db),
        lambda: decide_alone(db, question, embedding),
        lambda: db.read(_LEARNED, space_id, embedding),
        lambda: ledger.log_decisions(db, ()),
    )
    for step in steps:
        await asyncio.gather(*(_run(step) for _ in range(connections)))


async def _run(step: Callable[[], Awaitable[object]]) -> None:
    # No tenant or policy of that number exists.
    with suppress(NotFound):
        await step()
