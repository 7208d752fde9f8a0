"""Metrics: every request counts once, with bounded labels."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import aiohttp
import pytest

from app.memory.embedders import EmbeddingFailed
from app.store import limits as money
from app.telemetry import metrics, request_metrics
from app.telemetry.request_record import RequestRecord
from app.upstream.attempt import Attempt
from scripts.fake_provider.server import Running
from tests.support.metrics import chat
from tests.support.models import model
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.separable_prompts import easy, lessons

Sample = dict[tuple[str, tuple[tuple[str, str], ...]], float]
LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def parsed(text: str) -> Sample:
    """Return every sample of an exposition by its name and labels."""
    found = {}
    for name, labels, value in LINE.findall(text):
        pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)
        found[name, tuple(sorted(pairs))] = float(value)
    return found


class Counted:
    """The increase of the metrics in a context."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._before: Sample = {}

    async def read(self) -> Sample:
        async with self._http.get("/metrics") as response:
            return parsed(await response.text())

    async def __aenter__(self) -> Counted:
        self._before = await self.read()
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def more(self, name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return (await self.read()).get(key, 0.0) - self._before.get(key, 0.0)


async def test_a_routed_request_is_in_every_metric_once(proxy: Proxy, http: aiohttp.ClientSession) -> None:
    await proxy.rank(lessons(120))
    async with Counted(http) as counted:
        response = await chat(http, "auto", easy(1))
        assert response.headers["x-router-reason"] == "learned"
        served = {"gen_ai_response_model": CHEAP}
        for name, labels in [
            ("pgrouter_requests_total", {"route": "/chat/completions", "status": "200"}),
            ("pgrouter_decisions_total", {"reason": "learned", "model": CHEAP}),
            ("pgrouter_attempts_total", {"model": CHEAP, "outcome": "200"}),
            ("pgrouter_overhead_seconds_count", {"routed": "true"}),
            ("pgrouter_embedding_seconds_count", {}),
            ("pgrouter_decision_seconds_count", {}),
            ("gen_ai_client_operation_duration_seconds_count", {"gen_ai_request_model": "auto", **served}),
            ("gen_ai_server_time_to_first_token_seconds_count", served),
        ]:
            assert await counted.more(name, **labels) == 1, name
        assert await counted.more("gen_ai_client_token_usage_sum", gen_ai_token_type="input", **served) == 11
        assert await counted.more("gen_ai_client_token_usage_sum", gen_ai_token_type="output", **served) == 7


async def test_attempts_are_counted_by_what_came_of_them(
    proxy: Proxy, http: aiohttp.ClientSession, upstream: Running
) -> None:
    await proxy.rank(lessons(120))
    upstream.script(CHEAP, "status=503")
    async with Counted(http) as counted:
        response = await chat(http, "auto", easy(1))
        assert response.headers["x-router-reason"] == "fallback"
        assert await counted.more("pgrouter_attempts_total", model=CHEAP, outcome="503") >= 1
        assert await counted.more("pgrouter_attempts_total", model=STRONG, outcome="200") == 1
        assert await counted.more("pgrouter_upstream_failures_total", model=CHEAP) >= 1
        assert await counted.more("pgrouter_upstream_failures_total", model=STRONG) == 0


async def test_an_unknown_model_name_becomes_no_label(http: aiohttp.ClientSession) -> None:
    async with Counted(http) as counted:
        assert (await chat(http, "gpt-canary-9000")).status == 404
        assert await counted.more("pgrouter_requests_total", route="/chat/completions", status="404") == 1
        assert "canary" not in str(await counted.read())


async def test_an_embedding_that_fails_is_counted_as_a_fail_open(
    proxy: Proxy, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await proxy.rank(lessons(120))

    async def fails(_: str) -> None:
        raise EmbeddingFailed("no")

    monkeypatch.setattr(proxy.services.spaces.own.embedder, "embed_one", fails)
    async with Counted(http) as counted:
        response = await chat(http, "auto", easy(2))
        assert (response.status, response.headers["x-router-reason"]) == (200, "embedding_failed")
        assert await counted.more("pgrouter_fail_opens_total", step="embedding") == 1


async def test_refusals_are_counted_by_what_was_spent(proxy: Proxy, http: aiohttp.ClientSession) -> None:
    async def limited(refusal: str, **limits: float) -> None:
        await money.put_limits(proxy.admin, proxy.tenant_id, None, **limits)  # type: ignore[arg-type]
        proxy.services.directory.invalidate()
        statuses = {(await chat(http, CHEAP, "x" * 400)).status for _ in range(3)}
        assert refusal in str(statuses), statuses

    async with Counted(http) as counted:
        await limited("429", requests=1)
        assert await counted.more("pgrouter_rate_limit_refusals_total", limit="requests") >= 1
        await limited("429", tokens=1)
        assert await counted.more("pgrouter_rate_limit_refusals_total", limit="tokens") == 3
        await limited("402", day_usd=0.0000001)
        assert await counted.more("pgrouter_budget_refusals_total", scope="tenant") >= 1


async def test_the_pool_is_read_when_metrics_are(proxy: Proxy, http: aiohttp.ClientSession) -> None:
    await chat(http, "auto")
    found = await Counted(http).read()
    size = found["pgrouter_pool_connections", (("pool", "writes"), ("state", "open"))]
    assert 1 <= size <= 4
    assert found["pgrouter_pool_connections", (("pool", "writes"), ("state", "in_use"))] <= size
    assert found["pgrouter_pool_waiting", (("pool", "writes"),)] == 0
    assert found["pgrouter_workers", ()] == 1


async def test_calls_that_wait_for_a_connection_are_seen(proxy: Proxy) -> None:
    db = proxy.services.db
    calls = [asyncio.create_task(db.read("select pg_sleep(0.5)")) for _ in range(6)]
    for _ in range(100):
        await asyncio.sleep(0.01)
        if db.connections["writes"].in_use == 4:
            break
    assert db.connections["writes"].in_use == 4
    assert db.connections["writes"].waiting == 2
    await asyncio.gather(*calls)
    assert db.connections["writes"].waiting == 0


def test_breakers_are_read_when_metrics_are_and_one_that_is_no_longer_named_is_closed() -> None:
    states = [("fake", "cheap", 2), ("fake", "strong", 1)]

    def shown(model: str) -> float:
        return parsed(metrics.exposition().decode())["pgrouter_breaker_state", (("model", model), ("provider", "fake"))]

    with metrics.track_breakers(lambda: states):
        assert (shown("cheap"), shown("strong")) == (2, 1)
        states.remove(("fake", "cheap", 2))
        assert (shown("cheap"), shown("strong")) == (0, 1)


def test_labels_are_bounded_whatever_models_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    children = request_metrics._Children(metrics.attempts)
    monkeypatch.setattr(request_metrics, "_attempts", children)
    monkeypatch.setattr(request_metrics, "MOST", 10)
    for number in range(50):
        request_metrics.count(finished(attempts=(Attempt(model(f"bounded-{number}"), "chosen", 0.0, 0.0, 0.1, "200"),)))
    assert len(children) == 10
    assert "bounded-9" in str(children)
    exposed = metrics.exposition().decode()
    assert "bounded-10" not in exposed
    assert 'pgrouter_attempts_total{model="other",outcome="other"}' in exposed


def finished(**fields: Any) -> RequestRecord:
    return RequestRecord(
        **{"route": "/chat/completions", "operation": "chat", "status": 200, "arrived_ns": 0, "duration": 0.5, **fields}
    )


async def test_the_routers_own_endpoints_are_counted_by_the_path_of_their_route(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with Counted(http) as counted:
        with caplog.at_level(logging.INFO, "pgrouter.access"):
            for path, status in [("/v1/router/status", 200), ("/v1/router/decisions/canary", 400), ("/canary", 404)]:
                async with http.get(path) as response:
                    assert response.status in (status, 404)
        assert await counted.more("pgrouter_requests_total", route="/v1/router/status", status="200") == 1
        assert await counted.more("pgrouter_requests_total", route="unknown", status="404") == 1
        assert "canary" not in str(await counted.read())
    lines = [each for each in caplog.records if each.name == "pgrouter.access"]
    assert [each.getMessage() for each in lines][::2] == ["/v1/router/status 200", "unknown 404"]
    assert vars(lines[0])["tenant"] == "acme"


async def test_what_passes_through_elsewhere_is_counted_under_one_route(http: aiohttp.ClientSession) -> None:
    async with Counted(http) as counted:
        for path in ("/v1/files/canary", "/v1/batches"):
            async with http.get(path) as response:
                await response.read()
        found = await counted.read()
        passed = {labels: value for (name, labels), value in found.items() if ("route", "/v1/{path:path}") in labels}
        assert sum(passed.values()) >= 2
        assert "canary" not in str(found)
