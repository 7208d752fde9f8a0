"""Carries bytes to a provider and back: connections kept, time-outs kept, nothing decoded."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Iterable, Mapping

import aiohttp
from yarl import URL

from app.errors import UpstreamUnavailable
from app.store.tenancy import Model

#: Headers that belong to one connection (RFC 9110, 7.6.1), or that the hop writes itself.
HOP_BY_HOP = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    )
)  # fmt: skip
_NOT_FORWARDED = HOP_BY_HOP | {b"host", b"content-length", b"authorization", b"cookie", b"accept-encoding", b"expect"}
_ROUTER_HEADERS = b"x-router"

#: A body over this many bytes is written in pieces.
LARGE = 1024 * 1024

RawHeaders = Iterable[tuple[bytes, bytes]]


class Reply:
    """A provider's answer whose first byte has arrived; `close` when done with it, read or not."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = [(name.lower(), value) for name, value in response.raw_headers if name.lower() not in HOP_BY_HOP]

    def header(self, name: bytes) -> bytes | None:
        """The first header called `name` (lower case)."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream of server-sent events."""
        return (self.header(b"content-type") or b"").startswith(b"text/event-stream")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises `UpstreamUnavailable` when the provider breaks off."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamUnavailable("The provider broke off its answer.", timed_out=_timed_out(error)) from error

    async def read(self) -> bytes:
        """The whole body. Raises as `chunks` does."""
        try:
            return await self._response.content.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamUnavailable("The provider broke off its answer.", timed_out=_timed_out(error)) from error

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else cut it, which stops the provider's work."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Upstream:
    """The HTTP client of the process; `open` and `close` it inside the event loop."""

    def __init__(
        self,
        *,
        connect_timeout: float,
        first_byte_timeout: float,
        idle_timeout: float,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._first_byte_timeout = first_byte_timeout
        self._idle_timeout = idle_timeout
        self._environ = environ
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[tuple[str, str, bytes], URL] = {}

    async def open(self) -> None:
        """Make ready to send."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ttl_dns_cache=60),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout, sock_read=self._idle_timeout),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def close(self) -> None:
        """Cut what is still open."""
        if self._session is not None:
            await self._session.close()

    async def send(
        self, model: Model, path: str, query: bytes, headers: RawHeaders, body: bytes, method: str = "POST"
    ) -> Reply:
        """Send `body` to the provider of `model` at `path` below its base URL; returns once the answer has begun.

        The client's headers go along, its credentials and the router's own do not. Raises `UpstreamUnavailable`.
        """
        assert self._session is not None, "open() comes first"
        sent = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in headers
            if name not in _NOT_FORWARDED and not name.startswith(_ROUTER_HEADERS)
        ]
        named = next((value for name, value in headers if name == b"connection"), b"")
        if named and named.lower() not in (b"keep-alive", b"close"):
            # RFC 9110, 7.6.1: what the client's connection names is for this hop alone.
            dropped = {name.strip() for name in named.decode("latin-1").lower().split(",")}
            sent = [(name, value) for name, value in sent if name not in dropped]
        # What passes by is read for its usage, so it must come uncompressed.
        sent.append(("accept-encoding", "identity"))
        key = self._environ.get(model.provider.key_variable) if model.provider.key_variable else None
        if key:
            sent.append(("authorization", f"Bearer {key}"))
        try:
            async with asyncio.timeout(self._first_byte_timeout):
                response = await self._session.request(
                    method,
                    self._url(model.provider.base_url, path, query),
                    # A large body goes in pieces, so that others get a turn in between.
                    data=body if len(body) <= LARGE else io.BytesIO(body),
                    headers=sent,
                    allow_redirects=False,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            timed_out = _timed_out(error)
            what = "did not answer in time" if timed_out else "cannot be reached"
            raise UpstreamUnavailable(f"The provider {model.provider.name!r} {what}.", timed_out=timed_out) from error
        return Reply(response)

    def _url(self, base: str, path: str, query: bytes) -> URL:
        url = self._urls.get((base, path, query))
        if url is None:
            url = URL(base + path + (f"?{query.decode('latin-1')}" if query else ""), encoded=True)
            if len(self._urls) < 1000:
                self._urls[base, path, query] = url
        return url


def _timed_out(error: BaseException) -> bool:
    return isinstance(error, TimeoutError)
