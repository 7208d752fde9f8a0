"""Settings that a provider refuses: the request is served without them, and the refusal is remembered."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from app.store import models, policies
from app.upstream.additions import REMEMBERED
from tests.support.proxy import STRONG, Proxy, make_tenant
from tests.support.raw_provider import call, provider, served_by

LOW = "strong-low"
BODY: dict[str, Any] = {"model": LOW, "messages": [{"role": "user", "content": "Hello"}]}
ANSWER = b'{"choices":[{"message":{"content":"Yes."},"finish_reason":"stop"}]}'
EVENTS = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
UNSUPPORTED = "Unsupported parameter: '{}' is not supported with this model."
EFFORT = {"reasoning_effort": UNSUPPORTED.format("reasoning_effort")}


class Picky:
    """A provider that refuses some members of a body with an error of its own each, and keeps the bodies it got."""

    def __init__(self, errors: dict[str, str]) -> None:
        self.errors = errors
        self.bodies: list[dict[str, Any]] = []

    async def __call__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = orjson.loads(await reader.readexactly(length))
        self.bodies.append(body)
        error = next((text for name, text in self.errors.items() if name in body), None)
        kind = b"text/event-stream" if error is None and body.get("stream") else b"application/json"
        answer = EVENTS if body.get("stream") else ANSWER
        if error is not None:
            answer = orjson.dumps({"error": {"message": error}})
        writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\n" % (200 if error is None else 400))
        writer.write(b"content-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(answer)) + answer)
        await writer.drain()

    def sent(self, *names: str) -> list[list[str]]:
        """Which of `names` each body had."""
        return [[name for name in names if name in body] for body in self.bodies]


async def serve(proxy: Proxy, url: str, settings: dict[str, Any]) -> None:
    await models.put_model(proxy.admin, LOW, "fake", upstream_name=STRONG, settings=settings)
    await policies.put_policy(
        proxy.admin, proxy.tenant_id, "auto", backend="knn", default=LOW, models=[LOW], settings={}
    )
    await served_by(proxy, url, speaks=("chat", "messages"))


async def chat(proxy: Proxy, **fields: Any) -> int:
    status, _ = await call(proxy, "POST", "/v1/chat/completions", json={**BODY, **fields})
    return status


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", [LOW, "auto"])
async def test_a_refused_setting_is_left_out_and_not_sent_again(proxy: Proxy, name: str, stream: bool) -> None:
    picky = Picky(EFFORT)
    async with provider(picky) as url:
        await serve(proxy, url, {"reasoning_effort": "low", "verbosity": "low"})
        for _ in range(2):
            assert await chat(proxy, model=name, stream=stream) == 200
    both = ["reasoning_effort", "verbosity"]
    assert picky.sent(*both) == [both, ["verbosity"], ["verbosity"]]


async def test_settings_refused_one_after_another_are_all_left_out(proxy: Proxy) -> None:
    names = ("reasoning_effort", "seed", "stream_options", "verbosity")
    picky = Picky({name: UNSUPPORTED.format(name) for name in ("verbosity", "stream_options", "reasoning_effort")})
    async with provider(picky) as url:
        await serve(proxy, url, {"reasoning_effort": "low", "verbosity": "low", "seed": 1})
        for _ in range(2):
            assert await chat(proxy, model="auto", stream=True) == 200
    assert picky.sent(*names) == [
        list(names), ["reasoning_effort", "seed", "stream_options"], ["reasoning_effort", "seed"], ["seed"], ["seed"],
    ]  # fmt: skip


async def test_a_refusal_of_this_request_alone_is_not_remembered(proxy: Proxy) -> None:
    picky = Picky({"reasoning_effort": "temperature must be 1 while reasoning_effort is set"})
    async with provider(picky) as url:
        await serve(proxy, url, {"reasoning_effort": "low"})
        for _ in range(2):
            assert await chat(proxy, temperature=0) == 200
    assert picky.sent("reasoning_effort") == [["reasoning_effort"], []] * 2


async def test_a_refusal_counts_for_its_tenant_its_value_and_requests_of_its_kind(proxy: Proxy) -> None:
    picky = Picky(EFFORT)
    async with provider(picky) as url:
        await serve(proxy, url, {"reasoning_effort": "low"})
        assert await chat(proxy) == 200
        assert await chat(proxy, temperature=1) == 200, "other members may be why"
        _, key = await make_tenant(proxy.admin, "other")
        async with proxy.http(key) as http, http.post("/v1/chat/completions", json=BODY) as response:
            assert response.status == 200
        await serve(proxy, url, {"reasoning_effort": "medium"})
        assert await chat(proxy) == 200
        assert await chat(proxy) == 200
    assert picky.sent("reasoning_effort") == [*([["reasoning_effort"], []] * 4), []]


async def test_a_refusal_is_forgotten_after_a_while(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    picky = Picky(EFFORT)
    now = [1.0]
    monkeypatch.setattr(proxy.services.refusals, "_clock", lambda: now[0])
    async with provider(picky) as url:
        await serve(proxy, url, {"reasoning_effort": "low"})
        for passed in (0.0, REMEMBERED - 1, 2.0):
            now[0] += passed
            assert await chat(proxy) == 200
    assert picky.sent("reasoning_effort") == [["reasoning_effort"], [], [], ["reasoning_effort"], []]


async def test_an_error_that_names_no_setting_is_forwarded_at_once(proxy: Proxy) -> None:
    picky = Picky({"messages": "An effort-less, reasoning_efforts prompt."})
    async with provider(picky) as url:
        await serve(proxy, url, {"reasoning.effort": "low"})
        assert await chat(proxy) == 400
    assert picky.sent("reasoning_effort") == [["reasoning_effort"]]


async def test_the_error_of_the_request_itself_is_forwarded_and_nothing_is_remembered(proxy: Proxy) -> None:
    picky = Picky({"messages": "unsupported: reasoning_effort, as the prompt has it"})
    async with provider(picky) as url:
        await serve(proxy, url, {"reasoning_effort": "low"})
        for _ in range(2):
            assert await chat(proxy) == 400
    assert picky.sent("reasoning_effort") == [["reasoning_effort"], []] * 2


async def test_what_the_client_sends_is_the_clients_to_correct(proxy: Proxy) -> None:
    picky = Picky(EFFORT)
    async with provider(picky) as url:
        await serve(proxy, url, {"reasoning_effort": "low"})
        assert await chat(proxy, reasoning_effort="high") == 400
    assert len(picky.bodies) == 1


async def test_thinking_is_left_out_as_a_whole(proxy: Proxy) -> None:
    picky = Picky({"thinking": "thinking.budget_tokens: Extra inputs are not permitted"})
    body = {**BODY, "max_tokens": 5000}
    async with provider(picky) as url:
        await serve(proxy, url, {"thinking.budget_tokens": 1024})
        await call(proxy, "POST", "/v1/messages", json=body)
    assert picky.bodies[0]["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert picky.bodies[1:] == [{**body, "model": STRONG}]


async def test_a_comparison_is_answered_without_a_refused_setting(proxy: Proxy) -> None:
    picky = Picky(EFFORT)
    async with provider(picky) as url:
        await serve(proxy, url, {"reasoning_effort": "low"})
        asked = {"prompt": "Hello", "models": [LOW, STRONG]}
        status, body = await call(proxy, "POST", "/v1/router/preferences/compare", json=asked)
    assert status == 200
    assert body.count(b"Yes.") == 2
    assert sum("reasoning_effort" in each for each in picky.bodies) == 1
