"""GET /v1/router/samples: prompts to try the router on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..catalog import Catalog
from ..demo import dataset, samples
from ..demo.model_source import DEMO
from ..entities import Policy
from ..http.responses import answer
from ..store import memories as stored_memories
from .calls import counted
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate, parse_query, policy_of
from .responses import Listing, listing

_SCHEMA: Mapping[str, Any] = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "answer",
            "strict": True,
            "schema": {
                "type": "object",
                "properties": {"answer": {"type": "string"}},
                "required": ["answer"],
                "additionalProperties": False,
            },
        },
    }
}


class SampleQuery(BaseModel):
    """The query string."""

    policy: str = Field("auto", description="The policy to try.")


class RecordedAnswer(TypedDict):
    """An answer of the demo, with the score that its author gave it."""

    model: str
    text: str
    score: Annotated[float, Field(description="0 (harmful if used) to 1 (usable as it stands).")]
    completion_tokens: int


class SamplePrompt(TypedDict):
    """A prompt to try, and what it shows."""

    title: str
    prompt: str
    kind: Annotated[Literal["cheap", "strong", "declined", "more"], Field(description="What the prompt shows.")]
    fields: Annotated[dict[str, Any], Field(description="Further fields of a chat request with this prompt.")]
    answers: Annotated[list[RecordedAnswer], Field(description="Recorded answers of the demo; empty: there are none.")]


async def list_samples(request: Request) -> Response:
    """Return prompts to try a policy on.

    Of the demo's policy they are the prompts that were written for it and never taught. Otherwise they are taught
    prompts: one that the cheapest candidate suffices for, one that needs the default model.
    """
    services, caller = await authenticate(request)
    policy = policy_of(caller, parse_query(request, SampleQuery).policy, "policy")
    catalog = await services.directory.catalog()
    if services.settings.demo and _is_demo(policy, catalog):
        return answer(listing(_of_demo()))
    async with counted(services, caller):
        rows = await stored_memories.samples(services.db.background, caller.tenant_id, policy.policy_id)
    return answer(listing(_of_memory(rows, policy, catalog)))


def _is_demo(policy: Policy, catalog: Catalog) -> bool:
    found = [catalog.by_id[model_id] for model_id in policy.models if model_id in catalog.by_id]
    return bool(found) and all(model.provider.name == DEMO for model in found)


@cache
def _of_demo() -> list[SamplePrompt]:
    kinds: dict[str, Literal["cheap", "strong", "declined"]] = {
        samples.SMALL.example_id: "cheap",
        samples.LARGE.example_id: "strong",
        samples.DECLINED.example_id: "declined",
    }
    first = [
        _demo_sample(sample.example, kinds[sample.example_id], sample.title, dict(sample.fields))
        for sample in samples.SAMPLES
    ]
    rest = [each for each in dataset.showcase() if each.id not in kinds]
    return first + [_demo_sample(each, "more", each.kind.replace("_", " "), {}) for each in rest]


def _demo_sample(
    example: dataset.Example, kind: Literal["cheap", "strong", "declined", "more"], title: str, fields: dict[str, Any]
) -> SamplePrompt:
    return {
        "title": title,
        "prompt": example.prompt,
        "kind": kind,
        "fields": fields,
        "answers": [
            {"model": name, "text": given.text, "score": given.score, "completion_tokens": given.tokens}
            for name, given in example.answers.items()
        ],
    }


def _of_memory(rows: Sequence[Mapping[str, Any]], policy: Policy, catalog: Catalog) -> list[SamplePrompt]:
    found: list[SamplePrompt] = []
    for row in rows:
        cheap = row["suits"] == "cheapest"
        title = "the cheapest model suffices" if cheap else "needs the default model"
        found.append(_sample(title, row["prompt"], "cheap" if cheap else "strong", {}))
    models = [catalog.by_id[model_id] for model_id in policy.models if model_id in catalog.by_id]
    if found and any(model.json_schema is False for model in models):
        title = "asks for JSON by a schema, which not every candidate supports"
        found.append(_sample(title, found[0]["prompt"], "declined", dict(_SCHEMA)))
    return found


def _sample(
    title: str, prompt: str, kind: Literal["cheap", "strong", "declined"], fields: dict[str, Any]
) -> SamplePrompt:
    return {"title": title, "prompt": prompt, "kind": kind, "fields": fields, "answers": []}


routes = [
    DocumentedRoute(
        "GET",
        "/v1/router/samples",
        list_samples,
        Operation(
            summary="Prompts to try a policy on.",
            tag="decisions",
            scope="teach",
            responses={200: Listing[SamplePrompt]},
            errors=(404, 429),
            query=SampleQuery,
        ),
    )
]
