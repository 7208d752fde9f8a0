"""Usage in providers' conventions, from the provider's bytes to the ledger, its cost, the report and the metric."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from tests.support.proxy import CHEAP, PRICES, SPEAKS, STRONG, Proxy
from tests.support.raw_provider import call, provider, served_by

HELLO = [{"role": "user", "content": "What is a café?"}]
BODIES: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": HELLO},
    "responses": {"input": HELLO},
    "messages": {"messages": HELLO, "max_tokens": 9},
}


@asynccontextmanager
async def answering(proxy: Proxy, *events: Any, cut: bytes = b"") -> AsyncIterator[None]:
    """Let the provider answer with one event, or with several as a stream that ends with `cut`."""
    body = orjson.dumps(events[0])
    if len(events) > 1:
        body = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events) + cut

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        kind = b"text/event-stream" if len(events) > 1 else b"application/json"
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: %b\r\n" % kind)
        if cut:
            writer.write(b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body))
        else:
            writer.write(b"content-length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        if cut:
            # The answer has begun by then.
            await asyncio.sleep(0.3)

    async with provider(serve) as url:
        await served_by(proxy, url, speaks=SPEAKS)
        yield


async def booked(proxy: Proxy, *events: Any, api: str = "chat/completions", model: str = STRONG) -> Any:
    """Return the ledger's row of a request that is answered with these events."""
    asked = {"model": model, "stream": len(events) > 1, **BODIES[api]}
    async with answering(proxy, *events):
        status, _ = await call(proxy, "POST", f"/v1/{api}", json=asked)
    assert status == 200
    (row,) = await proxy.ledger()
    return row


def usd(prompt: int, completion: int, model: str = STRONG) -> Any:
    """Return the price of so many tokens."""
    input_price, output_price = PRICES[model]
    return pytest.approx((prompt * input_price + completion * output_price) / 1e6)


def chat(text: str = "A place.", **more: Any) -> dict[str, Any]:
    """Return an answer of the chat API, whole."""
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}], **more}


def chunk(text: str = "A place.", **more: Any) -> dict[str, Any]:
    """Return a chunk of the chat API."""
    return {"choices": [{"index": 0, "delta": {"content": text}}], **more}


