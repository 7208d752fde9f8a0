"""Reads the body and the API key of an ASGI request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from starlette.types import Receive

from ..errors import TooLarge, Unauthorized
from .disconnect import ClientDisconnected

Headers = Mapping[bytes, bytes]
T = TypeVar("T")


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """Return the request body. Raises `TooLarge` over `limit` bytes, and `ClientDisconnected`."""
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
