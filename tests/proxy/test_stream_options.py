"""The usage that the router asks for: providers that refuse the field, and events under other content types."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from tests.support.proxy import Proxy
from tests.support.raw_provider import call, provider, served_by

EVENTS = (
    b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7}}\n\ndata: [DONE]\n\n'
)
BODY = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}


class Picky:
    """A provider that refuses `stream_options`, and keeps the bodies it got."""

    def __init__(self, status: int = 422, error: str = "stream_options: extra fields", kind: str = "text/event-stream"):
        self.status, self.error, self.kind = status, error, kind
        self.bodies: list[dict[str, object]] = []

    async def __call__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        self.bodies.append(orjson.loads(await reader.readexactly(length)))
        refused = self.status != 200 and "stream_options" in self.bodies[-1]
        body = orjson.dumps({"error": {"message": self.error}}) if refused else EVENTS
        writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\n" % (self.status if refused else 200))
        writer.write(b"content-type: %b\r\n" % (b"application/json" if refused else self.kind.encode()))
        writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("error", ["stream_options: extra fields", "unknown field include_usage"])
async def test_a_provider_that_refuses_the_field_is_asked_without_it(proxy: Proxy, status: int, error: str) -> None:
    picky = Picky(status, error)
    async with provider(picky) as url:
        await served_by(proxy, url, speaks=("chat",))
        for _ in range(2):
            found, body = await call(proxy, "POST", "/v1/chat/completions", json=BODY)
            assert (found, body) == (200, EVENTS), "usage that comes unasked stays"
    assert ["stream_options" in body for body in picky.bodies] == [True, False, False]


async def test_another_error_is_passed_on(proxy: Proxy) -> None:
    picky = Picky(400, "temperature is too high")
    async with provider(picky) as url:
        await served_by(proxy, url, speaks=("chat",))
        status, body = await call(proxy, "POST", "/v1/chat/completions", json=BODY)
    assert status == 400
    assert b"temperature" in body
    assert all("stream_options" in body for body in picky.bodies)


async def test_an_error_that_quotes_the_field_from_the_request_says_nothing_of_the_provider(proxy: Proxy) -> None:
    class Quoting(Picky):
        async def __call__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            self.bodies.append(orjson.loads(body))
            bad = b'"temperature"' in body
            answer = b'{"error":{"message":"bad: stream_options"}}' if bad else EVENTS
            writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\n" % (400 if bad else 200))
            writer.write(b"content-type: %b\r\n" % (b"application/json" if bad else b"text/event-stream"))
            writer.write(b"content-length: %d\r\n\r\n" % len(answer) + answer)
            await writer.drain()

    quoting = Quoting()
    async with provider(quoting) as url:
        await served_by(proxy, url, speaks=("chat",))
        assert (await call(proxy, "POST", "/v1/chat/completions", json={**BODY, "temperature": 99}))[0] == 400
        assert not proxy.services.refusals.without_stream_options
        status, body = await call(proxy, "POST", "/v1/chat/completions", json=BODY)
    assert status == 200
    assert b'"usage"' not in body
    assert "stream_options" in quoting.bodies[-1]


async def test_a_stream_under_way_keeps_its_usage_back_when_the_provider_begins_to_refuse(proxy: Proxy) -> None:
    async def serve(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # As another request does in the meantime.
        proxy.services.refusals.without_stream_options.add("fake")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + EVENTS)
        await writer.drain()

    async with provider(serve) as url:
        await served_by(proxy, url, speaks=("chat",))
        _, body = await call(proxy, "POST", "/v1/chat/completions", json=BODY)
    assert b'"usage"' not in body


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/octet-stream", "application/x-ndjson"])
async def test_events_are_recognised_under_any_content_type(proxy: Proxy, kind: str) -> None:
    async with provider(Picky(200, "", kind)) as url:
        await served_by(proxy, url, speaks=("chat",))
        _, body = await call(proxy, "POST", "/v1/chat/completions", json=BODY)
    assert b'"usage"' not in body
    assert body.endswith(b"data: [DONE]\n\n")
    (row,) = await proxy.ledger()
    assert (row["prompt_tokens"], row["completion_tokens"]) == (11, 7)


async def test_usage_that_the_client_asks_for_in_another_way_stays(proxy: Proxy) -> None:
    async with provider(Picky(200)) as url:
        await served_by(proxy, url, speaks=("chat",))
        _, body = await call(proxy, "POST", "/v1/chat/completions", json={**BODY, "usage": {"include": True}})
    assert body == EVENTS
