"""`pgrouter explain`: the decision for a prompt, with all its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ..dialects.conversation import Conversation, continues, conversation_of
from ..dialects.markers import markers_of
from ..dialects.prompt import prompt_tokens
from ..dialects.request_text import request_text
from ..errors import NotFound
from ..memory.embedders import EmbeddingFailed
from ..operations.request_file import parsed_file, parsed_prompt
from ..settings import Settings
from ..store import decisions as stored_decisions
from ..store import policies as stored_policies
from ..store.database import Database
from ..store.decisions import Question
from ..store.reals import short
from .common import AsJson, embedder_of, note, show, show_json, tenant_of, with_database
from .setting_options import checked_option

#: Columns of `router.explain` that are shown of a candidate, and `own`.
_SHOWN = (
    "model", "score", "quality", "prior", "ease", "own", "borrowed", "share", "confidence", "labels", "cost_usd",
    "prompt_tokens", "completion_tokens", "input_price", "output_price", "priced_on",
)  # fmt: skip
#: Characters shown of a neighbour's prompt.
_EXCERPT = 60


def explain(
    tenant: Annotated[str, typer.Option(help="Tenant.")],
    prompt: Annotated[str | None, typer.Argument(help="Prompt to explain.")] = None,
    messages: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON file to explain instead: messages, or the body of a request to /v1/chat/completions, "
            "/v1/responses or /v1/messages; - is stdin.",
        ),
    ] = None,
    policy: Annotated[str, typer.Option(help="Policy: the value of `model` in a request.")] = "auto",
    task: Annotated[
        str | None, typer.Option(help="Task: the value of X-Router-Task in a request. Default: none.")
    ] = None,
    alpha: Annotated[str | None, typer.Option(metavar="NUMBER", help="Value of alpha. Default: the policy's.")] = None,
    neighbours: Annotated[int, typer.Option(min=0, max=1000, help="Number of nearest memories to show.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show which model would serve a prompt or a request, and why; nothing is sent to a provider.

    An estimate begins with `prior`, the model's mean for the task. `ease` is how easy the prompt is by all candidates'
    labels of its neighbours, `own` what its own labels add, `borrowed` what the other candidates' labels say of it.
    The effects of a neighbour are how far it moves each estimate.

    Candidates are not filtered by capabilities. Of a request, the text that is embedded and what identifies its
    conversation are shown, too; `X-Router-…` headers are not known.
    """
    if (prompt is None) == (messages is None):
        raise typer.BadParameter("give either PROMPT or --messages FILE", param_hint="--messages")
    request = parsed_prompt(prompt or "") if messages is None else parsed_file(messages)
    price = None if alpha is None else float(checked_option("alpha", alpha))
    markers = markers_of(Settings.from_environment().markers)
    conversation = conversation_of(request, markers, None, None, task)

    async def work(db: Database) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]], str, str]:
        found = await tenant_of(db, tenant)
        chosen = next(
            (each for each in await stored_policies.policies(db, found.tenant_id) if each.name == policy), None
        )
        if chosen is None:
            raise NotFound(
                f"The tenant {tenant!r} has no policy {policy!r}; `pgrouter policy list {tenant!r}` lists the policies."
            )
        text = request_text(request.messages, chosen.granularity, markers)
        async with embedder_of(db, found.space) as (embedder, space_id):
            try:
                vector = await embedder.embed_one(text) if text else None
            except EmbeddingFailed as error:
                vector = None
                note(f"The prompt could not be embedded: {error}")
            question = Question(
                tenant_id=found.tenant_id,
                policy_id=chosen.policy_id,
                space_id=space_id,
                task=task,
                prompt_tokens=prompt_tokens(request),
                default_model=chosen.default_model,
                alpha=price,
                conversation=None if messages is None else conversation.key,
                continues=messages is not None and continues(request),
            )
            rows = await stored_decisions.explain(db, question, vector, deadline=60)
            near: list[Mapping[str, Any]] = []
            if vector is not None and neighbours:
                near = await stored_decisions.evidence(
                    db, found.tenant_id, chosen.policy_id, space_id, vector, neighbours, task=task
                )
            return rows, near, chosen.backend, text

    rows, near, backend, text = with_database(work)
    shown = None if messages is None else _identity(conversation, continues=continues(request))
    if as_json:
        show_json(
            {
                "text": text,
                **({} if shown is None else {"conversation": shown}),
                "candidates": [dict(row) for row in rows],
                "neighbours": [_shortened(row) for row in near],
            }
        )
        return
    if shown is not None or text != (prompt or "").strip():
        typer.echo(f"text: {text}\n")
    if shown is not None:
        typer.echo("conversation:")
        for name, value in shown.items():
            typer.echo(f"  {name}: {'-' if value is None else value}")
        typer.echo()
    first = rows[0]
    typer.echo(f"{first['model']} ({first['reason']})")
    typer.echo(f"{first['why']}.")
    typer.echo()
    show([_rounded({**row, "own": _own(row)}) for row in rows], as_json=False, columns=_SHOWN)
    if any(row["quality"] is not None for row in rows):
        typer.echo("quality = (1 - share) * (prior + ease + own) + share * (prior + borrowed)")
        if first["guessed"]:
            typer.echo("prior: for the tasks of the neighbours, as the request has no task")
    if backend == "knn" and first["unit_usd"] and any(row["score"] is not None for row in rows):
        typer.echo(f"score = quality - {first['alpha']:g} * cost_usd / {first['unit_usd']:.3g}")
    if near:
        typer.echo()
        show([_neighbour(row) for row in near], as_json=False)


def add_to(main: typer.Typer) -> None:
    """Give `main` this command."""
    main.command("explain")(explain)


def _identity(conversation: Conversation, *, continues: bool) -> dict[str, Any]:
    """Return what identifies a conversation, for display."""
    return {
        "key": conversation.key.hex(),
        "continues": continues,
        "name": conversation.name,
        "session": conversation.session,
        "task": conversation.task,
        "opening": conversation.text,
        "images_and_files": len(conversation.parts),
    }


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with numbers of three significant digits."""
    return {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in row.items()}


def _own(row: Mapping[str, Any]) -> float | None:
    """Return by how much the neighbours' labels of the model itself move its estimate, before `share` is applied."""
    if row["quality"] is None:
        return None
    borrowed = row["prior"] + (row["borrowed"] or 0)
    return float((row["quality"] - row["share"] * borrowed) / (1 - row["share"]) - row["prior"] - row["ease"])


def _shortened(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "similarity": short(row["similarity"]),
        "weight": short(row["weight"]),
        "scores": [short(score) for score in row["scores"] or ()],
        "effects": [None if effect is None else short(effect) for effect in row["effects"] or ()],
    }


def _neighbour(row: Mapping[str, Any]) -> dict[str, Any]:
    scores = zip(row["models"] or (), row["scores"] or (), strict=True)
    text = " ".join((row["prompt"] or "").split())
    return {
        "similarity": round(row["similarity"], 3),
        "weight": round(row["weight"], 3),
        "task": row["task"],
        "labels": " ".join(f"{model}={score:.2g}" for model, score in scores),
        "effects": " ".join(f"{model}={effect:+.3f}" for model, effect in stored_decisions.effects(row).items()),
        "prompt": text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…",
    }
