"""Compares every JSON response of the router's own endpoints with the model that the endpoint declares."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.endpoints.openapi.operation import JSON, DocumentedRoute
from app.endpoints.openapi.paths import served_routes
from app.server.app import routes


class Promise(NamedTuple):
    """The model of a response."""

    method: str
    path: str
    status: int


MODELS: dict[Promise, TypeAdapter[Any]] = {}
_PATTERNS: list[tuple[str, re.Pattern[str], str]] = []
for _method, _path, _route in served_routes(routes):
    if isinstance(_route, DocumentedRoute):
        _any = ".+" if _route.path.endswith(":path}") else "[^/]+"
        _PATTERNS.append((_method, re.compile(re.sub(r"\{\w+\}", _any, _path)), _path))
        for _status, _model in _route.operation.responses.items():
            _json = _model.get(JSON) if isinstance(_model, dict) else _model
            if _json is not None and not isinstance(_json, dict):
                MODELS[Promise(_method, _path, _status)] = TypeAdapter(_json)

#: The differences found in this process, and the responses that were compared.
mismatches: list[str] = []
compared: set[Promise] = set()


class Contract:
    """ASGI middleware that compares responses with their models."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and compare its response once that is complete."""
        path = documented_path(scope)
        if path is None:
            await self._app(scope, receive, send)
            return
        status, body, is_json = 0, bytearray(), False

        async def observed(message: Message) -> None:
            nonlocal status, is_json
            if message["type"] == "http.response.start":
                status = message["status"]
                is_json = dict(message["headers"]).get(b"content-type", b"") == JSON.encode()
            body.extend(message.get("body", b""))
            if is_json and not message.get("more_body", False) and message["type"] == "http.response.body":
                compare(Promise(scope["method"], path, status), bytes(body))
            await send(message)

        await self._app(scope, receive, observed)


def documented_path(scope: Scope) -> str | None:
    """The path of the router's own operation that serves a request."""
    given = scope.get("method"), scope.get("path", "")
    return next(
        (path for method, pattern, path in _PATTERNS if method == given[0] and pattern.fullmatch(given[1])), None
    )


def compare(promise: Promise, body: bytes) -> None:
    """Note a difference between a body and its model: a field that is missing, undeclared or of another type."""
    if promise not in MODELS:
        return
    compared.add(promise)
    try:
        MODELS[promise].validate_json(body, strict=True, extra="forbid")
    except ValidationError as error:
        mismatches.append(f"{promise.method} {promise.path} {promise.status}: {error}")
