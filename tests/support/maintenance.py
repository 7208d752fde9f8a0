"""Rounds of maintenance and their results."""

from __future__ import annotations

from app.operations.maintenance import Step, maintain
from app.store.database import Database
from tests.support.graduation import graduate, lessons
from tests.support.sql_world import Taught, World, direction, uuid7


async def kept(
    db: Database, owner: Database | None = None, *, graduate_at: int = 20, ledger_days: int = 90
) -> list[Step]:
    """Run a round, and return its steps without those that open days of the ledger."""
    steps = [step async for step in maintain(db, owner, graduate_at=graduate_at, ledger_days=ledger_days)]
    return [step for step in steps if step.job.name != "open_day"]


def told(steps: list[Step]) -> list[tuple[str, str, int]]:
    """Return the job, outcome and count of each step."""
    return [(step.job.name, step.outcome, step.count) for step in steps]


async def talk(world: World, tenant: int, count: int, *, seconds: int) -> None:
    """Log conversations that began a minute ago and may be continued for `seconds`."""
    policy = await world.policy(tenant, sticky_seconds=seconds)
    now = await world.owner.fetchval("select now() - interval '1 minute'")
    await world.log(
        *(
            {
                "tenant_id": tenant, "policy_id": policy, "decision_id": uuid7(now, tenant * 1000 + i),
                "conversation": i.to_bytes(16, "big"),
            }
            for i in range(count)
        )
    )  # fmt: skip


async def churned(world: World) -> int:
    """Make a graduated tenant of whose memories many were replaced."""
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(30, world))
    await graduate(world, tenant)
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 1.0}, direction(i / 20)) for i in range(7)))
    return tenant
