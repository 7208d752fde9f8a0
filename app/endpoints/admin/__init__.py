"""/v1/router/admin: what an operator does with the command line, over HTTP and with the master key."""

from __future__ import annotations

from starlette.routing import Mount, Router

from app.endpoints.admin import keys, limits, models, policies, prices, providers, tenants, usage
from app.endpoints.admin.auth import PREFIX, Gate

__all__ = ["PREFIX", "routes"]

served = [
    *tenants.routes,
    *keys.routes,
    *policies.routes,
    *prices.routes,
    *limits.routes,
    *usage.routes,
    *providers.routes,
    *models.routes,
]
#: A mount has every path below it, so that none that is wrong goes anywhere else.
routes = [Mount(PREFIX, app=Gate(Router(served, redirect_slashes=False)), name="admin")]
