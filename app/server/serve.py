"""Runs the application on a listening socket until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn

from ..services import running
from ..settings import Settings
from .app import create_app
from .protocol import Limits, Protocol
from .warm_up import warm_up

#: Signals that end the process.
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BACKLOG = 2048
#: Descriptors that no connection of a client or to a provider may take: the database, files, sockets that listen.
OTHER_DESCRIPTORS = 64
#: Connections of clients that are served however few descriptors there are.
MIN_CONNECTIONS = 16

log = logging.getLogger("pgrouter")


async def serve(
    settings: Settings,
    listener: socket.socket,
    ready: Callable[[], None],
    *,
    stops: Sequence[signal.Signals] = STOPS,
    orphaned: int | None = None,
) -> None:
    """Serve on `listener`; call `ready` once requests are answered.

    Ends at a signal of `stops`, or when the file descriptor `orphaned` becomes readable: the parent process has ended.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_unhandled)
    limits = Limits(settings.head_timeout, settings.body_timeout, _connections(_raise_descriptors()))
    async with running(settings) as services:
        await warm_up(services)
        config = uvicorn.Config(
            create_app(services),
            http=partial(Protocol, limits=limits),  # type: ignore[arg-type]
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
            backlog=BACKLOG,
        )
        server = _Server(config, stops)
        if orphaned is not None:
            loop.add_reader(orphaned, server.abandon, orphaned)
        # Objects loaded so far live as long as the process. Unless they are frozen, each full collection delays
        # requests by tens of milliseconds.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 50, 100)
        async with _calling_when_started(server, ready):
            await server.serve(sockets=[listener])


def _raise_descriptors() -> int:
    """Raise the limit of open files to the most that the system allows, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return 1_000_000 if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of open files stays at %d: %s", soft, error)
        return soft
    log.info("limit of open files raised from %d to %d", soft, hard)
    return 1_000_000 if hard == resource.RLIM_INFINITY else hard


def _connections(descriptors: int) -> int:
    """Return how many connections clients may have: each request needs one to a provider, too."""
    return max(MIN_CONNECTIONS, (descriptors - OTHER_DESCRIPTORS) // 2)


def _log_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log as asyncio does, but without the representation of the task, which contains the error's message."""
    log.error("%s", context.get("message", "an error in the event loop"), exc_info=context.get("exception"))


class _Server(uvicorn.Server):
    """uvicorn with signal handlers that stay: a second signal during the shutdown raises no exception."""

    def __init__(self, config: uvicorn.Config, stops: Sequence[signal.Signals]) -> None:
        super().__init__(config)
        self._stops = stops

    def abandon(self, orphaned: int) -> None:
        """End the server because the parent process has ended."""
        asyncio.get_running_loop().remove_reader(orphaned)
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals to the end: uvicorn's own method restores the old handlers before the last request is done."""
        for stop in self._stops:
            signal.signal(stop, self.handle_exit)
        yield


@contextlib.asynccontextmanager
async def _calling_when_started(server: uvicorn.Server, ready: Callable[[], None]) -> AsyncIterator[None]:
    async def wait() -> None:
        while not server.started:  # noqa: ASYNC110  (uvicorn has a flag, not an event)
            await asyncio.sleep(0.02)
        ready()

    task = asyncio.create_task(wait())
    try:
        yield
    finally:
        task.cancel()
