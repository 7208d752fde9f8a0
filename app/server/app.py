"""The Starlette application: routes and handlers as plain data."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.types import ASGIApp

from ..console import page as console
from ..demo import provider
from ..endpoints import (
    admin,
    backtests,
    calibration,
    compare,
    decision_list,
    decisions,
    explanations,
    health,
    judge,
    memories,
    memory_files,
    memory_graph,
    models,
    policies,
    samples,
    savings,
    status,
    teaching,
    usage,
)
from ..endpoints.openapi import endpoint as openapi
from ..proxy import inference, passthrough
from ..services import Services
from .cors import CrossOrigin
from .error_handlers import handlers
from .fast_path import Application
from .middleware import RequestRecords

routes = [
    *inference.routes,
    *models.routes,
    *teaching.routes,
    *status.routes,
    *compare.routes,
    *judge.routes,
    *memory_files.routes,
    *memories.routes,
    *memory_graph.routes,
    *explanations.routes,
    *samples.routes,
    *decision_list.routes,
    *decisions.routes,
    *backtests.routes,
    *calibration.routes,
    *policies.routes,
    *savings.routes,
    *admin.routes,
    *usage.routes,
    *health.routes,
    *console.routes,
    *openapi.routes,
    *passthrough.routes,
]
#: The provider of the demo's models, served only if the process runs on its own (embedded) database.
demo_routes = [Mount("/demo/v1", routes=provider.routes)]


def create_app(services: Services) -> ASGIApp:
    """Create the application of one process on services that are running."""
    app = Starlette(
        routes=[*routes, *demo_routes] if services.settings.demo else routes,
        middleware=[Middleware(RequestRecords, observer=services.observer)],
        exception_handlers=handlers,
    )
    # OpenAI's clients do not expect the empty body of a redirect.
    app.router.redirect_slashes = False
    app.state.services = services
    application = Application(app, services.observer)
    origins = services.settings.cors_origins
    return CrossOrigin(application, origins) if origins else application
