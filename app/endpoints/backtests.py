"""POST /v1/router/backtest and GET /v1/router/savings: what routing gets for its money, expected and spent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.endpoints.requests import called, parsed
from app.entities import Caller, Policy
from app.errors import Busy, NotFound
from app.http.disconnect import until_disconnect
from app.http.responses import answer
from app.memory.backtest import Backtest, saved
from app.operations.timespans import since
from app.store import backtests

#: When to ask again while another backtest runs, seconds: most take less.
RETRY = 2.0

_Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
_Alpha = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Overrides(BaseModel):
    """Settings tried in place of the policy's own."""

    model_config = ConfigDict(extra="forbid", strict=True)

    alpha: _Alpha | None = None
    k: Annotated[int, Field(ge=1, le=1000)] | None = None
    tau: Annotated[float, Field(ge=1e-4, allow_inf_nan=False)] | None = None
    n0: _Weight | None = None
    n0_task: _Weight | None = None
    n1: _Weight | None = None


class Trial(BaseModel):
    """What to measure, and for how long; the policy is given as `policy`, or as `model` as in a chat request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = None
    policy: str | None = None
    sample: Annotated[int, Field(ge=30, le=16_000)] = 500
    alphas: Annotated[list[_Alpha], Field(min_length=1, max_length=100)] | None = None
    settings: Overrides = Overrides()
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.9
    seconds: Annotated[float, Field(ge=0.1, le=30)] = 10

    @model_validator(mode="after")
    def _one_at_most(self) -> Self:
        if self.model is not None and self.policy is not None:
            raise ValueError("give either `model` or `policy`")
        return self


async def backtest(request: Request) -> Response:
    """The policy's cost-quality curve on the tenant's own memory, with what it has to be compared with.

    One at a time in a process, as each keeps a core of Postgres busy for its seconds: raises `Busy` for others.
    """
    services, caller = await called(request)
    wanted = await parsed(request, Trial)
    name, param = (wanted.policy, "policy") if wanted.model is None else (wanted.model, "model")
    policy = _policy(caller, "auto" if name is None else name, param)
    settings = wanted.settings.model_dump(exclude_none=True)
    if services.measuring.locked():
        raise Busy("A backtest is running already: ask again when it is done.", seconds=RETRY)
    async with services.measuring:
        rows = await until_disconnect(
            request.receive,
            backtests.backtest(
                services.db,
                caller.tenant_id,
                policy.policy_id,
                services.spaces.own.space_id if caller.space is None else caller.space.space_id,
                sample=wanted.sample,
                alphas=wanted.alphas,
                settings=settings or None,
                confidence=wanted.confidence,
                seconds=wanted.seconds,
            ),
        )
    return answer(
        {
            "object": "router.backtest",
            "policy": policy.name,
            "backend": policy.backend,
            "embedder": services.spaces.name_of(caller),
            "confidence": wanted.confidence,
            "settings": settings,
            **Backtest.of(rows).body(),
        }
    )


async def savings(request: Request) -> Response:
    """What each policy was expected to save and what it did: `?since=7d|DATE&policy=NAME`."""
    services, caller = await called(request)
    text, policy = request.query_params.get("since"), request.query_params.get("policy")
    rows = await backtests.savings(
        services.db,
        caller.tenant_id,
        None if policy is None else _policy(caller, policy, "policy").policy_id,
        None if text is None else since(text, datetime.now(UTC)),
    )
    return answer({"object": "list", "data": [saved(row) for row in rows]})


def _policy(caller: Caller, name: str, param: str) -> Policy:
    policy = caller.policies.get(name)
    if policy is None:
        raise NotFound(f"There is no policy {name!r}.", param=param, code="model_not_found")
    return policy


routes = [
    Route("/v1/router/backtest", backtest, methods=["POST"]),
    Route("/v1/router/savings", savings),
]
