"""GET /v1/router/decisions: the decisions of a tenant, as a page and as they happen, and how many had which reason."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..entities import Caller
from ..errors import BadRequest, DatabaseError, RouterError
from ..http.pieces import EVENTS, STILL_HERE, PiecesResponse, event
from ..http.responses import answer
from ..operations.timespans import since
from ..services import Services
from ..store import ledger as stored_ledger
from ..store.reals import short
from .calls import count, counted
from .openapi.operation import DocumentedRoute, Operation
from .requests import DIGITS, authenticate, parse_query
from .responses import Listing, listing, select

#: Seconds between two queries of the ledger, and of silence after which a comment keeps the connection open.
POLL_INTERVAL, KEEPALIVE = 1.0, 15.0
#: Seconds after which a stream ends; clients connect again.
LONGEST = 600.0
#: The newest entries that a stream reads. Of more requests a second than this, a stream shows a part.
NEWEST = 200

log = logging.getLogger("pgrouter")


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("a NUL character is not allowed")
    return value


#: A text to compare with, which Postgres can read.
Text = Annotated[str, AfterValidator(_without_nul)]


class DecisionFilter(BaseModel):
    """The query string: what decisions have in common; a value that is left out is any."""

    model_config = ConfigDict(extra="forbid")

    reason: Text | None = Field(None, description="Reasons, separated by commas.")
    model: Text | None = Field(None, description="The model that served.")
    task: Text | None = Field(None, description="The task tag.")
    policy: Text | None = Field(None, description="The policy.")
    key: Annotated[int | None, DIGITS, Field(ge=1, le=2**31 - 1)] = Field(None, description="The number of the key.")

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `stored_ledger.list_decisions`."""
        reasons = None if self.reason is None else [each.strip() for each in self.reason.split(",") if each.strip()]
        return {"reasons": reasons, "model": self.model, "task": self.task, "policy": self.policy, "key": self.key}


class DecisionQuery(DecisionFilter):
    """The query string of a page."""

    limit: Annotated[int, DIGITS, Field(ge=1, le=500)] = Field(50, description="Decisions a page.")
    before: UUID | None = Field(None, description="Only decisions before this one: the last of the page before.")
    since: str = Field("24h", description="How far back: a span before now such as 7d, or a date.")


class ListedDecision(TypedDict):
    """A decision in a list; null: unknown, or not applicable."""

    id: Annotated[str, Field(description="As in the header x-router-decision.")]
    decided_at: datetime
    policy: str | None
    requested: Annotated[str, Field(description="The `model` of the request.")]
    task: str | None
    reason: Annotated[str, Field(description="As in the header x-router-reason.")]
    model: Annotated[str, Field(description="The model that served.")]
    confidence: float | None
    key_id: int | None
    status: Annotated[int, Field(description="The HTTP status of the response; 499: the client disconnected.")]
    streamed: bool
    attempts: Annotated[int, Field(description="The number of calls to providers.")]
    prompt_tokens: int | None
    completion_tokens: int | None
    spent_usd: float | None
    default_usd: Annotated[float | None, Field(description="The cost of the same tokens on the default model.")]
    overhead_ms: float
    first_token_ms: float | None
    duration_ms: float


class ReasonQuery(BaseModel):
    """The query string of the counts."""

    model_config = ConfigDict(extra="forbid")

    since: str = Field("24h", description="The start: a span before now such as 7d, or a date.")


class ReasonCount(TypedDict):
    """How many requests of a policy had a reason."""

    policy: Annotated[str | None, Field(description="null: the request named a model, or the policy was deleted.")]
    reason: str
    requests: int
    share: Annotated[float, Field(description="The share of all requests of that time.")]
    last_at: datetime


class DecisionPage(TypedDict):
    """A page of decisions, newest first."""

    object: Literal["list"]
    data: list[ListedDecision]
    has_more: bool


