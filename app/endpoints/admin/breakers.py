"""/v1/router/admin/breakers: the circuit breakers of this process."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...http.responses import answer
from ...services import services_of
from ...store.database import Database
from ..responses import Listing, listing
from .route import admin_route

#: By the numbers of the breaker and of the metric pgrouter_breaker_state.
_STATES: tuple[Literal["closed", "half_open", "open"], ...] = ("closed", "half_open", "open")


class BreakerEntry(TypedDict):
    """The breaker of a model whose last request failed; other models' breakers are closed."""

    object: Literal["router.breaker"]
    provider: str
    model: Annotated[str, Field(description="The provider's name of the model.")]
    state: Annotated[
        Literal["closed", "half_open", "open"],
        Field(description="The worst of all tenants; open: requests go to other models, half_open: one tries it."),
    ]


async def list_breakers(request: Request, db: Database) -> Response:
    """Return the breakers of the process that answers; each process has its own."""
    found: list[BreakerEntry] = [
        {"object": "router.breaker", "provider": provider, "model": model, "state": _STATES[state]}
        for provider, model, state in services_of(request.scope).breakers.states()
    ]
    return answer(listing(found))


routes = [
    admin_route(
        "GET",
        "/breakers",
        list_breakers,
        "The circuit breakers of this process that have failures.",
        Listing[BreakerEntry],
    )
]
