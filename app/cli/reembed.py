"""`pgrouter reembed`: moves tenants' memories to another embedder while the old one serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any

import typer

from ..dialects.markers import markers_of
from ..entities import Tenant
from ..errors import ConfigurationError
from ..memory import embedders
from ..memory.embedders import CachedEmbedder
from ..operations.reembed import Dialogue, Reembedding, drop
from ..settings import Settings
from ..store import spaces as stored_spaces
from ..store import tenants as stored_tenants
from ..store.database import Database
from .common import AsJson, note, options, progress, show_json, tenant_of, with_database

#: Prefix of spaces whose embedder is a model in a folder; their names do not contain the folder.
FOLDERS = "onnx-"


def reembed(
    to: Annotated[
        str | None, typer.Option(metavar="EMBEDDER", help="Embedder: static, minilm, minilm:/FOLDER or openai:MODEL.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Tenant.")] = None,
    every_tenant: Annotated[bool, typer.Option("--all", help="All tenants, one after the other.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Abandon a move, and delete what it has written.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Consent to lose memories whose prompts are not stored.")] = False,
    as_json: AsJson = False,
) -> None:
    """Move a tenant's memory to another embedder: rewrite it from the stored prompts, then switch.

    Until the switch the old embedder serves and is taught. After an interruption the same command continues. Memories
    without a stored prompt cannot be moved.
    """
    if (tenant is None) != every_tenant:
        raise typer.BadParameter("give either --tenant or --all", param_hint="--tenant")
    if (to is None) != stop:
        raise typer.BadParameter(
            "give an embedder (static, minilm, minilm:/FOLDER or openai:MODEL), or --stop", param_hint="--to"
        )

    async def work(db: Database) -> list[dict[str, Any]]:
        found = await stored_tenants.list_tenants(db) if tenant is None else [await tenant_of(db, tenant)]
        if to is None:
            return [await _stop(db, each) for each in found]
        async with _target(db, to) as (embedding, space_id):
            note(_proxy_requirements(to, embedding.space))
            markers = markers_of(Settings.from_environment().markers)
            dialogue = Dialogue(note, progress, lambda: not as_json and typer.confirm("Continue?", err=True))
            moving = Reembedding(db, embedding, space_id, markers, yes=yes, dialogue=dialogue)
            try:
                return [await moving.move(each, skip=every_tenant) for each in found]
            finally:
                await moving.settle(0)

    with options("yes"):
        done = with_database(work)
    if as_json:
        show_json(done if every_tenant else done[0])
        return
    for row in done:
        typer.echo(_line(row))


def add_to(main: typer.Typer) -> None:
    """Add this command to `main`."""
    main.command("reembed")(reembed)


async def _stop(db: Database, tenant: Tenant) -> dict[str, Any]:
    building = [row for row in await stored_spaces.spaces_of(db, tenant.tenant_id) if row["building"]]
    dropped = 0
    if building:
        await stored_spaces.give_up(db, tenant.tenant_id)
        dropped = await drop(db, tenant.tenant_id, building[0]["space_id"], graduated=building[0]["graduated"])
    return {"tenant": tenant.name, "stopped": building[0]["space"] if building else None, "dropped": dropped}


@asynccontextmanager
async def _target(db: Database, to: str) -> AsyncIterator[tuple[CachedEmbedder, int]]:
    """The embedder `to`, which may be given by the name of its space, and the number of its space."""
    settings, width = Settings.from_environment(), await stored_spaces.width(db)
    if to.startswith(FOLDERS):
        embedding = embedders.create_for(to, settings, width)
    else:
        try:
            embedding = embedders.create(replace(settings, embedder=embedders.setting_of(to) or to), width)
        except ConfigurationError as error:
            raise ConfigurationError(str(error).replace("ROUTER_EMBEDDER=", "--to ")) from None
    try:
        # Called before anything is changed, to find a wrong key or an endpoint that cannot be reached.
        await embedding.embed_many(["Test of the endpoint."])
        yield embedding, await stored_spaces.register_space(db, embedding.space, embedding.dimensions)
    finally:
        await embedding.close()


def _proxy_requirements(to: str, space: str) -> str:
    if space.startswith("openai:"):
        need = "ROUTER_EMBEDDING_URL (or OPENAI_BASE_URL) and the key for it"
    elif space.startswith(FOLDERS):
        need = f"ROUTER_EMBEDDER={Settings.from_environment().embedder if to == space else to}"
    elif to.startswith("minilm"):
        need = "pip install 'pgrouter[minilm]'"
    else:
        need = "no further setting"
    return f"Every proxy needs for {space}: {need}."


def _line(row: dict[str, Any]) -> str:
    if "stopped" in row:
        if row["stopped"] is None:
            return f"{row['tenant']}: there is no move to abandon."
        return f"{row['tenant']}: abandoned the move to {row['stopped']}, deleted {row['dropped']} memories of it."
    if "skipped" in row:
        return f"{row['tenant']}: skipped, {row['skipped']}"
    if row["from"] is None:
        return f"{row['tenant']} has no memories; {row['to']} serves it now."
    if row["from"] == row["to"]:
        return f"{row['tenant']} is already served by {row['to']}."
    return f"{row['tenant']} is served by {row['to']}: {row['rewritten']} memories were rewritten" + (
        f", {row['lost']} are lost." if row["lost"] else "."
    )
