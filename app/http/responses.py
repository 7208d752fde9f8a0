"""Responses as ASGI messages and as Starlette objects, errors in OpenAI's shape."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Send

from app.errors import RouterError, ShuttingDown


def told(caught: RouterError | asyncio.CancelledError) -> RouterError:
    """What the client is told of an error. The server cancels a request when it stops and has waited long enough."""
    return caught if isinstance(caught, RouterError) else ShuttingDown("The router is shutting down.")


async def send_bytes(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    """A whole response at once."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: RouterError, content: Any = None) -> None:
    """An error as `content` has it, or in OpenAI's shape."""
    body = orjson.dumps(content or error.body())
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in error.headers.items()]
    await send_bytes(send, error.status, headers, body)


def answer(content: Any, status: int = 200) -> Response:
    """A JSON response; uuids, dates and mappings included."""
    return Response(orjson.dumps(content), status, media_type="application/json")
