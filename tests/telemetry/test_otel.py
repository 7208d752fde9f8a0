"""Traces and metrics for a collector: by OpenTelemetry's conventions, complete, and without text of prompts."""

from __future__ import annotations

import asyncio
import importlib.metadata
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import db_attributes, error_attributes, http_attributes

from app.dialects.usage import TokenUsage
from app.errors import ConfigurationError
from app.telemetry import otel
from app.telemetry.request_record import RequestRecord
from app.upstream.attempt import Attempt
from scripts.fake_provider.server import ANSWER, Running
from tests.support.models import model
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory
from tests.support.separable_prompts import easy, lessons

CANARY = "canary-7f3a"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """An OTLP/HTTP endpoint that keeps the received data."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self.spans: list[Span] = []
        self.resource: dict[str, Any] = {}
        self.metrics: dict[str, Any] = {}

    async def traces(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        for batch in ExportTraceServiceRequest.FromString(self.bodies[-1]).resource_spans:
            self.resource = attributes(batch.resource)
            self.spans += [span for scope in batch.scope_spans for span in scope.spans]
        return web.Response()

    async def measured(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        for batch in ExportMetricsServiceRequest.FromString(self.bodies[-1]).resource_metrics:
            self.metrics |= {metric.name: metric for scope in batch.scope_metrics for metric in scope.metrics}
        return web.Response()

    def named(self, name: str) -> Span:
        """Return the only span of that name."""
        [found] = [span for span in self.spans if span.name == name]
        return found


def attributes(holder: Any) -> dict[str, Any]:
    """Return attributes as Python values."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in holder.attributes}


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """A collector whose address is in the environment."""
    made = Collector()
    app = web.Application(client_max_size=10**8)
    app.router.add_post("/v1/traces", made.traces)
    app.router.add_post("/v1/metrics", made.measured)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "our-router")
    yield made
    await runner.cleanup()


async def chat(proxy: Proxy, model: str, text: str, **headers: str) -> tuple[int, dict[str, str]]:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    async with proxy.http() as http, http.post("/v1/chat/completions", json=body, headers=headers) as response:
        await response.read()
        return response.status, dict(response.headers)


def sent_traceparents(upstream: Running) -> list[str]:
    return [value for entry in upstream.log() for name, value in entry["headers"] if name.lower() == "traceparent"]


async def test_a_routed_request_is_one_trace_with_the_clients_and_the_providers(
    collector: Collector, proxies: ProxyFactory, upstream: Running
) -> None:
    upstream.clear()
    async with proxies() as proxy:
        await proxy.rank(lessons(120))
        _, headers = await chat(proxy, "auto", easy(1), traceparent=PARENT)
    server, attempt = collector.named("chat auto"), collector.named(f"chat {CHEAP}")
    embed, decide = collector.named("embed"), collector.named("router.decide")
    assert {span.trace_id.hex() for span in collector.spans} == {PARENT.split("-")[1]}
    assert server.parent_span_id.hex() == PARENT.split("-")[2]
    assert {span.parent_span_id for span in (attempt, embed, decide)} == {server.span_id}
    assert sent_traceparents(upstream) == [f"00-{attempt.trace_id.hex()}-{attempt.span_id.hex()}-01"]
    assert (server.kind, attempt.kind, decide.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, 3)
    said = attributes(server)
    expected = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "fake", "gen_ai.request.model": "auto",
        "gen_ai.response.model": CHEAP, "gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 3, "http.response.status_code": 200, "pgrouter.reason": "learned",
        "pgrouter.decision": headers["x-router-decision"], "pgrouter.tenant": "acme",
    }  # fmt: skip
    assert {name: said[name] for name in expected} == expected
    assert said["pgrouter.confidence"] == pytest.approx(float(headers["x-router-confidence"]), abs=0.001)
    assert "error.type" not in said
    assert collector.resource["service.name"] == "our-router"
    assert collector.resource["service.instance.id"]
    for inner in (embed, decide, attempt):
        assert server.start_time_unix_nano <= inner.start_time_unix_nano <= inner.end_time_unix_nano
        assert inner.end_time_unix_nano <= server.end_time_unix_nano
    assert embed.end_time_unix_nano <= decide.start_time_unix_nano
    assert decide.end_time_unix_nano <= attempt.start_time_unix_nano


async def test_every_attempt_has_its_span_and_a_failed_one_its_error(
    collector: Collector, proxies: ProxyFactory, upstream: Running
) -> None:
    upstream.clear()
    async with proxies() as proxy:
        await proxy.rank(lessons(120))
        upstream.script(CHEAP, "status=503")
        await chat(proxy, "auto", easy(1))
    failed = [span for span in collector.spans if span.name == f"chat {CHEAP}"]
    assert failed
    assert {attributes(span)["error.type"] for span in failed} == {"503"}
    assert {span.status.code for span in failed} == {Status.STATUS_CODE_ERROR}
    assert attributes(collector.named(f"chat {STRONG}"))["pgrouter.why"] == "fallback"
    assert attributes(collector.named("chat auto"))["pgrouter.reason"] == "fallback"


