"""An answer begins with its first content: until then, whatever goes wrong lets the next candidate serve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from app.store import models, policies, providers
from scripts.proxy.faulty_provider import FAULTS, PAGE, STREAM, WHOLE, Call, FaultyProvider, faulty_provider, sized
from tests.support.proxy import Proxy, ProxyFactory

ASKED = {"messages": [{"role": "user", "content": "hi"}]}
#: Faults that give way to the next candidate at once.
GIVING_WAY = sorted(FAULTS.keys() - {"well", "hang", "stale", "midway", "longhead", "manyheads"})
both = pytest.mark.parametrize("streamed", [False, True])


@asynccontextmanager
async def faulty(proxy: Proxy, fault: str, second: str = "well-b") -> AsyncIterator[FaultyProvider]:
    """Add two models of the faulty provider, as the candidates of policy `auto`, the one with the fault first."""
    async with faulty_provider() as provider:
        await providers.put_provider(
            proxy.admin, "faulty", provider.url, None, speaks=("chat", "responses", "messages")
        )
        names = (f"{fault}-a", second)
        for name in names:
            await models.put_model(proxy.admin, name, "faulty", input_price=1, output_price=1)
        await policies.put_policy(
            proxy.admin,
            proxy.tenant_id,
            "auto",
            backend="none",
            default=names[0],
            models=names,
            weights=None,
            settings={},
        )
        for _ in range(100):
            # A load that began before the change may end after it.
            proxy.services.directory.invalidate()
            known = (await proxy.services.directory.catalog()).providers.get("faulty")
            policy = (await proxy.services.directory.caller(proxy.key)).policies["auto"]
            catalog = await proxy.services.directory.catalog()
            if (
                known is not None
                and known.base_url == provider.url
                and catalog.by_id[policy.default_model].name == names[0]
            ):
                break
            await asyncio.sleep(0.02)
        yield provider


async def ask(
    proxy: Proxy, *, streamed: bool, model: str = "auto", path: str = "chat/completions", **fields: Any
) -> tuple[int, bytes, Any]:
    body = {"model": model, "stream": streamed, **ASKED, **fields}
    bounds: Any = {"max_headers": 1000, "max_field_size": 64 * 1024}
    async with proxy.http() as http, http.post(f"/v1/{path}", json=body, allow_redirects=False, **bounds) as response:
        return response.status, await response.read(), response.headers


def is_well(body: bytes, streamed: bool) -> bool:
    return body == (b"".join(STREAM) if streamed else WHOLE)


@both
@pytest.mark.parametrize("fault", GIVING_WAY)
async def test_what_fails_before_its_first_word_gives_way(proxy: Proxy, fault: str, streamed: bool) -> None:
    async with faulty(proxy, fault) as provider:
        for _ in range(7):
            status, body, headers = await ask(proxy, streamed=streamed)
            assert status == 200
            assert is_well(body, streamed), body
            assert (headers["x-router-model"], headers["x-router-reason"]) == ("well-b", "fallback")
        # A reset on a reused connection is asked once more on a new one.
        most = 10 if fault == "reset" else 7
        assert 5 <= provider.calls[f"{fault}-a"] <= most, "one call a request, until the breaker opens"
        assert provider.calls["well-b"] == 7


@both
async def test_a_model_that_hangs_gives_way_after_the_first_byte_timeout(proxies: ProxyFactory, streamed: bool) -> None:
    async with proxies(first_byte_timeout=0.2) as proxy, faulty(proxy, "hang"):
        status, body, headers = await ask(proxy, streamed=streamed)
        assert (status, is_well(body, streamed)) == (200, True)
        assert ";status=timeout;" in headers["x-router-attempts"]


async def test_comments_and_roles_do_not_stop_the_first_byte_timeout(proxies: ProxyFactory) -> None:
    async def endless(call: Call) -> bool:
        await call.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", STREAM[0])
        while True:
            await call.write(b": still here\n\n", gap=0.03)

    async with proxies(first_byte_timeout=0.3) as proxy, faulty(proxy, "hang") as provider:
        provider.faults["hang"] = endless
        status, body, headers = await ask(proxy, streamed=True)
        assert (status, is_well(body, True)) == (200, True)
        assert ";status=timeout;" in headers["x-router-attempts"]


@both
async def test_clients_that_wait_in_vain_teach_the_router_to_pass_over_the_model(proxy: Proxy, streamed: bool) -> None:
    async with faulty(proxy, "hang") as provider:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    await ask(proxy, streamed=streamed)
        for _ in range(50):
            if proxy.services.breakers.allows("faulty", "hang-a", proxy.tenant_id) is False:
                break
            await asyncio.sleep(0.02)
        status, body, _ = await ask(proxy, streamed=streamed)
        assert (status, is_well(body, streamed)) == (200, True)
        assert provider.calls["hang-a"] == 5
        assert proxy.services.breakers.allows("faulty", "hang-a", proxy.tenant_id + 1), "for this tenant alone"


@both
@pytest.mark.parametrize("fault", ["longhead", "manyheads", "stale"])
async def test_long_heads_and_stale_connections_are_no_failures(proxy: Proxy, fault: str, streamed: bool) -> None:
    async with faulty(proxy, fault):
        for _ in range(4):
            status, body, headers = await ask(proxy, streamed=streamed)
            assert (status, headers["x-router-model"]) == (200, f"{fault}-a")
            assert is_well(body, streamed)
            assert headers["x-router-attempts"].count("status=") == 1
        assert list(proxy.services.breakers.states()) == []


async def test_a_head_over_the_bounds_is_paid_once(proxy: Proxy) -> None:
    async def endless(call: Call) -> bool:
        await call.write(sized(WHOLE, b"application/json", b"x-long: " + b"a" * 100_000 + b"\r\n"))
        return False

    async with faulty(proxy, "well") as provider:
        provider.faults["cut"] = endless
        await models.put_model(proxy.admin, "cut-only", "faulty", input_price=1, output_price=1)
        proxy.services.directory.invalidate()
        status, body, _ = await ask(proxy, streamed=False, model="cut-only")
        assert (status, orjson.loads(body)["error"]["code"]) == (502, "upstream_unavailable")
        assert provider.calls["cut-only"] == 1


async def test_a_fresh_connection_that_is_closed_is_a_failure(proxy: Proxy) -> None:
    async def closes(call: Call) -> bool:
        return False

    async with faulty(proxy, "cut") as provider:
        provider.faults["cut"] = closes
        _, _, headers = await ask(proxy, streamed=False)
        assert headers["x-router-model"] == "well-b"
        assert provider.calls["cut-a"] == 1


async def test_a_model_whose_streams_are_cut_after_their_first_word_is_passed_over(proxy: Proxy) -> None:
    async with faulty(proxy, "midway") as provider:
        for number in range(8):
            status, body, _ = await ask(proxy, streamed=True)
            assert status == 200
            if number < 5:
                *events, last, end = body.split(b"\n\n")
                assert end == b""
                assert orjson.loads(last.removeprefix(b"data: "))["error"]["code"] == "upstream_unavailable"
                assert all(orjson.loads(each.removeprefix(b"data: "))["choices"] for each in events)
            else:
                assert is_well(body, True)
        assert provider.calls["midway-a"] == 5
        rows = await proxy.ledger(5)
        assert [row["status"] for row in rows] == [502, 502, 200, 200, 200]


async def test_cut_streams_of_a_named_model_teach_the_breaker_too(proxy: Proxy) -> None:
    async with faulty(proxy, "midway") as provider:
        for _ in range(5):
            status, body, _ = await ask(proxy, streamed=True, model="midway-a")
            assert body.startswith(b"".join(STREAM[:3])), "the provider's bytes as they came"
        status, body, headers = await ask(proxy, streamed=True)
        assert (status, headers["x-router-model"]) == (200, "well-b")
        assert provider.calls["midway-a"] == 5


@both
@pytest.mark.parametrize("fault", ["html", "redirect", "moved", "empty", "errorfirst", "errorjson", "othertype", "cut"])
async def test_without_another_candidate_the_client_gets_an_error(proxy: Proxy, fault: str, streamed: bool) -> None:
    async with faulty(proxy, fault, f"{fault}-b"):
        status, body, headers = await ask(proxy, streamed=streamed)
        assert status == 502
        assert orjson.loads(body)["error"]["message"]
        assert headers["content-type"] == "application/json"
        assert "location" not in headers


@both
async def test_a_named_models_answers_pass_through_as_they_are(proxy: Proxy, streamed: bool) -> None:
    async with faulty(proxy, "html"):
        status, body, headers = await ask(proxy, streamed=streamed, model="html-a")
        assert (status, body, headers["content-type"]) == (200, PAGE, "text/html")


REJECTED: list[tuple[int, Any]] = [
    (402, {"error": {"message": "Add credits."}}),
    (410, {"error": {"message": "Gone."}}),
    (400, {"error": {"code": "context_length_exceeded", "message": "…"}}),
    (400, {"error": {"code": "unsupported_parameter", "message": "…"}}),
    (400, {"error": {"code": None, "message": "Unsupported value: 'temperature' does not support 0.2."}}),
    (400, {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}}),
    (413, {"error": {"message": "This model's maximum context length is 8192 tokens."}}),
    (422, {"error": {"message": "Extra inputs are not permitted"}}),
]


def refusing(status: int, body: Any) -> Callable[[Call], Any]:
    text = orjson.dumps(body)

    async def fault(call: Call) -> bool:
        await call.write(b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n" % status)
        await call.write(b"content-length: %d\r\n\r\n" % len(text) + text)
        return True

    return fault


@both
@pytest.mark.parametrize(("refusal", "error"), REJECTED)
async def test_what_one_candidate_rejects_and_another_may_not_gives_way(
    proxy: Proxy, refusal: int, error: Any, streamed: bool
) -> None:
    async with faulty(proxy, "cut") as provider:
        provider.faults["cut"] = refusing(refusal, error)
        status, body, headers = await ask(proxy, streamed=streamed)
        assert (status, headers["x-router-model"], is_well(body, streamed)) == (200, "well-b", True)


async def test_a_faulty_request_is_rejected_by_the_first_candidate(proxy: Proxy) -> None:
    async with faulty(proxy, "cut") as provider:
        provider.faults["cut"] = refusing(400, {"error": {"message": "messages[0].role is invalid", "code": None}})
        status, body, _ = await ask(proxy, streamed=False)
        assert (status, provider.calls) == (400, {"cut-a": 1})
        assert b"role is invalid" in body


@pytest.mark.parametrize(("should_retry", "calls"), [(b"false", 1), (b"true", 3)])
async def test_an_error_that_asks_for_no_retry_is_not_retried(proxy: Proxy, should_retry: bytes, calls: int) -> None:
    async def limited(call: Call) -> bool:
        head = b"HTTP/1.1 429 X\r\nretry-after-ms: 10\r\nx-should-retry: " + should_retry
        await call.write(head + b"\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
        return True

    async with faulty(proxy, "cut") as provider:
        provider.faults["cut"] = limited
        status, _, _ = await ask(proxy, streamed=False, model="cut-a")
        assert (status, provider.calls["cut-a"]) == (429, calls)
