"""Selects a server of a DSN that names several: the primary, or preferably a standby."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg

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

    def __init__(self, dsn: str, attributes: Sequence[str]) -> None:
        self._dsns = split_dsn(dsn)
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
            for dsn in list(self._order(avoiding=attribute != attributes[-1])):
                began = time.monotonic()
                chosen = {**options, "target_session_attrs": attribute, "timeout": CONNECT_TIMEOUT}
                try:
                    connection = await asyncpg.connect(dsn, **chosen)
                except asyncpg.TargetServerAttributeNotMatched:
                    reasons[dsn] = f"not {attribute}"
                except asyncio.CancelledError:
                    if time.monotonic() - began > SLOW:
                        self._failed[dsn] = time.monotonic()
                    raise
                except _NEXT as error:
                    self._failed[dsn] = time.monotonic()
                    reasons[dsn] = str(error) or "no answer in time"
                    if isinstance(error, asyncpg.PostgresError) and not isinstance(
                        error, asyncpg.PostgresConnectionError
                    ):
                        answered = error
                else:
                    self._failed.pop(dsn, None)
                    self.latest = dsn
                    return connection
        listing = "; ".join(f"{_host(dsn)}: {reason}" for dsn, reason in reasons.items())
        if answered is None and any(reason.startswith("not ") for reason in reasons.values()):
            raise NoWritableServer(listing)
        raise ConnectionError(listing) from answered

    def suspect(self) -> None:
        """Record a failure of the latest server, so that the others are tried first."""
        if self.latest is not None:
            self._failed[self.latest] = time.monotonic()

    def _order(self, *, avoiding: bool) -> Iterator[str]:
        since = time.monotonic() - AVOID_SECONDS
        for dsn in sorted(self._dsns, key=lambda dsn: self._failed.get(dsn, 0.0)):
            if not avoiding or dsn not in self._failed or self._failed[dsn] < since:
                yield dsn


def split_dsn(dsn: str) -> list[str]:
    """Return a DSN for each server that `dsn` names: `h1:1,h2:2` before the path, or `?host=h1,h2&port=1,2`.

    An invalid DSN is returned as it is; asyncpg reports the error.
    """
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return [dsn]
    login, at, hosts = parts.netloc.rpartition("@")
    if "," in hosts:
        return [parts._replace(netloc=f"{login}{at}{host}").geturl() for host in hosts.split(",")]
    query = parse_qs(parts.query, keep_blank_values=True)
    names = query.get("host", [""])[-1].split(",")
    if hosts or len(names) == 1:
        return [dsn]
    ports = query.pop("port", [""])[-1].split(",")
    ports *= len(names) if len(ports) == 1 else 1
    if len(ports) != len(names):
        return [dsn]
    address = dsn.partition("?")[0]
    return [
        f"{address}?{urlencode({**query, 'host': [name], **({'port': [port]} if port else {})}, doseq=True)}"
        for name, port in zip(names, ports, strict=True)
    ]


def readers(dsn: str) -> Sequence[str]:
    """Return the suitable servers for reads, by the DSN's `target_session_attrs`; default: prefer a standby."""
    given = parse_qs(urlsplit(dsn).query).get("target_session_attrs", ["prefer-standby"])[-1]
    if given == "primary":
        return PRIMARY
    return READERS if given == "prefer-standby" else (given,)


async def primary_of(dsn: str) -> str:
    """Return the DSN of the primary among the servers of `dsn`; `dsn` itself, without a check, if it names one."""
    if len(split_dsn(dsn)) == 1:
        return dsn
    servers = Servers(dsn, PRIMARY)
    connection = await servers.connect()
    await connection.close()
    assert servers.latest is not None
    return servers.latest


def _host(dsn: str) -> str:
    """Return the server of a DSN for messages, without login."""
    parts = urlsplit(dsn)
    return parts.netloc.rpartition("@")[2] or ":".join(
        parse_qs(parts.query).get(name, [""])[-1] for name in ("host", "port")
    ).strip(":")
