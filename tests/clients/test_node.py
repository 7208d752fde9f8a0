"""Node's clients against a server process: OpenAI's, the Vercel AI SDK and Anthropic's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from app.store.database import Database
from scripts.fake_provider.server import ANSWER, USAGE, Running, streamed_text
from scripts.node import Node
from tests.support.databases import Databases
from tests.support.node import installed, results
from tests.support.process import Serve
from tests.support.proxy import CHEAP, STRONG, add_models, make_tenant

pytestmark = pytest.mark.server
TOKENS = USAGE["completion_tokens"]


@pytest.fixture(scope="module")
def node() -> Node:
    return installed()


class Server(NamedTuple):
    """A running server and a key."""

    url: str
    key: str
    upstream: Running


@pytest.fixture
async def server(node: Node, databases: Databases, upstream: Running) -> AsyncIterator[Server]:
    upstream.clear()
    with databases.fresh() as dsn:
        db = Database(dsn, size=2, role=None)
        await db.open()
        await add_models(db, upstream.url)
        _, key = await make_tenant(db, "acme")
        process = Serve(DATABASE_URL=dsn, ROUTER_FORWARD_HEADERS="x-fake", ROUTER_RETRIES="0")
        printed = await asyncio.to_thread(process.until_ready)
        yield Server(printed["base_url"].removesuffix("/v1"), key, upstream)
        await db.close()
        process.process.kill()


def values(found: dict[str, Any], *failing: str) -> dict[str, Any]:
    """Return the values of the checks, of which only those of `failing` may have failed."""
    wrong = {name: each["error"] for name, each in found.items() if "error" in each and name not in failing}
    assert not wrong
    return {name: each["value"] for name, each in found.items() if "value" in each}


async def until_aborted(upstream: Running) -> None:
    """Wait until the provider has lost the client of a long stream."""
    async with asyncio.timeout(10):
        while not any(each["disconnected"] and "chunks=500" in str(each["headers"]) for each in upstream.log()):
            await asyncio.sleep(0.05)


async def test_openais_client(node: Node, server: Server) -> None:
    found = await results(node, "openai.mjs", server.url, server.key)
    errors = {
        "noKey": ("AuthenticationError", 401), "badRequest": ("BadRequestError", 400),
        "noModel": ("NotFoundError", 404), "noPath": ("NotFoundError", 404),
        "rateLimit": ("RateLimitError", 429), "serverError": ("InternalServerError", 500),
        "brokenStream": ("APIError", None), "timeout": ("APIConnectionTimeoutError", None),
    }  # fmt: skip
    value = values(found, *errors)
    assert {name: (found[name]["error"]["class"], found[name]["error"]["status"]) for name in errors} == errors
    assert "/v1/chat/completions" in found["noPath"]["error"]["message"]
    decision = value["chat"].pop("decision")
    assert len(decision) == 36
    assert value == {
        "chat": {"text": ANSWER, "tokens": TOKENS, "model": STRONG},
        "named": ANSWER,
        "stream": {"text": streamed_text(), "usages": 0},
        "streamWithUsage": TOKENS,
        "tools": [["weather", ["city"]], ["time", ["city"]]],
        "streamedTools": ["weather", "time"],
        "turn": ANSWER,
        "structured": [["city", "string"], ["population", "number"]],
        "responses": {"text": ANSWER, "previous": True},
        "emptyInput": ANSWER,
        "streamedResponse": streamed_text(),
        "parsedResponse": "string",
        "brokenResponse": value["brokenResponse"],
        "embeddings": [64, 64],
        "models": value["models"],
        "file": {"filename": "lines.jsonl", "bytes": 9, "same": '{"a": 1}\n'},
        "retried": ANSWER,
        "abort": True,
    }
    assert value["models"][0] == "auto"
    assert {CHEAP, STRONG} <= set(value["models"])
    assert value["brokenResponse"][-1] in ("response.failed", "APIError")
    await until_aborted(server.upstream)


async def test_the_vercel_ai_sdk(node: Node, server: Server) -> None:
    found = await results(node, "ai_sdk.mjs", server.url, server.key)
    failing = "badRequest", "rateLimit", "noKey", "brokenStream"
    value = values(found, *failing)
    assert value == {
        "generate": {"text": ANSWER, "tokens": TOKENS, "model": STRONG},
        "stream": {"text": streamed_text(), "tokens": TOKENS, "reason": "stop"},
        "tools": [["weather"], ["sunny in string"]],
        "streamedTools": ["sunny in string"],
        "object": [["city", "string"], ["population", "number"]],
        "streamedObject": "string",
        "responses": ANSWER,
        "streamedResponses": streamed_text(),
        "chat": ANSWER,
        "embed": True,
        "abort": True,
    }
    shown = {name: found[name]["error"] for name in failing}
    assert [(shown[name]["status"], shown[name]["retryable"]) for name in failing[:3]] == [
        (400, False), (429, True), (401, False),
    ]  # fmt: skip
    assert {shown[name]["name"] for name in failing[:3]} == {"AI_APICallError"}
    assert "upstream_unavailable" in shown["brokenStream"]["message"]
    await until_aborted(server.upstream)


async def test_anthropics_client(node: Node, server: Server) -> None:
    found = await results(node, "anthropic.mjs", server.url, server.key)
    errors = {
        "noKey": ("AuthenticationError", 401), "rateLimit": ("RateLimitError", 429),
        "overloaded": ("OverloadedError", 529), "brokenStream": ("APIError", None),
    }  # fmt: skip
    value = values(found, *errors)
    assert {name: (found[name]["error"]["class"], found[name]["error"]["status"]) for name in errors} == errors
    assert value == {
        "message": {"text": ANSWER, "tokens": TOKENS, "model": STRONG},
        "stream": streamed_text(),
        "tools": ["weather"],
        "beta": ANSWER,
        "count": True,
        "abort": True,
    }
    await until_aborted(server.upstream)
