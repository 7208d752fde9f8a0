"""POST /v1/router/calibrate: the settings with which a policy keeps a share of quality, or a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..errors import BadRequest
from ..http.disconnect import until_disconnect
from ..http.responses import answer
from ..memory.backtest import shares_of
from ..memory.goal import Goal
from ..store import backtests as stored_backtests
from ..store import policies as stored_policies
from .admin.policy_fields import finite
from .calls import count
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate, parse_body, policy_of


class Target(BaseModel):
    """The quality to keep, or the share of requests that may be worse.

    `policy` or, as in a chat request, `model` names the policy.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = None
    policy: str | None = None
    target: float | None = Field(
        None, ge=0.01, le=2, allow_inf_nan=False,
        description="Share of the default model's quality to keep, such as 0.98. Give this or `at_most`.",
    )  # fmt: skip
    at_most: float | None = Field(
        None, ge=0.0001, le=0.99, allow_inf_nan=False,
        description="Certify that at most this share of requests is served worse than by the default model.",
    )  # fmt: skip
    by: float | None = Field(
        None, ge=0, le=0.99, allow_inf_nan=False,
        description="With `at_most`: a request is worse if its quality is lower by more than this. Default: 0.",
    )  # fmt: skip
    delta: float | None = Field(
        None, ge=0.001, le=0.5, allow_inf_nan=False, description="With `at_most`: 1 - `confidence`. Default: 0.1."
    )  # fmt: skip
    confidence: float | None = Field(
        None, ge=0.5, le=0.999, description="The confidence with which the target or `at_most` is kept. Default: 0.9."
    )
    tune: bool = Field(True, description="Choose k, tau, n0 and n0_task too, not only alpha.")
    sample: int = Field(2000, ge=30, le=16_000, description="The largest number of memories to route.")
    seconds: float = Field(10, ge=0.1, le=30, description="The time after which no more memories are routed.")
    dry_run: bool = Field(False, description="Return the settings without changing the policy.")

    @model_validator(mode="after")
    def _one_at_most(self) -> Self:
        if self.model is not None and self.policy is not None:
            raise ValueError("give either `model` or `policy`")
        return self


class ChosenSettings(TypedDict):
    """The settings that calibration chooses."""

    alpha: float
    k: int
    tau: Annotated[float | Literal["infinity"], Field(description="JSON has no infinity.")]
    n0: float
    n0_task: float


class Calibration(TypedDict):
    """The settings before and after, and what is expected of them: means per request."""

    object: Literal["router.calibration"]
    policy: str
    default_model: str
    target: Annotated[float | None, Field(description="null: a certificate.")]
    at_most: Annotated[float | None, Field(description="null: a target.")]
    by: float | None
    confidence: float
    before: ChosenSettings
    after: ChosenSettings
    tuned: Annotated[bool, Field(description="Whether settings besides alpha were chosen.")]
    written: Annotated[bool, Field(description="Whether the policy was changed; false: a dry run.")]
    rows: Annotated[int, Field(description="The number of memories used; of a certificate, of those tested.")]
    memories: Annotated[int, Field(description="The number of memories that there are.")]
    quality: Annotated[float, Field(description="0 to 1.")]
    quality_low: float | None
    default_quality: float
    quality_ratio: Annotated[float, Field(description="Quality as a multiple of the default model's.")]
    quality_ratio_low: Annotated[float, Field(description="At least this at the confidence.")]
    cost_usd: float
    default_usd: float
    cost_ratio: Annotated[float | None, Field(description="Cost as a multiple of the default model's.")]
    worse_share: Annotated[float | None, Field(description="The share of the tested memories that was worse.")]
    shares: Annotated[dict[str, float], Field(description="The expected share of requests by model.")]


async def calibrate(request: Request) -> Response:
    """Set a policy to keep a share of its default model's quality at the least cost; with `dry_run` only return how.

    With `at_most` instead of `target`, certify that at most this share of requests is served worse than by the default
    model. Bounded as backtests are. If the memory cannot support the target or the share, the error names the best that
    it supports, and nothing is changed.
    """
    services, caller = await authenticate(request)
    wanted = await parse_body(request, Target)
    goal = Goal.of(wanted.target, wanted.at_most, confidence=wanted.confidence, delta=wanted.delta, by=wanted.by)
    name, param = (wanted.policy, "policy") if wanted.model is None else (wanted.model, "model")
    policy = policy_of(caller, "auto" if name is None else name, param)
    if policy.backend != "knn":
        raise BadRequest(
            f"Policy {policy.name} has backend {policy.backend}, which does not learn: only knn can be calibrated.",
            param=param,
        )
    await count(services, caller)
    async with services.measuring.backtest(caller.tenant_id):
        before = await stored_policies.settings_of(services.db.background, caller.tenant_id, policy.policy_id)
        after = await until_disconnect(
            request.receive,
            stored_backtests.calibrate(
                services.db.measuring,
                caller.tenant_id,
                policy.policy_id,
                services.spaces.own.space_id if caller.space is None else caller.space.space_id,
                **asdict(goal),
                sample=wanted.sample,
                seconds=wanted.seconds,
                tune=wanted.tune,
                write=not wanted.dry_run,
                by=caller.key_id,
            ),
        )
    facts = {name: after[name] for name in Calibration.__annotations__ if name in after and name != "shares"}
    chosen = {"before": _chosen(before), "after": _chosen(after), "shares": shares_of(after["models"], after["shares"])}
    return answer(
        {
            "object": "router.calibration",
            "policy": policy.name,
            "default_model": before["default_model"],
            **facts,
            "by": after["margin"],
            **chosen,
        }
    )


def _chosen(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: finite(row[name]) for name in ChosenSettings.__annotations__}


routes = [
    DocumentedRoute(
        "POST",
        "/v1/router/calibrate",
        calibrate,
        Operation(
            summary="Set a policy to keep a share of its default model's quality at the least cost.",
            tag="decisions",
            scope="manage",
            responses={200: Calibration},
            errors=(404, 422, 429),
            body=Target,
        ),
    )
]
