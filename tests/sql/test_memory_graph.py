"""The map of a memory: its nodes, a stable sample of them, and the exact nearest neighbours of each."""

from __future__ import annotations

from math import cos, pi

import asyncpg
import pytest

from tests.support.graduation import graduate, lessons
from tests.support.sql_world import Taught, World, direction


async def nodes(world: World, tenant: int, sample: int = 2000) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await world.app.fetch(
        "select * from router.memory_nodes($1, $2, $3)", tenant, world.space, sample
    )
    return rows


async def edges(world: World, tenant: int, *rest: int | None) -> list[tuple[int, int, float]]:
    """Call memory_edges with the arguments from p_k on."""
    places = "".join(f", ${number}" for number in range(3, 3 + len(rest)))
    rows = await world.app.fetch(f"select * from router.memory_edges($1, $2{places})", tenant, world.space, *rest)
    return [(row["memory_id"], row["neighbour_id"], row["similarity"]) for row in rows]


async def test_a_node_has_labels_by_name_and_the_beginning_of_its_prompt(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(
        tenant,
        Taught("x" * 300, {world.large: 0.5, world.small: 0.25}, task="sums", source="judge"),
        Taught("y", {world.small: 1.0}),
    )
    found = {row["excerpt"]: row for row in await nodes(world, tenant)}
    long = found["x" * 200]
    assert (long["task"], long["source"], long["total"]) == ("sums", "judge", 2)
    assert dict(zip(long["models"], long["scores"], strict=True)) == {"small": 0.25, "large": 0.5}
    assert (found["y"]["models"], found["y"]["scores"], found["y"]["task"]) == (["small"], [1.0], None)


@pytest.mark.parametrize("tier", [0, 1])
async def test_neighbours_are_the_nearest_by_exact_distance(world: World, tier: int) -> None:
    tenant = await world.tenant()
    taught = await world.teach(tenant, *lessons(40, world))
    if tier:
        assert await graduate(world, tenant) == 40
    angle = {memory: pi * i / 40 for i, (memory, _) in enumerate(taught)}
    found = await edges(world, tenant, 3)
    assert len(found) == 40 * 3
    for memory in angle:
        mine = [(neighbour, similarity) for each, neighbour, similarity in found if each == memory]
        expected = sorted((cos(angle[other] - angle[memory]) for other in angle if other != memory), reverse=True)[:3]
        assert [similarity for _, similarity in mine] == pytest.approx(expected, abs=2e-3)
        assert all(similarity == pytest.approx(cos(angle[o] - angle[memory]), abs=2e-3) for o, similarity in mine)


async def test_graduating_changes_neither_nodes_nor_edges(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(60, world))
    before = await nodes(world, tenant, 25), await edges(world, tenant, 4, 25)
    await graduate(world, tenant)
    assert (await nodes(world, tenant, 25), await edges(world, tenant, 4, 25)) == before


async def test_a_sample_is_stable_and_edges_stay_within_it(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(50, world))
    found = await nodes(world, tenant, 20)
    assert (len(found), found[0]["total"]) == (20, 50)
    ids = [row["memory_id"] for row in found]
    assert ids != sorted(ids)
    assert [row["memory_id"] for row in await nodes(world, tenant, 50)][:20] == ids
    for memory, neighbour, _ in await edges(world, tenant, 6, 20):
        assert {memory, neighbour} <= set(ids)
    # One memory more changes the sample by one at most.
    await world.teach(tenant, Taught("one more", {world.small: 1.0}))
    assert len(set(ids) - {row["memory_id"] for row in await nodes(world, tenant, 20)}) <= 1


async def test_pages_of_edges_are_the_whole_in_the_order_of_the_nodes(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(23, world))
    whole = await edges(world, tenant, 2, 2000, 0, None)
    pages = [edge for offset in range(0, 25, 5) for edge in await edges(world, tenant, 2, 2000, offset, 5)]
    assert pages == whole
    assert list(dict.fromkeys(edge[0] for edge in whole)) == [row["memory_id"] for row in await nodes(world, tenant)]
    assert await edges(world, tenant, 2, 2000, 23, 5) == []


async def test_one_memory_and_none_have_no_edges(world: World) -> None:
    tenant = await world.tenant()
    assert await nodes(world, tenant) == []
    assert await edges(world, tenant) == []
    await world.teach(tenant, Taught("alone", {world.small: 1.0}, direction(1)))
    assert len(await nodes(world, tenant)) == 1
    assert await edges(world, tenant) == []


async def test_a_tenant_has_a_graph_of_its_own_memories_alone(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    mine = {memory for memory, _ in await world.teach(tenant, *lessons(8, world))}
    await world.teach(other, *lessons(8, world, "theirs "))
    await graduate(world, other)
    assert {row["memory_id"] for row in await nodes(world, tenant)} == mine
    assert {memory for edge in await edges(world, tenant) for memory in edge[:2]} == mine


async def test_prompts_that_are_not_stored_are_not_shown(world: World) -> None:
    tenant = await world.tenant(store_prompts=False)
    await world.teach(tenant, *lessons(3, world))
    assert [row["excerpt"] for row in await nodes(world, tenant)] == [None] * 3
    assert len(await edges(world, tenant)) == 6


async def test_recall_filters_by_task_source_and_number(world: World) -> None:
    tenant = await world.tenant()
    taught = await world.teach(
        tenant,
        Taught("a", {world.small: 1.0}, task="sums"),
        Taught("b", {world.small: 1.0}, task="sums", source="judge"),
        Taught("c", {world.small: 1.0}),
    )

    async def found(**filters: object) -> list[str]:
        given = "".join(f", p_{name} => ${number}" for number, name in enumerate(filters, 2))
        rows = await world.app.fetch(f"select * from router.recall($1{given})", tenant, *filters.values())
        return [row["prompt"] for row in rows]

    assert await found(task="sums") == ["a", "b"]
    assert await found(task="sums", source="judge") == ["b"]
    assert await found(memories=[taught[2][0], taught[0][0], 10**15]) == ["a", "c"]
    assert await found(memories=[]) == []
