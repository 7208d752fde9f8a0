"""GET /v1/router/savings: the savings that calibration expected of each policy, and the real ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..http.responses import answer
from ..memory.backtest import saved
from ..operations.timespans import since
from ..store import backtests as stored_backtests
from .calls import counted
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate, parse_query, policy_of
from .responses import Listing, listing


class SavingsQuery(BaseModel):
    """The query string."""

    since: str | None = Field(
        None, description="A span before now such as 7d, or a date. Default: the last calibration, else 30d."
    )
    policy: str | None = Field(None, description="One policy. Default: all.")


class PolicySavings(TypedDict):
    """Real and expected savings of a policy; costs are USD of requests with known tokens and prices."""

    policy: str
    since: datetime
    until: datetime
    requests: Annotated[int, Field(description="Requests with a status below 400.")]
    learned: Annotated[float | None, Field(description="The share of requests that the memory decided.")]
    spent_usd: float | None
    default_usd: Annotated[float | None, Field(description="The cost of the same tokens on the default model.")]
    saved_usd: float | None
    cost_ratio: Annotated[float | None, Field(description="`spent_usd` / `default_usd`.")]
    target: Annotated[float | None, Field(description="The quality target of the last calibration.")]
    at_most: Annotated[float | None, Field(description="The share that the last calibration certified.")]
    confidence: Annotated[float | None, Field(description="The confidence of the last calibration.")]
    expected_worse_share: Annotated[float | None, Field(description="Worse requests, as the certificate measured.")]
    calibrated_at: datetime | None
    expected_cost_ratio: float | None
    expected_quality_ratio: float | None
    expected_quality_ratio_low: float | None
    memories_then: Annotated[int | None, Field(description="Memories at the last calibration.")]
    memories_now: int | None
    verdict: Annotated[str, Field(description="All of it in a sentence.")]
    shares: Annotated[dict[str, float], Field(description="The share of requests by model.")]
    expected_shares: dict[str, float]


async def savings(request: Request) -> Response:
    """Return the expected and the real savings of each policy."""
    services, caller = await authenticate(request)
    query = parse_query(request, SavingsQuery)
    policy_id = None if query.policy is None else policy_of(caller, query.policy, "policy").policy_id
    begin = None if query.since is None else since(query.since, datetime.now(UTC))
    async with counted(services, caller):
        rows = await stored_backtests.savings(services.db.background, caller.tenant_id, policy_id, begin)
    return answer(listing([saved(row) for row in rows]))


routes = [
    DocumentedRoute(
        "GET",
        "/v1/router/savings",
        savings,
        Operation(
            summary="The expected and the real savings of each policy.",
            tag="decisions",
            scope="manage",
            responses={200: Listing[PolicySavings]},
            errors=(404, 429),
            query=SavingsQuery,
        ),
    )
]
