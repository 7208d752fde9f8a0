"""HTTP/1.1 on raw sockets: writes that are joined, and requests that are refused."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.server.joined_transport import COPIED
from app.server.protocol import HEAD, Protocol
from tests.support.protocol import GET, Endpoint, answering, config, connected, read_answer, served


class Wire(asyncio.Transport):
    """Records what a protocol writes, one entry per write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed, "written after the end"
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def written(app: Endpoint, request: bytes) -> Wire:
    """Return what is written until `request` is complete."""
    made = config(app)
    made.load()
    state = ServerState()
    protocol = Protocol(made, state, {})
    wire = Wire()
    protocol.connection_made(wire)
    protocol.data_received(request)
    while state.tasks:
        await asyncio.gather(*state.tasks)
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    return wire


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_whole_answer_is_one_write(chunked: bool) -> None:
    wire = await written(answering(b"whole", chunked=chunked), GET)
    assert len(wire.writes) == 1
    assert wire.writes[0].endswith(b"\r\n\r\n5\r\nwhole\r\n0\r\n\r\n" if chunked else b"\r\n\r\nwhole")


async def test_a_large_body_is_not_copied_and_comes_behind_its_head() -> None:
    body = b"x" * (COPIED + 1)
    wire = await written(answering(body), GET)
    assert len(wire.writes) == 2
    assert wire.writes[0].endswith(b"\r\n\r\n")
    assert wire.writes[1] == body


async def test_a_body_that_looks_like_a_head_is_a_body() -> None:
    body = b"HTTP/1.1 200 OK\r\n\r\n"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"57")]})
        for _ in range(3):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    assert b"".join((await written(app, GET)).writes).endswith(b"\r\n\r\n" + 3 * body)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_an_answer_without_a_body_is_its_head(method: str, status: int) -> None:
    body = b"" if status != 200 else b"not sent"
    wire = await written(answering(body, status), GET.replace(b"GET", method.encode()))
    assert len(wire.writes) == 1
    assert wire.writes[0].startswith(b"HTTP/1.1 %d " % status)
    assert wire.writes[0].endswith(b"\r\n\r\n")


async def test_the_head_of_the_last_answer_goes_out_before_the_connection_is_closed() -> None:
    wire = await written(answering(b""), GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    assert wire.closed
    assert b"connection: close" in b"".join(wire.writes)


async def test_the_head_of_a_stream_waits_for_nothing() -> None:
    over = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await over.wait()
        await send({"type": "http.response.body", "body": b"late"})

    async with served(app) as port, connected(port) as (reader, writer):
        writer.write(GET)
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 200 OK")
        over.set()
        assert await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5) == b"4\r\nlate\r\n0\r\n\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body of the request."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await answering(body)(scope, receive, send)


async def test_a_connection_carries_one_request_after_another_and_several_at_once() -> None:
    def post(body: bytes) -> bytes:
        return b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    async with served(echo) as port, connected(port) as (reader, writer):
        bodies = [b"one", b"", b"x" * 300_000, b"four"]
        for body in bodies:
            writer.write(post(body))
            assert (await read_answer(reader))[1] == body
        writer.write(b"".join(map(post, bodies)))
        for body in bodies:
            assert (await read_answer(reader))[1] == body


async def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    async with served(echo) as port, connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await read_answer(reader))[1] == b"hi"


H2C = b"host: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_client_that_would_rather_speak_another_protocol_is_answered_in_this_one(
    apart: bool, chunked: bool
) -> None:
    head = b"POST / HTTP/1.1\r\n" + H2C + (b"transfer-encoding: chunked\r\n" if chunked else b"content-length: 2\r\n")
    body = b"2\r\nhi\r\n0\r\n\r\n" if chunked else b"hi"
    async with served(echo) as port, connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(head + b"\r\n" + (b"" if apart else body))
            if apart:
                await asyncio.sleep(0.05)
                writer.write(body)
            assert (await read_answer(reader))[1] == b"hi"


async def test_what_asks_for_another_protocol_is_not_passed_on() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["headers"])
        await answering(b"ok")(scope, receive, send)

    await written(app, b"GET / HTTP/1.1\r\nx-a: b\r\n" + H2C + b"\r\n" + GET)
    assert seen == [[(b"x-a", b"b"), (b"host", b"h")], [(b"host", b"h")]]


async def test_nothing_is_tunnelled() -> None:
    wire = await written(echo, b"CONNECT elsewhere:443 HTTP/1.1\r\nhost: h\r\n\r\n")
    assert (wire.closed, b"".join(wire.writes)[:13]) == (True, b"HTTP/1.1 400 ")


@pytest.mark.parametrize("before", [b"", GET])
@pytest.mark.parametrize("filled", [b"x: ", b"x: a\r\n", b"x"])
async def test_a_head_without_an_end_is_not_waited_for(before: bytes, filled: bytes) -> None:
    async with served(echo) as port, connected(port) as (reader, writer):
        writer.write(before)
        if before:
            await read_answer(reader)
        writer.write(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(4 * HEAD // 16_384):
                writer.write((filled * 16_384)[:16_384])
                await writer.drain()
                await asyncio.sleep(0)
            assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 431 ")


async def test_a_long_head_and_a_longer_body_are_no_matter() -> None:
    async with served(echo) as port, connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nx: %b\r\ncontent-length: %d\r\n\r\n" % (b"a" * (HEAD // 2), 3 * HEAD))
        writer.write(b"y" * 3 * HEAD)
        assert (await read_answer(reader))[1] == b"y" * 3 * HEAD


@pytest.mark.parametrize("started", [False, True])
async def test_an_endpoint_that_fails_is_a_500_or_the_end_of_the_connection(started: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        raise ValueError

    async with served(app) as port, connected(port) as (reader, writer):
        writer.write(GET)
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n" if started else b"HTTP/1.1 500 ")


async def test_what_is_no_http_is_a_400() -> None:
    async with served(echo) as port, connected(port) as (reader, writer):
        writer.write(b"nonsense\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 400 ")