async def test_a_model_that_is_passed_over_takes_no_others_span(collector: Collector) -> None:
    made = otel.create()
    assert made is not None
    trace = made.begin({}, 10**18)
    assert trace is not None
    asked = trace.attempt(0.1).decode()
    attempts = (
        Attempt(model("sick"), "chosen", 0.0, 0.1, 0.0, "open"),
        Attempt(model("well"), "fallback", 0.0, 0.1, 0.2, "200"),
    )
    made.finish(
        RequestRecord(
            route="/chat/completions", operation="chat", status=200, arrived_ns=10**18, duration=0.5,
            requested="auto", attempts=attempts, trace=trace,
        )
    )  # fmt: skip
    await asyncio.to_thread(made.close)
    assert {span.name for span in collector.spans} == {"chat auto", "chat well"}
    assert collector.named("chat well").span_id.hex() == asked.split("-")[2]
    [event] = collector.named("chat auto").events
    assert attributes(event) == {"gen_ai.request.model": "sick", "pgrouter.outcome": "open"}


async def test_a_request_that_is_refused_has_a_span_with_the_error_and_no_name_of_the_clients(
    collector: Collector, proxies: ProxyFactory
) -> None:
    async with proxies() as proxy:
        status, _ = await chat(proxy, CANARY, "hello")
    assert status == 404
    [span] = collector.spans
    assert (span.name, attributes(span)["error.type"]) == ("chat", "model_not_found")
    assert not any(CANARY.encode() in body for body in collector.bodies)


async def test_what_passes_through_carries_the_clients_own_traceparent_or_none(
    collector: Collector, proxies: ProxyFactory, upstream: Running
) -> None:
    upstream.clear()
    async with proxies() as proxy:
        await chat(proxy, CHEAP, "hello")
        await chat(proxy, CHEAP, "hello", traceparent=PARENT)
    assert sent_traceparents(upstream) == [PARENT]


async def test_an_unsampled_trace_is_not_exported_and_stays_unsampled_upstream(
    collector: Collector, proxies: ProxyFactory, upstream: Running
) -> None:
    upstream.clear()
    async with proxies() as proxy:
        await chat(proxy, "auto", "hello", traceparent=PARENT.removesuffix("01") + "00")
    assert collector.spans == []
    [sent] = sent_traceparents(upstream)
    assert sent.split("-")[1] == PARENT.split("-")[1]
    assert sent.endswith("-00")


async def test_metrics_are_those_of_the_conventions(collector: Collector, proxies: ProxyFactory) -> None:
    async with proxies() as proxy:
        await chat(proxy, "auto", "hello")
        await chat(proxy, CANARY, "hello")
    assert set(collector.metrics) == {
        gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION,
        gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE,
        gen_ai_metrics.GEN_AI_SERVER_TIME_TO_FIRST_TOKEN,
    }
    [duration] = collector.metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert duration.count == 1
    assert list(duration.explicit_bounds)[:2] == [0.01, 0.02]
    assert attributes(duration) == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "fake", "gen_ai.request.model": "auto",
        "gen_ai.response.model": STRONG,
    }  # fmt: skip
    points = collector.metrics["gen_ai.client.token.usage"].histogram.data_points
    assert {attributes(point)["gen_ai.token.type"]: point.sum for point in points} == {"input": 11, "output": 7}


async def test_no_prompt_answer_or_key_is_exported(collector: Collector, proxies: ProxyFactory) -> None:
    async with proxies() as proxy:
        await proxy.rank([{"prompt": f"{CANARY} {i}", "scores": {CHEAP: 1, STRONG: 1}} for i in range(120)])
        for model in ("auto", CHEAP, CANARY):
            await chat(proxy, model, f"{CANARY} {model}")
        key = proxy.key
    sent = b"".join(collector.bodies)
    assert b"chat auto" in sent
    assert CANARY.encode() not in sent
    assert key.encode() not in sent
    assert ANSWER[:20].encode() not in sent


async def test_a_collector_that_is_away_holds_nothing_up(
    proxies: ProxyFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "4")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    async with proxies() as proxy:
        assert (await chat(proxy, "auto", "hello"))[0] == 200
    # The proxy has ended, but this exporter still retries and would use the random numbers of other tests.
    [trying] = [thread for thread in threading.enumerate() if thread.name == "telemetry"]
    await asyncio.to_thread(trying.join, 60)
    assert not trying.is_alive()


def test_the_names_are_those_of_the_installed_conventions() -> None:
    from app.telemetry import spans

    full = RequestRecord(
        route="/chat/completions", operation="chat", status=500, arrived_ns=0, duration=1.0, request_id="r",
        tenant="t", requested="auto", reason="learned", decision_id=UUID(int=1), confidence=0.5,
        usage=TokenUsage(1, 1, 1, 1), overhead=0.1, answered=Attempt(model("m"), "chosen", 0.0, 0.1, 0.2, "200"),
        streamed=True,
    )  # fmt: skip
    known = {
        value
        for module in (gen_ai_attributes, http_attributes, error_attributes, db_attributes)
        for value in vars(module).values()
        if isinstance(value, str)
    }
    named = {name for name in spans._of_request(full) if not name.startswith("pgrouter.")}
    assert {name for name in named if name.startswith("gen_ai.usage.")}
    assert named <= known
    assert {"db.system.name", "db.stored_procedure.name", "gen_ai.token.type"} <= known


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    code = "import sys, app.server.app; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
    ],
)
def test_nothing_is_made_unless_it_is_asked_for(environ: dict[str, str]) -> None:
    assert otel.create(environ) is None


def test_a_protocol_that_is_not_spoken_is_named() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with pytest.raises(ConfigurationError, match="OTEL_EXPORTER_OTLP_PROTOCOL='grpc'"):
        otel.create(environ)


def test_without_the_extra_its_name_is_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert importlib.metadata.version("opentelemetry-sdk")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match=r"pgrouter\[otel\]"):
        otel.create({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
