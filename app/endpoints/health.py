"""/healthz, /readyz and /metrics: liveness, readiness and counters of the process."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from .. import __version__
from ..http.responses import answer
from ..services import services_of
from ..telemetry import metrics
from .openapi.operation import DocumentedRoute, Operation

_MEDIA = "text/plain"


class Alive(TypedDict):
    """The process responds."""

    status: Literal["alive"]
    version: str


class Ready(TypedDict):
    """The process can serve every request."""

    status: Literal["ready"]


class NotReady(TypedDict):
    """The process can serve only what needs no database."""

    status: Literal["not ready"]
    reason: Annotated[str, Field(description="For people; the log has the details.")]


async def healthz(request: Request) -> Response:
    """Return 200: the process responds."""
    alive: Alive = {"status": "alive", "version": __version__}
    return answer(alive)


async def readyz(request: Request) -> Response:
    """Return 200 if the database is reachable with the whole schema of this version, else 503 with the reason."""
    reason = await services_of(request.scope).readiness.problem()
    if reason is not None:
        not_ready: NotReady = {"status": "not ready", "reason": reason}
        return answer(not_ready, 503)
    ready: Ready = {"status": "ready"}
    return answer(ready)


async def prometheus(request: Request) -> Response:
    """Return the counters of all workers of this server together, in Prometheus's text format."""
    return Response(metrics.exposition(), media_type=f"{_MEDIA}; version=0.0.4; charset=utf-8")


routes = [
    DocumentedRoute(
        "GET",
        "/healthz",
        healthz,
        Operation(
            summary="Liveness: the process responds.", tag="process", responses={200: Alive}, key=None, database=False
        ),
    ),
    DocumentedRoute(
        "GET",
        "/readyz",
        readyz,
        Operation(
            summary="Readiness: the database is reachable with the whole schema of this version.",
            tag="process",
            responses={200: Ready, 503: NotReady},
            key=None,
            database=False,
        ),
    ),
    DocumentedRoute(
        "GET",
        "/metrics",
        prometheus,
        Operation(
            summary="Counters in Prometheus's text format.",
            tag="process",
            responses={200: {_MEDIA: {"type": "string"}}},
            key=None,
            database=False,
        ),
    ),
]
