"""`pgrouter status`: whether each policy has enough memories to decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from ..entities import Tenant
from ..errors import ConfigurationError
from ..store import backtests as stored_backtests
from ..store import memories as stored_memories
from ..store import tenants as stored_tenants
from ..store.database import Database
from .common import AsJson, embedder_of, note, show, tenant_of, with_database


def status(
    tenant: Annotated[str | None, typer.Option(help="Tenant. Default: all tenants.")] = None, as_json: AsJson = False
) -> None:
    """Show whether each policy has enough memories to decide, the next step, and what is fitted to its memory."""

    async def work(db: Database) -> list[dict[str, Any]]:
        found = await stored_tenants.list_tenants(db) if tenant is None else [await tenant_of(db, tenant)]
        shown, space_id = await _shown(db, found)
        return [
            {"tenant": each.name, "embedder": policy.pop("space"), **policy, "fit": fits.get(policy["policy"])}
            for each in shown
            for fits in [await _fits(db, each.tenant_id, space_id)]
            for policy in _by_policy(await stored_memories.status(db, each.tenant_id, space_id))
        ]

    columns = (
        "tenant",
        "policy",
        "backend",
        "default_model",
        "memories",
        "seed_count",
        "ready",
        "tasks",
        "missing",
        "next_step",
    )
    found = with_database(work)
    if not as_json:
        found = [
            {
                **row,
                "tasks": [f"{task}:{count}" for task, count in row["tasks"].items()] or None,
                "missing": "; ".join(row["missing"]) or None,
            }
            for row in found
        ]
    show(
        found,
        as_json=as_json,
        columns=columns,
        empty="There are no policies: start with `pgrouter tenant create NAME`.",
    )
    fitted = [row for row in found if row["fit"] is not None]
    if fitted and not as_json:
        typer.echo()
        for row in fitted:
            typer.echo(f"fit of {row['tenant']}/{row['policy']}: {_line(row['fit'])}")


def add_to(main: typer.Typer) -> None:
    """Add this command to `main`."""
    main.command("status")(status)


async def _shown(db: Database, tenants: list[Tenant]) -> tuple[list[Tenant], int]:
    """The tenants whose embedder is available, and the space of those without a space of their own."""
    with_space = [each for each in tenants if each.space is not None]
    if len(with_space) == len(tenants):
        return tenants, 0  # No tenant needs the embedder of this environment.
    try:
        async with embedder_of(db) as (_, space_id):
            return tenants, space_id
    except ConfigurationError as error:
        if not with_space:
            raise
        others = ", ".join(each.name for each in tenants if each.space is None)
        note(f"Left out, as the embedder of this environment is not available: {others}. {error}")
        return with_space, 0


async def _fits(db: Database, tenant_id: int, space_id: int) -> dict[str, dict[str, Any]]:
    """The fit of each policy that learns, by the policy's name."""
    rows = [dict(row) for row in await stored_backtests.list_fits(db, tenant_id, space_id)]
    return {row.pop("policy"): row for row in rows}


def _line(fit: Mapping[str, Any]) -> str:
    """A fit in one line."""
    used = [
        f"n0 {fit['n0']:g}",
        "missing tasks are guessed" if fit["guess"] else "no task is guessed",
        "matrix" if fit["matrix"] else f"no matrix ({fit['why']})",
    ]
    if fit["fitted_at"] is None:
        return ", ".join(used)
    size = f"{fit['rows']} of {fit['memories']} memories, {fit['pairs']} with two labels or more"
    return f"{', '.join(used)}; fitted {fit['fitted_at']:%Y-%m-%d %H:%M} UTC to {size}"


def _by_policy(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    policies: dict[str, dict[str, Any]] = {}
    for row in rows:
        policy = {key: value for key, value in row.items() if key not in ("task", "task_memories", "missing")}
        found = policies.setdefault(row["policy"], {**policy, "missing": [], "tasks": {}})
        found["missing"] += [missing for missing in row["missing"] if missing not in found["missing"]]
        if row["task"] is not None:
            policies[row["policy"]]["tasks"][row["task"]] = row["task_memories"]
    return list(policies.values())