async def list_decisions(request: Request) -> Response:
    """Return decisions, newest first."""
    services, caller = await authenticate(request)
    query = parse_query(request, DecisionQuery)
    begin = since(query.since, datetime.now(UTC))
    if query.before is not None and query.before.version != 7:
        raise BadRequest("before: the id of a decision is a UUID of version 7.", param="before")
    async with counted(services, caller):
        rows = await stored_ledger.list_decisions(
            services.db.background, caller.tenant_id, limit=query.limit + 1, before=query.before, since=begin,
            **query.arguments(),
        )  # fmt: skip
    page: DecisionPage = {
        "object": "list",
        "data": [_listed(row) for row in rows[: query.limit]],
        "has_more": len(rows) > query.limit,
    }
    return answer(page)


async def stream_decisions(request: Request) -> Response:
    """Return decisions as they are recorded, as server-sent events `decision`, for up to 10 minutes."""
    services, caller = await authenticate(request)
    query = parse_query(request, DecisionFilter)
    await count(services, caller)
    return PiecesResponse(_events(services, caller, query), EVENTS)


async def count_reasons(request: Request) -> Response:
    """Return how many requests had which reason, by policy, the most frequent first."""
    services, caller = await authenticate(request)
    begin = since(parse_query(request, ReasonQuery).since, datetime.now(UTC))
    async with counted(services, caller):
        rows = await stored_ledger.reasons(services.db.background, caller.tenant_id, begin)
    return answer(listing([select(ReasonCount, row) for row in rows]))


async def _events(services: Services, caller: Caller, query: DecisionFilter) -> AsyncGenerator[bytes, None]:
    """Yield an event for each decision that was recorded since the stream began, and one for each query that failed.

    A decision is recorded when its answer has ended, possibly later than others that were made after it; so the stream
    remembers which of the newest entries it has sent.
    """
    sent = OrderedDict[UUID, None]()
    began, quiet, first = time.monotonic(), time.monotonic(), True
    # The client learns at once that it is connected.
    yield b": connected\n\n"
    while time.monotonic() - began < LONGEST:
        try:
            async with services.turns.turn(caller.tenant_id):
                found = await stored_ledger.list_decisions(
                    services.db.background, caller.tenant_id, limit=NEWEST, **query.arguments()
                )
        except (RouterError, DatabaseError) as error:
            yield event("error", {"message": _message(error)})
            quiet = time.monotonic()
        else:
            for row in reversed(found):
                if row["decision_id"] not in sent:
                    sent[row["decision_id"]] = None
                    if not first:
                        yield event("decision", _listed(row))
                        quiet = time.monotonic()
            while len(sent) > 2 * NEWEST:
                sent.popitem(last=False)
            first = False
        if time.monotonic() - quiet >= KEEPALIVE:
            yield STILL_HERE
            quiet = time.monotonic()
        await asyncio.sleep(POLL_INTERVAL)


def _message(error: RouterError | DatabaseError) -> str:
    if isinstance(error, RouterError):
        return error.message
    log.error("the decisions of a stream could not be read: %s", error.message)
    return "Internal error."


def _listed(row: Mapping[str, Any]) -> ListedDecision:
    reals = ("confidence", "overhead_ms", "first_token_ms", "duration_ms")
    shortened = {name: None if row[name] is None else short(row[name]) for name in reals}
    return select(ListedDecision, row, id=str(row["decision_id"]), **shortened)


routes = [
    DocumentedRoute(
        "GET",
        "/v1/router/decisions",
        list_decisions,
        Operation(
            summary="The decisions, newest first.",
            tag="decisions",
            scope="manage",
            responses={200: DecisionPage},
            errors=(429,),
            query=DecisionQuery,
        ),
    ),
    DocumentedRoute(
        "GET",
        "/v1/router/decisions/stream",
        stream_decisions,
        Operation(
            summary="The decisions as they are recorded, as server-sent events.",
            tag="decisions",
            scope="manage",
            responses={200: {EVENTS: {"type": "string"}}},
            errors=(429,),
            query=DecisionFilter,
        ),
    ),
    DocumentedRoute(
        "GET",
        "/v1/router/decisions/reasons",
        count_reasons,
        Operation(
            summary="How many requests had which reason, by policy.",
            tag="decisions",
            scope="manage",
            responses={200: Listing[ReasonCount]},
            errors=(429,),
            query=ReasonQuery,
        ),
    ),
]
