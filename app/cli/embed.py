"""`pgrouter embed`: the embedding of a prompt, for functions that are called in psql."""

from __future__ import annotations

from typing import Annotated

import typer

from ..memory.embedders import EmbeddingFailed
from ..store.database import Database
from .common import embedder_of, tenant_of, with_database


def embed(
    prompt: Annotated[str, typer.Argument(help="Prompt to embed.")],
    tenant: Annotated[str, typer.Option(help="Tenant, whose embedding space is used.")],
) -> None:
    r"""Print the embedding of a prompt as Postgres reads it.

    In psql: \set vector `pgrouter embed --tenant demo 'What is the capital of France?'` and then :'vector'.
    """

    async def work(db: Database) -> str:
        found = await tenant_of(db, tenant)
        async with embedder_of(db, found.space) as (embedder, _):
            try:
                vector = await embedder.embed_one(prompt)
            except EmbeddingFailed as error:
                raise typer.BadParameter(f"it could not be embedded: {error}", param_hint="PROMPT") from None
        if vector is None:
            raise typer.BadParameter("it contains nothing to embed", param_hint="PROMPT")
        return str(vector.to_text())

    typer.echo(with_database(work))


def add_to(main: typer.Typer) -> None:
    """Add this command to `main`."""
    main.command("embed")(embed)
