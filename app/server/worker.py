"""The main function of a worker process, one of several that serve the same port."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import socket
import sys
from multiprocessing.connection import Connection
from typing import Any

from ..errors import ConfigurationError
from ..settings import Settings
from ..telemetry import logs, metrics
from . import serve
from .stop_signals import StopSignals

#: Signals that a worker ignores: a terminal sends them to every process, and the parent ends its workers by SIGTERM.
_IGNORED = (signal.SIGINT, signal.SIGHUP)


def work(settings: Settings, address: Any, shared: socket.socket | None, ready: Connection) -> None:
    """Serve on a new socket at `address`, or on `shared` if it is given.

    Sends over `ready`: None once requests are answered, or the message of the error that prevents it. Ends at SIGTERM,
    or when the parent process has ended; then the worker deletes the metric files, which is otherwise the parent's job.
    """
    for stop in _IGNORED:
        signal.signal(stop, signal.SIG_IGN)
    with StopSignals((signal.SIGTERM,)) as stops:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_IGNORED, signal.SIGTERM))
        _work(settings, address, shared, ready, stops)


def _work(
    settings: Settings, address: Any, shared: socket.socket | None, ready: Connection, stops: StopSignals
) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    logs.configure(settings.log_level, settings.log_format, access=settings.access_log)
    try:
        listener = shared if shared is not None else listening(address, shared_port=True)
        with listener:
            stops.run(
                serve.serve(
                    settings,
                    listener,
                    lambda: _report(ready, None),
                    stops=(signal.SIGTERM,),
                    orphaned=parent.sentinel,
                )
            )
    except ConfigurationError as error:
        _report(ready, str(error))
        sys.exit(1)
    finally:
        if not parent.is_alive():
            shutil.rmtree(os.environ[metrics.DIRECTORY], ignore_errors=True)


def listening(address: Any, *, shared_port: bool) -> socket.socket:
    """Return a socket bound to `address`; with `shared_port`, other sockets of this server can be bound to it too."""
    listener = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


def _report(ready: Connection, error: str | None) -> None:
    with contextlib.suppress(OSError):
        ready.send(error)
        ready.close()
