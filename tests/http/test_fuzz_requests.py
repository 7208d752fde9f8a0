"""No request, however odd, gets a 5xx."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from app.endpoints.openapi.operation import EVENTS
from app.endpoints.openapi.operation import JSON as JSON_TYPE
from app.store import providers
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.randomness import examples
from tests.support.separable_prompts import lessons

ANSWER = json.dumps(
    {
        "id": "x", "object": "thing", "model": "m",
        "choices": [{"index": 0, "delta": {"content": "hi"}, "message": {"content": "hi"}}],
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
        "content": [{"type": "text", "text": "hi"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "input_tokens": 1, "output_tokens": 1},
    }
).encode()  # fmt: skip
EXAMPLES = examples(150)
APIS = ("chat", "responses", "messages", "completions", "embeddings")
PATHS = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses/input_tokens",
    "/v1/messages/count_tokens",
]

TEXT = st.text(max_size=12) | st.sampled_from(
    ["", " ", "\0", "\ud800", "hi", "auto", CHEAP, "user", "image_url", "data:image/png;base64,AAAA"]
)
NUMBER = st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([0, 1, -1, 2**31, 2**63, 1e308])
SCALAR = st.none() | st.booleans() | NUMBER | TEXT
#: Names and values of the APIs, so that invalid values are in fields that are read.
NAMES = st.sampled_from(
    [
        "role", "content", "type", "text", "image_url", "url", "tools", "tool_choice", "function", "name", "parameters",
        "arguments", "tool_calls", "tool_call_id", "id", "source", "input_audio", "format", "data", "strict", "schema",
        "json_schema", "properties", "required", "include_usage", "effort", "summary", "cache_control", "output",
    ]
) | st.text(max_size=3)  # fmt: skip
ANYTHING = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
ROLE = st.sampled_from(["user", "assistant", "system", "developer", "tool", "function"])
KIND = st.sampled_from(
    [
        "text", "input_text", "output_text", "image_url", "input_image", "input_audio", "file", "tool_use", "message",
        "tool_result", "thinking", "refusal", "reasoning", "function_call",
    ]
)  # fmt: skip
PART = st.fixed_dictionaries(
    {"type": KIND},
    optional={"text": TEXT, "image_url": ANYTHING, "content": ANYTHING, "source": ANYTHING, "input_audio": ANYTHING},
)  # fmt: skip
CONTENT = TEXT | st.lists(PART | ANYTHING, max_size=3) | ANYTHING
MESSAGE = st.fixed_dictionaries({"role": ROLE, "content": CONTENT}, optional={"tool_calls": ANYTHING, "name": ANYTHING})
MESSAGES = st.lists(MESSAGE | MESSAGE | ANYTHING, max_size=4) | ANYTHING
MODEL = st.sampled_from(["auto", "auto", CHEAP, STRONG, f"fake/{CHEAP}", "nothing"]) | ANYTHING
FIELDS = {
    "messages": MESSAGES, "input": CONTENT | MESSAGES, "prompt": CONTENT, "system": CONTENT, "instructions": ANYTHING,
    "stream": st.booleans() | ANYTHING, "stream_options": ANYTHING, "max_tokens": st.integers(1, 100) | ANYTHING,
    "max_completion_tokens": ANYTHING, "max_output_tokens": ANYTHING, "n": ANYTHING, "tools": ANYTHING,
    "tool_choice": ANYTHING, "parallel_tool_calls": ANYTHING, "response_format": ANYTHING, "text": ANYTHING,
    "reasoning": ANYTHING, "reasoning_effort": ANYTHING, "thinking": ANYTHING, "modalities": ANYTHING,
    "previous_response_id": ANYTHING, "conversation": ANYTHING, "metadata": ANYTHING, "user": ANYTHING,
    "include": ANYTHING, "store": ANYTHING, "background": ANYTHING, "functions": ANYTHING, "dimensions": ANYTHING,
}  # fmt: skip
BODY = st.fixed_dictionaries({"model": MODEL}, optional=FIELDS)
#: Required fields, so that requests are not refused for a missing one first.
WHOLE = {"messages": [{"role": "user", "content": "hi"}], "input": "hi", "prompt": "hi", "max_tokens": 5}
LIKELY = st.builds(lambda body: {**WHOLE, **body}, BODY)
#: Valid requests, except for fields that only a provider reads, and some that the router reads.
GOOD = st.builds(
    lambda model, odd: {**WHOLE, **odd, "model": model},
    st.sampled_from(["auto", "auto", CHEAP, STRONG]),
    st.dictionaries(st.sampled_from(sorted(set(FIELDS) - set(WHOLE) - {"system"})), ANYTHING, max_size=3),
)
RAW = st.binary(max_size=40) | st.sampled_from([b"", b"null", b"[]", b"{", b'{"model": 1e999}', b'{"model":"auto"' * 9])

#: Without headers that frame a request: uvicorn parses those.
HEADER = st.sampled_from(
    [
        "x-router", "x-router-conversation", "x-router-task", "x-router-alpha", "content-type", "accept",
        "accept-encoding", "content-encoding", "traceparent", "tracestate", "x-request-id", "anthropic-version",
        "anthropic-beta", "openai-organization", "cookie", "user-agent", "x-api-key", "idempotency-key", "x-odd_1",
    ]
)  # fmt: skip
LATIN = st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")
TRACE = f"00-{'0' * 32}-{'0' * 16}-01"
VALUE = st.text(LATIN, max_size=20) | st.sampled_from(
    ["on", "off", "0.5", "nan", "1e999", "x" * 3000, "gzip", "application/json", TRACE]
)
HEADERS: st.SearchStrategy[list[tuple[str, str]]] = st.just([]) | st.lists(st.tuples(HEADER, VALUE), max_size=4)


def encoded(body: dict[str, Any] | bytes) -> bytes:
    """Encode as a careless client would: half surrogates and infinities included."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


