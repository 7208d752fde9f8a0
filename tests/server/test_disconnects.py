"""Slow readers, and requests whose client disconnects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from app.http.disconnect import ClientDisconnected, Disconnect, until_disconnect
from tests.support.protocol import GET, answering, connected, read_answer, served


async def test_a_slow_reader_pauses_the_writer() -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2000):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent += 65536
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})

    async with served(app) as port, connected(port) as (reader, writer):
        writer.write(GET)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.2)
        assert 0 < sent < 2000 * 65536 / 2
        tail = b""
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            tail = tail[-7:] + await asyncio.wait_for(reader.read(1 << 20), 5)
        assert sent == 2000 * 65536


@pytest.mark.parametrize("behind", [0, 1], ids=["alone", "with a request behind it"])
@pytest.mark.parametrize("started", [False, True], ids=["before the head", "after the head"])
async def test_work_ends_when_its_client_leaves(started: bool, behind: int) -> None:
    seen: list[str] = []
    working = asyncio.Event()
    over = asyncio.Event()

    async def work() -> None:
        working.set()
        await asyncio.sleep(60)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await until_disconnect(_never, work(), scope)
        except ClientDisconnected:
            seen.append("gone")
        over.set()

    async with served(app) as port:
        async with connected(port) as (_, writer):
            writer.write(GET * (1 + behind))
            await asyncio.wait_for(working.wait(), 5)
        await asyncio.wait_for(over.wait(), 5)
    assert seen[0] == "gone"


async def test_a_client_that_left_before_the_work_began_ends_it() -> None:
    began = asyncio.Event()
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        await asyncio.sleep(0.2)
        try:
            await until_disconnect(_never, asyncio.sleep(60), scope)
        except ClientDisconnected:
            seen.append("gone")

    async with served(app) as port:
        async with connected(port) as (_, writer):
            writer.write(GET)
            await asyncio.wait_for(began.wait(), 5)
        await asyncio.sleep(0.4)
    assert seen == ["gone"]


async def test_finished_work_is_not_notified_of_a_later_disconnect() -> None:
    left: list[Disconnect] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        left.append(scope["extensions"]["pgrouter.disconnect"])
        assert await until_disconnect(_never, asyncio.sleep(0, "done"), scope) == "done"
        await answering(b"ok")(scope, receive, send)

    async with served(app) as port:
        async with connected(port) as (reader, writer):
            for _ in range(2):
                writer.write(GET)
                assert (await read_answer(reader))[1] == b"ok"
        told: list[bool] = []
        while not told:
            left[0].add(lambda: told.append(True))
            await asyncio.sleep(0.01)


async def test_work_cancelled_by_another_is_not_taken_for_a_client_that_left() -> None:
    disconnect = Disconnect()
    scope = {"extensions": {"pgrouter.disconnect": disconnect}}
    task = asyncio.create_task(until_disconnect(_never, asyncio.sleep(60), scope))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_server_without_the_extension_is_watched_for_the_disconnect() -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnected):
        await until_disconnect(receive, asyncio.sleep(60), {"type": "http"})


async def _never() -> Any:
    raise AssertionError("no code may wait for the disconnect")
