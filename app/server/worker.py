"""One of several processes that serve the same port: what happens in it from its first line to its last."""

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

import uvloop

from ..errors import ConfigurationError
from ..settings import Settings
from ..telemetry import logs, metrics
from . import serve

#: The parent passes on what it hears, once; a terminal would tell everybody.
_NOT_OURS = (signal.SIGINT, signal.SIGHUP)


def work(settings: Settings, address: Any, shared: socket.socket | None, ready: Connection) -> None:
    """Serve on a socket of its own at `address`, or on the `shared` one.

    Sends `None` over `ready` once requests are answered, or a sentence when they cannot be. Ends at SIGTERM, and when
    the parent is gone, which then cannot clear up.
    """
    for stop in _NOT_OURS:
        signal.signal(stop, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_NOT_OURS, signal.SIGTERM))
    parent = multiprocessing.parent_process()
    assert parent is not None
    logs.configure(settings.log_level, settings.log_format, access=settings.access_log)
    try:
        listener = shared if shared is not None else listening(address, shared_port=True)
        with listener:
            uvloop.run(
                serve.serve(
                    settings,
                    listener,
                    lambda: _say(ready, None),
                    stops=(signal.SIGTERM,),
                    orphaned=parent.sentinel,
                )
            )
    except ConfigurationError as error:
        _say(ready, str(error))
        sys.exit(1)
    finally:
        if not parent.is_alive():
            shutil.rmtree(os.environ[metrics.DIRECTORY], ignore_errors=True)


def listening(address: Any, *, shared_port: bool) -> socket.socket:
    """A socket bound to `address`; with `shared_port` others of this server may be bound to it too."""
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


def _say(ready: Connection, what: str | None) -> None:
    with contextlib.suppress(OSError):
        ready.send(what)
        ready.close()
