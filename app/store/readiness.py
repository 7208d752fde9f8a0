"""Whether the database has the schema of this version, for callers without a key."""

from __future__ import annotations

import asyncio
import logging
import time

from ..errors import DatabaseError, DatabaseUnavailable, SchemaError
from .database import Database

#: Time for which a result counts, seconds.
SECONDS = 2.0

log = logging.getLogger("pgrouter.store")


class Readiness:
    """Checks the schema with one statement at a time, however many callers wait for the result."""

    def __init__(self, db: Database) -> None:
        """`db`: connections that no routed request waits for."""
        self._db = db
        self._check: asyncio.Task[None] | None = None
        self._due = 0.0
        self._problem: str | None = None
        self._logged: str | None = None

    async def problem(self) -> str | None:
        """Return why the process is not ready, without names of roles or objects, which are logged; None: it is."""
        # If another call has lost the server since, the result is out of date.
        stale = time.monotonic() >= self._due or (self._problem is None and not self._db.available)
        if self._check is None or (self._check.done() and stale):
            self._check = asyncio.create_task(self._run(), name="readiness")
        # A caller that disconnects must not end the check of the others.
        await asyncio.shield(self._check)
        return self._problem

    async def close(self) -> None:
        """End a check that is under way."""
        if self._check is not None:
            self._check.cancel()
            await asyncio.wait({self._check})

    async def _run(self) -> None:
        details: str | None = None
        try:
            await self._db.check_revision()
            await self._db.check_schema()
            self._problem = None
        except SchemaError as error:
            self._problem, details = error.summary, str(error)
        except DatabaseUnavailable as error:
            # While all these connections are in use, the database is reachable, and the result before still counts.
            if error.cause != "pool":
                self._problem = details = f"The database is unavailable (cause: {error.cause})."
        except DatabaseError as error:
            self._problem = "The database refuses to check its schema: the log has the reason."
            details = error.message
        finally:
            self._due = time.monotonic() + SECONDS
        if details is not None and details != self._logged:
            log.error("not ready: %s", details)
        self._logged = details
