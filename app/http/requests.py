"""Reads the body and the API key of an ASGI request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TypeVar

from starlette.types import Receive, Scope

from ..api_keys import is_key
from ..errors import Overloaded, TooLarge, Unauthorized
from .content_coding import codings, unpack
from .disconnect import ClientDisconnected
from .repeated_warnings import RepeatedWarnings

Headers = Mapping[bytes, bytes]
T = TypeVar("T")

#: Bytes of a body that are not counted: it is the large ones that fill the memory.
UNCOUNTED = 64 * 1024
#: Bytes of a piece of a body from which on it is kept as it is; smaller ones are gathered, because an object of its own
#: takes some 50 bytes, even for one byte.
PIECE = 4 * 1024
#: The key of a scope under which the bytes that its request holds are counted.
HELD = "pgrouter.held"


class Bodies:
    """The bytes of large request bodies that a process holds."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self._warnings = RepeatedWarnings(logging.getLogger("pgrouter.server"))

    def hold(self, scope: Scope, size: int) -> None:
        """Count `size` more bytes of the request of `scope`. Raises `Overloaded` if they are too many."""
        if self.held + size > self.most:
            self._warnings.warn(
                f"Request bodies of ROUTER_BODY_MEMORY_BYTES = {self.most} bytes are held, as many as may be: "
                "more get 503"
            )
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
    """Return the request body, unpacked if it is compressed.

    Raises `TooLarge` over `limit` bytes, packed or unpacked, `UnsupportedEncoding`, `BadRequest` if it cannot be
    unpacked, `Overloaded`, and `ClientDisconnected`.
    """
    applied = None
    if b"content-encoding" in headers:
        # Several headers of one name are one list (RFC 9110, 5.3).
        applied = codings(b",".join(value for name, value in scope["headers"] if name == b"content-encoding"))
    raw = await _read(scope, receive, headers, limit, bodies)
    if not applied or not raw:
        return raw
    # In a thread, because a few bytes may take as long to unpack as the largest body.
    unpacked = await asyncio.to_thread(unpack, raw, applied, limit)
    if len(unpacked) > UNCOUNTED:
        bodies.hold(scope, len(unpacked))
    return unpacked


async def _read(scope: Scope, receive: Receive, headers: Headers, limit: int, bodies: Bodies) -> bytes:
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"The request body is over {limit} bytes.")
    chunks: list[bytes | bytearray] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The request body is over {limit} bytes.")
        if size > UNCOUNTED:
            # With its first bytes over the limit, the body's others count too.
            bodies.hold(scope, size if size - len(chunk) <= UNCOUNTED else len(chunk))
        if not message.get("more_body", False):
            if not chunks:
                return chunk
            chunks.append(chunk)
            return b"".join(chunks)
        if len(chunk) >= PIECE or not chunks:
            chunks.append(chunk)
        elif isinstance(chunks[-1], bytearray) and len(chunks[-1]) < UNCOUNTED:
            chunks[-1] += chunk
        else:
            chunks.append(bytearray(chunk))


def bearer(headers: Headers) -> str:
    """Return the API key: of several credentials the one that has the format of a key. Raises `Unauthorized`.

    Clients send a provider's key beside ours, as `Authorization: Bearer sk-…` with `x-api-key: rk-…`. If none of them
    is a key of the router, the first one is returned.
    """
    value = headers.get(b"authorization", b"")
    if value[:10].lower() == b"bearer rk-":
        return value[7:].strip().decode("latin-1")
    given = credentials(headers)
    if not given:
        raise Unauthorized("No API key: send `Authorization: Bearer rk-…`, or `x-api-key: rk-…`.")
    return next((each for each in given if is_key(each)), given[0])


def credentials(headers: Headers) -> list[str]:
    """Return the credentials of a request: the bearer token, then `x-api-key`, then `api-key`."""
    value = headers.get(b"authorization", b"").strip()
    scheme, _, token = value.partition(b" ")
    # Some clients send the key without a scheme.
    found = [token if scheme.lower() == b"bearer" else value if not token else b""]
    found += [headers.get(name, b"") for name in (b"x-api-key", b"api-key")]
    return [each.decode("latin-1") for each in (each.strip() for each in found) if each]
