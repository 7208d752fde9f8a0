"""A documented operation: what the OpenAPI document states of one method and path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from ...key_scopes import Needed

Schema = dict[str, Any]

JSON = "application/json"
EVENTS = "text/event-stream"
#: The key of an ASGI scope under which its operation is.
OPERATION = "pgrouter.operation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The description of one method and path."""

    #: One line, for people.
    summary: str
    #: The group of the operation in the document.
    tag: str
    #: The response body by status: a type that pydantic knows for JSON, or a mapping of media type to schema or type.
    responses: Mapping[int, Any]
    #: Error statuses beyond those that follow from `key`, `database` and `body`.
    errors: tuple[int, ...] = ()
    #: The model of the query string.
    query: type[BaseModel] | None = None
    #: Parameters as OpenAPI has them: in headers, or those of path and query that need more than a name.
    parameters: tuple[Schema, ...] = ()
    #: The request body, as in `responses`; None: the operation reads none.
    body: Any = None
    #: Whether a request without a body is an error.
    body_required: bool = True
    #: The API key that the operation needs; None: it needs no key.
    key: Literal["tenant", "master"] | None = "tenant"
    #: The scope that a tenant's key needs; None: not decided, and the operation refuses every key.
    scope: Needed | None = None
    #: Whether the operation fails with 503 if Postgres cannot be reached.
    database: bool = True
    #: Whether a provider's response, of any status and type, may be returned.
    from_provider: bool = False
    #: The component that describes errors.
    error: Literal["Error", "AnthropicError"] = "Error"

    @property
    def error_statuses(self) -> list[int]:
        """Every error status that the router itself may return, ascending."""
        found = set(self.errors)
        if self.key is not None:
            found.add(401)
        if self.key == "tenant" and self.scope != "any":
            found.add(403)
        if self.database:
            found.add(503)
        if self.body is not None:
            found |= {400, 413}
        if self.query is not None:
            found.add(400)
        return sorted(found)


@dataclass(frozen=True, slots=True)
class DocumentedPath:
    """An operation with its method and path; `route`: the path of the route that serves it, if it is another one."""

    method: str
    path: str
    operation: Operation
    route: str | None = None


class DocumentedRoute(Route):
    """A route of the JSON API with the description of its operation."""

    def __init__(
        self,
        method: str,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        operation: Operation,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(path, endpoint, methods=[method], name=name)
        self.operation = operation

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return how a request matches, as `Route.matches` does, and put the operation into its scope."""
        match, child = super().matches(scope)
        if match is Match.FULL:
            child[OPERATION] = self.operation
        return match, child


def parameter(
    name: str, where: str, description: str, schema: Schema | None = None, *, required: bool | None = None
) -> Schema:
    """A parameter in the `query`, the `path` or a `header`; those in the path are always required."""
    return {
        "name": name,
        "in": where,
        "required": where == "path" if required is None else required,
        "description": description,
        "schema": schema or {"type": "string"},
    }
