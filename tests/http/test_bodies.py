"""The bytes of request bodies that a process holds are bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from app.errors import Overloaded
from app.http.requests import UNCOUNTED, Bodies, read_body, release


async def read(bodies: Bodies, chunks: Sequence[bytes]) -> tuple[dict[str, Any], bytes]:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b""})
    scope: dict[str, Any] = {}

    async def receive() -> Any:
        return messages.pop(0)

    try:
        return scope, await read_body(scope, receive, {}, 10**9, bodies)
    except Overloaded:
        release(scope)
        raise


async def test_large_bodies_count_until_their_requests_end() -> None:
    bodies = Bodies(10 * UNCOUNTED)
    first, body = await read(bodies, [b"x" * UNCOUNTED] * 6)
    assert bodies.held == len(body) == 6 * UNCOUNTED
    with pytest.raises(Overloaded):
        await read(bodies, [b"x" * UNCOUNTED] * 6)
    assert bodies.held == 6 * UNCOUNTED, "what was refused is held no longer"
    release(first)
    release(first)
    assert bodies.held == 0
    await read(bodies, [b"x" * UNCOUNTED] * 6)


async def test_small_bodies_are_not_counted() -> None:
    bodies = Bodies(1)
    for _ in range(5):
        await read(bodies, [b"x" * (UNCOUNTED // 2)] * 2)
    assert bodies.held == 0


async def test_one_piece_over_the_limit_is_refused() -> None:
    with pytest.raises(Overloaded):
        await read(Bodies(UNCOUNTED), [b"x" * (UNCOUNTED + 1)])


async def test_a_body_in_tiny_pieces_is_whole() -> None:
    body = bytes(range(256)) * 1200
    pieces = [body[:7], *(body[at : at + 1] for at in range(7, 200_000)), body[200_000:290_000], body[290_000:]]
    assert (await read(Bodies(10**9), pieces))[1] == body


async def test_a_refused_body_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    bodies = Bodies(UNCOUNTED)
    for _ in range(5):
        with pytest.raises(Overloaded):
            await read(bodies, [b"x" * (UNCOUNTED + 1)])
    assert len(caplog.records) == 1
    assert "ROUTER_BODY_MEMORY_BYTES" in caplog.text
