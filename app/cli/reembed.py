"""`pgrouter reembed`: another embedder for a tenant's memory, rewritten while the old one serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, note, options, progress, show_json, tenant_of, with_database
from app.entities import Tenant
from app.errors import ConfigurationError
from app.memory import embedders
from app.memory.embedders import CachedEmbedder
from app.operations.reembed import Dialogue, Reembedding, drop
from app.settings import Settings
from app.store import spaces, tenants
from app.store.database import Database

#: How the names of spaces begin whose embedders are models in folders, which the names do not tell.
FOLDERS = "onnx-"


def reembed(
    to: Annotated[
        str | None, typer.Option(metavar="EMBEDDER", help="static, minilm, minilm:/FOLDER or openai:MODEL.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose memory.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every tenant's, one after the other.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Give up a move and what it has written.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Lose memories whose prompts are not stored; do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Move a tenant's memory to another embedder: rewrite it from the stored prompts, then switch.

    Meanwhile the old one serves and is taught. Interrupted, the same command goes on where it was. Memories without
    a stored prompt cannot be moved.
    """
    if (tenant is None) != everybody:
        raise typer.BadParameter("name a tenant with --tenant, or all with --all", param_hint="--tenant")
    if (to is None) != stop:
        raise typer.BadParameter(
            "say which embedder: static, minilm, minilm:/FOLDER or openai:MODEL", param_hint="--to"
        )

    async def work(db: Database) -> list[dict[str, Any]]:
        found = await tenants.tenants(db) if tenant is None else [await tenant_of(db, tenant)]
        if to is None:
            return [await _stop(db, each) for each in found]
        async with _target(db, to) as (embedding, space_id):
            note(_what_proxies_need(to, embedding.space))
            dialogue = Dialogue(note, progress, lambda: not as_json and typer.confirm("Continue?", err=True))
            moving = Reembedding(db, embedding, space_id, yes=yes, dialogue=dialogue)
            try:
                return [await moving.move(each, skip=everybody) for each in found]
            finally:
                await moving.settle(0)

    with options("yes"):
        done = with_database(work)
    if as_json:
        show_json(done if everybody else done[0])
        return
    for row in done:
        typer.echo(_told(row))


def add_to(main: typer.Typer) -> None:
    """Give `main` this command."""
    main.command("reembed")(reembed)


async def _stop(db: Database, tenant: Tenant) -> dict[str, Any]:
    building = [row for row in await spaces.spaces_of(db, tenant.tenant_id) if row["building"]]
    dropped = 0
    if building:
        await spaces.give_up(db, tenant.tenant_id)
        dropped = await drop(db, tenant.tenant_id, building[0]["space_id"], graduated=building[0]["graduated"])
    return {"tenant": tenant.name, "stopped": building[0]["space"] if building else None, "dropped": dropped}


@asynccontextmanager
async def _target(db: Database, to: str) -> AsyncIterator[tuple[CachedEmbedder, int]]:
    """The embedder that is wanted, which may also be named by its space; and the space's number."""
    settings, width = Settings.from_environment(), await spaces.width(db)
    if to.startswith(FOLDERS):
        embedding = embedders.create_for(to, settings, width)
    else:
        try:
            embedding = embedders.create(replace(settings, embedder=embedders.setting_of(to) or to), width)
        except ConfigurationError as error:
            raise ConfigurationError(str(error).replace("ROUTER_EMBEDDER=", "--to ")) from None
    try:
        # Asked before anything is changed: a wrong key or an endpoint that is away shows here.
        await embedding.embed_many(["Is anybody there?"])
        yield embedding, await spaces.register_space(db, embedding.space, embedding.dimensions)
    finally:
        await embedding.close()


def _what_proxies_need(to: str, space: str) -> str:
    if space.startswith("openai:"):
        need = "ROUTER_EMBEDDING_URL (or OPENAI_BASE_URL) and the key for it"
    elif space.startswith(FOLDERS):
        need = f"ROUTER_EMBEDDER={Settings.from_environment().embedder if to == space else to}"
    elif to.startswith("minilm"):
        need = "pip install 'pgrouter[minilm]'"
    else:
        need = "nothing more"
    return f"Every proxy needs for {space}: {need}."


def _told(row: dict[str, Any]) -> str:
    if "stopped" in row:
        if row["stopped"] is None:
            return f"{row['tenant']}: nothing was begun."
        return f"{row['tenant']}: gave up {row['stopped']}, {row['dropped']} memories of which were written."
    if "skipped" in row:
        return f"{row['tenant']}: skipped, {row['skipped']}"
    if row["from"] is None:
        return f"{row['tenant']} has no memories; {row['to']} serves it from now on."
    if row["from"] == row["to"]:
        return f"{row['tenant']} is served by {row['to']} already."
    return f"{row['tenant']} is served by {row['to']}: {row['rewritten']} memories were rewritten" + (
        f", {row['lost']} are lost." if row["lost"] else "."
    )
