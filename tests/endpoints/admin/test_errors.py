"""Errors of the admin API, and the owner's connections."""

from __future__ import annotations

import asyncpg

from tests.support.operators import ADMIN, Operator


async def test_an_unknown_object_is_a_404_in_openais_shape(admin: Operator) -> None:
    for method, path, code in [
        ("GET", "/nothing", 404),
        ("GET", "", 404),
        ("PUT", "/tenants", 405),
        ("GET", "/tenants/nobody", 404),
        ("GET", "/tenants/nobody/keys", 404),
        ("GET", "/tenants/nobody/policies", 404),
        ("GET", "/tenants/nobody/prices", 404),
        ("GET", "/tenants/a%00b", 404),
        ("GET", "/models/nothing", 404),
    ]:
        assert set((await admin(method, path, code=code))["error"]) == {"message", "type", "param", "code"}


async def test_a_body_that_is_no_object_is_refused(admin: Operator) -> None:
    for body in (b"", b"[]", b"{", b"\xff"):
        async with admin.http.post(f"{ADMIN}/tenants", data=body) as reply:
            assert reply.status == 400


async def test_the_owners_connections_are_made_when_they_are_needed(admin: Operator) -> None:
    count = "select count(*) from pg_stat_activity where datname = current_database()"
    async with asyncpg.create_pool(admin.proxy.admin.dsn, min_size=1, max_size=1) as pool:
        before = await pool.fetchval(count)
        await admin("GET", "/tenants")
        assert await pool.fetchval(count) > before
