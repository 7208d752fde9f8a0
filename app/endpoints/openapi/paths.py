"""The paths of an application with their operations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from starlette.routing import BaseRoute, Mount, Route

from . import console_paths, inference_paths, passthrough_paths
from .operation import DocumentedPath, DocumentedRoute

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

#: Operations of routes that other rooms serve, by method and path of the route.
_OF_OTHER_ROOMS: dict[tuple[str, str], list[DocumentedPath]] = {}
for _each in chain(inference_paths.PATHS, passthrough_paths.PATHS, console_paths.PATHS):
    _OF_OTHER_ROOMS.setdefault((_each.method, _each.route or _each.path), []).append(_each)

#: The prefix of the demo provider, which is an upstream of the router and no API for clients.
_INTERNAL = "/demo/"


def served_routes(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str, Route]]:
    """Method, path and route of everything in the schema, in OpenAPI's spelling: `GET`, `/v1/models/{name}`."""
    for route in routes:
        if isinstance(route, Mount):
            if not f"{route.path}/".startswith(_INTERNAL):
                yield from served_routes(route.routes, prefix + route.path)
        elif isinstance(route, Route) and route.include_in_schema:
            path = re.sub(r"\{(\w+):\w+\}", r"{\1}", prefix + route.path)
            for method in METHODS:
                if route.methods is None or method in route.methods:
                    yield method, path, route


def documented_paths(routes: Iterable[BaseRoute]) -> Iterator[DocumentedPath]:
    """Every operation that the routes serve. A route without a description is left out."""
    for method, path, route in served_routes(routes):
        if isinstance(route, DocumentedRoute):
            yield DocumentedPath(method, path, route.operation)
        else:
            yield from _OF_OTHER_ROOMS.get((method, path), ())
