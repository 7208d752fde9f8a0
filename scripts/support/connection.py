"""A connection to Postgres with the session settings of the proxy."""

from __future__ import annotations

import asyncpg
from pgvector.asyncpg import register_vector

from app.store.database import APP_ROLE, SESSION


async def connect(dsn: str, role: str | None = APP_ROLE, **settings: str) -> asyncpg.Connection:
    """Connect as `role` with the proxy's session settings; `settings` overrides them. None: the login itself."""
    chosen = {**SESSION, **({"role": role} if role else {}), **settings}
    connection = await asyncpg.connect(dsn, server_settings=chosen)
    await register_vector(connection)
    return connection