async def _take(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any request, as a stream if `stream` is true anywhere in the body."""
    raw = b""
    while (message := await receive())["type"] == "http.request":
        raw += message.get("body", b"")
        if not message.get("more_body", False):
            break
    streamed = b'"stream": true' in raw
    kind, body = (EVENTS, b"data: " + ANSWER + b"\n\ndata: [DONE]\n\n") if streamed else (JSON_TYPE, ANSWER)
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def easygoing() -> AsyncIterator[str]:
    """The base URL of such a provider."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(_take, log_config=None, access_log=False, lifespan="off", ws="none"))
        server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            assert not task.done(), "the provider did not start"
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            await task


# The proxy runs in another thread of this process, and uses the same random numbers.
@pytest.mark.property
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
async def test_no_request_is_a_fault_of_ours(proxy: Proxy) -> None:
    # Enough for the memory to decide, so that prompts are embedded and searched for.
    await proxy.rank(lessons(120))
    async with easygoing() as url:
        await providers.put_provider(proxy.admin, "fake", url, "FAKE_PROVIDER_KEY", speaks=APIS)
        await asyncio.to_thread(_fuzz, proxy.url, proxy.key)
    async with proxy.http() as http, http.get("/v1/models") as reply:
        assert reply.status == 200


def _fuzz(url: str, key: str) -> None:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(PATHS), GOOD | GOOD | LIKELY | BODY | RAW, HEADERS)
    def run(path: str, body: dict[str, Any] | bytes, headers: list[tuple[str, str]]) -> None:
        raw = encoded(body)
        try:
            connection.putrequest("POST", path, skip_accept_encoding=True)
            connection.putheader("authorization", f"Bearer {key}")
            connection.putheader("content-length", str(len(raw)))
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders(raw)
            reply = connection.getresponse()
            said = reply.read()
        except OSError:
            connection.close()
            raise
        event(f"{path} {reply.status}")
        assert reply.status < 500, (reply.status, said)
        if reply.status >= 400 and reply.getheader("content-type", "").startswith(JSON_TYPE):
            assert "error" in json.loads(said)

    try:
        run()
    finally:
        connection.close()
