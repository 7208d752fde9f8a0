"""GET /v1/router/usage: the tenant's requests, tokens and cost, compared with the cost of the default models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, NamedTuple, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..accounting.usage_report import parse_dimensions, report_row, total
from ..errors import BadRequest
from ..http.responses import answer
from ..operations.timespans import past, since
from ..store import usage as stored_usage
from .calls import counted
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate, parse_query


class UsageQuery(BaseModel):
    """The query string: the period, and the columns to group by."""

    model_config = ConfigDict(extra="forbid")

    since: str = Field("7d", description="The start: a span before now such as 7d, or a date.")
    until: str | None = Field(None, description="The end: a span before now such as 1d, or a date. Default: now.")
    by: str = Field("", description="The columns to group by: key, model, policy, day, task, separated by commas.")


class UsageTotal(TypedDict):
    """The sums over all rows; tokens are counted by providers, costs are USD."""

    requests: int
    failed: Annotated[int, Field(description="Requests that returned an error.")]
    unknown: Annotated[int, Field(description="Requests without usage or price; their cost is not included.")]
    unexplained: Annotated[
        int, Field(description="Requests whose provider's usage fits no known convention; the dearer reading counts.")
    ]
    prompt_tokens: int
    cached_tokens: Annotated[int, Field(description="Prompt tokens read from the provider's cache.")]
    completion_tokens: int
    reasoning_tokens: int
    cost_usd: Annotated[float, Field(description="The cost of the requests.")]
    baseline_usd: Annotated[float, Field(description="The cost of the same requests on the default models.")]
    saved_usd: Annotated[float, Field(description="`baseline_usd` - `cost_usd`.")]


class UsageRow(UsageTotal):
    """The sums of one group; a column is present only if the report is grouped by it."""

    tenant: NotRequired[str]
    key_id: NotRequired[int | None]
    model: NotRequired[str | None]
    policy: NotRequired[str | None]
    day: NotRequired[date]
    task: NotRequired[str | None]
    share: Annotated[float | None, Field(description="The group's share of all requests, 0 to 1.")]


class UsageReport(TypedDict):
    """Usage in a period."""

    object: Literal["router.usage"]
    since: datetime
    until: datetime
    by: list[str]
    data: list[UsageRow]
    total: UsageTotal


class Period(NamedTuple):
    """A period from `since` until before `until`, and the columns to group by."""

    since: datetime
    until: datetime
    by: list[str]


def period_of(request: Request) -> Period:
    """Read the query string. Raises `BadRequest` naming the parameter."""
    query = parse_query(request, UsageQuery)
    now = datetime.now(UTC)
    begin = since(query.since, now)
    end = now if query.until is None else past(query.until, now, "until")
    if end <= begin:
        raise BadRequest(f"until: {query.until!r} is not after since, {query.since!r}.", param="until")
    return Period(begin, end, parse_dimensions(query.by))


def report(period: Period, rows: Sequence[Mapping[str, Any]], by: Sequence[str]) -> dict[str, Any]:
    """Return a `UsageReport` of rows of `router.usage`, with the columns that they are grouped by."""
    return {
        "object": "router.usage",
        "since": period.since,
        "until": period.until,
        "by": by,
        "data": [report_row(row, by) for row in rows],
        "total": total(rows),
    }


async def usage(request: Request) -> Response:
    """Return requests, tokens and USD from `since` until `until`, grouped by the columns in `by`."""
    services, caller = await authenticate(request)
    period = period_of(request)
    async with counted(services, caller):
        rows = await stored_usage.usage(services.db.background, caller.tenant_id, *period)
    return answer(report(period, rows, period.by))


routes = [
    DocumentedRoute(
        "GET",
        "/v1/router/usage",
        usage,
        Operation(
            summary="Requests, tokens and cost, compared with the cost of the default models.",
            tag="decisions",
            scope="manage",
            responses={200: UsageReport},
            errors=(429,),
            query=UsageQuery,
        ),
    )
]
