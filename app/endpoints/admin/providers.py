"""/v1/router/admin/providers: the providers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...errors import BadRequest, NotFound
from ...http.responses import answer
from ...operations import providers
from ...operations.providers import Api, KeyHeader
from ...store import providers as stored_providers
from ...store.database import Database
from ..requests import parse_body
from ..responses import Listing, listing, select
from .requests import AdminRequest
from .responses import Deleted, deleted
from .route import admin_route

Url = Annotated[str, Field(pattern=r"^https?://[!-~]+$", max_length=2000)]
#: As names of models: the path contains them unescaped.
_NAME = re.compile(r"[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]{0,98}[^\x00-\x20\x7f-\xa0])?")


def _not_ours(variable: str) -> str:
    # An operator chooses the URL that a key is sent to, and so must not be able to send the router's own secrets.
    if variable.upper().startswith(("ROUTER_", "PG", "DATABASE_")):
        raise ValueError(f"{variable} is a variable of the router itself; give one that holds a provider's key")
    return variable


Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}$"), AfterValidator(_not_ours)]


class PutProvider(AdminRequest):
    """A provider; a field that is left out keeps its value."""

    base_url: Url | None = Field(None, description="The base URL, up to /chat/completions; a new provider needs one.")
    key_variable: Variable | None = Field(
        None, description="The environment variable of the router that holds the key; null: no key is sent."
    )
    speaks: Annotated[list[Api], Field(min_length=1, max_length=10)] | None = Field(
        None, description="The supported APIs. Default: those of its host if it is known, else OpenAI's."
    )
    key_header: KeyHeader | None = Field(None, description="The header that carries the key.")


class ProviderEntry(TypedDict):
    """A provider; the variable that holds its key is named, the key is never shown."""

    object: Literal["router.provider"]
    id: int
    name: str
    base_url: str
    key_variable: Annotated[str | None, Field(description="null: no key is sent.")]
    speaks: Annotated[list[str], Field(description="The supported APIs.")]
    key_header: str
    models: Annotated[int, Field(description="The number of its models, the disabled ones included.")]


async def list_providers(request: Request, db: Database) -> Response:
    """Return every provider, with the number of its models."""
    return answer(listing([_entry(row) for row in await stored_providers.list_providers(db)]))


async def put_provider(request: Request, db: Database) -> Response:
    """Add a provider, or change one."""
    name = request.path_params["provider"]
    wanted = await parse_body(request, PutProvider)
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"The provider's name {name!r:.120} is not allowed: a name has 1 to 100 characters, no control characters "
            "and no spaces at either end."
        )
    known = await providers.find(db, name)
    if wanted.base_url is None and known is None:
        raise BadRequest("base_url: a new provider needs one.", param="base_url")
    base_url = wanted.base_url or str(known and known["base_url"])
    variable = wanted.key_variable
    if variable is None and "key_variable" in wanted.model_fields_set:
        variable = ""
    await providers.put(db, name, base_url, variable, speaks=wanted.speaks, key_header=wanted.key_header)
    found = await providers.find(db, name)
    if found is None:
        raise NotFound(f"The provider {name!r} was deleted meanwhile.", param="provider")
    return answer(_entry(found))


async def delete_provider(request: Request, db: Database) -> Response:
    """Delete a provider that has no models."""
    name = request.path_params["provider"]
    await providers.remove(db, name)
    return answer(deleted("provider", name))


def _entry(row: Mapping[str, Any]) -> ProviderEntry:
    return select(ProviderEntry, row, object="router.provider", id=row["provider_id"])


_PATH = "/providers/{provider:path}"

routes = [
    admin_route("GET", "/providers", list_providers, "All providers.", Listing[ProviderEntry]),
    admin_route("PUT", _PATH, put_provider, "Add a provider, or change one.", ProviderEntry, body=PutProvider),
    admin_route("DELETE", _PATH, delete_provider, "Delete a provider that has no models.", Deleted, errors=(409,)),
]
