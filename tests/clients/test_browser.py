"""A real browser on another origin: what CORS lets a page do, and what it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from app.store import limits
from scripts.fake_provider.server import Running, streamed_text
from tests.support.browser import browsing, page_server
from tests.support.databases import Databases
from tests.support.fake_provider import HELLO
from tests.support.node import installed
from tests.support.proxy import STRONG, Proxy, running_proxy

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

BODY = {"model": "auto", "messages": HELLO}


@dataclass(frozen=True)
class World:
    """A page in a browser, and a router."""

    browser: Browser
    page: Page
    proxy: Proxy
    origin: str
    upstream: Running

    async def call(self, function: str, *arguments: Any, key: str | None = None, url: str | None = None) -> Any:
        """Call a function of the page."""
        given = [url or self.proxy.url, key or self.proxy.key, *arguments]
        async with asyncio.timeout(20):
            return await self.page.evaluate(f"given => window.{function}(...given)", given)


@pytest.fixture(scope="module")
async def world(databases: Databases, upstream: Running) -> AsyncIterator[World]:
    async with browsing() as browser, page_server() as origin:
        with databases.fresh() as dsn:
            async with running_proxy(dsn, upstream.url, cors_origins=(origin,), retries=0) as proxy:
                upstream.clear()
                page = await browser.new_page()
                await page.goto(origin)
                yield World(browser, page, proxy, origin, upstream)


async def test_a_page_streams_a_chat_and_reads_the_routers_headers(world: World) -> None:
    found = await world.call("stream", BODY)
    assert found["status"] == 200
    assert found["text"].endswith("data: [DONE]\n\n")
    assert found["headers"]["x-router-model"] == STRONG
    assert {"x-router-decision", "x-router-reason", "x-router-attempts"} <= found["headers"].keys()
    slow = await world.call("stream", {**BODY, "model": STRONG}, {"x-custom": "kept", "x-fake": "gap=0.1"})
    assert slow["reads"] > 3, "events arrive one by one"


async def test_a_page_reads_errors_and_when_to_try_again(world: World) -> None:
    found = await world.call("ask", "POST", "/v1/chat/completions", {"model": ""})
    assert (found["status"], orjson.loads(found["text"])["error"]["param"]) == (400, "model")
    found = await world.call("ask", "POST", "/v1/chat/completions", BODY, key="rk-no")
    assert (found["status"], "invalid_api_key" in found["text"]) == (401, True)
    found = await world.call("ask", "POST", "/v1/v1/chat/completions", BODY)
    assert (found["status"], "/v1/chat/completions" in found["text"]) == (404, True)
    plan = {"x-fake": "status=429;retry-after=7"}
    found = await world.call("ask", "POST", "/v1/chat/completions", {**BODY, "model": STRONG}, plan)
    assert (found["status"], found["headers"]["retry-after"]) == (429, "7")


async def test_a_page_reads_its_limits(world: World) -> None:
    await limits.put_limits(world.proxy.admin, world.proxy.tenant_id, requests=1)
    world.proxy.services.directory.invalidate()
    try:
        for status in (200, 429):
            found = await world.call("ask", "POST", "/v1/chat/completions", BODY)
            assert (found["status"], found["headers"]["x-ratelimit-limit-requests"]) == (status, "1")
        assert int(found["headers"]["retry-after"]) > 0
    finally:
        await world.proxy.admin.fetch(
            "select router.put_limits($1, null, null, null, null, null)", world.proxy.tenant_id
        )
        world.proxy.services.directory.invalidate()


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "POST"])
async def test_every_method_passes_the_preflight(world: World, method: str) -> None:
    body = None if method in ("GET", "DELETE") else {"a": 1}
    found = await world.call("ask", method, "/v1/some/day/new", body, {"x-stainless-anything": "new"})
    assert found["status"] == 200


async def test_a_page_that_aborts_ends_the_providers_answer(world: World) -> None:
    world.upstream.clear()
    plan = {"x-fake": "chunks=500;gap=0.05"}
    assert await world.call("abort", {**BODY, "model": STRONG}, plan) == 200
    async with asyncio.timeout(10):
        while not world.upstream.log()[-1]["disconnected"]:
            await asyncio.sleep(0.05)


async def test_a_page_of_another_origin_is_refused_before_a_model_is_asked(world: World) -> None:
    world.upstream.clear()
    # The browser treats another host name as another origin, although it is the same server.
    other = world.origin.replace("127.0.0.1", "localhost")
    page = await world.browser.new_page()
    try:
        await page.goto(other)
        elsewhere = replace(world, page=page)
        found = await elsewhere.call("ask", "POST", "/v1/chat/completions", BODY)
        assert found == {"failed": "TypeError"}
        simple = await page.evaluate(
            """url => fetch(url, {method: 'POST', mode: 'no-cors', body: '{"model": "auto"}'}).then(r => r.type)""",
            f"{world.proxy.url}/v1/chat/completions",
        )
        assert simple == "opaque", "without a preflight there is no key, and nothing can be read"
    finally:
        await page.close()
    assert world.upstream.log() == []


async def test_a_sandboxed_page_has_the_origin_null_which_is_refused(world: World) -> None:
    found = await world.page.evaluate(
        """url => new Promise(resolve => {
            const frame = document.createElement('iframe');
            frame.sandbox = 'allow-scripts';
            window.addEventListener('message', event => { frame.remove(); resolve(event.data); }, {once: true});
            frame.srcdoc = `<script>fetch('${url}/v1/models', {headers: {authorization: 'Bearer x'}})
                .then(r => r.status, e => e.name).then(found => parent.postMessage(found, '*'))<\\/script>`;
            document.body.append(frame);
        })""",
        world.proxy.url,
    )
    assert found == "TypeError"


async def test_openais_client_runs_in_the_page(world: World) -> None:
    await asyncio.to_thread(installed)
    # The client may have been installed only now, after the start of the module's page server.
    async with (
        page_server() as origin,
        running_proxy(world.proxy.admin.dsn, world.upstream.url, cors_origins=("*",), retries=0) as proxy,
    ):
        page = await world.browser.new_page()
        await page.goto(origin)
        found = await replace(world, page=page, proxy=proxy).call("official", "auto")
        await page.close()
    assert found == {"text": streamed_text(), "served": STRONG, "refused": [True, 401]}
