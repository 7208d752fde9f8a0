"""The sender: writes one request for each model that it is sent to, and sends it to the model's provider."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from functools import partial

from ..dialects.json_splice import with_model
from ..dialects.model_request import ModelRequest
from ..dialects.stream_options import with_usage
from ..entities import Model
from ..off_loop import off_loop
from ..telemetry.otel import TRACEPARENT
from ..telemetry.request_record import RequestRecord, Trace
from ..upstream.client import Reply, Upstream
from ..upstream.headers import RawHeaders
from .beginning import begin_named, begin_routed, complete


class Sender:
    """Sends one request to providers. Only the bytes that have to differ for a provider are changed."""

    __slots__ = ("_body", "_headers", "_query", "_record", "_request", "_trace", "_upstream", "_with_usage")

    def __init__(
        self,
        upstream: Upstream,
        request: ModelRequest,
        body: bytes,
        headers: RawHeaders,
        query: bytes,
        record: RequestRecord,
        *,
        with_usage: bool,
    ) -> None:
        """`body`, `headers` and `query` as the client sent them; `with_usage`: ask for the usage of a stream."""
        self._upstream = upstream
        self._request = request
        self._body = body
        self._headers = headers
        self._query = query
        self._record = record
        self._trace: Trace | None = record.trace if record.routed else None
        self._with_usage = with_usage

    async def send(self, model: Model, within: float) -> Reply:
        """Send the request to a model; its answer has to begin `within` seconds. Raises `UpstreamUnavailable`."""
        request, record = self._request, self._record
        adds_usage = self._with_usage and model.provider.name not in self._upstream.without_stream_options
        body = await off_loop(request.size, partial(self._written, model, adds_usage=adds_usage))
        sent = time.perf_counter() - record.arrived
        if record.overhead is None:
            record.overhead = sent
        headers = self._headers
        if self._trace is not None:
            headers = [(name, value) for name, value in headers if name != TRACEPARENT]
            headers.append((TRACEPARENT, self._trace.attempt(sent)))
        began = time.perf_counter()
        reply = await self._send_body(model, headers, body, within)
        reply.usage_added = adds_usage
        if adds_usage and await reply.refuses_stream_options():
            reply.close()
            body = await off_loop(request.size, partial(self._written, model, adds_usage=False))
            reply = await self._send_body(model, headers, body, max(0.001, within + began - time.perf_counter()))
            self._upstream.served_without_options(model.provider, reply)
        if record.routed and not reply.streamed and reply.whole is None:
            try:
                await complete(reply, request.dialect, began + within)
            except BaseException:
                reply.close()
                raise
        return reply

    async def _begin(self, reply: Reply) -> None:
        request = self._request
        if self._record.routed:
            await begin_routed(reply, request.dialect, streamed=request.streamed)
        else:
            await begin_named(reply, streamed=request.dialect.routed and request.streamed)

    def _send_body(self, model: Model, headers: RawHeaders, body: bytes, within: float) -> Coroutine[None, None, Reply]:
        request = self._request
        return self._upstream.send(
            model.provider,
            request.dialect.path,
            self._query,
            headers,
            body,
            within=within,
            begin=self._begin,
        )

    def _written(self, model: Model, *, adds_usage: bool) -> bytes:
        """Return the body for a model; `adds_usage`: with the router's request for usage."""
        body, request = self._body, self._request
        if model.upstream_name != request.model:
            body = with_model(body, model.upstream_name)
        if adds_usage:
            body = with_usage(body, request.body)
        return body
