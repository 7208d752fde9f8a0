"""Bodies that cost much more than their bytes: the event loop goes on, whatever comes."""

from __future__ import annotations

import asyncio
import http.client
from urllib.parse import urlsplit

import pytest

from scripts.proxy.hostile_bodies import BODIES, SIZE
from tests.support.loop_watch import watched_loop
from tests.support.proxy import Proxy

#: Longest stop in seconds. 0.05 is the aim, and `pytest -s` prints what it is; shared machines
#: need some more.
STOP = 0.25


def post(proxy: Proxy, body: bytes) -> tuple[int, bytes]:
    """Send a body, in a thread, because it would stop the loop of the test itself."""
    at = urlsplit(proxy.url)
    assert at.hostname is not None
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=60)
    try:
        connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {proxy.key}"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("name", BODIES)
async def test_no_body_stops_the_loop(proxy: Proxy, name: str) -> None:
    await asyncio.to_thread(post, proxy, b'{"model":"auto","messages":[{"role":"user","content":"Hello"}]}')
    body = BODIES[name](SIZE)
    assert len(body) <= SIZE + 4096
    async with watched_loop() as watch:
        status, answer = await asyncio.to_thread(post, proxy, body)
    assert status in (200, 400, 413), answer[:300]
    print(f"{name:36s} {status} {watch.longest * 1000:6.1f} ms")
    assert watch.longest < STOP
