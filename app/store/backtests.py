"""Backtests, calibration, fits, and the savings in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..policy_settings import POLICY_SETTINGS
from .database import Database
from .policy_changes import ChangedBy, changed_by

#: Seconds of a call's timeout beyond those for measuring: for reading at its start and computing at its end.
SLACK = 30.0


async def backtest(
    db: Database,
    tenant_id: int,
    policy_id: int,
    space_id: int,
    *,
    sample: int,
    alphas: Sequence[float] | None = None,
    settings: Mapping[str, Any] | None = None,
    confidence: float,
    seconds: float,
) -> list[Mapping[str, Any]]:
    """Return the cost-quality curve of a policy by leave-one-out, as rows of `router.backtest`; changes nothing.

    At most `sample` memories are used as requests, for at most `seconds`. `settings` (alpha, k, tau, n0, n0_task, n1)
    override those of the policy. Raises `NotFound` for an unknown policy, `InsufficientMemory` for too few memories.
    """
    return await db.read(
        "select * from router.backtest($1, $2, $3, p_sample => $4, p_alphas => $5, p_settings => $6, "
        "p_confidence => $7, p_seconds => $8)",
        tenant_id,
        policy_id,
        space_id,
        sample,
        None if alphas is None else list(alphas),
        None if settings is None else tuple(settings.get(setting) for setting in POLICY_SETTINGS),
        confidence,
        seconds,
        timeout=seconds + SLACK,
    )


async def calibrate(
    db: Database,
    tenant_id: int,
    policy_id: int,
    space_id: int,
    *,
    target: float | None,
    at_most: float | None = None,
    margin: float = 0.0,
    confidence: float,
    sample: int,
    seconds: float,
    tune: bool,
    write: bool,
    by: ChangedBy | int,
) -> Mapping[str, Any]:
    """Return the settings that keep `target` of the default model's quality at the lowest cost.

    Or, instead of `target`, the cheapest settings certified to serve at most a share `at_most` of requests worse than
    the default model, by more than `margin`. The result is the row of `router.calibrate`; with `write` the policy is
    changed. `by`: who changes it, a number is that of a tenant's key. Raises `NotFound` for an unknown policy,
    `InsufficientMemory` for too few memories, too high a target or too small a share.
    """
    rows = await db.fetch(
        "select * from router.calibrate($1, $2, $3, $4, $5, $6, $7, $8, $9, p_by => $10, p_key => $11, "
        "p_at_most => $12, p_margin => $13)",
        tenant_id,
        policy_id,
        space_id,
        target,
        confidence,
        sample,
        seconds,
        tune,
        write,
        *changed_by(by),
        at_most,
        margin,
        timeout=seconds + SLACK,
    )
    row: Mapping[str, Any] = rows[0]
    return row


async def list_fits(db: Database, tenant_id: int, space_id: int) -> list[Mapping[str, Any]]:
    """Return what decisions of each learning policy use of its fit, as rows of `router.list_fits`."""
    return await db.read("select * from router.list_fits($1, $2)", tenant_id, space_id)


async def savings(
    db: Database, tenant_id: int, policy_id: int | None, since: datetime | None
) -> list[Mapping[str, Any]]:
    """Return the expected and the actual savings of a policy (None: of each), as rows of `router.savings`.

    `since` None: since the last calibration of the policy, else in the last 30 days.
    """
    return await db.read("select * from router.savings($1, $2, $3)", tenant_id, policy_id, since, timeout=60)
