"""Generates the OpenAPI 3.1 document of an application from its routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from starlette.routing import BaseRoute

from ... import __version__
from .errors import AnthropicError, Error
from .operation import JSON, DocumentedPath, Operation, Schema
from .paths import documented_paths
from .schemas import REF, Mode, query_parameters, schemas_of

KEYS = frozenset({None, "tenant", "master"})

_SECURITY: dict[str | None, list[Schema]] = {
    None: [],
    "tenant": [{"bearer": []}, {"apiKey": []}],
    "master": [{"master": []}],
}
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A tenant's key: `rk-…`."},
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same key, in the header that Anthropic's clients use.",
    },
    "master": {"type": "http", "scheme": "bearer", "description": "ROUTER_ADMIN_KEY of the router."},
}
_Schemas = Mapping[tuple[Any, Mode], Schema]


def document(routes: Iterable[BaseRoute], keys: Iterable[str | None] = KEYS) -> dict[str, Any]:
    """The document of an application with these routes; operations that need another key than `keys` are left out."""
    wanted = set(keys)
    found = [each for each in documented_paths(routes) if each.operation.key in wanted]
    schemas, components = schemas_of(_types(found))
    paths: dict[str, dict[str, Any]] = {}
    for each in found:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pgrouter",
            "version": __version__,
            "description": "An OpenAI base URL that learns which prompts a cheaper model answers well enough.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(each.operation.tag for each in found)],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }


def operation_id(method: str, path: str) -> str:
    """`GET /v1/router/memories/{memory_id}` as `get_router_memories_memory_id`."""
    words = re.sub(r"\W+", "_", path.removeprefix("/v1")).strip("_")
    return f"{method.lower()}_{words}"


def _types(found: Iterable[DocumentedPath]) -> Iterator[tuple[Any, Mode]]:
    """Every type that has to be described, and whether it is read or written."""
    yield from ((Error, "serialization"), (AnthropicError, "serialization"))
    for each in found:
        for content in each.operation.responses.values():
            yield from ((kind, "serialization") for kind in _by_media(content).values() if not isinstance(kind, dict))
        if each.operation.body is not None:
            yield from (
                (kind, "validation") for kind in _by_media(each.operation.body).values() if not isinstance(kind, dict)
            )


def _operation(documented: DocumentedPath, schemas: _Schemas) -> Schema:
    operation = documented.operation
    responses: dict[str, Schema] = {
        str(status): {"description": HTTPStatus(status).phrase, "content": _content(body, "serialization", schemas)}
        for status, body in operation.responses.items()
    }
    responses |= {str(status): _error(status, operation.error) for status in operation.error_statuses}
    if operation.from_provider:
        responses["default"] = {"description": "The provider's response.", "content": {"*/*": {}}}
    made: Schema = {
        "operationId": operation_id(documented.method, documented.path),
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": _security(operation),
        "responses": responses,
    }
    parameters = [*_path_parameters(documented), *operation.parameters]
    if operation.query is not None:
        parameters += query_parameters(operation.query)
    if parameters:
        made["parameters"] = parameters
    if operation.body is not None:
        content = _content(operation.body, "validation", schemas)
        made["requestBody"] = {"required": operation.body_required, "content": content}
    return made


def _security(operation: Operation) -> list[Schema]:
    """The keys that an operation accepts, with the scope that they need."""
    needed = [] if operation.scope in (None, "any") else [operation.scope]
    return [dict.fromkeys(each, needed) for each in _SECURITY[operation.key]]


def _path_parameters(documented: DocumentedPath) -> list[Schema]:
    """Parameters in the path that the operation does not describe itself."""
    described = {each["name"] for each in documented.operation.parameters if each["in"] == "path"}
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", documented.path)
        if name not in described
    ]


def _by_media(content: Any) -> Mapping[str, Any]:
    """By media type; a type alone is JSON."""
    return content if isinstance(content, dict) else {JSON: content}


def _content(content: Any, mode: Mode, schemas: _Schemas) -> Schema:
    return {
        media: {"schema": kind if isinstance(kind, dict) else schemas[kind, mode]}
        for media, kind in _by_media(content).items()
    }


def _error(status: int, component: str) -> Schema:
    made: Schema = {
        "description": HTTPStatus(status).phrase,
        "content": {JSON: {"schema": {"$ref": REF.format(model=component)}}},
    }
    if status == 429:
        made["headers"] = {
            "retry-after": {"description": "Seconds until a retry may succeed.", "schema": {"type": "string"}}
        }
    return made