XAI = {
    "prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 399,
    "completion_tokens_details": {"reasoning_tokens": 386},
}  # fmt: skip
GEMINI = {"prompt_tokens": 5, "completion_tokens": 11, "total_tokens": 240}
ROWS: dict[str, tuple[str, list[Any], tuple[int | None, ...]]] = {
    "xAI": ("chat/completions", [chat(usage=XAI)], (12, None, 387, 386)),
    "xAI, streamed": ("chat/completions", [chunk(), {"choices": [], "usage": XAI}], (12, None, 387, 386)),
    "Gemini": ("chat/completions", [chat(usage=GEMINI, model="gemini-2.5-flash")], (5, None, 235, None)),
    "Gemini, streamed": (
        "chat/completions",
        [chunk(usage={**GEMINI, "total_tokens": 100}, model="gemini-3"), chunk(usage=GEMINI, model="gemini-3")],
        (5, None, 235, None),
    ),
    "Groq": (
        "chat/completions",
        [chunk(), chunk("", x_groq={"usage": {"prompt_tokens": 18, "completion_tokens": 5, "total_tokens": 23}})],
        (18, None, 5, None),
    ),
    "Moonshot": (
        "chat/completions",
        [chunk(), {"choices": [{"usage": {"prompt_tokens": 9, "completion_tokens": 4, "cached_tokens": 8}}]}],
        (9, 8, 4, None),
    ),
    "DeepSeek": (
        "chat/completions",
        [chat(usage={"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24, "prompt_cache_hit_tokens": 16})],
        (20, 16, 4, None),
    ),
    "llama.cpp": (
        "chat/completions",
        [chunk(), {"choices": [], "timings": {"cache_n": 30, "prompt_n": 1, "predicted_n": 5}}],
        (31, 30, 5, None),
    ),
    "Responses": (
        "responses",
        [
            {"type": "response.created", "response": {"id": "r", "usage": None}},
            {"type": "response.completed", "response": {"id": "r", "usage": {
                "input_tokens": 32, "output_tokens": 9, "total_tokens": 135,
                "output_tokens_details": {"reasoning_tokens": 94}}}},
        ],
        (32, None, 103, 94),
    ),
    "Anthropic, streamed": (
        "messages",
        [
            {"type": "message_start", "message": {"usage": {
                "input_tokens": 10, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 3000}}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "A place."}},
            {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 10, "output_tokens": 42}},
            {"type": "message_stop"},
        ],
        (3210, 200, 42, None),
    ),
    "Bedrock's names": (
        "messages",
        [{"type": "message", "content": [], "usage": {
            "inputTokens": 4, "outputTokens": 11, "totalTokens": 1496, "cacheReadInputTokens": 1481}}],
        (1485, 1481, 11, None),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("api", "events", "expected"), ROWS.values(), ids=list(ROWS))
async def test_each_convention_reaches_the_ledger(
    proxy: Proxy, api: str, events: list[Any], expected: tuple[int | None, ...]
) -> None:
    row = await booked(proxy, *events, api=api)
    names = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")
    assert tuple(row[name] for name in names) == expected
    assert (row["usage_unexplained"], row["usage_estimated"]) == (None, False)
    assert row["spent_usd"] == usd(expected[0] or 0, expected[2] or 0)
    length = await proxy.admin.fetch("select completion_tokens from router.speeds")
    assert [tuple(each) for each in length] == [(expected[2],)], "what routing expects contains reasoning"


async def test_what_cannot_be_explained_is_marked_and_counted_for_its_tenant_alone(proxy: Proxy) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 100}
    row = await booked(proxy, chat(usage=usage))
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_unexplained"]) == (10, 90, "total")
    assert row["spent_usd"] == usd(10, 90)
    _, stranger = await proxy.new_tenant("stranger")
    asked = {"model": CHEAP, "messages": HELLO}
    async with (
        answering(proxy, chat(usage={**usage, "total_tokens": 15})),
        proxy.http(stranger) as http,
        http.post("/v1/chat/completions", json=asked) as response,
    ):
        assert response.status == 200
    await proxy.ledger(2)
    for key, expected in ((proxy.key, 1), (stranger, 0)):
        async with proxy.http(key) as http, http.get("/v1/router/usage?by=model") as response:
            found = await response.json()
        assert (found["total"]["requests"], found["total"]["unexplained"]) == (1, expected)
        assert found["data"][0]["unexplained"] == expected
    async with proxy.http() as http, http.get(f"/v1/router/decisions/{row['decision_id']}") as response:
        assert (await response.json())["usage_unexplained"] == "total"
    _, metrics = await call(proxy, "GET", "/metrics")
    assert b'pgrouter_usage_unexplained_total{cause="total",model="strong"} ' in metrics


@pytest.mark.parametrize(
    ("events", "cause"),
    [
        ([chat("A place to drink coffee.", usage={"prompt_tokens": 11})], "partial"),
        ([chat("A place to drink coffee.", usage={"prompt_tokens": 11, "completion_tokens": -7})], "invalid"),
        ([chat("A place to drink coffee.", usage={"tokens": 9})], "shape"),
        ([chat("A place to drink coffee.", usage={"prompt_tokens": 0, "completion_tokens": 0})], "zero"),
        (
            [chunk("A place to drink coffee."), {"choices": [], "usage": {"prompt_tokens": 0, "total_tokens": 0}}],
            "partial",
        ),
        ([chunk("A place to drink coffee."), {"choices": [], "usage": [11, 7]}], "shape"),
    ],
)
async def test_what_a_report_leaves_open_is_estimated(proxy: Proxy, events: list[Any], cause: str) -> None:
    row = await booked(proxy, *events)
    assert (row["usage_unexplained"], row["usage_estimated"]) == (cause, True)
    assert 5 <= row["prompt_tokens"] <= 20
    assert 4 <= row["completion_tokens"] <= 9
    assert row["spent_usd"] > 0


async def test_a_stream_that_breaks_off_books_what_was_reported_and_an_estimate(proxy: Proxy) -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 500, "cache_read_input_tokens": 40}}}
    text = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "A place to drink coffee."}}
    async with answering(proxy, start, text, cut=b"data: {"):
        asked = {"model": STRONG, "stream": True, **BODIES["messages"]}
        await call(proxy, "POST", "/v1/messages", json=asked)
    (row,) = await proxy.ledger()
    assert (row["prompt_tokens"], row["cached_tokens"], row["usage_unexplained"]) == (540, 40, None)
    assert row["usage_estimated"]
    assert 4 <= row["completion_tokens"] <= 9


async def test_a_policys_stream_is_counted_by_the_convention_that_its_provider_has(proxy: Proxy) -> None:
    row = await booked(proxy, chunk(), {"choices": [], "usage": XAI}, model="auto")
    assert (row["completion_tokens"], row["reasoning_tokens"]) == (387, 386)
