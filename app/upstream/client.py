"""The HTTP client of providers: sends requests and returns answers as bytes, with timeouts."""

from __future__ import annotations

import asyncio
import io
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from yarl import URL

from ..entities import Provider
from ..errors import UpstreamUnavailable
from .connector import Connector, reused
from .headers import Forwarding, RawHeaders, named_in_connection, relayed

#: Bytes of an error in which the name of the field that is refused is looked for.
ERROR_BYTES = 16 * 1024
#: Bytes from which on a body is written in pieces.
LARGE = 1024 * 1024

#: A parameter of a query string that may be a credential, as Gemini's `key`.
_KEY_IN_QUERY = re.compile(rb"(?:key|token|auth|secret|sig)[^=&]*=", re.IGNORECASE)
#: Headers of a request whose body is sent unpacked and whose answer has to be uncompressed: the router writes its own.
_OF_CODINGS = (b"accept-encoding", b"content-encoding")
#: Longest line and most lines in the head of an answer, so that proxies and gateways on the way may add theirs.
LONGEST_LINE, MOST_LINES = 64 * 1024, 1000
#: Seconds within which a provider's close crosses a request on a reused connection; later, it had received the request.
STALE = 1.0
#: A complete body, or one that is forwarded as it arrives.
Body = bytes | AsyncIterator[bytes] | None


