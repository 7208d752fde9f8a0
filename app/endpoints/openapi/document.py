"""Puts the OpenAPI 3.1 document together for the routes of one application."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute, Mount, Route

from app import __version__
from app.endpoints.openapi import admin, inference_paths, passthrough_paths, process, router
from app.endpoints.openapi.operation import JSON, Operation, Schema

OPERATIONS: tuple[Operation, ...] = (
    *inference_paths.OPERATIONS,
    *passthrough_paths.OPERATIONS,
    *router.OPERATIONS,
    *admin.OPERATIONS,
    *process.OPERATIONS,
)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_REF = "#/components/schemas/{model}"
#: The prefix of the demo provider, which is the router's own upstream and nobody else's.
_INTERNAL = "/demo/"
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
        "description": "The same key, where Anthropic's clients put it.",
    },
    "master": {"type": "http", "scheme": "bearer", "description": "ROUTER_ADMIN_KEY of the router."},
}
_ERRORS: dict[str, Schema] = {
    "Error": {
        "type": "object",
        "description": "OpenAI's error object.",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": {"type": "string", "description": "For people."},
                    "type": {"type": "string"},
                    "param": {"type": ["string", "null"], "description": "The field or header that is wrong."},
                    "code": {"type": ["string", "null"], "description": "For programs."},
                },
            }
        },
    },
    "AnthropicError": {
        "type": "object",
        "description": "Anthropic's error object.",
        "required": ["type", "error"],
        "properties": {
            "type": {"const": "error"},
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def served(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of everything that `routes` serve, in OpenAPI's spelling: `("GET", "/v1/models/{name}")`."""
    for route in routes:
        if isinstance(route, Mount):
            if not f"{route.path}/".startswith(_INTERNAL):
                yield from served(route.routes, prefix + route.path)
        elif isinstance(route, Route):
            path = re.sub(r"\{(\w+):\w+\}", r"{\1}", prefix + route.path)
            for method in METHODS:
                if route.methods is None or method in route.methods:
                    yield method, path


def document(routes: Iterable[BaseRoute], operations: Sequence[Operation] = OPERATIONS) -> dict[str, Any]:
    """The document of an application with these routes. A route that nobody has written down is left out."""
    there = set(served(routes))
    found = [operation for operation in operations if (operation.method, operation.via or operation.path) in there]
    bodies: set[type[BaseModel]] = {operation.body for operation in found if isinstance(operation.body, type)}
    shapes = sorted(bodies.union(router.SHAPES), key=lambda model: model.__name__)
    wanted: Any = [(model, "validation") for model in shapes]
    named, models = models_json_schema(wanted, ref_template=_REF)
    refs: dict[type[BaseModel], Schema] = {model: named[model, "validation"] for model, _ in wanted}
    paths: dict[str, dict[str, Any]] = {}
    for operation in found:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pgrouter",
            "version": __version__,
            "description": "An OpenAI base URL that learns which prompts a cheaper model answers well enough.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(operation.tag for operation in found)],
        "paths": paths,
        "components": {
            "schemas": {**models.get("$defs", {}), **_ERRORS},
            "securitySchemes": _SCHEMES,
        },
    }


def _operation(operation: Operation, refs: dict[type[BaseModel], Schema]) -> Schema:
    said: Schema = {
        "operationId": _name(operation),
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": _SECURITY[operation.key],
        "responses": {
            **{str(status): _answer(status, schema) for status, schema in operation.answers.items()},
            **{str(status): _refusal(status, operation.error) for status in operation.refused},
        },
    }
    if operation.passes:
        said["responses"]["default"] = {
            "description": "What the provider answers.",
            "content": {"*/*": {}},
        }
    given = {each["name"] for each in operation.parameters if each["in"] == "path"}
    inferred = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", operation.path)
        if name not in given
    ]
    if inferred or operation.parameters:
        said["parameters"] = [*inferred, *operation.parameters]
    if operation.body is not None:
        body = operation.body
        content = refs[body] if isinstance(body, type) else body
        said["requestBody"] = {"required": operation.body_needed, "content": _content(content)}
    return said


def _answer(status: int, schema: Schema) -> Schema:
    said: Schema = {"description": HTTPStatus(status).phrase}
    if schema:
        said["content"] = _content(schema)
    return said


def _content(schema: Schema) -> Schema:
    """By media type; a schema alone is of JSON."""
    return {kind: {"schema": each} for kind, each in (schema if _by_media(schema) else {JSON: schema}).items()}


def _by_media(schema: Schema) -> bool:
    return bool(schema) and all("/" in kind for kind in schema)


def _refusal(status: int, error: str) -> Schema:
    said: Schema = {
        "description": HTTPStatus(status).phrase,
        "content": {JSON: {"schema": {"$ref": _REF.format(model=error)}}},
    }
    if status == 429:
        said["headers"] = {"retry-after": {"description": "Seconds until it may work.", "schema": {"type": "string"}}}
    return said


def _name(operation: Operation) -> str:
    words = re.sub(r"\W+", "_", operation.path.removeprefix("/v1")).strip("_")
    return f"{operation.method.lower()}_{words}"
