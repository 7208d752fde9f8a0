"""A budget of nine serves nine while Postgres answers, whatever else keeps it or its connections busy."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import pytest

from app.errors import DatabaseUnavailable
from app.settings import Settings
from app.store import limits, models
from scripts.fake_provider.server import Running
from tests.support.databases import Databases
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory, running_proxy, serving
from tests.support.separable_prompts import easy, lessons

#: Tokens of an answer of the fake provider. Only these have a price, so a reservation is what is paid in the end.
ANSWER = 7
BUDGET = 9.5 * ANSWER * 10 / 1e6
ASK = {"model": STRONG, "messages": [{"role": "user", "content": "hi"}], "max_tokens": ANSWER}
#: What a managed host may set for a role or database.
HOSTS = {
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
    "transaction_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "1ms",
    "row_security": "off",
    "search_path": "public",
    "jit": "on",
    "transform_null_equals": "on",
    "timezone": "Asia/Kathmandu",
}


async def limit(proxy: Proxy) -> None:
    """Give the tenant a budget of nine requests."""
    await models.put_model(proxy.admin, STRONG, "fake", input_price=0, output_price=10)
    await proxy.admin.fetch("select router.put_limits($1, null, null, null, $2, null)", proxy.tenant_id, BUDGET)
    while not (await proxy.services.directory.caller(proxy.key)).metered:
        await asyncio.sleep(0.01)


async def spend_nothing(proxy: Proxy) -> None:
    """Empty the meters once the ledger has settled."""
    async with asyncio.timeout(10):
        while proxy.services.ledger.queued or await proxy.admin.fetch("select from router.reservations"):
            await asyncio.sleep(0.02)
    await proxy.admin.fetch("update router.meters set day_usd = 0, month_usd = 0, reserved_usd = 0")


async def routed(proxy: Proxy) -> tuple[int, str | None, str | None]:
    """Ask a routed request; return status, model and reason."""
    body: Any = {"model": "auto", "messages": [{"role": "user", "content": easy(1)}]}
    async with proxy.http() as http, http.post("/v1/chat/completions", json=body) as response:
        await response.read()
        return response.status, response.headers.get("x-router-model"), response.headers.get("x-router-reason")


async def burst(proxy: Proxy, size: int) -> Counter[int]:
    """Ask so many times at once, and count the answers by status."""
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"authorization": f"Bearer {proxy.key}"}

    async def ask(http: aiohttp.ClientSession) -> int:
        async with http.post("/v1/chat/completions", json=ASK) as response:
            await response.read()
            return response.status

    async with aiohttp.ClientSession(proxy.url, headers=headers, connector=connector) as http:
        return Counter(await asyncio.gather(*(ask(http) for _ in range(size))))


@asynccontextmanager
async def teaching(proxy: Proxy, key: str, loops: int) -> AsyncIterator[None]:
    """Teach batches in so many loops at once."""

    async def loop(number: int) -> None:
        async with proxy.http(key) as http:
            for turn in itertools.count():
                batch = lessons(40)
                for lesson in batch:
                    lesson["prompt"] += f" {number} {turn}"
                async with http.post("/v1/router/preferences/rank", json={"examples": batch}) as response:
                    await response.read()

    tasks = [asyncio.create_task(loop(number)) for number in range(loops)]
    await asyncio.sleep(0.3)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("pool_size", [1, 2, 8])
async def test_a_burst_does_not_pass_a_budget(proxies: ProxyFactory, upstream: Running, pool_size: int) -> None:
    async with proxies(pool_size=pool_size, maintain_seconds=0) as proxy:
        await limit(proxy)
        assert await burst(proxy, 400) == {200: 9, 402: 391}


@pytest.mark.parametrize("pool_size", [2, 8])
@pytest.mark.parametrize("whose", ["own", "another's"])
async def test_a_burst_beside_batches_that_are_taught_does_not_pass_a_budget(
    proxies: ProxyFactory, upstream: Running, pool_size: int, whose: str
) -> None:
    async with proxies(pool_size=pool_size, maintain_seconds=0) as proxy:
        await limit(proxy)
        key = proxy.key if whose == "own" else (await proxy.new_tenant("other"))[1]
        async with teaching(proxy, key, 8):
            found = await burst(proxy, 200)
    assert found == {200: 9, 402: 191}


@contextmanager
def login(databases: Databases, dsn: str, options: str) -> Iterator[str]:
    """A login of the app, with the role options given; yields its DSN."""
    name = f"pgrouter_test_{secrets.token_hex(4)}"
    databases.execute(f"create role {name} login password 'word' {options} in role router_app")
    try:
        yield f"postgresql://{name}:word@{dsn.rpartition('@')[2]}"
    finally:
        databases.execute(f"drop role {name}")


@asynccontextmanager
async def limited_server(databases: Databases, dsn: str, upstream: Running) -> AsyncIterator[Proxy]:
    """A proxy whose login may have three connections, one of which listens; its pool may have eight."""
    async with running_proxy(dsn, upstream.url) as owner:
        with login(databases, dsn, "connection limit 3") as limited:
            settings = Settings(database_url=limited, pool_size=8, maintain_seconds=0)
            async with serving(settings) as (url, services):
                yield Proxy(url, owner.key, owner.tenant_id, owner.key_id, owner.admin, services)


async def test_a_server_that_admits_fewer_connections_than_the_pool_has_is_not_away(
    databases: Databases, database: str, upstream: Running, caplog: pytest.LogCaptureFixture
) -> None:
    async with limited_server(databases, database, upstream) as proxy:
        await proxy.rank(lessons(120))
        await limit(proxy)
        async with teaching(proxy, (await proxy.new_tenant("other"))[1], 4):
            assert await burst(proxy, 300) == {200: 9, 402: 291}
            assert proxy.services.db.available
        refused = [record for record in caplog.records if "refused a connection" in record.message]
        assert len(refused) == 1


@pytest.mark.parametrize("target", ["role", "database"])
async def test_settings_of_the_host_do_not_reach_the_proxy(
    databases: Databases, database: str, upstream: Running, target: str
) -> None:
    async with running_proxy(database, upstream.url) as owner:
        free_id, free = await owner.new_tenant("free")
        await owner.rank(lessons(120), free)
        await limit(owner)
        with login(databases, database, "") as dsn:
            name = dsn.partition("//")[2].partition(":")[0] if target == "role" else database.rpartition("/")[2]
            # Each alone, then all of them.
            for settings in (*({setting: value} for setting, value in HOSTS.items()), HOSTS):
                for setting, value in settings.items():
                    databases.execute(f"alter {target} {name} set {setting} = '{value}'")
                await spend_nothing(owner)
                async with serving(Settings(database_url=dsn, pool_size=4, maintain_seconds=0)) as (url, services):
                    proxy = Proxy(url, owner.key, owner.tenant_id, owner.key_id, owner.admin, services)
                    assert await burst(proxy, 30) == {200: 9, 402: 21}, settings
                    others = Proxy(url, free, free_id, 0, owner.admin, services)
                    assert await routed(others) == (200, CHEAP, "learned"), settings
                    await others.rank(lessons(3))
                databases.execute(f"alter {target} {name} reset all")


@pytest.mark.parametrize("target", ["role", "database"])
async def test_a_host_that_makes_the_database_read_only_closes_limits_and_not_routing(
    databases: Databases, database: str, upstream: Running, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_proxy(database, upstream.url) as owner:
        await owner.rank(lessons(120))
        free_id, free = await owner.new_tenant("free")
        await owner.rank(lessons(120), free)
        await limit(owner)
        with login(databases, database, "") as dsn:
            name = dsn.partition("//")[2].partition(":")[0] if target == "role" else database.rpartition("/")[2]
            databases.execute(f"alter {target} {name} set default_transaction_read_only = on")
            settings = Settings(database_url=dsn, pool_size=4, maintain_seconds=0, admission_deadline=0.5)
            async with serving(settings) as (url, services):
                proxy = Proxy(url, owner.key, owner.tenant_id, owner.key_id, owner.admin, services)
                assert any("accepts no writes" in record.message for record in caplog.records)
                assert await burst(proxy, 30) == {503: 30}, "closed, not open"
                others = Proxy(url, free, free_id, 0, owner.admin, services)
                for _ in range(10):
                    assert await routed(others) == (200, CHEAP, "learned")
                async with others.http() as http:
                    async with http.post("/v1/router/preferences/rank", json={"examples": lessons(4)}) as response:
                        body = await response.json()
                        assert response.status == 503
                        assert "accepts no writes" in body["error"]["message"]
                    async with http.get("/v1/router/memories?limit=5") as response:
                        assert response.status == 200
                assert services.db.available
                databases.execute(f"alter {target} {name} reset default_transaction_read_only")
                async with asyncio.timeout(10):
                    while (await burst(proxy, 1)) != {200: 1}:
                        await asyncio.sleep(0.2)
                await others.ledger(11)


async def test_servers_that_accept_no_writes_close_limits_too(
    databases: Databases, database: str, upstream: Running
) -> None:
    async with running_proxy(database, upstream.url) as owner:
        await owner.rank(lessons(120))
        await limit(owner)
        with login(databases, database, "") as dsn:
            name = dsn.partition("//")[2].partition(":")[0]
            databases.execute(f"alter role {name} set default_transaction_read_only = on")
            host = dsn.rpartition("@")[2].partition("/")[0]
            settings = Settings(
                database_url=dsn.replace(host, f"{host},127.0.0.1:1"),
                pool_size=4,
                maintain_seconds=0,
                admission_deadline=0.5,
            )
            async with serving(settings) as (url, services):
                proxy = Proxy(url, owner.key, owner.tenant_id, owner.key_id, owner.admin, services)
                assert await burst(proxy, 10) == {503: 10}
                assert services.db.available


async def test_a_meter_that_is_locked_makes_callers_wait_and_then_refuses_them(proxies: ProxyFactory) -> None:
    async with proxies(admission_deadline=0.5, maintain_seconds=0) as proxy:
        await limit(proxy)
        async with proxy.admin.session() as blocker, blocker.transaction():
            await blocker.execute("select from router.meters for update")
            async with proxy.http() as http, http.post("/v1/chat/completions", json=ASK) as response:
                assert response.status == 503
                assert int(response.headers["retry-after"]) >= 1
                assert (await response.json())["error"]["code"] == "limits_unchecked"
            async with proxy.http() as http:
                waiting = asyncio.create_task(burst(proxy, 20))
                await asyncio.sleep(0.2)
        with contextlib.suppress(asyncio.CancelledError):
            assert (await waiting)[200] == 9
        assert proxy.services.db.available


async def test_a_reservation_is_released_if_the_request_is_cancelled_while_it_is_made(
    proxies: ProxyFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = limits.admit

    async def made(*arguments: Any, **options: Any) -> Any:
        await admit(*arguments, **options)
        raise asyncio.CancelledError

    async with proxies(maintain_seconds=0) as proxy:
        await limit(proxy)
        monkeypatch.setattr(limits, "admit", made)
        assert await burst(proxy, 1) == {503: 1}
        await spend_nothing(proxy)
        monkeypatch.undo()
        assert await burst(proxy, 12) == {200: 9, 402: 3}


async def test_an_uncertain_reservation_of_a_comparison_is_released(
    proxies: ProxyFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxies(admission_deadline=0.3, maintain_seconds=0) as proxy:
        await limit(proxy)
        asked = limits.admit

        async def lost(*arguments: Any, **options: Any) -> Any:
            # The statement is executed, and its answer does not arrive.
            await asked(*arguments, **options)
            raise DatabaseUnavailable("lost", cause="lost")

        monkeypatch.setattr(limits, "admit", lost)
        body = {"prompt": "hi", "models": [CHEAP, STRONG], "max_tokens": ANSWER}
        async with proxy.http() as http, http.post("/v1/router/preferences/compare", json=body) as response:
            answers = (await response.json())["answers"]
            assert [each["error"]["status"] for each in answers] == [503, 503]
        await proxy.ledger(2)
        assert await proxy.admin.fetch("select from router.reservations") == []
        (meter,) = await proxy.admin.fetch("select * from router.meters")
        assert (meter["reserved_usd"], meter["day_usd"]) == (0, 0)
