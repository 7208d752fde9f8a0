"""/healthz, /readyz, /metrics and a plain page: is the process alive, is it of use, what has it counted."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app import __version__
from app.errors import ConfigurationError, DatabaseUnavailable
from app.http.responses import answer
from app.services import services_of
from app.store.database import Database
from app.telemetry import metrics

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pgrouter</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #222 }}
  dt {{ color: #666 }} dd {{ margin: 0 0 .7rem; font-weight: 600 }} code {{ font-weight: 400 }}
  @media (prefers-color-scheme: dark) {{ body {{ background: #161616; color: #eee }} dt {{ color: #aaa }} }}
</style>
<h1>pgrouter {version}</h1>
<dl>
  <dt>Routing memory</dt><dd>{memory}</dd>
  <dt>Embedder</dt><dd>{embedder}</dd>
  <dt>Ledger entries waiting</dt><dd>{queued}</dd>
</dl>
<p>Per tenant, with its key: <code>GET /v1/router/status</code>. In SQL: <code>select * from router.overview</code>.
Counters: <a href="/metrics">/metrics</a>.</p>
</html>
"""


async def healthz(request: Request) -> Response:
    """The process answers."""
    return answer({"status": "alive", "version": __version__})


async def readyz(request: Request) -> Response:
    """200 while the database is reachable at a schema this version knows, else 503 with the reason."""
    try:
        await services_of(request.scope).db.check_revision()
    except (ConfigurationError, DatabaseUnavailable) as error:
        return answer({"status": "not ready", "reason": str(error)}, 503)
    return answer({"status": "ready"})


async def prometheus(request: Request) -> Response:
    """The counters in Prometheus's text format, those of all workers of this server together."""
    return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def console(request: Request) -> Response:
    """A plain page that says how the process is."""
    services = services_of(request.scope)
    return HTMLResponse(
        _PAGE.format(
            version=__version__,
            memory=_state(services.db),
            embedder=services.spaces.own.embedder.space,
            queued=services.ledger.queued,
        )
    )


def _state(db: Database) -> str:
    if not db.available:
        return "away: policies serve their default model"
    return "reachable" if db.writable else "reachable, but its primary is away: nothing can be taught"


routes = [
    Route("/healthz", healthz),
    Route("/readyz", readyz),
    Route("/metrics", prometheus),
    Route("/console", console),
]
