"""Which server of a DSN that names several a connection goes to: the primary, or rather a standby."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg

#: What one server gets to take a connection, seconds.
PATIENCE = 5.0
#: An attempt that was given up by its caller speaks against the server once it has taken this long, seconds.
SLOW = 0.1
#: A server that failed is not waited for until so many seconds have passed, while another will do.
AVOIDED = 10.0

#: Who may answer, by libpq's `target_session_attrs`, best first.
PRIMARY = ("read-write",)
READERS = ("standby", "any")

# With any of these the next server may do better; a wrong password is wrong on each.
_NEXT = (
    OSError,
    TimeoutError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)


class Servers:
    """The servers of a DSN in the order in which they are asked; those that failed last come last.

    `wanted` are values of `target_session_attrs`: for each in turn all servers are tried. Each has `PATIENCE` seconds,
    so that one whose machine is gone, which refuses nothing, does not keep anybody from the others.
    """

    def __init__(self, dsn: str, wanted: Sequence[str]) -> None:
        self._dsns = each(dsn)
        self._wanted = wanted
        self._failed: dict[str, float] = {}
        self.latest: str | None = None

    async def connect(self, *_: Any, **options: Any) -> asyncpg.Connection:
        """Connect to the first that will do; `latest` is its DSN. Raises `ConnectionError` saying why each does not.

        `options` are those of `asyncpg.connect`, whose own DSN is passed over.
        """
        return await self._connect(self._wanted, options)

    async def moved(self, **options: Any) -> bool:
        """Whether the best that now answers is another than `latest`, which it becomes; asked by connecting to it."""
        before = self.latest
        try:
            connection = await self._connect(self._wanted[:1], options)
            await connection.close(timeout=PATIENCE)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return self.latest != before

    async def _connect(self, wanted: Sequence[str], options: Mapping[str, Any]) -> asyncpg.Connection:
        reasons: dict[str, str] = {}
        for attribute in wanted:
            for dsn in list(self._order(avoiding=attribute != wanted[-1])):
                began = time.monotonic()
                chosen = {**options, "target_session_attrs": attribute, "timeout": PATIENCE}
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
                else:
                    self._failed.pop(dsn, None)
                    self.latest = dsn
                    return connection
        raise ConnectionError("; ".join(f"{_host(dsn)}: {reason}" for dsn, reason in reasons.items()))

    def suspect(self) -> None:
        """Ask others first from now on: the server of the latest connection no longer answers."""
        if self.latest is not None:
            self._failed[self.latest] = time.monotonic()

    def _order(self, *, avoiding: bool) -> Iterator[str]:
        since = time.monotonic() - AVOIDED
        for dsn in sorted(self._dsns, key=lambda dsn: self._failed.get(dsn, 0.0)):
            if not avoiding or dsn not in self._failed or self._failed[dsn] < since:
                yield dsn


def each(dsn: str) -> list[str]:
    """A DSN for each server that `dsn` names, in its order: `h1:1,h2:2` before the path, or `?host=h1,h2&port=1,2`.

    One that makes no sense is its own; asyncpg says what is wrong with it.
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
    """Who may answer reads among several servers, by the DSN's `target_session_attrs`: rather a standby, if none."""
    given = parse_qs(urlsplit(dsn).query).get("target_session_attrs", ["prefer-standby"])[-1]
    if given == "primary":
        return PRIMARY
    return READERS if given == "prefer-standby" else (given,)


async def primary_of(dsn: str) -> str:
    """The DSN of the primary among the servers of `dsn`; `dsn` itself, and nothing is asked, where it names one."""
    if len(each(dsn)) == 1:
        return dsn
    servers = Servers(dsn, PRIMARY)
    connection = await servers.connect()
    await connection.close()
    assert servers.latest is not None
    return servers.latest


def _host(dsn: str) -> str:
    """The server as people may read it: no login."""
    parts = urlsplit(dsn)
    return parts.netloc.rpartition("@")[2] or ":".join(
        parse_qs(parts.query).get(name, [""])[-1] for name in ("host", "port")
    ).strip(":")
