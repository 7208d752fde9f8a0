"""What is known of a request once it is over: the one record that metrics, traces and the access log are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.upstream.attempt import Attempt


class RequestRecord(NamedTuple):
    """A request that is over, answered or not; times in seconds, None: unknown, or it did not come so far.

    `route` is one of the paths served (`/chat/completions`), never as a client wrote it; `operation` as OpenTelemetry
    calls it (`chat`, `text_completion`, `embeddings`). `requested` is the name in the request, which `served`, the
    model whose provider was asked last, vouches for: without it nobody knows whether there is such a name. `routed`:
    a policy was asked for. `reason` and `confidence` are the decision's, `decision` its number. `error` is the code of
    the router's own error. `overhead` is from arrival to departure upstream, of which `embedding` and `deciding` are
    parts. `trace` is what `Observer.begin` gave.
    """

    route: str
    operation: str
    status: int
    arrived_ns: int
    duration: float
    request_id: str = ""
    tenant: str | None = None
    requested: str | None = None
    served: str | None = None
    provider: str | None = None
    routed: bool = False
    reason: str | None = None
    decision: str | None = None
    confidence: float | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    overhead: float | None = None
    embedding: float | None = None
    deciding: float | None = None
    attempts: Sequence[Attempt] = ()
    first_token: float | None = None
    streamed: bool = False
    error: str | None = None
    trace: Any = None
