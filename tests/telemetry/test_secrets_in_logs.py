"""No prompt, answer or key is logged, at any level."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from app.store.database import Database
from scripts.fake_provider.server import ANSWER, Running
from tests.support.process import Serve
from tests.support.proxy import CHEAP, STRONG, add_models, make_tenant

pytestmark = pytest.mark.server
CANARY = "canaryinthemine"
PROVIDER_KEY = "sk-canary-of-the-provider"


@pytest.fixture
async def key(database: str, upstream: Running) -> AsyncIterator[str]:
    """The key of a tenant whose models are the fake provider's, which requires a key, too."""
    upstream.clear()
    db = Database(database, size=2, role=None)
    await db.open()
    await add_models(db, upstream.url)
    yield (await make_tenant(db, "acme"))[1]
    await db.close()


async def everything_that_goes_wrong(url: str, key: str, upstream: Running) -> None:
    """Send valid and invalid requests of all kinds that contain the canary."""
    message = [{"role": "user", "content": f"{CANARY} {{}}"}]
    teach = {"prompt": CANARY, "scores": {CHEAP: 1, STRONG: 0}}
    calls: list[tuple[str, Any]] = [
        ("/v1/chat/completions", {"model": "auto", "messages": message}),
        ("/v1/chat/completions", {"model": "auto", "messages": message, "stream": True}),
        ("/v1/chat/completions", {"model": CHEAP, "messages": message}),
        ("/v1/chat/completions", {"model": CANARY, "messages": message}),
        ("/v1/chat/completions", {"model": "auto", "messages": CANARY}),
        ("/v1/chat/completions", {"model": "auto", "messages": [{"role": "user", "content": f"\ud800 {CANARY}"}]}),
        ("/v1/chat/completions", {"model": "auto", "messages": [{"role": "user", "content": f"\0 {CANARY}"}]}),
        ("/v1/embeddings", {"model": CHEAP, "input": CANARY}),
        ("/v1/router/preferences/rank", teach),
        ("/v1/router/preferences/rank", {"prompt": f"\0{CANARY}", "scores": {CHEAP: 1}}),
        ("/v1/router/preferences/rank", {**teach, "scores": {CANARY: 1}}),
        ("/v1/router/preferences/rank", {**teach, "task": CANARY * 100}),
        ("/v1/router/preferences/compare", {"prompt": CANARY, "models": [CHEAP, STRONG]}),
        ("/v1/router/explain", {"model": "auto", "messages": message}),
        ("/v1/router/backtest", {"policy": CANARY}),
    ]
    async with aiohttp.ClientSession(url, headers={"authorization": f"Bearer {key}"}) as http:
        for plan in ("", "status=500", "drop", "die"):
            upstream.script(CHEAP, plan)
            upstream.script(STRONG, plan)
            for path, body in calls:
                try:
                    async with http.post(path, data=json.dumps(body)) as response:
                        await response.read()
                except aiohttp.ClientError:
                    pass  # An answer that breaks off is the client's error.
        async with http.post("/v1/chat/completions", data=f'{{"model": "auto", "messages": {CANARY}') as response:
            assert response.status == 400
        async with http.get(f"/v1/router/memories?search={CANARY}") as response:
            assert response.status == 200
        async with http.get("/v1/models", headers={"authorization": f"Bearer rk-{CANARY:x<43}"}) as response:
            assert response.status == 401
        headers = {"x-router-task": CANARY, "x-router-conversation": CANARY}
        async with http.post("/v1/chat/completions", json=calls[0][1], headers=headers) as response:
            await response.read()


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_prompt_answer_or_key_is_logged_at_the_lowest_level(
    database: str, key: str, upstream: Running, form: str
) -> None:
    server = Serve(
        DATABASE_URL=database,
        LOG_LEVEL="debug",
        LOG_FORMAT=form,
        ROUTER_ACCESS_LOG="1",
        # One retry logs the same as two, and is faster.
        ROUTER_RETRIES="1",
        FAKE_PROVIDER_KEY=PROVIDER_KEY,
        # A logger of another package.
        ROUTER_EMBEDDER="openai:text-embedding-3-small",
        ROUTER_EMBEDDING_URL=upstream.url,
        ROUTER_EMBEDDING_API_KEY=PROVIDER_KEY,
    )
    printed = await asyncio.to_thread(server.until_ready)
    await everything_that_goes_wrong(printed["base_url"].removesuffix("/v1"), key, upstream)
    await asyncio.to_thread(server.stop, signal.SIGTERM)
    assert server.process.returncode == 0
    assert CANARY not in server.output
    assert key not in server.output
    assert key[3:] not in server.output
    assert PROVIDER_KEY not in server.output
    assert ANSWER[:20] not in server.output
    assert PROVIDER_KEY in str(upstream.log()[-1]["headers"]), "the key was sent, so it could have been logged"
    lines = [line for line in server.output.splitlines() if "pgrouter.access" in line]
    assert len(lines) > 30, "the log is not empty"
    if form == "json":
        logged = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
        assert {entry["request_id"] for entry in logged if entry["logger"] == "pgrouter.access"}
