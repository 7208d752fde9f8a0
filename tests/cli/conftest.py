"""Commands on a fresh database."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.api_keys import hash_of, hint_of
from app.cli import main
from app.store import keys, providers, tenants
from app.store import models as registry
from app.store import policies as policies_store
from app.store.database import Database
from tests.support.commands import Command, with_database


@pytest.fixture
def run(database: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run commands in this process on a fresh database, and expect the exit code `code`."""
    monkeypatch.setenv("DATABASE_URL", database)
    for name in [name for name in os.environ if name.startswith("ROUTER_")]:
        monkeypatch.delenv(name)

    def invoke(*arguments: str | Path, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        assert "Traceback" not in result.stderr
        return result

    return invoke


@pytest.fixture
def acme(run: Command, database: str) -> Command:
    """Run commands on a database with the models gpt-4o and gpt-4o-mini, and the tenant acme with a key."""

    async def prepare(db: Database) -> None:
        await providers.put_provider(db, "openai", "https://api.openai.com/v1", "OPENAI_API_KEY")
        for name, (paid_in, cached, paid_out) in {"gpt-4o": (2.5, 1.25, 10), "gpt-4o-mini": (0.15, 0.075, 0.6)}.items():
            await registry.put_model(
                db, name, "openai", input_price=paid_in, cached_input_price=cached, output_price=paid_out
            )
        tenant_id = await tenants.create_tenant(db, "acme")
        await policies_store.put_policy(
            db, tenant_id, "auto", backend="knn", models=["gpt-4o", "gpt-4o-mini"], default="gpt-4o"
        )
        await keys.create_key(db, tenant_id, hash_of("rk-acme"), hint_of("rk-acme"))

    asyncio.run(with_database(database, prepare))
    return run
