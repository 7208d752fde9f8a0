"""Watches the embedded Postgres, and starts it again if it ends."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType

from ..errors import ConfigurationError
from .server import EmbeddedPostgres

#: Interval of checks whether the server process is alive, seconds.
POLL = 0.25
#: Back-off before a start, from `PAUSE` to `LONGEST` seconds: it doubles for each one within `STABLE` seconds.
PAUSE, LONGEST, STABLE = 0.1, 30.0, 60.0

log = logging.getLogger("pgrouter.postgres")


class Watch:
    """A thread that starts `postgres` again whenever it ends, while the context lasts.

    Meanwhile only this thread calls its methods, except for `dsn` and `running`.
    """

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postgres", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._postgres.abandon_start()
        self._thread.join()

    def _run(self) -> None:
        pause, started = PAUSE, time.monotonic()
        while not self._ended.wait(POLL):
            if self._postgres.running:
                if time.monotonic() - started > STABLE:
                    pause = PAUSE
                continue
            log.error(
                "the embedded Postgres ended; starting it again in %.1f s. Its last message: %s",
                pause,
                self._postgres.last_message,
            )
            if self._ended.wait(pause):
                return
            pause = min(pause * 2, LONGEST)
            try:
                self._postgres.restart()
            except (ConfigurationError, OSError) as error:
                log.error("the embedded Postgres does not start: %s", error)
            else:
                log.warning("the embedded Postgres runs again")
            started = time.monotonic()
