"""/v1/router/admin/usage: what every tenant used and spent."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.endpoints.admin.auth import route
from app.endpoints.usage import Asked
from app.store import usage as usage_store
from app.store.database import Database


async def usage(request: Request, db: Database) -> Response:
    """As a tenant sees its own, by tenant first."""
    asked = Asked.of(request)
    rows = await usage_store.usages(db, asked.since, asked.until, asked.by)
    return asked.answered(rows, ["tenant", *asked.by])


routes = [route("/usage", usage, "GET")]
