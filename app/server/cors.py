"""Cross-origin access (CORS, Fetch standard 3.2) for web pages of the origins in `ROUTER_CORS_ORIGINS`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import Forbidden
from ..http.responses import send_bytes, send_error

#: Seconds for which a browser may keep the answer of a preflight; Chromium's maximum.
MAX_AGE = 7200
METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
#: Headers of answers that a page may read besides those that Fetch always allows.
EXPOSED = (
    b"x-request-id", b"request-id", b"retry-after", b"retry-after-ms", b"x-should-retry", b"server-timing",
    *(b"x-router-" + name for name in (
        b"model", b"reason", b"confidence", b"decision", b"attempts", b"overhead-ms",
    )),
    *(b"x-ratelimit-%b-%b" % (what, kind)
      for what in (b"limit", b"remaining", b"reset") for kind in (b"requests", b"tokens")),
)  # fmt: skip
#: Headers that are exposed wherever an answer has them: providers have names of their own.
_EXPOSED_PREFIXES = (b"x-router-", b"x-ratelimit-", b"anthropic-ratelimit-")
#: Names of request headers; nothing else of what a preflight asks for is repeated.
_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{0,4096}")

Headers = list[tuple[bytes, bytes]]


class CrossOrigin:
    """ASGI middleware: answers preflights, which have no key, and adds `Access-Control-*` to every other answer.

    It wraps the whole application, so that errors, streams and the endpoints of the fast path are included. The API
    uses no cookies, so that `Access-Control-Allow-Credentials` is not sent.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        """`origins`: those whose pages may call the API; `*`: all."""
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)
        self._any = b"*" in self._origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        if origin is not None and scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await self._preflight(origin, headers, send)
            return
        own = self._allowed(origin)

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with(message.get("headers", ()), own)
            await send(message)

        await self._app(scope, receive, adding)

    async def _preflight(self, origin: bytes, headers: dict[bytes, bytes], send: Send) -> None:
        allowed = self._allowed(origin)
        if not _allows(allowed):
            shown = origin[:200].decode("latin-1")
            error = Forbidden(
                f"The origin {shown!r} may not call this router: ROUTER_CORS_ORIGINS lists those that may.",
                code="origin_not_allowed",
            )
            error.headers["vary"] = "Origin"
            await send_error(send, error)
            return
        asked = headers.get(b"access-control-request-headers", b"")
        answer = [
            *allowed,
            (b"access-control-allow-methods", METHODS),
            (b"access-control-max-age", b"%d" % MAX_AGE),
            (b"vary", b"Access-Control-Request-Headers"),
        ]
        if asked and _NAMES.fullmatch(asked):
            answer.append((b"access-control-allow-headers", asked))
        if headers.get(b"access-control-request-private-network") == b"true":
            # Chromium asks before a public page calls a router on the user's own machine or network.
            answer.append((b"access-control-allow-private-network", b"true"))
        await send_bytes(send, 204, answer, b"")

    def _allowed(self, origin: bytes | None) -> Headers:
        """Return the headers that allow an origin; without one, or for one that may not, what caches need."""
        if self._any:
            return [(b"access-control-allow-origin", b"*")]
        vary = (b"vary", b"Origin")
        if origin is None or origin.lower() not in self._origins:
            return [vary]
        return [(b"access-control-allow-origin", origin), vary]


def _allows(headers: Headers) -> bool:
    return headers[0][0] == b"access-control-allow-origin"


def _with(theirs: Iterable[tuple[bytes, bytes]], own: Headers) -> Headers:
    """Return the headers of an answer with `own`, which replace others about cross-origin access."""
    kept = [each for each in theirs if not each[0].lower().startswith(b"access-control-")]
    if not _allows(own):
        return [*kept, *own]
    more = sorted({name.lower() for name, _ in kept if name.lower().startswith(_EXPOSED_PREFIXES)}.difference(EXPOSED))
    return [*kept, *own, (b"access-control-expose-headers", b", ".join((*EXPOSED, *more)))]
