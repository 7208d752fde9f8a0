"""A finished request leaves nothing for the garbage collector, whose runs would delay all requests."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from app.proxy.exchange import Exchange
from tests.support.proxy import CHEAP, Proxy

pytestmark = pytest.mark.server
ASKED = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("body", "plan", "status"),
    [
        ({"model": CHEAP}, "", 200),
        ({"model": "auto"}, "", 200),
        ({"model": "auto", "stream": True}, "gap=0.001", 200),
        ({"model": "auto", "stream": True}, "die", 200),
        ({"model": CHEAP}, "status=400", 400),
        ({"model": CHEAP}, "drop", 502),
        ({"model": "nobody"}, "", 404),
    ],
)
async def test_nothing_of_a_request_is_left_for_the_collector(
    proxy: Proxy, body: dict[str, Any], plan: str, status: int
) -> None:
    async with proxy.http() as http:
        gc.collect()
        gc.disable()
        try:
            async with http.post("/v1/chat/completions", json=ASKED | body, headers={"x-fake": plan}) as response:
                assert response.status == status
                await response.read()
            # The server's task for the request ends a turn or two after the last byte.
            for _ in range(100):
                left = sum(isinstance(each, Exchange) for each in gc.get_objects())
                if not left:
                    break
                await asyncio.sleep(0.01)
        finally:
            gc.enable()
    assert left == 0
