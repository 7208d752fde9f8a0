"""A plan explains its first model in the same words as the ledger's explanation of the decision."""

from __future__ import annotations

import pytest

from app.routing.plan import Plan
from tests.support.models import model
from tests.support.sql_world import World


@pytest.mark.parametrize("reason", ["capability", "single_candidate", "embedding_failed", "memory_unavailable"])
async def test_a_plan_without_a_ranking_explains_itself_as_the_ledger_does(world: World, reason: str) -> None:
    found = await world.owner.fetchval(
        "select router_internal._explanation($1, 'small', '{}', '{}', '{}', '{}', '{}', null)", reason
    )
    assert Plan((model("small"),), reason).why == found
