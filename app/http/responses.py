"""Builds responses, as ASGI messages and as Starlette objects; errors have OpenAI's format."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Send

from ..errors import RouterError, ShuttingDown


def as_router_error(caught: RouterError | asyncio.CancelledError) -> RouterError:
    """Return the error to send to the client. A request that the server cancels at its stop gets `ShuttingDown`."""
    return caught if isinstance(caught, RouterError) else ShuttingDown("The router is shutting down.")


async def send_bytes(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    """Send a complete response."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: RouterError, content: Any = None) -> None:
    """Send an error with the body `content`, by default that in OpenAI's format."""
    body = orjson.dumps(content or error.body())
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in error.headers.items()]
    await send_bytes(send, error.status, headers, body)


def answer(content: Any, status: int = 200) -> Response:
    """Return a JSON response; `content` may include UUIDs, dates and mappings."""
    return Response(orjson.dumps(content), status, media_type="application/json")
