"""`pgrouter explain`: the decision for a prompt, with all its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ..dialects.prompt import tokens_of
from ..errors import NotFound
from ..memory.embedders import EmbeddingFailed
from ..store import decisions as stored_decisions
from ..store import policies as stored_policies
from ..store.database import Database
from ..store.decisions import Question
from ..store.reals import short
from .common import AsJson, embedder_of, note, show, show_json, tenant_of, with_database
from .setting_options import checked_option

#: Columns of `router.explain` that are shown of a candidate.
_SHOWN = (
    "model", "score", "quality", "prior", "confidence", "labels", "cost_usd", "prompt_tokens", "completion_tokens",
    "input_price", "output_price", "priced_on",
)  # fmt: skip
#: Characters shown of a neighbour's prompt.
_EXCERPT = 60


def explain(
    prompt: Annotated[str, typer.Argument(help="Prompt to explain.")],
    tenant: Annotated[str, typer.Option(help="Tenant.")],
    policy: Annotated[str, typer.Option(help="Policy: the value of `model` in a request.")] = "auto",
    task: Annotated[
        str | None, typer.Option(help="Task: the value of X-Router-Task in a request. Default: none.")
    ] = None,
    alpha: Annotated[str | None, typer.Option(metavar="NUMBER", help="Value of alpha. Default: the policy's.")] = None,
    neighbours: Annotated[int, typer.Option(min=0, max=1000, help="Number of nearest memories to show.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show which model would serve a prompt, and why; nothing is sent to a provider.

    Candidates are not filtered by capabilities, as there is no request that needs any.
    """
    price = None if alpha is None else float(checked_option("alpha", alpha))

    async def work(db: Database) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]], str]:
        found = await tenant_of(db, tenant)
        chosen = next(
            (each for each in await stored_policies.policies(db, found.tenant_id) if each.name == policy), None
        )
        if chosen is None:
            raise NotFound(
                f"The tenant {tenant!r} has no policy {policy!r}; `pgrouter policy list {tenant!r}` lists the policies."
            )
        async with embedder_of(db, found.space) as (embedder, space_id):
            try:
                vector = await embedder.embed_one(prompt) if prompt.strip() else None
            except EmbeddingFailed as error:
                vector = None
                note(f"The prompt could not be embedded: {error}")
            question = Question(
                tenant_id=found.tenant_id,
                policy_id=chosen.policy_id,
                space_id=space_id,
                task=task,
                prompt_tokens=tokens_of(prompt),
                default_model=chosen.default_model,
                alpha=price,
            )
            rows = await stored_decisions.explain(db, question, vector, deadline=60)
            near: list[Mapping[str, Any]] = []
            if vector is not None and neighbours:
                near = await stored_decisions.evidence(
                    db, found.tenant_id, chosen.policy_id, space_id, vector, neighbours
                )
            return rows, near, chosen.backend

    rows, near, backend = with_database(work)
    if as_json:
        show_json({"candidates": [dict(row) for row in rows], "neighbours": [_shortened(row) for row in near]})
        return
    first = rows[0]
    typer.echo(f"{first['model']} ({first['reason']})")
    typer.echo(f"{first['why']}.")
    typer.echo()
    show([_rounded(row) for row in rows], as_json=False, columns=_SHOWN)
    if backend == "knn" and first["unit_usd"] and any(row["score"] is not None for row in rows):
        typer.echo(f"score = quality - {first['alpha']:g} * cost_usd / {first['unit_usd']:.3g}")
    if near:
        typer.echo()
        show([_neighbour(row) for row in near], as_json=False)


def add_to(main: typer.Typer) -> None:
    """Give `main` this command."""
    main.command("explain")(explain)


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with numbers of three significant digits."""
    return {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in row.items()}


def _shortened(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "similarity": short(row["similarity"]),
        "weight": short(row["weight"]),
        "scores": [short(score) for score in row["scores"] or ()],
    }


def _neighbour(row: Mapping[str, Any]) -> dict[str, Any]:
    scores = zip(row["models"] or (), row["scores"] or (), strict=True)
    text = " ".join((row["prompt"] or "").split())
    return {
        "similarity": round(row["similarity"], 3),
        "weight": round(row["weight"], 3),
        "task": row["task"],
        "labels": " ".join(f"{model}={score:.2g}" for model, score in scores),
        "prompt": text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…",
    }
