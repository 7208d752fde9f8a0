"""The few things every endpoint does with ASGI: read a body within its limit, find the key, answer, refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from starlette.types import Receive

from app.errors import TooLarge, Unauthorized
from app.http.disconnect import ClientGone

Headers = Mapping[bytes, bytes]
T = TypeVar("T")


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


def bearer(headers: Headers) -> str:
    """The API key of a request, as OpenAI's clients send it, or Anthropic's. Raises `Unauthorized`."""
    value = headers.get(b"authorization", b"")
    bearer = value[:7].lower() == b"bearer "
    value = value[7:].strip() if bearer else headers.get(b"x-api-key", b"").strip()
    if not value:
        raise Unauthorized("No API key: send `Authorization: Bearer rk-…`, or `x-api-key: rk-…`.")
    return value.decode("latin-1")
