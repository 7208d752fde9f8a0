"""The master key: what protects the admin API."""

from __future__ import annotations

import hmac
from hashlib import sha256

from starlette.exceptions import HTTPException
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from ...errors import Unauthorized
from ...http.requests import bearer, credentials
from ...services import services_of


class RequireMasterKey:
    """ASGI middleware: lets requests with ROUTER_ADMIN_KEY pass; if that is not set, every path is a 404."""

    def __init__(self, app: Router) -> None:
        self._app = app
        #: The routes behind it, for code that walks the routes of a mount.
        self.routes = app.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request with the key. Raises `Unauthorized`, or Starlette's 404 if there is no master key."""
        expected = services_of(scope).settings.admin_key
        if expected is None:
            raise HTTPException(404)
        headers = dict(scope["headers"])
        # Raises if there is no credential at all; of several, any may be the master key.
        given = {bearer(headers), *credentials(headers)}
        if not any(hmac.compare_digest(_digest(each), _digest(expected)) for each in given):
            raise Unauthorized("Incorrect API key provided: administration needs the master key of this router.")
        await self._app(scope, receive, send)


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()
