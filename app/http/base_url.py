"""The base URL of the router from the point of view of the client of a request."""

from __future__ import annotations

import re

from starlette.types import Scope

#: A host name, an IPv4 or an IPv6 address, each with or without a port. Any other header is not repeated to the client.
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


def base_url(scope: Scope) -> str:
    """Return `SCHEME://HOST/v1` with the scheme and host of the request.

    A proxy that terminates TLS names the scheme in `x-forwarded-proto`. If the host header is missing or malformed, the
    address that the server listens on replaces it.
    """
    headers = dict(scope["headers"])
    forwarded = headers.get(b"x-forwarded-proto", b"").lower()
    scheme = forwarded.decode() if forwarded in (b"http", b"https") else scope.get("scheme", "http")
    host = headers.get(b"host", b"").decode("latin-1")
    if not _HOST.fullmatch(host):
        name, port = scope.get("server") or ("localhost", None)
        host = name if port is None else f"{name}:{port}"
    return f"{scheme}://{host}/v1"
