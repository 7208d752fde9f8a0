"""The admin API: what the command line does, over HTTP with the master key."""

from __future__ import annotations

from starlette.routing import Mount, Router

from . import breakers, keys, limits, models, policies, prices, providers, tenants, usage
from .auth import RequireMasterKey
from .route import PREFIX

__all__ = ["PREFIX", "routes"]

admin_routes = [
    *tenants.routes,
    *keys.routes,
    *policies.routes,
    *prices.routes,
    *limits.routes,
    *usage.routes,
    *providers.routes,
    *models.routes,
    *breakers.routes,
]
#: A mount serves every path below it, so that an unknown one is not passed through to a provider.
routes = [Mount(PREFIX, app=RequireMasterKey(Router(admin_routes, redirect_slashes=False)), name="admin")]
