"""`pgrouter status`: how warm each policy is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, embedder_of, note, show, tenant_of, with_database
from app.entities import Tenant
from app.errors import ConfigurationError
from app.store import memories
from app.store import tenants as tenancy
from app.store.database import Database


def status(
    tenant: Annotated[str | None, typer.Option(help="One tenant's; else everybody's.")] = None, as_json: AsJson = False
) -> None:
    """How warm each policy is, and what to do next."""

    async def work(db: Database) -> list[dict[str, Any]]:
        found = await tenancy.tenants(db) if tenant is None else [await tenant_of(db, tenant)]
        shown, space_id = await _shown(db, found)
        return [
            {"tenant": each.name, "embedder": policy.pop("space"), **policy}
            for each in shown
            for policy in _by_policy(await memories.status(db, each.tenant_id, space_id))
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
    show(found, as_json=as_json, columns=columns, empty="There are no policies; `pgrouter tenant create NAME` begins.")


def add_to(main: typer.Typer) -> None:
    """Give `main` these commands."""
    main.command("status")(status)


async def _shown(db: Database, tenants: list[Tenant]) -> tuple[list[Tenant], int]:
    """Those whose embedder is known, and the space of those that have none of their own."""
    settled = [each for each in tenants if each.space is not None]
    if len(settled) == len(tenants):
        return tenants, 0  # Nobody needs one.
    try:
        async with embedder_of(db) as (_, space_id):
            return tenants, space_id
    except ConfigurationError as error:
        if not settled:
            raise
        others = ", ".join(each.name for each in tenants if each.space is None)
        note(f"Left out, as they have this environment's embedder, which cannot be had: {others}. {error}")
        return settled, 0


def _by_policy(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    policies: dict[str, dict[str, Any]] = {}
    for row in rows:
        policy = {key: value for key, value in row.items() if key not in ("task", "task_memories", "missing")}
        found = policies.setdefault(row["policy"], {**policy, "missing": [], "tasks": {}})
        found["missing"] += [missing for missing in row["missing"] if missing not in found["missing"]]
        if row["task"] is not None:
            policies[row["policy"]]["tasks"][row["task"]] = row["task_memories"]
    return list(policies.values())
