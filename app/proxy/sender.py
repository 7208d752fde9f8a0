"""The sender: writes one request for each model that it is sent to, and sends it to the model's provider."""

from __future__ import annotations

import time
from functools import partial

from ..dialects.body_settings import in_body, tree_of
from ..dialects.json_splice import with_members, with_model
from ..dialects.model_request import ModelRequest
from ..dialects.stream_options import with_usage
from ..entities import Model
from ..off_loop import off_loop
from ..telemetry.otel import TRACEPARENT
from ..telemetry.request_record import RequestRecord, Trace
from ..upstream.additions import NOTHING, Additions, Refusals
from ..upstream.client import Reply, Upstream
from ..upstream.headers import RawHeaders
from .beginning import begin_named, begin_routed, complete


class Sender:
    """Sends one request to providers. Only the bytes that have to differ for a provider are changed."""

    __slots__ = (
        "_body", "_headers", "_query", "_record", "_refusals", "_request", "_tenant", "_trace", "_upstream",
        "_with_usage",
    )  # fmt: skip

    def __init__(
        self,
        upstream: Upstream,
        refusals: Refusals,
        request: ModelRequest,
        body: bytes,
        headers: RawHeaders,
        query: bytes,
        record: RequestRecord,
        tenant: int,
        *,
        with_usage: bool,
    ) -> None:
        """`body`, `headers` and `query` as the client sent them; `with_usage`: ask for the usage of a stream.

        `tenant`: the caller's number.
        """
        self._upstream = upstream
        self._refusals = refusals
        self._request = request
        self._body = body
        self._headers = headers
        self._query = query
        self._record = record
        self._tenant = tenant
        self._trace: Trace | None = record.trace if record.routed else None
        self._with_usage = with_usage

    async def send(self, model: Model, within: float) -> Reply:
        """Send the request to a model; its answer has to begin `within` seconds. Raises `UpstreamUnavailable`."""
        request, record = self._request, self._record
        began = time.perf_counter()
        send = partial(self._send_with, model, began + within)
        dialect = request.dialect
        settings = in_body(model.settings, dialect.path, dialect.name, request.body) if model.settings else {}
        if settings or self._with_usage:
            kind = (self._tenant, dialect.path, hash(frozenset(request.body))) if settings else None
            reply = await self._refusals.send(model, kind, Additions(settings, self._with_usage), send)
        else:
            reply = await send(NOTHING)
        if record.routed and not reply.streamed and reply.whole is None:
            try:
                await complete(reply, dialect, began + within)
            except BaseException:
                reply.close()
                raise
        return reply

    async def _send_with(self, model: Model, deadline: float, added: Additions) -> Reply:
        """Send the request to a model with what the router adds; its answer has to begin before `deadline`."""
        request, record = self._request, self._record
        body = await off_loop(request.size, partial(self._written, model, added))
        now = time.perf_counter()
        sent = now - record.arrived
        if record.overhead is None:
            record.overhead = sent
        headers = self._headers
        if self._trace is not None:
            headers = [(name, value) for name, value in headers if name != TRACEPARENT]
            headers.append((TRACEPARENT, self._trace.attempt(sent)))
        return await self._upstream.send(
            model.provider,
            request.dialect.path,
            self._query,
            headers,
            body,
            within=max(0.001, deadline - now),
            begin=self._begin,
        )

    async def _begin(self, reply: Reply) -> None:
        request = self._request
        if self._record.routed:
            await begin_routed(reply, request.dialect, streamed=request.streamed)
        else:
            await begin_named(reply, streamed=request.dialect.routed and request.streamed)

    def _written(self, model: Model, added: Additions) -> bytes:
        """Return the body for a model with what the router adds."""
        body, request = self._body, self._request
        if model.upstream_name != request.model:
            body = with_model(body, model.upstream_name)
        if added.settings:
            body = with_members(body, request.body, tree_of(added.settings))
        if added.usage:
            body = with_usage(body, request.body)
        return body
