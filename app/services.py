"""The services of one process: created at its start, available to every endpoint, closed at its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

from starlette.types import Scope

from .accounting.admission import Admission
from .accounting.embedding_costs import EmbeddingCosts
from .accounting.ledger import Ledger
from .accounting.turns import Measuring, Transfers, Turns
from .dialects.markers import markers_of
from .dialects.tokens import Tokenizers
from .errors import ConfigurationError, DatabaseUnavailable
from .http.requests import Bodies
from .memory import embedders
from .memory.spaces import Embedding, Spaces
from .operations.maintenance import Maintenance
from .operations.owner import Owner
from .routing.affinity import ResponseAffinity
from .routing.directory import Directory
from .routing.ranking import Ranking
from .routing.router import Router
from .settings import Settings
from .store import spaces as stored_spaces
from .store.database import Database
from .store.readiness import Readiness
from .telemetry import metrics, otel
from .telemetry.observer import Observer
from .upstream.additions import Refusals
from .upstream.breaker import Breakers
from .upstream.client import Upstream
from .upstream.failover import RetryPolicy

#: Time limit for writing the last entries of the ledger at the end, seconds.
FLUSH = 1.5


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running proxy."""

    #: The process's settings.
    settings: Settings
    #: Connections as the role of the app.
    db: Database
    #: Whether the database has the schema of this version.
    readiness: Readiness
    #: Authentication and the catalog, cached.
    directory: Directory
    #: The embedders.
    spaces: Spaces
    #: Plans requests.
    router: Router
    #: The HTTP client of providers.
    upstream: Upstream
    #: What providers have refused of what the router adds to requests.
    refusals: Refusals
    #: The queue of served requests.
    ledger: Ledger
    #: Books what embeddings cost.
    embedding_costs: EmbeddingCosts
    #: Connections as the owner of the schema, for the admin API alone.
    owner: Owner
    #: Checks limits.
    admission: Admission
    #: Circuit breakers of models.
    breakers: Breakers
    #: Retries, deadlines and hedging.
    retry_policy: RetryPolicy
    #: The models of answers that providers keep.
    affinity: ResponseAffinity
    #: Metrics, logs and traces of requests.
    observer: Observer
    #: Calls of tenants beside their requests.
    turns: Turns
    #: Bounds the imports and exports that tenants run.
    transfers: Transfers
    #: The backtests that run.
    measuring: Measuring
    #: The bytes of large request bodies that the process holds.
    bodies: Bodies


def services_of(scope: Scope) -> Services:
    """Return the services of the application that serves a request."""
    return cast(Services, scope["app"].state.services)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Create the services; at the end of the context write the ledger (for up to `FLUSH` seconds) and close them.

    Raises `ConfigurationError` if the database cannot be reached, its schema has another revision, or the embedder's
    vectors do not fit the database's column.
    """
    if settings.database_url is None:
        raise ConfigurationError("DATABASE_URL is not set.")
    async with contextlib.AsyncExitStack() as stack:
        traces = otel.create()
        if traces is not None:
            stack.push_async_callback(asyncio.to_thread, traces.close)
        db = Database(settings.database_url, size=settings.pool_size, standbys=True, lanes=True)
        await db.open()
        stack.push_async_callback(db.close)
        await db.check_revision()
        await db.check_schema()
        readiness = Readiness(db.background)
        stack.push_async_callback(readiness.close)
        width = await stored_spaces.width(db)
        embedding = embedders.create(settings, width)
        stack.push_async_callback(embedding.close)
        space_id = await stored_spaces.register_space(db, embedding.space, embedding.dimensions)
        spaces = Spaces(settings, width, Embedding(space_id, embedding))
        stack.push_async_callback(spaces.close)
        upstream = Upstream(
            connect_timeout=settings.connect_timeout,
            first_byte_timeout=settings.first_byte_timeout,
            idle_timeout=settings.idle_timeout,
            forwarded_headers=settings.forwarded_headers,
        )
        await upstream.open()
        stack.push_async_callback(upstream.close)
        ledger = Ledger(db.background, size=settings.ledger_queue, folder=settings.home / "ledger")
        stack.push_async_callback(_cancel, asyncio.create_task(ledger.take_up(), name="ledger files"))
        writer = asyncio.create_task(ledger.run(), name="ledger")
        stack.push_async_callback(ledger.close, writer, FLUSH)
        directory = Directory(db)
        watcher = asyncio.create_task(directory.watch(), name="directory")
        stack.push_async_callback(_cancel, watcher)
        tokenizers = Tokenizers()
        with contextlib.suppress(DatabaseUnavailable):
            tokenizers.prepare(model.upstream_name for model in (await directory.catalog()).models)
        owner = Owner(settings.database_url)
        stack.push_async_callback(owner.close)
        if settings.maintain_seconds:
            keeper = asyncio.create_task(Maintenance(settings).run(), name="maintenance")
            stack.push_async_callback(_cancel, keeper)
        stack.enter_context(metrics.track_gauges(_gauges(db, ledger, spaces)))
        breakers = Breakers()
        costs = EmbeddingCosts(ledger, lambda: directory.known_catalog)
        stack.enter_context(metrics.track_breakers(breakers.states))
        if metrics.DIRECTORY in os.environ:
            stack.push_async_callback(_cancel, asyncio.create_task(_keep_fresh(), name="gauges"))
        yield Services(
            settings=settings,
            db=db,
            readiness=readiness,
            directory=directory,
            spaces=spaces,
            router=Router(
                Ranking(db, spaces, deadline=settings.decision_deadline, costs=costs),
                tokenizers,
                markers_of(settings.markers),
                enabled=settings.routing,
            ),
            upstream=upstream,
            refusals=Refusals(),
            ledger=ledger,
            embedding_costs=costs,
            owner=owner,
            admission=Admission(db, deadline=settings.admission_deadline),
            breakers=breakers,
            retry_policy=RetryPolicy(settings.retries, settings.retry_wait, settings.total_timeout, settings.hedge),
            affinity=ResponseAffinity(db),
            observer=Observer(traces),
            # Of the connections for such calls, one tenant may hold half, and backtests leave one. If there is
            # only one, a backtest has a connection of its own.
            turns=Turns(max(1, db.shared // 2)),
            transfers=Transfers(max(1, db.shared - 1)),
            measuring=Measuring(max(1, db.shared - 1)),
            bodies=Bodies(settings.body_memory),
        )


def _gauges(db: Database, ledger: Ledger, spaces: Spaces) -> metrics.Sources:
    sources: metrics.Sources = {
        metrics.workers: lambda: 1,
        metrics.ledger_queued: lambda: ledger.queued,
        metrics.database_available: lambda: db.available,
        metrics.primary_available: lambda: db.writable,
        metrics.embedding_cache.labels("hit"): lambda: spaces.hits,
        metrics.embedding_cache.labels("miss"): lambda: spaces.misses,
    }
    for name, connections in db.connections.items():
        sources[metrics.pool_connections.labels(name, "open")] = partial(getattr, connections, "open")
        sources[metrics.pool_connections.labels(name, "in_use")] = partial(getattr, connections, "in_use")
        sources[metrics.pool_waiting.labels(name)] = partial(getattr, connections, "waiting")
    return sources


async def _keep_fresh() -> None:
    """Keep this worker's gauges up to date, because another worker may report them at any time."""
    while True:
        metrics.refresh()
        await asyncio.sleep(metrics.REFRESH_SECONDS)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
