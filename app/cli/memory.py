"""`pgrouter status`: how warm each policy is; with what every command on memories needs."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import typer

from app import embedder
from app.cli.common import AsJson, show, tenant_of, with_database
from app.embedder import CachedEmbedder
from app.settings import Settings
from app.store import memory, tenancy
from app.store.database import Database


def status(
    tenant: Annotated[str | None, typer.Option(help="One tenant's; else everybody's.")] = None, as_json: AsJson = False
) -> None:
    """How warm each policy is, and what to do next."""

    async def work(db: Database) -> list[dict[str, Any]]:
        found = await tenancy.tenants(db) if tenant is None else [await tenant_of(db, tenant)]
        async with embedder_of(db) as (_, space_id):
            return [
                {"tenant": each.name, "embedder": policy.pop("space"), **policy}
                for each in found
                for policy in _by_policy(await memory.status(db, each.tenant_id, space_id))
            ]

    columns = ("tenant", "policy", "backend", "default_model", "memories", "seed_count", "ready", "tasks", "next_step")
    found = with_database(work)
    if not as_json:
        found = [{**row, "tasks": [f"{task}:{count}" for task, count in row["tasks"].items()] or None} for row in found]
    show(found, as_json=as_json, columns=columns, empty="There are no policies; `pgrouter tenant create NAME` begins.")


def add_to(main: typer.Typer) -> None:
    """Give `main` these commands."""
    main.command("status")(status)


@asynccontextmanager
async def embedder_of(db: Database, space: str | None = None) -> AsyncIterator[tuple[CachedEmbedder, int]]:
    """The embedder of a space, None: that of a proxy with this environment; and the space's number."""
    settings, width = Settings.from_environment(), await memory.width(db)
    embedding = embedder.create(settings, width) if space is None else embedder.create_for(space, settings, width)
    try:
        yield embedding, await memory.register_space(db, embedding.space, embedding.dimensions)
    finally:
        await embedding.close()


def _by_policy(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    policies: dict[str, dict[str, Any]] = {}
    for row in rows:
        policy = {key: value for key, value in row.items() if key not in ("task", "task_memories")}
        policies.setdefault(row["policy"], {**policy, "tasks": {}})
        if row["task"] is not None:
            policies[row["policy"]]["tasks"][row["task"]] = row["task_memories"]
    return list(policies.values())


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where somebody watches."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with typer.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update
