"""Connections that cost more than they bring: pipelined, silent, half and too many."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from app.server import protocol
from app.server.protocol import PIPELINED, Limits
from tests.support.loop_watch import watched_loop
from tests.support.protocol import GET, answering, connected, read_answer, served

UPGRADE = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SWEEP", 0.05)


@pytest.mark.parametrize("request_", [UPGRADE, GET, POST, b"GET / HTTP/1.0\r\n\r\n", UPGRADE + GET])
async def test_pipelined_requests_do_not_stop_the_loop(request_: bytes) -> None:
    async with served(answering(b"ok")) as port, connected(port) as (_, writer), watched_loop() as watch:
        writer.write(request_ * (260_000 // len(request_)))
        await asyncio.sleep(1)
    print(f"{watch.longest * 1000:.1f} ms")
    assert watch.longest < 0.25


@pytest.mark.parametrize("request_", [UPGRADE, GET, POST])
async def test_all_pipelined_requests_are_answered(request_: bytes) -> None:
    count = 30 * PIPELINED
    async with served(answering(b"ok")) as port, connected(port) as (reader, writer):
        writer.write(request_ * count)
        for _ in range(count):
            assert (await read_answer(reader))[1] == b"ok"
        writer.write(GET)
        assert (await read_answer(reader))[1] == b"ok"


LIMITS = Limits(head=0.3, body=0.3)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET[:-2], b"\r\n", GET + b"GET /"])
async def test_heads_that_do_not_end_are_closed(sent: bytes) -> None:
    async with served(answering(b"ok"), LIMITS) as port, connected(port) as (reader, writer):
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 5)
    assert b"HTTP/1.1 408 Request Timeout" in answer


async def test_a_head_that_drips_is_closed_too() -> None:
    async with served(answering(b"ok"), LIMITS) as port, connected(port) as (reader, writer):
        begun = time.monotonic()
        while not reader.at_eof() and time.monotonic() - begun < 5:
            writer.write(b"x")
            await asyncio.wait({asyncio.create_task(reader.read())}, timeout=0.05)
        assert time.monotonic() - begun < 2


async def read_all(scope: object, receive: object, send: object) -> None:
    while (await receive()).get("more_body"):  # type: ignore[operator]
        pass
    await answering(b"ok")(scope, receive, send)  # type: ignore[arg-type]


@pytest.mark.parametrize("half", [b"content-length: 9\r\n\r\nabc", b"transfer-encoding: chunked\r\n\r\n3\r\nabc"])
async def test_bodies_that_do_not_end_are_closed(half: bytes) -> None:
    async with served(read_all, LIMITS) as port, connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: h\r\n" + half)
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 408 ")


async def test_an_answer_may_take_longer_than_a_head_and_a_body_may_drip() -> None:
    async def slow(scope: object, receive: object, send: object) -> None:
        await asyncio.sleep(0.6)
        await read_all(scope, receive, send)

    async with served(slow, LIMITS) as port, connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\n")
        for byte in b"abcd":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.15)
        assert (await read_answer(reader))[1] == b"ok"
        await asyncio.sleep(0.6)
        writer.write(POST)
        assert (await read_answer(reader))[1] == b"ok", "an idle connection is kept as long as before"


async def test_connections_over_the_limit_get_503_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pgrouter.server"):
        async with served(answering(b"ok"), Limits(connections=2)) as port:
            async with connected(port), connected(port):
                for _ in range(5):
                    async with connected(port) as (reader, _):
                        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 503 ")
            await asyncio.sleep(0.05)
            async with connected(port) as (reader, writer):
                writer.write(GET)
                assert (await read_answer(reader))[1] == b"ok"
    assert len([each for each in caplog.records if "503" in each.message]) == 1


async def test_invalid_requests_are_logged_seldom(caplog: pytest.LogCaptureFixture) -> None:
    async with served(answering(b"ok")) as port:
        for _ in range(20):
            async with connected(port) as (reader, writer):
                writer.write(b"nonsense\r\n\r\n")
                assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 400 ")
    assert len(caplog.records) <= 1
