"""GET /v1/router/decisions/{id}: a recorded decision with every number behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..errors import NotFound
from ..http.responses import answer
from ..store import decisions as stored_decisions
from ..store.reals import short
from .calls import counted
from .openapi.operation import DocumentedRoute, Operation, parameter
from .requests import authenticate
from .responses import select

#: The ledger's arrays by candidate, and the field of a candidate that each becomes.
_ARRAYS = {
    "candidates": "model", "score": "score", "quality": "quality", "confidences": "confidence", "prior": "prior",
    "cost_usd": "cost_usd", "penalty": "penalty", "prompt_estimate": "prompt_tokens",
    "cached_estimate": "cached_tokens", "completion_estimate": "completion_tokens", "input_price": "input_price",
    "cached_price": "cached_input_price", "output_price": "output_price",
}  # fmt: skip
#: Columns of double precision; the ledger's other numbers that are not integers have single precision.
_DOUBLE = frozenset({"alpha", "unit_usd", "spent_usd", "default_usd"})


class DecidedCandidate(TypedDict):
    """A candidate as it was ranked; tokens are estimates, prices are USD per million tokens at that time."""

    model: str
    score: Annotated[float | None, Field(description="quality - alpha * cost_usd / unit_usd - penalty.")]
    quality: Annotated[float | None, Field(description="The estimated quality, 0 to 1.")]
    confidence: Annotated[
        float | None,
        Field(description="How much the neighbours' scores of this model weigh against the prior, 0 to 1."),
    ]
    prior: Annotated[float | None, Field(description="The estimate before the neighbours' scores count.")]
    cost_usd: Annotated[float | None, Field(description="The expected cost of the request.")]
    penalty: Annotated[float, Field(description="The loss for not being the conversation's current model.")]
    prompt_tokens: float | None
    cached_tokens: float
    completion_tokens: float | None
    input_price: float | None
    cached_input_price: float | None
    output_price: float | None


class Decision(TypedDict):
    """A request as it was routed, and what it used; null: unknown, or not applicable."""

    object: Literal["router.decision"]
    id: Annotated[str, Field(description="As in the header x-router-decision.")]
    decided_at: datetime
    policy: str | None
    requested: Annotated[str | None, Field(description="The `model` of the request.")]
    task: str | None
    reason: Annotated[str, Field(description="As in the header x-router-reason.")]
    model: Annotated[str, Field(description="The model that served.")]
    why: Annotated[str | None, Field(description="The reason as a sentence.")]
    confidence: float | None
    alpha: Annotated[float | None, Field(description="The price of cost in quality.")]
    unit_usd: Annotated[float | None, Field(description="What the dearest candidate costs for an average prompt.")]
    attempts: Annotated[int | None, Field(description="The number of calls to providers.")]
    status: Annotated[int | None, Field(description="The HTTP status of the response; 499: the client disconnected.")]
    streamed: bool | None
    estimated_tokens: Annotated[int | None, Field(description="Prompt tokens as estimated before the request.")]
    prompt_tokens: Annotated[int | None, Field(description="Prompt tokens that the provider counted.")]
    cached_tokens: Annotated[int | None, Field(description="Prompt tokens read from the provider's cache.")]
    completion_tokens: int | None
    reasoning_tokens: int | None
    spent_usd: Annotated[float | None, Field(description="The cost of the request.")]
    default_usd: Annotated[float | None, Field(description="The cost of the same tokens on the default model.")]
    overhead_ms: Annotated[float | None, Field(description="The time in pgrouter before the provider was called.")]
    first_token_ms: Annotated[float | None, Field(description="The time until the provider's answer began.")]
    duration_ms: Annotated[float | None, Field(description="The time from the request to the last byte.")]
    api: Annotated[str | None, Field(description="The API: chat, responses, messages, completions or embeddings.")]
    usage_estimated: Annotated[bool | None, Field(description="Whether tokens are estimates, not the provider's.")]
    usage_unexplained: Annotated[
        str | None,
        Field(description="Why the provider's usage fits no convention: shape, invalid, partial, total or zero."),
    ]
    tried: Annotated[list[str] | None, Field(description="The models called or passed over, in order.")]
    tried_why: Annotated[list[str | None] | None, Field(description="Why each was: chosen, fallback, retry or hedge.")]
    tried_outcome: Annotated[
        list[str | None] | None,
        Field(description="An HTTP status, timeout, unreachable, invalid, cut, open, over_budget or cancelled."),
    ]
    tried_ms: Annotated[
        list[float | None] | None, Field(description="Time until the first byte of each, or its failure.")
    ]
    candidates: Annotated[list[DecidedCandidate], Field(description="Best first; empty: nothing was ranked.")]


async def read_decision(request: Request) -> Response:
    """Return a recorded decision. Raises `NotFound` if this tenant has none of that id."""
    services, caller = await authenticate(request)
    text = request.path_params["decision_id"]
    row = None
    with contextlib.suppress(ValueError):
        async with counted(services, caller):
            row = await stored_decisions.decision(services.db.background, caller.tenant_id, UUID(text))
    if row is None:
        raise NotFound(f"There is no decision {text}.", param="decision_id")
    return answer(_decision(row))


def _decision(row: Mapping[str, Any]) -> Decision:
    found = {name: value if name in _DOUBLE else _shortened(value) for name, value in row.items()}
    columns = {name: found.pop(column) for column, name in _ARRAYS.items()}
    return select(
        Decision,
        found,
        object="router.decision",
        id=str(row["decision_id"]),
        candidates=[_candidate(columns, position) for position in range(len(columns["model"] or ()))],
    )


def _candidate(columns: Mapping[str, list[Any] | None], position: int) -> DecidedCandidate:
    values = {name: None if column is None else column[position] for name, column in columns.items()}
    # The ledger stores no zeros: a decision outside a conversation has neither.
    return select(
        DecidedCandidate,
        values,
        cached_tokens=values["cached_tokens"] or 0.0,
        penalty=values["penalty"] or 0.0,
    )


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    return short(value) if isinstance(value, float) else value


routes = [
    DocumentedRoute(
        "GET",
        "/v1/router/decisions/{decision_id}",
        read_decision,
        Operation(
            summary="A recorded decision with every number behind it.",
            tag="decisions",
            scope="ask",
            responses={200: Decision},
            errors=(404, 429),
            parameters=(
                parameter(
                    "decision_id", "path", "As in the header x-router-decision.", {"type": "string", "format": "uuid"}
                ),
            ),
        ),
    )
]
