"""GET /console: a page with what a new user needs first; GET / redirects to it."""

from __future__ import annotations

from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from .. import __version__
from ..http.base_url import base_url

_FOLDER = Path(__file__).parent
_PAGE = (_FOLDER / "index.html").read_text(encoding="utf-8")
#: Files that the page loads, with their media types.
_FILES = {"style.css": "text/css", "script.js": "text/javascript", "icon.svg": "image/svg+xml"}

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # The page has the request's host in it.
    "cache-control": "no-cache",
}


async def console(request: Request) -> Response:
    """Return the page. It contains the base URL of the request and no data of any tenant."""
    base = base_url(request.scope)
    page = _PAGE.replace("{{base_url}}", escape(base)).replace("{{version}}", escape(__version__))
    return Response(page, media_type="text/html", headers=_HEADERS)


async def to_console(request: Request) -> Response:
    """Redirect to the page."""
    return RedirectResponse("/console", 303)


def _file_route(name: str, media_type: str) -> Route:
    content = (_FOLDER / name).read_bytes()

    async def file(request: Request) -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return Route(f"/console/{name}", file, include_in_schema=False)


routes = [
    Route("/", to_console, include_in_schema=False),
    Route("/console", console),
    *(_file_route(name, media_type) for name, media_type in _FILES.items()),
]
