"""Reads the body and the API key of an ASGI request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TypeVar

from starlette.types import Receive

from ..api_keys import is_key
from ..errors import TooLarge, Unauthorized
from .content_coding import codings, unpack
from .disconnect import ClientDisconnected

Headers = Mapping[bytes, bytes]
T = TypeVar("T")


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """Return the request body, unpacked if it is compressed.

    Raises `TooLarge` over `limit` bytes, packed or unpacked, `UnsupportedEncoding`, `BadRequest` if it cannot be
    unpacked, and `ClientDisconnected`.
    """
    coding = headers.get(b"content-encoding")
    applied = codings(coding) if coding is not None else None
    raw = await _read(receive, headers, limit)
    # In a thread, because a few bytes may take as long to unpack as the largest body.
    return await asyncio.to_thread(unpack, raw, applied, limit) if applied and raw else raw


async def _read(receive: Receive, headers: Headers, limit: int) -> bytes:
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
