"""`pgrouter serve`: the proxy, and with no DATABASE_URL a Postgres of its own under it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

import uvicorn
import uvloop

from app import embedder
from app.errors import ConfigurationError
from app.main import create_app
from app.protocol import Protocol
from app.schema import migrate
from app.services import running
from app.settings import Settings
from app.store import memory
from app.store.database import Database

Say = Callable[[str], None]
#: What asks the process to end; the first one raises KeyboardInterrupt until the server runs.
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve() -> None:
    """Serve until SIGINT or SIGTERM: Postgres, schema and demo tenant first, unless DATABASE_URL is set."""
    settings = Settings.from_environment()
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic", "httpx", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for stop in STOPS[1:]:
        signal.signal(stop, _leave)
    with contextlib.suppress(KeyboardInterrupt), _listening(settings) as (listener, url), _database(settings) as served:
        key = None
        if settings.database_url is None:
            key = asyncio.run(_demo(served, url))
        uvloop.run(_serve(served, listener, lambda: _announce(url, key)))


def _leave(signum: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def _listening(settings: Settings) -> Iterator[tuple[socket.socket, str]]:
    """The socket, bound before anything slow begins, and the URL it is reached by on this machine."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}): set PORT to a free one."
            ) from error
        port = listener.getsockname()[1]
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
        yield listener, f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextmanager
def _database(settings: Settings) -> Iterator[Settings]:
    """Settings with a database: the one they name, or an embedded one for as long as this lasts."""
    if settings.database_url is not None:
        yield settings
        return
    from app.postgres import EmbeddedPostgres

    postgres = EmbeddedPostgres(settings.home, say=_say)
    try:
        postgres.start()
        before, after = migrate(postgres.dsn)
        if before != after:
            _say(f"The database is at schema revision {after}.")
        yield replace(settings, database_url=postgres.dsn, demo=True)
    finally:
        # A second Ctrl-C must not leave the server behind.
        for stop in STOPS:
            signal.signal(stop, signal.SIG_IGN)
        postgres.stop()


async def _demo(settings: Settings, url: str) -> str:
    # Here, because it is not needed to serve a database of one's own.
    from app.demo.tenant import prepare

    assert settings.database_url is not None
    db = Database(settings.database_url, size=1, role=None)
    await db.open()
    try:
        embedding = embedder.create(settings, await memory.width(db))
        try:
            return await prepare(db, embedding, settings.home, url)
        finally:
            await embedding.close()
    finally:
        await db.close()


async def _serve(settings: Settings, listener: socket.socket, ready: Callable[[], None]) -> None:
    async with running(settings) as services:
        config = uvicorn.Config(
            create_app(services),
            http=Protocol,
            proxy_headers=False,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, round(settings.drain)),
            backlog=2048,
        )
        server = _Server(config)
        # What is loaded stays; looking through it again and again holds every request up for tens of milliseconds.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 50, 100)
        async with _announcing(server, ready):
            await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn that stays in charge of signals: a second one, while all is being closed, raises nothing anywhere."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Have every signal end the server; its own method gives them back before the last request is done."""
        for stop in STOPS:
            signal.signal(stop, self.handle_exit)
        yield


@contextlib.asynccontextmanager
async def _announcing(server: uvicorn.Server, ready: Callable[[], None]) -> AsyncIterator[None]:
    async def wait() -> None:
        while not server.started:  # noqa: ASYNC110  (uvicorn has a flag, not an event)
            await asyncio.sleep(0.02)
        ready()

    task = asyncio.create_task(wait())
    try:
        yield
    finally:
        task.cancel()


def _announce(url: str, key: str | None) -> None:
    _say(f"base_url = {url}/v1")
    if key is not None:
        _say(f"api_key = {key}")
    _say(f"console = {url}/console")
