"""Memories with known winners, and backtests of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import asyncpg

from tests.support.sql_world import START, Taught, World, vector


async def backtest(
    world: World, tenant: int, policy: int, by: asyncpg.Connection | None = None, **arguments: Any
) -> list[asyncpg.Record]:
    """Return the rows of router.backtest, called as the proxy calls it."""
    names = "".join(f", p_{name} => ${number}" for number, name in enumerate(arguments, 4))
    rows: list[asyncpg.Record] = await (by or world.app).fetch(
        f"select * from router.backtest($1, $2, $3{names})", tenant, policy, world.space, *arguments.values()
    )
    return rows


def ruled(rows: Sequence[asyncpg.Record], rule: str) -> list[asyncpg.Record]:
    """Return the rows of one rule."""
    return [row for row in rows if row["rule"] == rule]


async def specialists(world: World, many: int = 120, **chosen: Any) -> tuple[int, int]:
    """Make a tenant with two topics, each answered well by one model: `small` one, `large` mostly the other."""
    dice = random.Random(5)
    tenant = await world.tenant()
    policy = await world.policy(tenant, **chosen)
    lessons = []
    for number in range(many):
        easy = number % 2 == 0
        centre = [1.0, 0.0] if easy else [0.0, 1.0]
        lessons.append(
            Taught(
                f"{number}",
                {world.small: 1.0 if easy else float(dice.random() < 0.2), world.large: float(dice.random() < 0.9)},
                vector([x + dice.gauss(0, 0.1) for x in centre]),
            )
        )
    await world.teach(tenant, *lessons)
    return tenant, policy


async def calibrate(world: World, tenant: int, policy: int, target: float | None, **arguments: Any) -> asyncpg.Record:
    """Return the row of router.calibrate, called as the command line calls it."""
    given = {"now": START, **arguments}
    names = "".join(f", p_{name} => ${number}" for number, name in enumerate(given, 5))
    (row,) = await world.owner.fetch(
        f"select * from router.calibrate($1, $2, $3, $4{names})", tenant, policy, world.space, target, *given.values()
    )
    return row
