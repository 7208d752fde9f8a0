"""The real application on a real port inside the test's event loop, with a tenant."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import openai
import uvicorn

from app.api_keys import hash_of, hint_of, make_key
from app.server.app import create_app
from app.server.protocol import Protocol
from app.services import Services, running
from app.settings import Settings
from app.store import keys, models, policies, providers, tenants
from app.store.database import Database
from tests.support.contract import Contract

CHEAP, STRONG = "cheap", "strong"
SPEAKS = ("chat", "responses", "messages", "completions", "embeddings")
#: Headers of the tests themselves, which the fake provider reads or reports.
TEST_HEADERS = ("x-fake", "x-mixed", "x-custom", "x-hop", "x-kept")
#: USD per million tokens, input and output.
PRICES = {CHEAP: (0.15, 0.6), STRONG: (2.5, 10.0)}


#: Starts more proxies on the same database: `async with proxies(…settings…) as proxy`.
ProxyFactory = Callable[..., Any]


@dataclass
class Proxy:
    """A running proxy and one of its tenants."""

    url: str
    key: str
    tenant_id: int
    key_id: int
    admin: Database
    services: Services

    def client(self, key: str | None = None, **options: Any) -> openai.AsyncOpenAI:
        """Return OpenAI's official client with the proxy's base URL and a key."""
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key or self.key, max_retries=0, **options)

    def http(self, key: str | None = None) -> aiohttp.ClientSession:
        """Return an HTTP client that sends the key and does not decompress bodies."""
        return aiohttp.ClientSession(
            self.url, headers={"authorization": f"Bearer {key or self.key}"}, auto_decompress=False
        )

    async def rank(self, examples: Sequence[dict[str, Any]], key: str | None = None) -> None:
        """Teach a batch over HTTP."""
        async with self.http(key) as http, http.post("/v1/router/preferences/rank", json={"examples": examples}) as r:
            assert r.status == 200, await r.text()

    async def new_tenant(self, name: str, **policy: Any) -> tuple[int, str]:
        """Make another tenant with a policy `auto`, and return its number and a key."""
        return await make_tenant(self.admin, name, **policy)

    async def ledger(self, count: int = 1) -> list[Any]:
        """Wait for `count` rows of the ledger, and return the newest ones, oldest first."""
        for _ in range(100):
            rows = await self.admin.fetch("select * from router.decisions order by decided_at desc, decision_id desc")
            if len(rows) >= count and not self.services.ledger.queued:
                return list(reversed(rows[:count]))
            await asyncio.sleep(0.05)
        raise AssertionError(f"the ledger has {len(rows)} rows, not {count}")


async def add_models(admin: Database, upstream_url: str) -> None:
    """Add the fake provider, whose key is in FAKE_PROVIDER_KEY, with its models and their prices."""
    await providers.put_provider(admin, "fake", upstream_url, "FAKE_PROVIDER_KEY", speaks=SPEAKS)
    for model, (input_price, output_price) in PRICES.items():
        await models.put_model(admin, model, "fake", input_price=input_price, output_price=output_price)


async def make_tenant(admin: Database, name: str, **policy: Any) -> tuple[int, str]:
    """Make a tenant with policy `auto` over `cheap` and `strong`; `policy` overrides its arguments and settings."""
    route_explicit = policy.pop("route_explicit", False)
    store_prompts = policy.pop("store_prompts", True)
    cap = policy.pop("memory_cap", 5000)
    tenant_id = await tenants.create_tenant(
        admin, name, route_explicit=route_explicit, store_prompts=store_prompts, memory_cap=cap
    )
    await policies.put_policy(
        admin,
        tenant_id,
        "auto",
        backend=policy.pop("backend", "knn"),
        default=policy.pop("default", STRONG),
        models=policy.pop("models", (CHEAP, STRONG)),
        weights=policy.pop("weights", None),
        # High enough that of two good models the cheap one is chosen, with any default.
        settings={"alpha": 0.3, **policy},
    )
    key = make_key()
    await keys.create_key(admin, tenant_id, hash_of(key), hint_of(key))
    return tenant_id, key


async def key_for_cheap(proxy: Proxy) -> str:
    """Make a key of the proxy's tenant that may use the cheap model alone."""
    key = make_key()
    await keys.create_key(proxy.admin, proxy.tenant_id, hash_of(key), hint_of(key), "", None, [CHEAP])
    return key


@asynccontextmanager
async def running_proxy(dsn: str, upstream_url: str, *, name: str = "acme", **options: Any) -> AsyncIterator[Proxy]:
    """Run a proxy on `dsn`; `options` are fields of `Settings`, or of the tenant's policy under `policy`."""
    policy = options.pop("policy", {})
    admin = Database(dsn, size=2, role=None)
    await admin.open()
    await add_models(admin, upstream_url)
    known = {tenant.name: tenant.tenant_id for tenant in await tenants.list_tenants(admin)}
    tenant_id, key = (known[name], make_key()) if name in known else await make_tenant(admin, name, **policy)
    if name in known:
        await keys.create_key(admin, tenant_id, hash_of(key), hint_of(key))
    defaults = {"pool_size": 4, "forwarded_headers": TEST_HEADERS}
    async with serving(Settings(database_url=dsn, **{**defaults, **options})) as (url, services):
        caller = await services.directory.caller(key)
        yield Proxy(url, key, tenant_id, caller.key_id, admin, services)
    await admin.close()


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[str, Services]]:
    """Serve the application on a free port; yields its URL and services."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with running(settings) as services:
            config = uvicorn.Config(
                Contract(create_app(services)),
                http=Protocol,
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                ws="none",
                proxy_headers=False,
            )
            server = uvicorn.Server(config)
            server.capture_signals = _nothing  # type: ignore[method-assign, assignment]
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                assert not task.done(), "the proxy did not start"
                await asyncio.sleep(0.01)
            try:
                yield url, services
            finally:
                server.should_exit = True
                await task


class _nothing:  # noqa: N801
    """A context that installs no signal handlers: pytest keeps its own."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...
