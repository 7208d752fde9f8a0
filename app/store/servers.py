"""Selects a server of a DSN that names several: the primary, or preferably a standby."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import asyncpg

from . import dsn
from .errors import NoWritableServer

#: Timeout for connecting to one server, seconds.
CONNECT_TIMEOUT = 5.0
#: Seconds after which an attempt that its caller cancels counts as a failure of the server.
SLOW = 0.1
#: Seconds in which a server that failed is not tried, while another one is suitable.
AVOID_SECONDS = 10.0

#: Suitable servers, by libpq's `target_session_attrs`, best first.
PRIMARY = ("read-write",)
READERS = ("standby", "any")

# Errors after which the next server is tried. A wrong password is wrong on every server.
_NEXT = (
    OSError,
    TimeoutError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)


class Servers:
    """The servers of a DSN in the order in which they are tried; those that failed most recently come last.

    `attributes`: values of `target_session_attrs`; for each in turn all servers are tried. Each attempt takes at most
    `CONNECT_TIMEOUT` seconds, because a machine that is gone does not refuse a connection.
    """

    def __init__(self, text: str, attributes: Sequence[str]) -> None:
        self._dsns = split_dsn(text)
        self._attributes = attributes
        self._failed: dict[str, float] = {}
        self.latest: str | None = None

    async def connect(self, *_: Any, **options: Any) -> asyncpg.Connection:
        """Connect to the first suitable server, and set `latest` to its DSN.

        `options` are those of `asyncpg.connect`; its DSN is ignored. Raises `ConnectionError` with each server's error.
        """
        return await self._connect(self._attributes, options)

    async def moved(self, **options: Any) -> bool:
        """Connect to the best server, set `latest` to it, and return whether it is another one than before."""
        before = self.latest
        try:
            connection = await self._connect(self._attributes[:1], options)
            await connection.close(timeout=CONNECT_TIMEOUT)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return self.latest != before

    async def _connect(self, attributes: Sequence[str], options: Mapping[str, Any]) -> asyncpg.Connection:
        reasons: dict[str, str] = {}
        answered: asyncpg.PostgresError | None = None
        for attribute in attributes:
            for server in list(self._order(avoiding=attribute != attributes[-1])):
                began = time.monotonic()
                chosen = {**options, "target_session_attrs": attribute, "timeout": CONNECT_TIMEOUT}
                try:
                    connection = await dsn.connect(server, **chosen)
                except asyncpg.TargetServerAttributeNotMatched:
                    reasons[server] = f"not {attribute}"
                except asyncio.CancelledError:
                    if time.monotonic() - began > SLOW:
                        self._failed[server] = time.monotonic()
                    raise
                except _NEXT as error:
                    self._failed[server] = time.monotonic()
                    reasons[server] = str(error) or "no answer in time"
                    if isinstance(error, asyncpg.PostgresError) and not isinstance(
                        error, asyncpg.PostgresConnectionError
                    ):
                        answered = error
                else:
                    self._failed.pop(server, None)
                    self.latest = server
                    return connection
        listing = "; ".join(f"{_host(server)}: {reason}" for server, reason in reasons.items())
        if answered is None and any(reason.startswith("not ") for reason in reasons.values()):
            raise NoWritableServer(listing)
        raise ConnectionError(listing) from answered

    def suspect(self) -> None:
        """Record a failure of the latest server, so that the others are tried first."""
        if self.latest is not None:
            self._failed[self.latest] = time.monotonic()

    def _order(self, *, avoiding: bool) -> Iterator[str]:
        since = time.monotonic() - AVOID_SECONDS
        for server in sorted(self._dsns, key=lambda each: self._failed.get(each, 0.0)):
            if not avoiding or server not in self._failed or self._failed[server] < since:
                yield server


def split_dsn(text: str) -> list[str]:
    """Return a DSN for each server that `text` names: `h1:1,h2:2` before the path, or `?host=h1,h2&port=1,2`."""
    found = dsn.parse(text).split()
    return [text] if len(found) == 1 else [each.text() for each in found]


def readers(text: str) -> Sequence[str]:
    """Return the suitable servers for reads, by the DSN's `target_session_attrs`; default: prefer a standby."""
    given = dsn.parse(text).parameters.get("target_session_attrs", "prefer-standby")
    if given == "primary":
        return PRIMARY
    return READERS if given == "prefer-standby" else (given,)


async def primary_of(text: str) -> str:
    """Return the DSN of the primary among the servers of `text`; `text` itself, without a check, if it names one."""
    if len(split_dsn(text)) == 1:
        return text
    servers = Servers(text, PRIMARY)
    connection = await servers.connect()
    await connection.close()
    assert servers.latest is not None
    return servers.latest


def _host(text: str) -> str:
    """Return the server of a DSN for messages, without login."""
    return ",".join(f"{name}:{port}".rstrip(":") for name, port in dsn.parse(text).hosts)
