"""Comments keep a waiting stream alive."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from app.dialects.sse import data_of
from app.proxy.keepalive import Comments
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


@pytest.mark.parametrize("first", [b"id: 1\n", b"event: x\r\nid:1\r\n", b"id\n"])
@pytest.mark.parametrize("model", [STRONG, "auto"])
async def test_a_comment_ends_no_event_of_a_stream_with_ids(
    proxies: ProxyFactory, upstream: Running, first: bytes, model: str
) -> None:
    """openai-python takes the empty line behind a comment for an event without data, once it has seen an id."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    pieces = [first[:2], first[2:] + event, event, b"data: [DONE]\n\n"]

    async def says(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0.2)
        writer.write(b"0\r\n\r\n")

    async with proxies(keepalive=0.04, first_byte_timeout=5) as proxy, provider(says) as url:
        await redirected(proxy, url)
        _, body = await stream(proxy, model=model)
        assert b"\n: keep-alive\n" in body
        while body.startswith(KEEP_ALIVE):
            # Before the first byte of the provider no id is known.
            body = body.removeprefix(KEEP_ALIVE)
        assert b"".join(body.split(b": keep-alive\n")) == b"".join(pieces)
        async with proxy.client() as client:
            asked = [{"role": "user", "content": "hi"}]
            told = await client.chat.completions.create(model=model, messages=asked, stream=True)
            assert len([chunk async for chunk in told]) == 2


def test_what_is_no_id_of_an_event_changes_no_comment() -> None:
    for chunks, named in (
        ((b"data: id: 1\n\n",), False),
        ((b"idle: 1\n", b"data: x\n\nretry: 1\n\n"), False),
        ((b"data: x\n\ni", b"d", b": 1"), True),
        ((b"id", b"\n"), True),
        ((b"data: x\rid:1\r\r",), True),
    ):
        comments = Comments()
        for chunk in chunks:
            comments.feed(chunk)
        assert comments.next == (b": keep-alive\n" if named else KEEP_ALIVE), chunks
