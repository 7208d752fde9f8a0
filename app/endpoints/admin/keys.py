"""/v1/router/admin/tenants/{tenant}/keys: the API keys of a tenant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...errors import NotFound
from ...http.fields import Text
from ...http.responses import answer
from ...key_scopes import Scope
from ...operations.keys import new_key, rotate, until
from ...store import keys as stored_keys
from ...store.database import Database
from ..requests import parse_body
from ..responses import Listing, listing, select
from .requests import AdminRequest, changes_in, number_in, tenant_in
from .route import admin_route

#: `12h`, `30d`, `8w` from now, or a date or time in ISO 8601.
Moment = Annotated[str, Field(min_length=2, max_length=40, examples=["30d", "2027-01-31"])]
Label = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Models = Annotated[list[Text], Field(max_length=1000)]
Scopes = Annotated[list[Scope], Field(min_length=1, max_length=10)]

_EXPIRY = "A span from now such as 30d, or a date; null: never."
_MODELS = "The models that the key may use; null: all."
_SCOPES = "What the key may do; null: everything, or if the key is for some models all but `manage`."


class NewKey(AdminRequest):
    """A key to create."""

    name: Label = Field("", description="What the key is for.")
    expires_at: Moment | None = Field(None, description=_EXPIRY)
    models: Models | None = Field(None, description=_MODELS)
    scopes: Scopes | None = Field(None, description=_SCOPES)


class KeyChange(AdminRequest):
    """The fields to change; a field that is left out keeps its value."""

    name: Label | None = Field(None, description="What the key is for.")
    expires_at: Moment | None = Field(None, description=_EXPIRY)
    models: Models | None = Field(None, description=_MODELS)
    scopes: Scopes | None = Field(None, description=_SCOPES)


class Rotation(AdminRequest):
    """The grace period of a key that is replaced."""

    grace: Moment | None = Field(None, description="How long the old key works: a span or a date; null: no longer.")


class KeyEntry(TypedDict):
    """A key without its secret."""

    object: Literal["router.key"]
    id: int
    hint: Annotated[str, Field(description="The key's first characters.")]
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    models: Annotated[list[str] | None, Field(description=_MODELS)]
    scopes: Annotated[list[Scope], Field(description="What the key may do.")]


class CreatedKey(KeyEntry):
    """A new key."""

    api_key: Annotated[str, Field(description="The key, which only this response contains.")]


class RotatedKey(CreatedKey):
    """A new key, and the key that it replaces."""

    replaces: KeyEntry


async def list_keys(request: Request, db: Database) -> Response:
    """Return a tenant's keys, the revoked ones included; of each only its first characters."""
    tenant = await tenant_in(request, db)
    rows = await stored_keys.list_keys(db, tenant.tenant_id)
    return answer(listing([_entry(row) for row in rows]))


async def create_key(request: Request, db: Database) -> Response:
    """Create a key; only this response contains it."""
    tenant = await tenant_in(request, db)
    wanted = await parse_body(request, NewKey)
    expires_at = None if wanted.expires_at is None else until(wanted.expires_at, datetime.now(UTC), "expires_at")
    created = await new_key(db, tenant.tenant_id, wanted.name, expires_at, wanted.models, wanted.scopes)
    entry = await _find(db, tenant.tenant_id, created["key_id"])
    response: CreatedKey = {**entry, "api_key": created["api_key"]}
    return answer(response, 201)


async def change_key(request: Request, db: Database) -> Response:
    """Change name, expiry, models or scopes of a key."""
    tenant, key_id = await tenant_in(request, db), number_in(request, "key_id")
    body = await parse_body(request, KeyChange)
    changes = changes_in(body, nullable={"expires_at": "infinity", "models": [], "scopes": []})
    if changes.get("expires_at", "infinity") != "infinity":
        changes["expires_at"] = until(changes["expires_at"], datetime.now(UTC), "expires_at")
    await stored_keys.change_key(db, tenant.tenant_id, key_id, **changes)
    return answer(await _find(db, tenant.tenant_id, key_id))


async def rotate_key(request: Request, db: Database) -> Response:
    """Create a key with name, expiry, models, scopes and limits of the key that it replaces."""
    tenant, key_id = await tenant_in(request, db), number_in(request, "key_id")
    wanted = await parse_body(request, Rotation, optional=True)
    works_until = None if wanted.grace is None else until(wanted.grace, datetime.now(UTC), "grace")
    created = await rotate(db, tenant.tenant_id, key_id, works_until)
    entry = await _find(db, tenant.tenant_id, created["key_id"])
    replaced = await _find(db, tenant.tenant_id, key_id)
    response: RotatedKey = {**entry, "api_key": created["api_key"], "replaces": replaced}
    return answer(response, 201)


async def revoke_key(request: Request, db: Database) -> Response:
    """Revoke a key; it remains in the list."""
    tenant, key_id = await tenant_in(request, db), number_in(request, "key_id")
    await stored_keys.revoke_key(db, tenant.tenant_id, key_id)
    return answer(await _find(db, tenant.tenant_id, key_id))


async def _find(db: Database, tenant_id: int, key_id: int) -> KeyEntry:
    for row in await stored_keys.list_keys(db, tenant_id):
        if row["key_id"] == key_id:
            return _entry(row)
    raise NotFound(f"The tenant has no key {key_id}.", param="key_id")


def _entry(row: Mapping[str, Any]) -> KeyEntry:
    return select(KeyEntry, row, object="router.key", id=row["key_id"])


routes = [
    admin_route("GET", "/tenants/{tenant}/keys", list_keys, "A tenant's keys.", Listing[KeyEntry]),
    admin_route(
        "POST",
        "/tenants/{tenant}/keys",
        create_key,
        "Create a key; only the response contains it.",
        CreatedKey,
        status=201,
        body=NewKey,
    ),
    admin_route(
        "PATCH",
        "/tenants/{tenant}/keys/{key_id}",
        change_key,
        "Change the given fields of a key.",
        KeyEntry,
        body=KeyChange,
    ),
    admin_route("DELETE", "/tenants/{tenant}/keys/{key_id}", revoke_key, "Revoke a key.", KeyEntry),
    admin_route(
        "POST",
        "/tenants/{tenant}/keys/{key_id}/rotate",
        rotate_key,
        "Replace a key; the old one may keep working for a grace period.",
        RotatedKey,
        status=201,
        body=Rotation,
        body_required=False,
    ),
]
