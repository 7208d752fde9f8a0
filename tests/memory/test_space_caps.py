"""The cap of memories while a tenant has two spaces."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support.recount import assert_every_sum_is_a_recount
from tests.support.spaces import Spaces


async def test_copies_push_no_serving_memory_out(two: Spaces) -> None:
    await two.world.owner.execute("update router.tenants set memory_cap = 10 where tenant_id = $1", two.tenant)
    await two.teach(*"abcdefghij")
    await two.build()
    assert await two.copy() == 10
    await two.teach("k", at=1)
    assert await two.count(two.old) == 11
    await two.teach("l", at=2)
    assert await two.prompts(two.old) == list("cdefghijkl")


async def test_copies_of_what_was_evicted_do_not_pile_up(two: Spaces) -> None:
    await two.world.owner.execute("update router.tenants set memory_cap = 10 where tenant_id = $1", two.tenant)
    await two.teach(*"abcdefghij")
    await two.build()
    for minute in range(1, 60):
        await two.teach(f"{minute}", at=minute)
        await two.copy()
        assert await two.count(two.new) <= 11
    assert await two.switch() == (0, 0)
    await assert_every_sum_is_a_recount(two.world)


async def test_after_the_move_the_cap_holds_for_the_new_space(two: Spaces) -> None:
    await two.world.owner.execute("update router.tenants set memory_cap = 10 where tenant_id = $1", two.tenant)
    await two.teach(*(f"own {number}" for number in range(8)), space=two.new, at=1)
    await two.teach(*"abcdefgh", at=2)
    await two.world.owner.execute("update router.tenants set space_id = $2 where tenant_id = $1", two.tenant, two.old)
    await two.build()
    await two.copy()
    assert await two.switch() == (0, 0)
    await two.drop(two.old)
    assert await two.count(two.old) == 0
    assert (await two.prompts(two.new))[-8:] == list("abcdefgh")
    assert await two.count(two.new) == 10


async def test_after_the_switch_the_old_space_is_evicted_first(two: Spaces) -> None:
    await two.world.owner.execute("update router.tenants set memory_cap = 10 where tenant_id = $1", two.tenant)
    await two.teach(*"abcdefghij")
    await two.build()
    await two.copy()
    await two.switch()
    await two.teach("k", space=two.new, at=1)
    assert await two.prompts(two.new) == list("bcdefghijk")
    assert await two.count(two.old) == 0


async def test_the_overview_is_of_the_space_that_serves(two: Spaces) -> None:
    await two.world.policy(two.tenant)
    await two.teach("a", "b")
    await two.world.owner.execute("select router.graduate($1)", two.tenant)
    seen = []
    for step in (two.build, two.copy, two.switch):
        await step()
        row = await two.world.owner.fetchrow("select memories, graduated from router.overview")
        seen.append((row["memories"], row["graduated"]))
    assert seen == [(2, True), (2, True), (2, False)]


async def test_what_is_being_built_graduates_only_when_it_is_named(two: Spaces) -> None:
    await two.teach("a", "b", "c")
    await two.build()
    await two.copy()
    await two.call("forget", [(await two.world.app.fetchval("select memory_id from router.recall($1)", two.tenant))])
    assert await two.call("graduate") == 2
    tiers = await two.world.owner.fetch("select space_id, tier from router.memory_counts order by space_id")
    assert {row["space_id"]: row["tier"] for row in tiers} == {two.old: 1, two.new: 0}
    assert await two.call("graduate", two.new) == 2


async def test_a_space_is_dropped_in_bites(two: Spaces) -> None:
    await two.world.owner.execute("update router.tenants set memory_cap = 8 where tenant_id = $1", two.tenant)
    await two.teach(*"abcdefgh")
    await two.build()
    await two.copy()
    await two.switch()
    assert await two.call("drop_space", two.old, 3) == 3
    assert await two.count(two.old) == 5
    assert await two.count(two.new) == 8


async def test_a_deleted_tenant_is_not_rewritten(two: Spaces) -> None:
    await two.call("delete_tenant")
    with pytest.raises(asyncpg.PostgresError) as raised:
        await two.call("reembed", two.old, two.new, [], [])
    assert raised.value.sqlstate == "RT007"
