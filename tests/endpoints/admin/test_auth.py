"""The master key: which requests may administer, and which are refused."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from tests.support.operators import ADMIN, MASTER, Operator
from tests.support.proxy import Proxy


async def test_without_a_master_key_there_is_no_administration(proxy: Proxy) -> None:
    async with proxy.http() as http:
        for path in (f"{ADMIN}/tenants", f"{ADMIN}/anything", ADMIN, "/v1/router/nothing"):
            async with http.get(path) as reply:
                assert reply.status == 404
                assert (await reply.json())["error"]["code"] == "unknown_url", path


async def test_nothing_but_the_master_key_lets_an_operator_in(admin: Operator) -> None:
    for key in [None, "tenant", MASTER[:-1], MASTER + "x", "ümlaut"]:
        headers = {} if key is None else {"authorization": f"Bearer {admin.proxy.key if key == 'tenant' else key}"}
        async with aiohttp.ClientSession(admin.proxy.url, headers=headers) as http:
            for path in ("/tenants", "/models/refresh", "/nothing"):
                async with http.get(f"{ADMIN}{path}") as reply:
                    assert reply.status == 401
                    assert (await reply.json())["error"]["code"] == "invalid_api_key"


async def test_the_master_key_is_no_tenants_key(admin: Operator) -> None:
    assert await admin.serves(MASTER) == 401


def test_a_weak_master_key_is_refused_and_not_printed() -> None:
    with pytest.raises(ConfigurationError, match="ROUTER_ADMIN_KEY has 31 characters") as refused:
        Settings.from_environment({"ROUTER_ADMIN_KEY": "k" * 31})
    assert "kkk" not in str(refused.value)
    settings = Settings.from_environment({"ROUTER_ADMIN_KEY": MASTER})
    assert settings.admin_key == MASTER
    assert MASTER not in repr(settings)


async def test_the_master_key_is_never_logged(admin: Operator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await admin("GET", "/tenants")
    await admin("GET", "/nothing", code=404)
    assert MASTER not in caplog.text


async def test_a_login_that_does_not_own_the_schema_gets_an_error(admin: Operator, database: str) -> None:
    parts = urlsplit(database)
    name = f"{parts.path.lstrip('/')}_app"
    await admin.proxy.admin.fetch(f"create role {name} login password 'p' in role router_app")
    owner = admin.proxy.services.owner
    address = parts.netloc.rpartition("@")[2]
    owner._dsn = urlunsplit(parts._replace(netloc=f"{name}:p@{address}"))
    try:
        said = await admin("GET", "/tenants", code=403)
        assert "a login that owns the schema `router`" in said["error"]["message"]
        assert said["error"]["code"] == "forbidden"
    finally:
        await owner.close()
        owner._db = None
        await admin.proxy.admin.fetch(f"drop role {name}")


async def test_a_database_that_is_away_is_503(admin: Operator) -> None:
    admin.proxy.services.owner._dsn = "postgresql://nobody@127.0.0.1:1/nowhere"
    assert (await admin("GET", "/tenants", code=503))["error"]["code"] == "memory_unavailable"


async def test_requests_are_counted_by_their_whole_path(admin: Operator) -> None:
    await admin("GET", "/tenants/acme/keys")
    async with admin.http.get("/metrics") as reply:
        assert f'route="{ADMIN}/tenants/{{tenant}}/keys",status="200"' in await reply.text()
