"""The pool of connections to providers, which notes whether a request goes out on a reused connection."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

#: Whether the last request of this task went out on a connection that had served another one before.
reused: ContextVar[bool] = ContextVar("reused", default=False)


class Connector(aiohttp.TCPConnector):
    """A pool that sets `reused` for each request.

    Providers close idle connections when they like. A request that crosses such a close fails, and says nothing of the
    provider.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  (the name in aiohttp)
    ) -> Connection:
        """Return a connection, as `TCPConnector.connect` does."""
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        assert protocol is not None
        known = protocol in self._used
        reused.set(known)
        if not known:
            self._used.add(protocol)
        return connection
