"""POST /v1/router/preferences/rank: teach how good models' answers were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..catalog import Catalog
from ..entities import Caller
from ..errors import Conflict, DatabaseUnavailable
from ..http.responses import answer
from ..http.validation import parsed_object, validated
from ..memory.embedders import EmbeddingFailed, Paid
from ..memory.examples import ExampleIn, ExamplesIn, examples_of
from ..services import Services
from ..store import memories as stored_memories
from .calls import paying
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate, raw_body, text_rules


class Taught(TypedDict):
    """The memories that the examples became."""

    object: Literal["router.memories"]
    taught: Annotated[int, Field(description="The number of examples.")]
    created: Annotated[int, Field(description="The number of new memories.")]
    overwritten: Annotated[int, Field(description="The number of memories of the same prompt that were replaced.")]
    copies: Annotated[
        int, Field(description="The number of examples that repeat a prompt of the batch; the last one counts.")
    ]
    memory_ids: Annotated[list[int], Field(description="The memories' ids, in the order of the examples.")]


async def rank(request: Request) -> Response:
    """Record one example or a batch; either all of it or nothing."""
    services, caller = await authenticate(request)
    raw = await raw_body(request)
    body = await parsed_object(raw)
    batch = "examples" in body
    examples = validated(ExamplesIn, body).examples if batch else [validated(ExampleIn, body)]
    catalog = await services.directory.catalog()
    async with paying(services, caller, len(raw)) as paid:
        try:
            async with services.turns.turn(caller.tenant_id):
                recorded = await _record(services, caller, examples, catalog, paid, batch=batch)
        except Conflict:
            # The tenant was switched to another embedding space meanwhile.
            services.directory.invalidate()
            _, caller = await authenticate(request)
            async with services.turns.turn(caller.tenant_id):
                recorded = await _record(services, caller, examples, catalog, paid, batch=batch)
    different = len({memory_id for memory_id, _ in recorded})
    created = sum(created for _, created in recorded)
    taught: Taught = {
        "object": "router.memories",
        "taught": len(recorded),
        "created": created,
        "overwritten": different - created,
        "copies": len(recorded) - different,
        "memory_ids": [memory_id for memory_id, _ in recorded],
    }
    return answer(taught)


async def _record(
    services: Services,
    caller: Caller,
    examples: Sequence[ExampleIn],
    catalog: Catalog,
    paid: Paid | None,
    *,
    batch: bool,
) -> list[tuple[int, bool]]:
    try:
        space = await services.spaces.of(caller, wait=True)
        rules = text_rules(services, caller)
        embedded = await examples_of(examples, catalog, space.embedder, rules, batch=batch, paid=paid)
    except EmbeddingFailed as error:
        raise DatabaseUnavailable(f"Nothing was taught: the prompts could not be embedded: {error}.") from None
    db = services.db.background
    return await stored_memories.record(db, caller.tenant_id, space.space_id, caller.key_id, embedded)


routes = [
    DocumentedRoute(
        "POST",
        "/v1/router/preferences/rank",
        rank,
        Operation(
            summary="Teach how good models' answers to prompts were; either the whole batch or nothing.",
            tag="teaching",
            scope="teach",
            responses={200: Taught},
            errors=(404, 409, 429),
            body=ExampleIn | ExamplesIn,
        ),
    )
]
