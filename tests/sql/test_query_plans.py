"""The plans of decide: the right index for a tenant of any size, from the first call to the hundredth."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import pytest
from pgvector.asyncpg import register_vector

from app.store.database import APP_ROLE, SESSION
from tests.support.sql_world import World, direction, world_of

#: Sizes of the tenant under test.
SIZES = (0, 50, 5000, 100_000)


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    """A separate database: rows of other tests in the tables would change the plans."""
    async with world_of(database) as world:
        yield world


class Watched:
    """A connection like the proxy's, which logs the plans that ran."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self._plans: list[str] = []
        connection.add_log_listener(lambda _, message: self._plans.append(message.message))

    @contextmanager
    def scans(self) -> Iterator[list[str]]:
        """Return the executed plan nodes over memories, with actual rows and loops, when the context has ended."""
        self._plans.clear()
        found: list[str] = []
        yield found
        lines = [line.strip() for plan in self._plans for line in plan.splitlines()]
        found += [
            line
            for line in lines
            if " on memories" in line and "never executed" not in line and "Bitmap Index" not in line
        ]


@asynccontextmanager
async def watched(dsn: str) -> AsyncIterator[Watched]:
    connection = await asyncpg.connect(dsn, server_settings=dict(SESSION))
    try:
        if not await connection.fetchval("select rolsuper from pg_roles where rolname = current_user"):
            pytest.skip("only a superuser may load auto_explain")
        await register_vector(connection)
        await connection.execute(
            f"""
            load 'auto_explain';
            set auto_explain.log_min_duration = 0;
            set auto_explain.log_analyze = on;
            set auto_explain.log_nested_statements = on;
            set client_min_messages = log;
            set role {APP_ROLE}
            """
        )
        yield Watched(connection)
    finally:
        await connection.close()


async def fill(world: World, tenant: int, count: int) -> None:
    """Give a tenant memories that differ in direction, directly in the table for speed."""
    await world.owner.execute(
        f"""
        insert into router.memories (
            tenant_id, memory_id, created_at, space_id, prompt_tokens, quality, completion_tokens, embedding
        )
        select {tenant}, nextval('router.memory_ids'), now(), {world.space}, 1, '{{1, 1}}', '{{}}',
            (array[sin(i), cos(i), sin(7 * i)]::real[] || array_fill(0::real, array[381]))::halfvec
        from generate_series(1, {count}) as i
        """
    )


async def tenants(world: World, count: int) -> list[tuple[int, int]]:
    """Create so many tenants, each with a policy that needs no memories."""
    made = []
    for number in range(count):
        tenant = await world.tenant(f"tenant {number}")
        made.append((tenant, await world.policy(tenant, seed_count=0)))
    return made


async def analyze(world: World, analyzed: bool) -> None:
    if analyzed:
        await world.owner.execute("vacuum analyze")


@pytest.mark.slow
@pytest.mark.parametrize("analyzed", [False, True])
async def test_small_tenants_are_scanned_by_their_index_alone(world: World, analyzed: bool) -> None:
    made = await tenants(world, 10)
    for (tenant, _), size in zip(made, SIZES, strict=False):
        await fill(world, tenant, size)
    for tenant, _ in made[len(SIZES) :]:
        await fill(world, tenant, 200)
    await analyze(world, analyzed)
    async with watched(world.dsn) as proxy:
        for turn in range(100):
            (tenant, policy), size = made[turn % len(SIZES)], SIZES[turn % len(SIZES)]
            with proxy.scans() as scans:
                await world.decide(tenant, policy, direction(turn), by=proxy.connection)
            if size:
                assert len(scans) == 1, scans
                assert "Index Only Scan using memories_small_scan on memories_small" in scans[0]
                assert f"rows={size}.00 loops=1" in scans[0]
            else:
                assert scans == []


async def test_a_plan_made_for_an_empty_table_is_right_for_a_full_one(world: World) -> None:
    (tenant, policy), *others = await tenants(world, 8)
    async with watched(world.dsn) as proxy:
        await fill(world, tenant, 5)
        await analyze(world, True)
        for turn in range(10):
            await world.decide(tenant, policy, direction(turn), by=proxy.connection)
        for other, _ in others:
            await fill(world, other, 2000)
        with proxy.scans() as scans:
            await world.decide(tenant, policy, direction(0), by=proxy.connection)
    assert len(scans) == 1
    assert "Index Only Scan using memories_small_scan" in scans[0]
    assert "rows=5.00 loops=1" in scans[0]


