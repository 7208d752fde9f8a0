"""The few things every endpoint does with ASGI: read a body within its limit, find the key, answer, refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.entities import Caller
from app.errors import RouterError, ShuttingDown, TooLarge, Unauthorized
from app.http.validation import parse_object, validated
from app.server.middleware import TENANT
from app.server.protocol import GONE
from app.services import Services, services_of

Headers = Mapping[bytes, bytes]
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


#: The status the ledger gives to a client that left before its answer was through (nginx's convention).
CLIENT_GONE = 499


class ClientGone(Exception):
    """The client closed its connection; there is nobody to answer."""


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole request body. Raises `TooLarge` past `limit` bytes, `ClientGone` when the client leaves."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"The request body is over {limit} bytes.")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The request body is over {limit} bytes.")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def until_gone(receive: Receive, work: Awaitable[T], scope: Scope | None = None) -> T:
    """The result of `work`. A client that leaves meanwhile ends it, and with it the provider's work: `ClientGone`.

    Given the request's `scope` it costs no task, where the server runs `app.server.protocol`.
    """
    task = asyncio.current_task()
    assert task is not None
    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        task.cancel()

    departure = (scope or {}).get("extensions", {}).get(GONE) or _Watched(receive)
    departure.add(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise ClientGone from None
    finally:
        departure.discard(leave)


class _Watched:
    """The same as a `Departure`, at the price of a task, where the server's protocol does not tell."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def add(self, callback: Callable[[], object]) -> None:
        self._task = asyncio.create_task(self._watch(callback))

    def discard(self, callback: Callable[[], object]) -> None:
        self._task.cancel()

    async def _watch(self, callback: Callable[[], object]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        callback()


def bearer(headers: Headers) -> str:
    """The API key of a request, as OpenAI's clients send it, or Anthropic's. Raises `Unauthorized`."""
    value = headers.get(b"authorization", b"")
    bearer = value[:7].lower() == b"bearer "
    value = value[7:].strip() if bearer else headers.get(b"x-api-key", b"").strip()
    if not value:
        raise Unauthorized("No API key: send `Authorization: Bearer rk-…`, or `x-api-key: rk-…`.")
    return value.decode("latin-1")


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


async def called(request: Request) -> tuple[Services, Caller]:
    """The process's services and who is calling. Raises `Unauthorized`."""
    services = services_of(request.scope)
    caller = await services.directory.caller(bearer(dict(request.scope["headers"])))
    request.scope[TENANT] = caller.tenant
    return services, caller


async def body_of(request: Request) -> bytes:
    """The request's body. Raises as `read_body` does."""
    return await read_body(
        request.receive, dict(request.scope["headers"]), services_of(request.scope).settings.max_body
    )


async def parsed(request: Request, model: type[M], *, optional: bool = False) -> M:
    """The request's body as `model`; where it is `optional`, none is an empty one.

    Raises `BadRequest` naming the first field that is wrong.
    """
    raw = await body_of(request)
    return validated(model, {} if optional and not raw else parse_object(raw))
