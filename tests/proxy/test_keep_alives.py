"""Comments keep a waiting stream alive."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from app.dialects.sse import data_of
from scripts.fake_provider.server import Running
from tests.support.proxy import STRONG, Proxy, ProxyFactory
from tests.support.streams import APIS, anonymous, cut, provider, redirected, stream

KEEP_ALIVE = b": keep-alive\n\n"


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("model", [STRONG, "auto"])
async def test_comments_keep_a_waiting_client_and_change_nothing_else(
    proxies: ProxyFactory, upstream: Running, api: str, model: str
) -> None:
    upstream.clear()
    async with proxies() as quick:
        _, plain = await stream(quick, api, model=model)
    async with proxies(keepalive=0.05) as proxy:
        response, body = await stream(proxy, api, "delay=0.2", model)
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert body.startswith(KEEP_ALIVE)
        assert anonymous(body.replace(KEEP_ALIVE, b"")) == anonymous(plain)
        if model == "auto":
            row = (await proxy.ledger(2))[-1]
            assert response.headers["x-router-decision"] == str(row["decision_id"])
            assert "x-router-model" not in response.headers, "the serving model is not known yet"


@pytest.mark.parametrize("model", [STRONG, "auto"])
async def test_comments_come_between_events_and_never_within_one(
    proxies: ProxyFactory, upstream: Running, model: str
) -> None:
    """The provider sends one event in halves, with a pause in it that is longer than the keep-alive interval."""
    halves = [b'data: {"choices":[{"delta":', b'{"content":"a"}}]}\n\n', b"data: [DONE]\n\n"]

    async def says(writer: asyncio.StreamWriter) -> None:
        for half in halves:
            writer.write(b"%x\r\n%b\r\n" % (len(half), half))
            await asyncio.sleep(0.2)
        writer.write(b"0\r\n\r\n")

    async with proxies(keepalive=0.04, first_byte_timeout=5) as proxy, provider(says) as url:
        await redirected(proxy, url)
        _, body = await stream(proxy, model=model)
    assert body.replace(KEEP_ALIVE, b"") == b"".join(halves)
    assert KEEP_ALIVE in body
    assert all(event == KEEP_ALIVE or event in (halves[0] + halves[1], halves[2]) for event in cut(body))


async def test_without_the_setting_nothing_is_put_in(proxy: Proxy) -> None:
    _, body = await stream(proxy, plan="delay=0.2;gap=0.05")
    assert KEEP_ALIVE not in body


@pytest.mark.parametrize("api", APIS)
async def test_an_error_after_comments_is_an_event(proxies: ProxyFactory, upstream: Running, api: str) -> None:
    async with proxies(keepalive=0.05, retries=0) as proxy:
        response, body = await stream(proxy, api, "delay=0.2;status=500")
        assert response.status == 200, "the status was already sent"
        last = cut(body)[-1]
        assert "The fake provider failed as planned." in orjson.loads(data_of(last))["error"]["message"]
        assert last.startswith(b"event: error\n") == (api != "chat")
        response, body = await stream(proxy, api, "delay=0.2;drop")
        assert b"cannot be reached" in cut(body)[-1]
        rows = await proxy.ledger(2)
        assert [row["status"] for row in rows] == [500, 502]


async def test_an_error_before_any_comment_is_an_answer(proxies: ProxyFactory, upstream: Running) -> None:
    async with proxies(keepalive=30, retries=0) as proxy:
        response, _ = await stream(proxy, plan="status=429;retry-after=9")
        assert (response.status, response.headers["retry-after"]) == (429, "9")
