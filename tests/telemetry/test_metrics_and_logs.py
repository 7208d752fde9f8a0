"""What a request that is over leaves behind: numbers at /metrics, a line of the log, its name in the answer."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app.memory.embedders import EmbeddingFailed
from app.routing.plan import Timings
from app.server.middleware import request_id
from app.store import limits as money
from app.store import models, providers
from app.telemetry import logs, metrics, request_metrics
from app.telemetry.request_record import RequestRecord
from app.upstream.attempt import Attempt
from scripts.fake_provider.server import Running
from tests.support.models import model
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.separable_prompts import easy, lessons

Sample = dict[tuple[str, tuple[tuple[str, str], ...]], float]
LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def parsed(text: str) -> Sample:
    """Every sample of an exposition by its name and labels."""
    found = {}
    for name, labels, value in LINE.findall(text):
        pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)
        found[name, tuple(sorted(pairs))] = float(value)
    return found


class Counted:
    """What /metrics has more than it had."""

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


@pytest.fixture
async def http(proxy: Proxy) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the proxy."""
    async with proxy.http() as session:
        yield session


async def chat(http: aiohttp.ClientSession, model: str, text: str = "hello", **headers: str) -> aiohttp.ClientResponse:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    async with http.post("/v1/chat/completions", json=body, headers=headers) as response:
        await response.read()
        return response


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


async def test_a_name_that_only_a_client_knows_becomes_no_label(http: aiohttp.ClientSession) -> None:
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


# ---- request ids


@pytest.mark.parametrize("given", [b"abc-1", b"!", b"x" * 128])
def test_a_sane_request_id_is_kept(given: bytes) -> None:
    assert request_id([(b"x-request-id", given)]).encode() == given


@pytest.mark.parametrize("given", [None, b"", b"x" * 129, b"a b", b"a\tb", b"caf\xc3\xa9", b"a\x00"])
def test_another_request_id_is_replaced_by_one_of_its_own(given: bytes | None) -> None:
    headers = [] if given is None else [(b"x-request-id", given)]
    first, second = request_id(headers), request_id(headers)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


async def test_errors_and_own_endpoints_give_the_request_id_back(http: aiohttp.ClientSession) -> None:
    assert (await chat(http, "no-such-model", **{"x-request-id": "mine-1"})).headers["x-request-id"] == "mine-1"
    async with http.get("/v1/models", headers={"x-request-id": "mine-2"}) as response:
        assert response.headers.getall("x-request-id") == ["mine-2"]
    async with http.get("/v1/router/nowhere") as response:
        assert response.status == 404
        assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


async def test_a_providers_answer_keeps_its_own_request_id_or_none(proxy: Proxy, http: aiohttp.ClientSession) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    await providers.put_provider(proxy.admin, "silent", f"http://{host}:{port}", None)
    await models.put_model(proxy.admin, "named", "silent", input_price=1.0, output_price=1.0)
    for _ in range(100):
        response = await chat(http, "named", **{"x-request-id": "the-clients"})
        if response.status == 200:
            break
    await runner.cleanup()
    assert response.status == 200
    assert "x-request-id" not in response.headers
    for asked in (CHEAP, "auto"):
        response = await chat(http, asked, **{"x-request-id": "the-clients"})
        assert response.headers.getall("x-request-id") == ["req_fake"]


# ---- Server-Timing


async def test_a_routed_answer_says_where_its_time_went(proxy: Proxy, http: aiohttp.ClientSession) -> None:
    await proxy.rank(lessons(120))
    said = (await chat(http, "auto", easy(3))).headers["server-timing"]
    parts = dict(part.split(";dur=") for part in said.split(", "))
    assert list(parts) == ["total", "overhead", "embed", "decide", "upstream"]
    assert float(parts["embed"]) + float(parts["decide"]) <= float(parts["overhead"]) + 0.02
    assert "server-timing" not in (await chat(http, CHEAP)).headers


def test_what_was_not_done_is_not_timed() -> None:
    assert Timings().server_timing(0.0015, 0.25) == "total;dur=251.50, overhead;dur=1.50, upstream;dur=250.00"


# ---- the log


async def test_the_access_log_says_who_was_served_by_whom_and_why(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pgrouter.access"):
        await chat(http, "auto", "a secret thought", **{"x-request-id": "mine-3"})
    [record] = [each for each in caplog.records if each.name == "pgrouter.access"]
    line = json.loads(logs.JsonLines().format(record))
    assert line["message"] == "/chat/completions 200"
    expected = {
        "level": "info", "logger": "pgrouter.access", "request_id": "mine-3", "tenant": "acme", "requested": "auto",
        "model": STRONG, "provider": "fake", "reason": "cold", "status": 200, "input_tokens": 11, "output_tokens": 7,
        "attempts": 1, "streamed": False,
    }  # fmt: skip
    assert {name: line[name] for name in expected} == expected
    assert line["ms"] > line["overhead_ms"] > 0
    assert "secret" not in json.dumps(line)


def record(**fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("pgrouter.x", logging.ERROR, "f.py", 1, "it is %s", ("so",), None)
    vars(made).update(fields)
    return made


def raised(error: BaseException) -> Any:
    try:
        raise error
    except type(error):
        return sys.exc_info()


def test_a_json_line_has_its_request_and_what_was_said_beside() -> None:
    line = json.loads(logs.JsonLines().format(record(request_id="r-1", tenant="acme")))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert line == {
        "level": "error", "logger": "pgrouter.x", "message": "it is so", "request_id": "r-1", "tenant": "acme",
    }  # fmt: skip


def test_a_text_line_says_the_same_at_its_end() -> None:
    said = logs.TextLines().format(record(request_id="r-1", tenant="two words"))
    assert said.endswith('ERROR pgrouter.x: it is so request_id=r-1 tenant="two words"')
    assert logs.TextLines().format(record(request_id="")).endswith("it is so")


@pytest.mark.parametrize("lines", [logs.JsonLines(), logs.TextLines()])
def test_an_errors_message_is_not_logged_unless_it_quotes_nobody(lines: logging.Formatter) -> None:
    quoting = ValueError("invalid input for query argument $1: 'a secret thought'")
    quoting.__cause__ = OSError(111, "Connection refused")
    said = lines.format(record(exc_info=raised(quoting)))
    assert "secret" not in said
    assert "builtins.ValueError" in said
    assert "Connection refused" in said
    assert "raised" in said, "where it happened"


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_other_packages_say_in_detail_is_left_out_at_every_level(form: str) -> None:
    code = f"""
import logging
from app.telemetry import logs
logs.configure("debug", {form!r}, access=False)
logging.getLogger("openai").debug("their detail")
logging.getLogger("openai").warning("their warning")
logging.getLogger("pgrouter.x").debug("our detail")
logging.getLogger("pgrouter.access").info("a request")
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    assert "their detail" not in said
    assert "their warning" in said
    assert "our detail" in said
    assert "a request" not in said, "the access log is off"
