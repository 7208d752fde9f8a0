"""No role has more rights than it needs, and a key belongs to its tenant."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from app.store.database import APP_ROLE
from tests.support.sql_world import START, World
from tests.support.tenancy import FUNCTIONS, READER, inhabit

#: Helpers of backtest and savings, which either role may call.
WORTH = {
    "_alphas", "_blend", "_candidates", "_certificate", "_choices", "_cross_fits", "_curve", "_expected", "_fit",
    "_fit_transfer",
    "_inverse", "_ledger_summary", "_mean", "_outcomes", "_prior", "_rule", "_setup", "_static_blend", "_trial",
    "_trials", "_verdict", "_with_weights", "backtest", "savings",
}  # fmt: skip
#: The policies of a tenant and their history, which either role may read.
HISTORY = {"_changed_settings", "_policy_state", "list_fits", "list_policies", "list_policy_changes"}
#: What the app calls to calibrate, and to undo it.
CALIBRATION = {
    "_antitonic_fit", "_best_settings", "_binomial_bound", "_fit_settings", "_fits_due", "fit", "fit_due", "_write_fit",
    "_binomial_cdf", "_certified_alpha", "_check_goal",
    "_copied_rows", "_fixed_sequence", "_log_policy_change", "_utility", "_set_calibrated", "calibrate",
    "undo_policy_change",
}  # fmt: skip
#: Helpers of a decision.
PARTS = {
    "_borrowed", "_context", "_conversation", "_estimated", "_estimates", "_guessed_tasks", "_influence", "_nearest",
    "_sort_keys", "_with_task_and_base",
    "decide_many",
}  # fmt: skip
# Functions that the roles may call; all others are the owner's. `_count_memories` and `_notify_change` are triggers.
FOR_THE_APP = {
    "_add_known", "_add_tasks", "_base_sums", "_edges", "_memory_sample", "memory_edges", "memory_nodes",
    "_bucket_level", "_check_examples", "_cost", "_count_memories",
    "_enter", "_evict", "_explanation", "_labels", "_lock_limits", "_lock_memory", "_meters_now", "_open_day",
    "_model_prices", "_prices", "_refusal", "_scan", "_schema_facts", "_search", "_settle", "_update_speeds", "admit",
    "authenticate", "candidates", "catalogue", "check_schema", "chores", "decide", "decision", "drop_day",
    "embedding_width", "estimates", "evidence", "expire_conversations", "expire_reservations", "explain", "export",
    "forget", "graduate", "holder", "is_foreign", "keep_response", "list_decisions", "list_providers",
    "log_decisions", "neighbours", "prices", "reasons", "recall", "record", "record_staged", "register_space",
    "revision", "room", "samples", "shrink", "spaces_of", "stage", "status", "sweep", "usage",
} | WORTH | PARTS | HISTORY | CALIBRATION  # fmt: skip
FOR_READERS = {
    "_add_known", "_base_sums", "_edges", "_memory_sample", "memory_edges", "memory_nodes",
    "_bucket_level", "_enter", "_explanation", "_granted_tenants", "_labels", "_model_prices", "_prices",
    "_scan", "_search", "catalogue", "decide", "decision", "embedding_width", "estimates", "evidence", "explain",
    "export", "list_decisions", "neighbours", "prices", "reasons", "recall", "revision", "samples", "spaces_of",
    "status", "usage",
} | WORTH | PARTS | HISTORY  # fmt: skip


async def test_the_proxy_cannot_read_keys(world: World) -> None:
    await inhabit(world, "a")
    for column in ("*", "hint", "key_hash"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.app.fetch(f"select {column} from router.api_keys")


async def test_the_proxy_makes_no_tables(world: World) -> None:
    for statement in (
        "create table router.mine (id int)",
        "create table router.mine partition of router.decisions for values from ('2030-01-01') to ('2030-01-02')",
        "create function router.mine() returns int language sql as 'select 1'",
        "drop table router.tenants",
        "alter table router.tenants disable row level security",
        "truncate router.memories",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.app.execute(statement)


async def test_each_role_may_call_what_it_needs(world: World) -> None:
    for role, allowed in ((APP_ROLE, FOR_THE_APP), (READER, FOR_READERS)):
        rows = await world.owner.fetch(
            f"select proname from {FUNCTIONS} and has_function_privilege($1, p.oid, 'execute')", role
        )
        assert {row["proname"] for row in rows} == allowed, role


@pytest.mark.parametrize("call", ["create_tenant('x')", "delete_tenant(1)", "create_key(1, '', '')", "list_tenants()"])
async def test_the_proxy_does_not_administer(world: World, call: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.app.fetch(f"select router.{call}")


# Keys.


async def test_a_key_is_whose_it_is_until_it_expires_or_is_revoked(world: World) -> None:
    tenant = await world.tenant(route_explicit=True)
    expires = await world.owner.fetchval("select now() + interval '1 hour'")
    keys = {
        name: await world.owner.fetchval(
            "select router.create_key($1, sha256($2), 'rk-12345', $3, $4)", tenant, name.encode(), name, until
        )
        for name, until in (("good", None), ("short", expires), ("lost", None))
    }
    assert await world.owner.fetchval("select router.revoke_key($1, $2)", tenant, keys["lost"])

    async def caller(name: str, now: Any = START) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await world.app.fetch(
            "select * from router.authenticate(sha256($1), $2)", name.encode(), now
        )
        return rows

    (row,) = await caller("good")
    assert tuple(row)[:5] == (tenant, "acme", keys["good"], None, True)
    assert len(await caller("short")) == 1
    assert await caller("short", expires) == []
    assert await caller("lost") == await caller("unheard of") == []


async def test_a_key_of_another_tenant_cannot_be_revoked(world: World) -> None:
    one, two = await world.tenant("one"), await world.tenant("two")
    key = await world.owner.fetchval("select router.create_key($1, sha256('k'), 'rk-12345')", one)
    assert not await world.owner.fetchval("select router.revoke_key($1, $2)", two, key)
    assert await world.app.fetch("select * from router.authenticate(sha256('k'))")
