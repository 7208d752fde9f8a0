"""POST /v1/router/backtest: a policy's expected cost and quality, measured on the tenant's own memory."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..http.disconnect import until_disconnect
from ..http.responses import answer
from ..memory.backtest import Backtest
from ..store import backtests as stored_backtests
from .calls import count
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate, parse_body, policy_of

_Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
_Alpha = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Overrides(BaseModel):
    """Settings that replace the policy's own."""

    model_config = ConfigDict(extra="forbid", strict=True)

    alpha: _Alpha | None = None
    k: Annotated[int, Field(ge=1, le=1000)] | None = None
    tau: Annotated[float, Field(ge=1e-4, allow_inf_nan=False)] | None = None
    n0: _Weight | None = None
    n0_task: _Weight | None = None
    n1: _Weight | None = None


class Trial(BaseModel):
    """The subject of a backtest and its time limit; `policy` or, as in a chat request, `model` names the policy."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = None
    policy: str | None = None
    sample: int = Field(500, ge=30, le=16_000, description="The largest number of memories to route.")
    alphas: Annotated[list[_Alpha], Field(min_length=1, max_length=100)] | None = Field(
        None, description="The points of the curve; null: a range around the policy's alpha."
    )
    settings: Overrides = Overrides()
    confidence: float = Field(0.9, ge=0.5, le=0.999, description="The confidence of the `_low` and `_high` bounds.")
    seconds: float = Field(10, ge=0.1, le=30, description="The time after which no more memories are routed.")

    @model_validator(mode="after")
    def _one_at_most(self) -> Self:
        if self.model is not None and self.policy is not None:
            raise ValueError("give either `model` or `policy`")
        return self


class Rule(TypedDict):
    """One way to serve the sampled requests: means per request, with bounds at the backtest's confidence."""

    model: NotRequired[Annotated[str, Field(description="The model of a rule that uses a single one.")]]
    quality: Annotated[float, Field(description="0 to 1.")]
    quality_low: float | None
    quality_high: float | None
    cost_usd: float
    cost_ratio: Annotated[float | None, Field(description="Cost as a multiple of the default model's.")]
    quality_ratio: Annotated[float | None, Field(description="Quality as a multiple of the default model's.")]
    quality_ratio_low: float | None


class CurvePoint(TypedDict):
    """The policy at one alpha."""

    alpha: float | None
    in_use: Annotated[bool, Field(description="Whether this is the policy's own alpha.")]
    quality: Annotated[float, Field(description="0 to 1.")]
    quality_low: float | None
    quality_high: float | None
    cost_usd: float
    cost_ratio: Annotated[float | None, Field(description="Cost as a multiple of the default model's.")]
    quality_ratio: Annotated[float | None, Field(description="Quality as a multiple of the default model's.")]
    quality_ratio_low: float | None
    blend_quality: Annotated[float | None, Field(description="The best mixture of single models at the same cost.")]
    gain: Annotated[float | None, Field(description="`quality` - `blend_quality`.")]
    gain_low: float | None
    gain_high: float | None
    shares: Annotated[dict[str, float], Field(description="The share of requests by model.")]


class BlendPoint(TypedDict):
    """A corner of the static blend of single models."""

    cost_usd: float
    quality: float


class References(TypedDict):
    """The rules that the policy is compared with."""

    cheapest: Rule
    default: Rule
    best_single: Rule
    oracle: Annotated[Rule, Field(description="The best model for each request, known only afterwards.")]
    always: Annotated[list[Rule], Field(description="Each model alone, cheapest first.")]
    blend: Annotated[list[BlendPoint], Field(description="The best mixtures of single models, as a line.")]


class BacktestReport(TypedDict):
    """A policy's expected cost and quality by alpha."""

    object: Literal["router.backtest"]
    policy: str
    backend: str
    embedder: str
    confidence: float
    settings: Annotated[dict[str, float], Field(description="The settings that replaced the policy's own.")]
    rows: Annotated[int, Field(description="The number of memories used.")]
    skipped: Annotated[int, Field(description="Memories without a score of every candidate.")]
    sampled: Annotated[bool, Field(description="Whether the memory has more that could be used.")]
    curve: Annotated[list[CurvePoint], Field(description="In ascending order of alpha.")]
    references: References


async def backtest(request: Request) -> Response:
    """Return the policy's cost-quality curve on the tenant's own memory, with the rules that it is compared with.

    A tenant runs one at a time, and a process a few, as each uses a core of Postgres for its seconds: raises `Busy`.
    """
    services, caller = await authenticate(request)
    trial = await parse_body(request, Trial)
    name, param = (trial.policy, "policy") if trial.model is None else (trial.model, "model")
    policy = policy_of(caller, "auto" if name is None else name, param)
    settings = trial.settings.model_dump(exclude_none=True)
    await count(services, caller)
    async with services.measuring.backtest(caller.tenant_id):
        rows = await until_disconnect(
            request.receive,
            stored_backtests.backtest(
                services.db.measuring,
                caller.tenant_id,
                policy.policy_id,
                services.spaces.own.space_id if caller.space is None else caller.space.space_id,
                sample=trial.sample,
                alphas=trial.alphas,
                settings=settings or None,
                confidence=trial.confidence,
                seconds=trial.seconds,
            ),
        )
    report: dict[str, Any] = {
        "object": "router.backtest",
        "policy": policy.name,
        "backend": policy.backend,
        "embedder": services.spaces.name_of(caller),
        "confidence": trial.confidence,
        "settings": settings,
        **Backtest.of(rows).body(),
    }
    return answer(report)


routes = [
    DocumentedRoute(
        "POST",
        "/v1/router/backtest",
        backtest,
        Operation(
            summary="A policy's expected cost and quality by alpha, measured on the tenant's own memory.",
            tag="decisions",
            scope="manage",
            responses={200: BacktestReport},
            errors=(404, 422, 429),
            body=Trial,
        ),
    )
]
