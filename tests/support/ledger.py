"""Entries of the ledger."""

from __future__ import annotations

from typing import Any

from tests.support.sql_world import START, World, uuid7

CONVERSATION = b"0123456789abcdef"


async def routed(world: World, name: str = "acme") -> dict[str, Any]:
    """Make a tenant with a policy, and return the fields that its entries share."""
    tenant = await world.tenant(name)
    return {"tenant_id": tenant, "policy_id": await world.policy(tenant), "decision_id": uuid7(START)}
