"""The connections for administration: with the rights of the login, opened when first needed."""

from __future__ import annotations

import asyncio

from ..errors import ConfigurationError, DatabaseUnavailable
from ..store.database import Database

#: Connections; administration is rare.
SIZE = 2


class Owner:
    """The database of `dsn` as its login, on connections that no tenant's request uses."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._db: Database | None = None
        self._opening = asyncio.Lock()

    async def database(self) -> Database:
        """The open database. Raises `DatabaseUnavailable` if it cannot be reached."""
        async with self._opening:
            if self._db is None:
                db = Database(self._dsn, size=SIZE, role=None)
                try:
                    await db.open()
                except ConfigurationError as error:
                    raise DatabaseUnavailable(str(error)) from error
                self._db = db
            return self._db

    async def close(self) -> None:
        """Close the connections."""
        if self._db is not None:
            await self._db.close()
