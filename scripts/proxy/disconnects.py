"""Time from a client's disconnect to the provider's, which ends the generation of tokens that are paid for."""

from __future__ import annotations

import asyncio
import statistics
from time import perf_counter
from urllib.parse import urlsplit

from app.store import models, providers
from app.store.database import Database
from scripts.support.report import Report
from scripts.support.traffic import request

MODEL = "endless"
CLIENTS = 50
#: Target: maximum milliseconds until the provider's disconnect.
SOON = 100.0
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"on "}}]}\n\n'
_CHUNK = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)


class _Endless(asyncio.Protocol):
    """A provider that writes one event of a stream and waits for the disconnect."""

    def __init__(self, lost: asyncio.Queue[float]) -> None:
        self._lost = lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(_HEAD + _CHUNK)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.put_nowait(perf_counter())


async def departures(dsn: str, proxy: str, key: str) -> list[float]:
    """Return the milliseconds from the disconnect of a client during a stream to that of the provider, one by one."""
    lost: asyncio.Queue[float] = asyncio.Queue()
    server = await asyncio.get_running_loop().create_server(lambda: _Endless(lost), "127.0.0.1", 0)
    db = Database(dsn, size=1, role=None)
    await db.open()
    await providers.put_provider(db, MODEL, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", None)
    await models.put_model(db, MODEL, MODEL)
    await db.close()
    url = urlsplit(proxy)
    message = request(url.netloc, key, MODEL, "Go on.", plan="")
    # The proxy is notified of the new model.
    await asyncio.sleep(1.0)
    found = []
    async with server:
        for _ in range(CLIENTS):
            reader, writer = await asyncio.open_connection(url.hostname, url.port)
            writer.write(message)
            answer = await asyncio.wait_for(reader.readuntil(b"data:"), 10)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"not a 200: {answer[:500]!r}")
            left = perf_counter()
            writer.transport.abort()
            found.append((await asyncio.wait_for(lost.get(), 10) - left) * 1000)
    return found


def report(rows: Report, dsn: str, proxy: str, key: str) -> None:
    """Add rows of the median and the longest."""
    found = asyncio.run(departures(dsn, proxy, key))
    params = {"clients": len(found)}
    rows.add("client gone to provider left, p50", statistics.median(found), "ms", params=params)
    rows.add("client gone to provider left, longest", max(found), "ms", params=params, under=SOON)
