"""`pgrouter serve`: runs the proxy, and without DATABASE_URL an embedded Postgres."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..errors import ConfigurationError
from ..memory import embedders
from ..operations.migrate import migrate
from ..server.serve import STOPS
from ..server.serve import serve as serving
from ..server.stop_signals import StopSignals
from ..server.supervisor import SPREAD, Workers
from ..server.worker import listening
from ..settings import MOST_WORKERS, Settings
from ..store import spaces
from ..store.database import Database
from ..telemetry import logs

#: Connections of the embedded Postgres: its default, and those that are not for workers.
CONNECTIONS, SPARE = 50, 14


def serve(workers: int | None = None) -> None:
    """Serve until SIGINT or SIGTERM; unless DATABASE_URL is set, start Postgres and create schema and demo tenant.

    `workers`: number of processes that share the port; None: ROUTER_WORKERS.
    """
    settings = Settings.from_environment()
    if workers is not None:
        if not 1 <= workers <= MOST_WORKERS:
            raise ConfigurationError(f"--workers {workers} is outside 1 to {MOST_WORKERS}.")
        settings = replace(settings, workers=workers)
    logs.configure(settings.log_level, settings.log_format, access=settings.access_log)
    with StopSignals(STOPS) as stops, _listening(settings) as (listener, url), _database(settings) as served:
        key = None
        if settings.database_url is None:
            key = stops.run(_demo(served, url))
        if served.workers == 1:
            stops.run(serving(served, listener, lambda: _announce(url, key)))
        else:
            Workers(served, listener).run(lambda: _announce(url, key))


def _report(text: str) -> None:
    print(text, flush=True)


@contextmanager
def _listening(settings: Settings) -> Iterator[tuple[socket.socket, str]]:
    """The socket, bound before anything slow starts, and its URL on this machine."""
    address = (settings.host, settings.port)
    try:
        if settings.workers > 1 and SPREAD:
            # Binding a shared port succeeds even if another server uses it: check first that the port is free.
            with listening(address, shared_port=False) as alone:
                alone.listen()
                address = alone.getsockname()
            listener = listening(address, shared_port=True)
        else:
            listener = listening(address, shared_port=False)
    except OSError as error:
        raise ConfigurationError(
            f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}): set PORT to a free port."
        ) from error
    with listener:
        port = listener.getsockname()[1]
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
        yield listener, f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextmanager
def _database(settings: Settings) -> Iterator[Settings]:
    """Settings with a database: the configured one, or an embedded one for as long as the context lasts."""
    if settings.database_url is not None:
        yield settings
        return
    from ..embedded import EmbeddedPostgres
    from ..embedded.watch import Watch

    wanted = settings.workers * (settings.pool_size + 2) + SPARE
    more = {"max_connections": str(wanted)} if settings.workers > 1 and wanted > CONNECTIONS else None
    postgres = EmbeddedPostgres(settings.home, settings=more, report=_report)
    try:
        postgres.start()
        before, after = migrate(postgres.dsn)
        if before != after:
            _report(f"The database is at schema revision {after}.")
        with Watch(postgres):
            yield replace(settings, database_url=postgres.dsn, demo=True)
    finally:
        # A second Ctrl-C must not stop the shutdown of Postgres.
        for stop in STOPS:
            signal.signal(stop, signal.SIG_IGN)
        postgres.stop()


async def _demo(settings: Settings, url: str) -> str:
    # Imported here, as it is needed for the embedded start only.
    from ..demo.tenant import prepare

    assert settings.database_url is not None
    db = Database(settings.database_url, size=1, role=None)
    await db.open()
    try:
        embedding = embedders.create(settings, await spaces.width(db))
        try:
            return await prepare(db, embedding, settings.home, url)
        finally:
            await embedding.close()
    finally:
        await db.close()


def _announce(url: str, key: str | None) -> None:
    _report(f"base_url = {url}/v1")
    if key is not None:
        _report(f"api_key = {key}")
    _report(f"console = {url}/console" + ("" if key is None else f"#key={key}"))
