"""Web pages of other origins: preflights, and the headers by which a browser lets a page read an answer."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from tests.support.proxy import Proxy, ProxyFactory

APP = "https://app.example.com"
OBSIDIAN = "app://obsidian.md"
ASKS = {"origin": APP, "access-control-request-method": "POST"}
BODY = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


async def called(proxy: Proxy, method: str, path: str, origin: str | None = APP, **options: Any) -> Any:
    """Send a request; the answer with its body read."""
    headers = {"authorization": f"Bearer {options.pop('key', proxy.key)}", **options.pop("headers", {})}
    if origin is not None:
        headers["origin"] = origin
    async with (
        aiohttp.ClientSession(proxy.url, headers=headers) as http,
        http.request(method, path, **options) as response,
    ):
        await response.read()
        return response


def exposed(response: Any) -> set[str]:
    return {name.strip() for name in response.headers["access-control-expose-headers"].lower().split(",")}


async def preflight(proxy: Proxy, path: str, **headers: str) -> Any:
    async with aiohttp.ClientSession(proxy.url) as http, http.options(path, headers={**ASKS, **headers}) as response:
        await response.read()
        return response


async def test_without_the_setting_no_answer_speaks_of_origins(proxy: Proxy) -> None:
    for response in (
        await called(proxy, "POST", "/v1/chat/completions", json=BODY, headers={"x-fake": "cookies"}),
        await called(proxy, "GET", "/v1/models"),
        await preflight(proxy, "/v1/chat/completions"),
    ):
        assert not [name for name in response.headers if name.lower().startswith("access-control-")]
    assert (await preflight(proxy, "/v1/chat/completions")).status == 401


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/messages", "/v1/models", "/v1/files", "/v1/router/usage", "/healthz"]
)
async def test_a_preflight_needs_no_key(proxies: ProxyFactory, path: str) -> None:
    asked = "authorization,content-type, x-stainless-os,X-Router-Task"
    async with proxies(cors_origins=(APP, OBSIDIAN)) as proxy:
        for origin in (APP, OBSIDIAN):
            response = await preflight(proxy, path, **{"origin": origin, "access-control-request-headers": asked})
            assert response.status == 204
            assert response.headers["access-control-allow-origin"] == origin
            assert "POST" in response.headers["access-control-allow-methods"]
            assert response.headers["access-control-allow-headers"] == asked
            assert "Origin" in response.headers.getall("vary")


async def test_other_origins_are_refused(proxies: ProxyFactory) -> None:
    async with proxies(cors_origins=(APP,)) as proxy:
        for origin in ("https://evil.example", APP + ":8443", "http://app.example.com", APP + ".evil.example", "null"):
            response = await preflight(proxy, "/v1/chat/completions", origin=origin)
            assert (response.status, "access-control-allow-origin" in response.headers) == (403, False)
            response = await called(proxy, "GET", "/v1/models", origin)
            assert (response.status, "access-control-allow-origin" in response.headers) == (200, False)
            assert "Origin" in response.headers.getall("vary")


@pytest.mark.parametrize("origins", [(APP,), ("*",)])
async def test_every_answer_may_be_read(proxies: ProxyFactory, origins: tuple[str, ...]) -> None:
    async with proxies(cors_origins=origins, retries=0) as proxy:
        post = "POST", "/v1/chat/completions"
        for status, response in (
            (200, await called(proxy, *post, json=BODY)),
            (200, await called(proxy, *post, json={**BODY, "stream": True})),
            (400, await called(proxy, *post, json={})),
            (401, await called(proxy, *post, json=BODY, key="rk-no")),
            (429, await called(proxy, *post, json=BODY, headers={"x-fake": "status=429"})),
            (200, await called(proxy, "GET", "/v1/models")),
            (200, await called(proxy, "GET", "/v1/files")),
            (404, await called(proxy, "GET", "/nowhere")),
            (404, await called(proxy, "POST", "/v1/chat/completions/", json=BODY)),
            (405, await called(proxy, "DELETE", "/healthz")),
        ):
            assert response.status == status
            assert response.headers.getall("access-control-allow-origin") == ["*" if origins == ("*",) else APP]
            assert {"x-router-model", "x-request-id", "retry-after", "x-ratelimit-remaining-tokens"} <= exposed(
                response
            )
            given = {
                name.lower() for name in response.headers if name.lower().startswith(("x-router-", "x-ratelimit-"))
            }
            assert given <= exposed(response)


async def test_the_providers_own_rules_are_replaced(proxies: ProxyFactory) -> None:
    async with proxies(cors_origins=("*",)) as proxy:
        response = await called(proxy, "GET", "/v1/models", None)
        assert response.headers.getall("access-control-allow-origin") == ["*"]
        response = await preflight(proxy, "/v1/models", **{"access-control-request-private-network": "true"})
        assert response.headers["access-control-allow-private-network"] == "true"
        assert "access-control-allow-credentials" not in response.headers


async def test_options_without_an_origin_is_no_preflight(proxies: ProxyFactory) -> None:
    async with (
        proxies(cors_origins=(APP,)) as proxy,
        aiohttp.ClientSession(proxy.url) as http,
        http.options("/v1/files") as response,
    ):
        assert response.status == 401


def test_origins_are_checked() -> None:
    def read(given: str) -> tuple[str, ...]:
        return Settings.from_environment({"ROUTER_CORS_ORIGINS": given}).cors_origins

    assert read(f"{APP}/ , http://localhost:3000,{OBSIDIAN}") == (APP, "http://localhost:3000", OBSIDIAN)
    assert (read("*"), read("  ")) == (("*",), ())
    for wrong in ("app.example.com", "https://*.example.com", f"{APP}/path", "https://"):
        with pytest.raises(ConfigurationError, match="ROUTER_CORS_ORIGINS"):
            read(wrong)
