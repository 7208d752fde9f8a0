"""/v1/router/admin/usage: requests, tokens and cost of all tenants."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ...http.responses import answer
from ...store import usage as stored_usage
from ...store.database import Database
from ..usage import UsageQuery, UsageReport, period_of, report
from .route import admin_route


async def usage(request: Request, db: Database) -> Response:
    """Return the usage of every tenant, grouped by tenant and by the columns in `by`."""
    period = period_of(request)
    rows = await stored_usage.usages(db, *period)
    return answer(report(period, rows, ["tenant", *period.by]))


routes = [
    admin_route("GET", "/usage", usage, "Usage of all tenants, grouped by tenant first.", UsageReport, query=UsageQuery)
]
