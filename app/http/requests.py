"""Reads the body and the API key of an ASGI request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from starlette.types import Receive, Scope

from ..errors import Overloaded, TooLarge, Unauthorized
from .disconnect import ClientDisconnected

Headers = Mapping[bytes, bytes]
T = TypeVar("T")

#: Bytes of a body that are not counted: it is the large ones that fill the memory.
UNCOUNTED = 64 * 1024
#: The key of a scope under which the bytes that its request holds are counted.
HELD = "pgrouter.held"


class Bodies:
    """The bytes of large request bodies that a process holds."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def hold(self, scope: Scope, size: int) -> None:
        """Count `size` more bytes of the request of `scope`. Raises `Overloaded` if they are too many."""
        if self.held + size > self.most:
            raise Overloaded("The server holds as many request bodies as it may; try again.")
        self.held += size
        (_, before) = scope.get(HELD, (self, 0))
        scope[HELD] = (self, before + size)


def release(scope: Scope) -> None:
    """Count the bytes of a request no longer, because it is over."""
    bodies, size = scope.pop(HELD, (None, 0))
    if bodies is not None:
        bodies.held -= size


async def read_body(scope: Scope, receive: Receive, headers: Headers, limit: int, bodies: Bodies) -> bytes:
    """Return the request body. Raises `TooLarge` over `limit` bytes, `Overloaded`, and `ClientDisconnected`."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"The request body is over {limit} bytes.")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The request body is over {limit} bytes.")
        if size > UNCOUNTED:
            # With its first bytes over the limit, the body's others count too.
            bodies.hold(scope, size if size - len(chunk) <= UNCOUNTED else len(chunk))
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def bearer(headers: Headers) -> str:
    """Return the API key in `Authorization: Bearer` or `x-api-key`. Raises `Unauthorized` if there is none."""
    value = headers.get(b"authorization", b"")
    bearer = value[:7].lower() == b"bearer "
    value = value[7:].strip() if bearer else headers.get(b"x-api-key", b"").strip()
    if not value:
        raise Unauthorized("No API key: send `Authorization: Bearer rk-…`, or `x-api-key: rk-…`.")
    return value.decode("latin-1")
