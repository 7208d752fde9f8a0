"""/v1/router/admin/tenants/{tenant}/keys: what lets a tenant's applications in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.endpoints.admin.auth import Body, given_in, number_in, route, tenant_in
from app.endpoints.requests import parsed
from app.errors import NotFound
from app.http.fields import Text
from app.http.responses import answer
from app.operations.keys import new_key, rotate, until
from app.store import keys
from app.store.database import Database

#: `12h`, `30d`, `8w` from now, or a date or time in ISO 8601.
Moment = Annotated[str, Field(min_length=2, max_length=40, examples=["30d", "2027-01-31"])]
Label = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Models = Annotated[list[Text], Field(max_length=1000)]


class NewKey(Body):
    """A key: what it is for, from when on it is refused (null: never), the models that may serve it (null: all)."""

    name: Label = ""
    expires_at: Moment | None = None
    models: Models | None = None


class KeyChange(Body):
    """What is named changes: `expires_at` null is never, `models` null is all."""

    name: Label | None = None
    expires_at: Moment | None = None
    models: Models | None = None


class Rotation(Body):
    """Until when the old key works; null: no more."""

    grace: Moment | None = None


async def list_keys(request: Request, db: Database) -> Response:
    """A tenant's keys, the revoked ones too; of each only its first characters."""
    tenant = await tenant_in(request, db)
    rows = await keys.credentials(db, tenant.tenant_id)
    return answer({"object": "list", "data": [shown(row) for row in rows]})


async def create_key(request: Request, db: Database) -> Response:
    """Make a key; `api_key` is in this answer alone."""
    tenant = await tenant_in(request, db)
    wanted = await parsed(request, NewKey)
    expires_at = None if wanted.expires_at is None else until(wanted.expires_at, datetime.now(UTC), "expires_at")
    made = await new_key(db, tenant.tenant_id, wanted.name, expires_at, wanted.models)
    return answer({**await _one(db, tenant.tenant_id, made["key_id"]), "api_key": made["api_key"]}, 201)


async def change_key(request: Request, db: Database) -> Response:
    """Change name, expiry or models of a key."""
    tenant, key_id = await tenant_in(request, db), number_in(request, "key_id")
    given = given_in(await parsed(request, KeyChange), nullable={"expires_at": "infinity", "models": []})
    if given.get("expires_at", "infinity") != "infinity":
        given["expires_at"] = until(given["expires_at"], datetime.now(UTC), "expires_at")
    await keys.change_key(db, tenant.tenant_id, key_id, **given)
    return answer(await _one(db, tenant.tenant_id, key_id))


async def rotate_key(request: Request, db: Database) -> Response:
    """Make a key with name, expiry, models and limits of one that it replaces."""
    tenant, key_id = await tenant_in(request, db), number_in(request, "key_id")
    wanted = await parsed(request, Rotation, optional=True)
    works_until = None if wanted.grace is None else until(wanted.grace, datetime.now(UTC), "grace")
    made = await rotate(db, tenant.tenant_id, key_id, works_until)
    new = await _one(db, tenant.tenant_id, made["key_id"])
    return answer({**new, "api_key": made["api_key"], "replaces": await _one(db, tenant.tenant_id, key_id)}, 201)


async def revoke_key(request: Request, db: Database) -> Response:
    """Refuse a key from now on; it stays listed."""
    tenant, key_id = await tenant_in(request, db), number_in(request, "key_id")
    await keys.revoke_key(db, tenant.tenant_id, key_id)
    return answer(await _one(db, tenant.tenant_id, key_id))


async def _one(db: Database, tenant_id: int, key_id: int) -> dict[str, Any]:
    for row in await keys.credentials(db, tenant_id):
        if row["key_id"] == key_id:
            return shown(row)
    raise NotFound(f"The tenant has no key {key_id}.", param="key_id")


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A key as JSON, which never lets anybody in."""
    found = dict(row)
    return {"object": "router.key", "id": found.pop("key_id"), **found}


routes = [
    route("/tenants/{tenant}/keys", list_keys, "GET"),
    route("/tenants/{tenant}/keys", create_key, "POST"),
    route("/tenants/{tenant}/keys/{key_id}", change_key, "PATCH"),
    route("/tenants/{tenant}/keys/{key_id}", revoke_key, "DELETE"),
    route("/tenants/{tenant}/keys/{key_id}/rotate", rotate_key, "POST"),
]