class Reply:
    """A provider's answer that has begun; must be closed, whether it was read or not."""

    __slots__ = ("_begun", "_events", "_response", "faulty", "headers", "parsed", "status", "usage_added", "whole")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._begun = b""
        self._events = False
        #: The HTTP status; of an error that came under status 200, the one that it stands for.
        self.status = response.status
        self.headers = relayed(response.raw_headers)
        #: The whole body, if it was read before any of it goes on.
        self.whole: bytes | None = None
        #: The same, parsed.
        self.parsed: dict[str, Any] | None = None
        #: Whether it is an error that came under status 200.
        self.faulty = False
        #: Whether the router has added a request for usage to the client's request.
        self.usage_added = False

    def header(self, name: bytes) -> bytes | None:
        """Return the first header `name` (lower case), else None."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream of server-sent events."""
        return self._events or (self.header(b"content-type") or b"").startswith(b"text/event-stream")

    @property
    def delimited(self) -> bool:
        """Whether HTTP marks the end of the body; else the end of the connection is all there is."""
        headers = self._response.headers
        return "content-length" in headers or "transfer-encoding" in headers

    @property
    def arrived(self) -> bool:
        """Whether the whole body has arrived."""
        return self._response.content.is_eof()

    async def begin(self) -> None:
        """Wait for the first bytes of the body. Raises `UpstreamUnavailable` if the provider aborts the answer."""
        self._begun += await self._next()

    async def begin_until(self, decides: Callable[[bytes], bool], most: int) -> bool:
        """Read the body until `decides` returns True for a chunk; return whether it did, before the end.

        The same after `most` bytes. What was read is returned again by `chunks` and `read`.
        """
        pieces, size = [self._begun] if self._begun else [], len(self._begun)
        try:
            while chunk := await self._next():
                pieces.append(chunk)
                size += len(chunk)
                if decides(chunk) or size > most:
                    return True
            return False
        finally:
            self._begun = b"".join(pieces)

    @property
    def begun(self) -> bytes:
        """The bytes of the body that were read so far, before any of it goes on."""
        return self._begun

    def treat_as_events(self) -> None:
        """Treat the answer as a stream of events, whatever its content type is."""
        self._events = True

    def become(self, status: int, body: bytes) -> None:
        """Replace the answer by an error of that status and body, which came in its place."""
        self.status, self.whole, self.faulty, self._events = status, body, True, False
        dropped = (b"content-type", b"content-length", b"content-encoding", b"cache-control")
        self.headers = [each for each in self.headers if each[0] not in dropped]
        self.headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]

    async def _next(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamUnavailable("The provider aborted its answer.", timed_out=_timed_out(error)) from error

    async def peek(self, most: int) -> bytes:
        """Return up to about `most` bytes of the body; they are returned again by `chunks` and `read`."""
        if len(self._begun) < most and not self._response.content.at_eof():
            size = len(self._begun)
            await self.begin_until(lambda _: False, max(size, most - 1))
        return self._begun

    async def rejection(self) -> bytes | None:
        """Return the beginning of an error that rejects the request as faulty (400, 422); None: it is none."""
        if self.status not in (400, 422):
            return None
        try:
            return await self.peek(ERROR_BYTES)
        except BaseException:
            self.close()
            raise

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives. Raises `UpstreamUnavailable` if the provider aborts the answer."""
        try:
            if self._begun:
                yield self._begun
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamUnavailable("The provider aborted its answer.", timed_out=_timed_out(error)) from error

    async def read_within(self, most: int) -> bytes:
        """Return the whole body. Raises `UpstreamUnavailable` as `read` does, and over `most` bytes."""
        chunks: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > most:
                raise UpstreamUnavailable(f"The provider's answer is over {most} bytes.")
            chunks.append(chunk)
        return b"".join(chunks)

    async def read(self) -> bytes:
        """Return the whole body. Raises `UpstreamUnavailable` if the provider aborts the answer."""
        try:
            return self._begun + await self._response.content.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamUnavailable("The provider aborted its answer.", timed_out=_timed_out(error)) from error

    def close(self) -> None:
        """Release the connection if the body was read to its end, else close it, which stops the provider's work."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Upstream:
    """The HTTP client of a process; `open` and `close` run inside the event loop."""

    def __init__(
        self,
        *,
        connect_timeout: float,
        first_byte_timeout: float,
        idle_timeout: float,
        forwarded_headers: Iterable[str] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`forwarded_headers`: names, or prefixes with `*` at their end, of further headers to forward."""
        self._connect_timeout = connect_timeout
        self._first_byte_timeout = first_byte_timeout
        self._idle_timeout = idle_timeout
        self._environ = environ
        self._session: aiohttp.ClientSession | None = None
        # Opens a connection for each request, and closes it.
        self._fresh: aiohttp.ClientSession | None = None
        self._urls: dict[tuple[str, str, bytes], URL] = {}
        self._forwarding = Forwarding(forwarded_headers)
        # Header names of clients, decoded once; None: not forwarded. Requests for plain answers have a table of theirs.
        self._names: dict[bytes, str | None] = {}
        self._plain_names: dict[bytes, str | None] = dict.fromkeys(_OF_CODINGS)

    async def open(self) -> None:
        """Create the connection pool."""
        self._session = self._new_session(Connector(limit=0, keepalive_timeout=30, ttl_dns_cache=60))
        self._fresh = self._new_session(aiohttp.TCPConnector(limit=0, force_close=True, ttl_dns_cache=60))

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._session, self._fresh):
            if session is not None:
                await session.close()

    def _new_session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout, sock_read=self._idle_timeout),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_LINES,
        )

    async def send(
        self,
        provider: Provider,
        path: str,
        query: bytes,
        headers: RawHeaders,
        body: Body,
        *,
        method: str = "POST",
        within: float = float("inf"),
        extra: Iterable[tuple[str, str]] = (),
        plain: bool = True,
        begin: Callable[[Reply], Awaitable[None]] | None = None,
    ) -> Reply:
        """Send a request to a provider at `path` below its base URL, and return the answer once it has begun.

        Those of the client's `headers` that `Forwarding` allows are forwarded; `extra` headers are added. `plain`: the
        body is uncompressed, and the answer has to be, because it will be parsed. `begin`: reads the answer until it
        has begun; by default that is its head, and of a plain stream the first bytes too. `within`: seconds until then,
        if less than the client's `first_byte_timeout`; for a body that is forwarded as it arrives they count from its
        last piece. If a reused connection ends just when the request is sent, a new one is tried. Raises
        `UpstreamUnavailable`.
        """
        assert self._session is not None, "open() comes first"
        sent = self._forwarded(headers, plain)
        sent += extra
        sent += credentials(provider.key_variable, provider.key_header, self._environ)
        longest = min(self._first_byte_timeout, within)
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(longest) as timer:
                given = _restart_timeout(body, timer, longest) if isinstance(body, AsyncIterator) else body
                response = await self._request(method, self._url(provider.base_url, path, query), given, sent)
                reply = Reply(response)
                if begin is not None:
                    await begin(reply)
                elif plain and reply.streamed:
                    # If the provider fails before the first event, another model can still serve the request.
                    await reply.begin()
        except BaseException as error:
            if response is not None:
                response.close()
            if not isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
                raise
            timed_out, invalid = _timed_out(error), isinstance(error, aiohttp.ClientResponseError)
            failure = "sent no valid HTTP answer" if invalid else "cannot be reached"
            failure = "did not answer in time" if timed_out else failure
            raise UpstreamUnavailable(
                f"The provider {provider.name!r} {failure}.", timed_out=timed_out, invalid=invalid
            ) from error
        if not 200 <= response.status < 600:
            # 1xx switches protocols, which no client requested; 600 and over is no HTTP status.
            response.close()
            raise UpstreamUnavailable(f"The provider {provider.name!r} answered with status {response.status}.")
        return reply

    async def _request(
        self, method: str, url: URL, body: Body, headers: list[tuple[str, str]]
    ) -> aiohttp.ClientResponse:
        """Send a request; if a reused connection was just closed and nothing came, send it once more on a new one."""
        assert self._session is not None
        reused.set(False)
        began = time.monotonic()
        try:
            return await self._session.request(method, url, data=_data(body), headers=headers, allow_redirects=False)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientConnectionResetError):
            # A body that is forwarded as it arrives is gone.
            if not reused.get() or isinstance(body, AsyncIterator) or time.monotonic() - began > STALE:
                raise
        assert self._fresh is not None
        return await self._fresh.request(method, url, data=_data(body), headers=headers, allow_redirects=False)

    def sends_access(self, headers: RawHeaders, query: bytes) -> bool:
        """Return whether a request sends on something of the client's that may grant or deny access.

        That is a key in the query string, or a header that the settings alone forward.
        """
        return _KEY_IN_QUERY.search(query) is not None or any(
            self._forwarding.may_grant(name.decode("latin-1")) for name, _ in headers
        )

    def _forwarded(self, headers: RawHeaders, plain: bool) -> list[tuple[str, str]]:
        names, sent = self._plain_names if plain else self._names, []
        hop = b""
        for raw, value in headers:
            try:
                name = names[raw]
            except KeyError:
                name = self._name(names, raw)
            if name is not None:
                sent.append((name, _header_text(value)))
            elif raw == b"connection":
                hop = hop + b"," + value if hop else value
        dropped = named_in_connection(hop) if hop else None
        if dropped:
            # RFC 9110, 7.6.1: headers listed in `connection` are for this hop only.
            sent = [(name, value) for name, value in sent if name.encode("latin-1") not in dropped]
        if plain:
            sent.append(("accept-encoding", "identity"))
        return sent

    def _name(self, names: dict[bytes, str | None], raw: bytes) -> str | None:
        decoded = raw.decode("latin-1")
        name = decoded if self._forwarding.allows(decoded) else None
        if len(names) < 1000:
            names[raw] = name
        return name

    def _url(self, base: str, path: str, query: bytes) -> URL:
        url = self._urls.get((base, path, query))
        if url is None:
            url = URL(base + path + (f"?{query.decode('latin-1')}" if query else ""), encoded=True)
            if len(self._urls) < 1000:
                self._urls[base, path, query] = url
        return url


def _data(body: Body) -> object:
    """Return a body for aiohttp: a large one is written in pieces, so that other requests run in between."""
    return body if not isinstance(body, bytes) or len(body) <= LARGE else io.BytesIO(body)


async def _restart_timeout(body: AsyncIterator[bytes], timer: asyncio.Timeout, seconds: float) -> AsyncIterator[bytes]:
    """Yield the pieces of `body`; each one restarts the timeout of the answer."""
    async for piece in body:
        # If the answer has begun already, the timeout has ended.
        with suppress(RuntimeError):
            timer.reschedule(asyncio.get_running_loop().time() + seconds)
        yield piece


def _header_text(value: bytes) -> str:
    """Decode a header for aiohttp, which encodes as UTF-8: from UTF-8, or from Latin-1 if it is not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def credentials(variable: str | None, header: str, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the header with a provider's API key; empty if the environment variable `variable` is not set."""
    key = environ.get(variable) if variable else None
    if not key:
        return ()
    return ((header, f"Bearer {key}" if header == "authorization" else key),)


def _timed_out(error: BaseException) -> bool:
    return isinstance(error, TimeoutError)