async def test_neighbours_are_looked_for_once_however_many_candidates(world: World) -> None:
    names = [f"model {number}" for number in range(6)]
    for name in names:
        await world.model(name, 1.0, 1.0)
    tenant = await world.tenant()
    policy = await world.policy(tenant, ["small", "large", *names])
    await fill(world, tenant, 300)
    async with watched(world.dsn) as proxy:
        with proxy.scans() as scans:
            rows = await world.decide(tenant, policy, direction(0), by=proxy.connection)
    assert len(rows) == 8
    assert len(scans) == 1
    assert "rows=300.00 loops=1" in scans[0]


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("size", [50, 5000])
async def test_a_graduated_tenant_is_searched_by_its_hnsw_alone(world: World, size: int, analyzed: bool) -> None:
    (tenant, policy), (small, small_policy), *others = await tenants(world, 6)
    for other, _ in [(small, small_policy), *others]:
        await fill(world, other, 300)
    await fill(world, tenant, size)
    await world.owner.execute("select router.graduate($1)", tenant)
    await world.owner.execute("select router.graduate($1)", others[0][0])
    await analyze(world, analyzed)
    async with watched(world.dsn) as proxy:
        for turn in range(100):
            with proxy.scans() as scans:
                await world.decide(small, small_policy, direction(turn), by=proxy.connection)
            assert len(scans) == 1
            assert "Index Only Scan using memories_small_scan" in scans[0]
            with proxy.scans() as scans:
                await world.decide(tenant, policy, direction(turn), by=proxy.connection)
            assert len(scans) == 1, scans
            assert f"on memories_large_{tenant}_{world.space}" in scans[0]
            assert "Index Scan using" in scans[0]
            # The index provides the order: it stops after k rows, while a sort would read them all.
            assert f"rows={min(100, size)}.00 loops=1" in scans[0]


async def test_deciding_locks_no_other_graduated_tenants_partition(world: World) -> None:
    (tenant, policy), (small, small_policy), (other, _) = await tenants(world, 3)
    for each in (tenant, small, other):
        await fill(world, each, 50)
    for each in (tenant, other):
        await world.owner.execute("select router.graduate($1)", each)
    for each, its_policy in ((tenant, policy), (small, small_policy)):
        for turn in range(8):
            async with world.app.transaction():
                await world.decide(each, its_policy, direction(turn))
                locked = await world.app.fetch(
                    "select relation::regclass::text as name from pg_locks where pid = pg_backend_pid()"
                )
            assert not [row["name"] for row in locked if f"memories_large_{other}" in (row["name"] or "")]


@pytest.mark.parametrize("forgotten", [0, 2000])
async def test_neighbours_are_nearest_first_past_what_one_search_finds(world: World, forgotten: int) -> None:
    ((tenant, _),) = await tenants(world, 1)
    await fill(world, tenant, 3000)
    await world.owner.execute("select router.graduate($1)", tenant)
    await world.app.execute("select set_config('router.tenant_id', $1::text, false)", str(tenant))
    await world.app.fetch(
        "select router.forget($1, array(select memory_id from router.memories order by memory_id limit $2))",
        tenant, forgotten,
    )  # fmt: skip
    await world.app.execute("select set_config('router.tenant_id', $1::text, false)", str(tenant))
    for k in (100, 700):
        for turn in range(10):
            rows = await world.app.fetch(
                "select similarity from router.neighbours($1, $2, $3, $4)", tenant, world.space, direction(turn), k
            )
            found = [row["similarity"] for row in rows]
            assert len(found) == k
            assert found == sorted(found, reverse=True)


async def test_the_map_of_a_memory_reads_the_tenants_rows_by_number(world: World) -> None:
    made = await tenants(world, 3)
    for tenant, _ in made:
        await fill(world, tenant, 300)
        await world.owner.execute(
            """
            insert into router.memory_texts (tenant_id, memory_id, space_id, prompt_hash, source, first_taught_at)
            select tenant_id, memory_id, space_id, sha256(memory_id::text::bytea), 'import', created_at
            from router.memories where tenant_id = $1
            """,
            tenant,
        )
    (small, _), (large, _), (other, _) = made
    for tenant in (large, other):
        await world.app.fetchval("select router.graduate($1)", tenant)
    await world.owner.execute("vacuum analyze")
    async with watched(world.dsn) as proxy:
        for function in ("memory_nodes", "memory_edges"):
            for tenant, table in ((small, "memories_small"), (large, f"memories_large_{large}_{world.space}")):
                with proxy.scans() as scans:
                    await proxy.connection.fetch(f"select * from router.{function}($1, $2)", tenant, world.space)
                reads = [scan for scan in scans if " on memories_" in scan]
                assert len(reads) == 1, scans
                assert f"Index Scan using {table}_pkey on {table}" in reads[0]
