"""The history of policies: every change is an entry, and an entry can be undone."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from tests.support.backtests import calibrate, specialists
from tests.support.sql_world import START, World
from tests.support.tenancy import enter


async def changes(world: World, tenant: int, policy: int | None = None) -> list[dict[str, Any]]:
    """Return the changes, newest first, as the proxy reads them."""
    rows = await world.app.fetch("select * from router.list_policy_changes($1, $2)", tenant, policy)
    return [
        {**row, **{name: row[name] and json.loads(row[name]) for name in ("old_settings", "new_settings")}}
        for row in rows
    ]


async def undo(world: World, tenant: int, change: int, **arguments: Any) -> int:
    """Undo a change as its owner; return the number of the new change."""
    names = "".join(f", p_{name} => ${number}" for number, name in enumerate(arguments, 3))
    found: int = await world.owner.fetchval(
        f"select router.undo_policy_change($1, $2{names})", tenant, change, *arguments.values()
    )
    return found


async def state(world: World, tenant: int) -> Any:
    return await world.owner.fetch("select * from router.list_policies($1)", tenant)


async def test_a_policy_begins_with_the_entry_that_added_it(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant, alpha=0.3, tau=float("inf"))
    (added,) = await changes(world, tenant)
    assert (added["policy"], added["cause"], added["changed_by"], added["key_id"]) == ("auto", "put", "psql", None)
    assert added["old_settings"] is None
    assert {name: added["new_settings"][name] for name in ("alpha", "tau", "models", "default_model")} == {
        "alpha": 0.3, "tau": "Infinity", "models": ["large", "small"], "default_model": "large",
    }  # fmt: skip
    assert not added["undoable"]
    with pytest.raises(asyncpg.PostgresError, match="added the policy: delete the policy instead") as caught:
        await undo(world, tenant, added["change_id"], force=True)
    assert caught.value.sqlstate == "RT016"


async def test_an_entry_has_the_settings_that_differ_and_who_changed_them(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant)
    await world.owner.execute(
        "select router.put_policy($1, 'auto', 'knn', 'large', '{small,large}', null,"
        " jsonb_populate_record(null::router.policy_settings, '{\"alpha\": 0.5, \"seed_count\": 7}'),"
        " p_by => 'admin', p_now => $2)",
        tenant, START,
    )  # fmt: skip
    newest = (await changes(world, tenant))[0]
    assert newest["old_settings"] == {"alpha": 0.1, "seed_count": 1}
    assert newest["new_settings"] == {"alpha": 0.5, "seed_count": 7}
    assert (newest["changed_by"], newest["changed_at"], newest["undoable"]) == ("admin", START, True)
    assert newest["operator_only"]


async def test_a_change_to_the_same_settings_is_none(world: World) -> None:
    tenant = await world.tenant()
    for _ in range(3):
        await world.policy(tenant, alpha=0.3, weights=[0.1, 0.7])
    assert len(await changes(world, tenant)) == 1


async def test_everything_that_a_put_changed_is_undone(world: World) -> None:
    await world.model("third", 5.0, 5.0)
    tenant = await world.tenant()
    await world.policy(tenant, ("small", "large"), weights=[0.1, 3.3], alpha=0.3, tau=float("inf"), n0_task=1.7)
    before = await state(world, tenant)
    await world.policy(
        tenant, ("third", "small"), default="third", backend="weighted", weights=[1, 2], alpha=1.0, tau=0.1,
        seed_count=5, granularity="step", switch_penalty=0.01,
    )  # fmt: skip
    assert await state(world, tenant) != before
    await undo(world, tenant, (await changes(world, tenant))[0]["change_id"])
    assert await state(world, tenant) == before
    newest, undone, _ = await changes(world, tenant)
    assert (newest["cause"], newest["undoes"]) == ("undo", undone["change_id"])
    assert newest["new_settings"] == undone["old_settings"]


async def test_an_undo_can_be_undone(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant, alpha=0.3)
    await world.policy(tenant, alpha=0.4)
    after = await state(world, tenant)
    await undo(world, tenant, await undo(world, tenant, (await changes(world, tenant))[0]["change_id"]))
    assert await state(world, tenant) == after


async def test_a_policy_that_changed_since_is_left_alone_unless_forced(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant, alpha=0.3)
    await world.policy(tenant, alpha=0.4)
    change = (await changes(world, tenant))[0]["change_id"]
    await world.policy(tenant, alpha=0.4, seed_count=9)
    before = await state(world, tenant)
    with pytest.raises(asyncpg.PostgresError, match=r"changed since change .*, in seed_count") as caught:
        await undo(world, tenant, change)
    assert caught.value.sqlstate == "RT016"
    assert await state(world, tenant) == before
    # Forced, it restores the settings of this change, and keeps those of later ones.
    await undo(world, tenant, change, force=True)
    (row,) = await state(world, tenant)
    assert (row["alpha"], row["seed_count"]) == (0.3, 9)
    with pytest.raises(asyncpg.PostgresError, match="is as it was before change"):
        await undo(world, tenant, change, force=True)


async def test_a_calibration_is_an_entry_with_its_target_and_is_undone(world: World) -> None:
    tenant, policy = await specialists(world, 200, alpha=0.3)
    before = await state(world, tenant)
    await calibrate(world, tenant, policy, 0.9, write=False)
    assert len(await changes(world, tenant)) == 1
    await calibrate(world, tenant, policy, 0.9, key=7)
    newest = (await changes(world, tenant))[0]
    assert (newest["cause"], newest["changed_by"], newest["key_id"]) == ("calibrate", "key", 7)
    assert (newest["target"], newest["confidence"], newest["operator_only"]) == (0.9, 0.9, False)
    assert newest["old_settings"]["alpha"] == 0.3
    await world.app.fetch("select router.undo_policy_change($1, $2, p_key => 7)", tenant, newest["change_id"])
    assert await state(world, tenant) == before


async def test_a_key_undoes_what_calibrate_chooses_and_nothing_else(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant, alpha=0.3)
    await world.policy(tenant, alpha=0.3, seed_count=50)
    before = await state(world, tenant)
    change = (await changes(world, tenant))[0]["change_id"]
    with pytest.raises(asyncpg.PostgresError, match="concerns seed_count: only an operator") as caught:
        await world.app.fetch("select router.undo_policy_change($1, $2, p_key => 7)", tenant, change)
    assert caught.value.sqlstate == "RT017"
    # Nor may the proxy's role, whatever it passes.
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.app.fetch("select router.undo_policy_change($1, $2)", tenant, change)
    for statement in ("update router.policies set seed_count = 1", "update router.policies set backend = 'none'"):
        await enter(world.app, tenant)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.app.execute(statement)
    assert await state(world, tenant) == before


async def test_another_tenants_change_does_not_exist(world: World) -> None:
    mine, theirs = await world.tenant("mine"), await world.tenant("theirs")
    for tenant in (mine, theirs):
        await world.policy(tenant, alpha=0.3)
        await world.policy(tenant, alpha=0.4)
    before = await state(world, theirs)
    for change in [each["change_id"] for each in await changes(world, theirs)]:
        with pytest.raises(asyncpg.PostgresError) as caught:
            await undo(world, mine, change, force=True)
        assert caught.value.sqlstate == "RT015"
    assert await state(world, theirs) == before
    assert {each["change_id"] for each in await changes(world, mine)}.isdisjoint(
        each["change_id"] for each in await changes(world, theirs)
    )


async def test_a_change_of_another_policy_does_not_exist_for_this_one(world: World) -> None:
    tenant = await world.tenant()
    for name in ("one", "two"):
        for alpha in (0.3, 0.4):
            await world.policy(tenant, name=name, alpha=alpha)
    newest = (await changes(world, tenant))[0]
    assert newest["policy"] == "two"
    one = await world.owner.fetchval("select policy_id from router.policies where name = 'one'")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await undo(world, tenant, newest["change_id"], policy=one)
    assert caught.value.sqlstate == "RT015"
    assert {each["policy"] for each in await changes(world, tenant, one)} == {"one"}


async def test_a_model_that_was_disabled_since_is_named(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant)
    await world.policy(tenant, ("large",))
    await world.model("small", 1.0, 2.0, enabled=False)
    with pytest.raises(asyncpg.PostgresError, match="there is no model small"):
        await undo(world, tenant, (await changes(world, tenant))[0]["change_id"])


async def test_the_newest_thousand_are_kept(world: World) -> None:
    tenant = await world.tenant()
    await world.owner.execute(
        "select router.put_policy($1, 'auto', 'knn', 'large', '{small,large}', null,"
        " jsonb_populate_record(null::router.policy_settings, jsonb_build_object('alpha', i / 100.0)))"
        " from generate_series(1, 1005) as i",
        tenant,
    )
    kept = await world.app.fetch("select * from router.list_policy_changes($1, p_limit => 2000)", tenant)
    assert len(kept) == 1000
    assert json.loads(kept[0]["new_settings"]) == {"alpha": 10.05}
