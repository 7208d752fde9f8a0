"""GET /console: the web page of the routing memory; GET / redirects to it.

The page is built from the TypeScript sources beside this file (`make page`). It contains no data and no key: it calls
the public API with the key that the user gives it.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

_BUILT = Path(__file__).parent / "dist"
_MISSING = (
    "The console is not built here: run `make page` in a checkout, with network access, and load this page again."
)

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
#: Files below assets/ have a hash of their content in their name.
_FOREVER = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the built page, in memory."""

    content: bytes
    compressed: bytes
    media_type: str
    etag: str
    cache: str


async def console(request: Request) -> Response:
    """Return the page for every address of a view; the page itself shows the view that the address names."""
    found = _read("index.html")
    if found is None:
        return PlainTextResponse(_MISSING, 503, headers={**_HEADERS, "cache-control": "no-store"})
    return _response(request, found)


async def file(request: Request) -> Response:
    """Return a file that the page loads."""
    found = _read(request.url.path.removeprefix("/console/"))
    if found is None:
        return PlainTextResponse("The console has no such file.", 404, headers=_HEADERS)
    return _response(request, found)


async def to_console(request: Request) -> Response:
    """Redirect to the page."""
    return RedirectResponse("/console", 303)


def _response(request: Request, found: _File) -> Response:
    headers = {**_HEADERS, "cache-control": found.cache, "etag": found.etag, "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    content = found.content
    if "gzip" in request.headers.get("accept-encoding", "") and len(found.compressed) < len(content):
        content = found.compressed
        headers["content-encoding"] = "gzip"
    return Response(content, media_type=found.media_type, headers=headers)


def _read(name: str) -> _File | None:
    """Return a file of the built page, None if there is none."""
    page = _BUILT / "index.html"
    try:
        # A page that was built again while the process runs is served as it is now.
        return _files(page.stat().st_mtime_ns).get(name)
    except OSError:
        return None


@cache
def _files(built: int) -> dict[str, _File]:
    """Return every file of the page that was built at that time, by its path below dist/."""
    return {
        str(path.relative_to(_BUILT)): _file_of(path, str(path.relative_to(_BUILT)))
        for path in sorted(_BUILT.rglob("*"))
        if path.is_file()
    }


def _file_of(path: Path, name: str) -> _File:
    content = path.read_bytes()
    media_type = {".js": "text/javascript", ".svg": "image/svg+xml"}.get(path.suffix) or guess_type(name)[0]
    return _File(
        content,
        gzip.compress(content, 9, mtime=0),
        media_type or "application/octet-stream",
        f'"{sha256(content).hexdigest()[:16]}"',
        _FOREVER if name.startswith("assets/") else _REVALIDATE,
    )


routes = [
    Route("/", to_console, include_in_schema=False),
    Route("/console", console),
    Route("/console/assets/{name}", file, include_in_schema=False),
    Route("/console/{name}.svg", file, include_in_schema=False),
    Route("/console/{view:path}", console, include_in_schema=False),
]
