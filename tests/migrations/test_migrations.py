"""Migrations: up, down, offline and twice at once end in the same schema."""

from __future__ import annotations

import os
import subprocess
import sys

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from app.embedded import psql
from app.errors import ConfigurationError
from app.operations.migrate import configuration, migrate
from app.store import limits
from app.store.database import REVISION
from scripts.fake_provider.server import Running
from tests.support.databases import blocking
from tests.support.proxy import CHEAP, STRONG, running_proxy
from tests.support.schema import ROOT, catalog, fetch


def alembic(*arguments: str, url: str | None = None) -> subprocess.Popen[str]:
    """Run Alembic's own command line."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=ROOT, env={**environment, **({"DATABASE_URL": url} if url else {})},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_constant_is_the_newest_revision() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == REVISION


def test_down_and_up_again_is_the_same_schema(database: str) -> None:
    before = catalog(database)
    assert len(before) > 400
    assert migrate(database, "base") == (REVISION, None)
    left = [line for line in catalog(database) if not line.startswith(("schema", "extension", "grant"))]
    assert all("alembic_version" in line for line in left)
    assert migrate(database) == (None, REVISION)
    assert catalog(database) == before


def test_every_revision_can_be_stopped_at(empty_database: str, database: str) -> None:
    revisions = [script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()][::-1]
    for revision in revisions:
        migrate(empty_database, revision)
    assert catalog(empty_database) == catalog(database)
    for revision in revisions[::-1][1:]:
        assert migrate(empty_database, revision)[1] == revision


def test_a_database_in_use_goes_down_to_each_revision_with_a_memory_and_up_again(
    empty_database: str, upstream: Running
) -> None:
    async def use() -> None:
        async with running_proxy(empty_database, upstream.url) as proxy, proxy.client() as client:
            await proxy.rank([{"prompt": f"prompt {i}", "scores": {CHEAP: 1, STRONG: 1}} for i in range(110)])
            await limits.put_limits(proxy.admin, proxy.tenant_id, tokens=10**6, day_usd=5)
            await limits.put_limits(proxy.admin, proxy.tenant_id, proxy.key_id, requests=1000)
            proxy.services.directory.invalidate()
            before = len(await proxy.admin.fetch("select from router.decisions"))
            await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}])
            await client.responses.create(model="auto", input="hi")
            rows = await proxy.ledger(before + 2)
            (meter,) = await proxy.admin.fetch(
                "select m.* from router.meters as m join router.limits as l using (limit_id) where l.day_usd = 5"
            )
            assert float(meter["day_usd"]) == pytest.approx(sum(row["spent_usd"] for row in rows))
            assert meter["reserved_usd"] == 0

    for between in ("0102", "0103", "0104"):
        migrate(empty_database)
        blocking(use)
        assert migrate(empty_database, between)[1] == between
    migrate(empty_database)
    blocking(use)


def test_migrating_again_changes_nothing(database: str) -> None:
    before = catalog(database)
    assert migrate(database) == (REVISION, REVISION)
    assert catalog(database) == before


def test_the_script_for_review_makes_the_same_schema(empty_database: str, database: str) -> None:
    process = alembic("upgrade", "head", "--sql")
    script, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    subprocess.run(
        [psql(), "-X", "-q", "-v", "ON_ERROR_STOP=1", empty_database],
        input=script, text=True, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert catalog(empty_database) == catalog(database)
    assert migrate(empty_database) == (REVISION, REVISION)


def test_two_migrations_at_once_are_one(empty_database: str, database: str) -> None:
    processes = [alembic("upgrade", "head", url=empty_database) for _ in range(2)]
    for process in processes:
        _, complaints = process.communicate(timeout=60)
        assert process.returncode == 0, complaints
    assert catalog(empty_database) == catalog(database)


def test_a_migration_that_fails_leaves_nothing(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_EMBEDDING_DIMENSIONS", "many")
    with pytest.raises(SystemExit):
        migrate(empty_database)
    assert fetch(empty_database, "select to_regnamespace('router')")[0][0] is None


@pytest.mark.parametrize("revision", ["0001", "0015"])
def test_the_schema_of_a_pre_release_is_refused_with_what_to_do(empty_database: str, revision: str) -> None:
    blocking(lambda: _pre_release(empty_database, revision))
    for target in ("head", "base"):
        with pytest.raises(ConfigurationError, match=f"revision {revision}.*pgrouter export.*pgrouter import"):
            migrate(empty_database, target)
    process = alembic("upgrade", "head", url=empty_database)
    output = "".join(process.communicate(timeout=60))
    assert process.returncode != 0
    assert "of a pre-release" in output
    assert fetch(empty_database, "select version_num from router.alembic_version")[0][0] == revision
    assert fetch(empty_database, "select to_regclass('router.tenants')")[0][0] is None


async def _pre_release(dsn: str, revision: str) -> None:
    """Create the state of a pre-release at `revision`, as far as the migrations read it."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "create schema router;"
            "create table router.alembic_version (version_num varchar(32) primary key);"
            f"insert into router.alembic_version (version_num) values ('{revision}');"
        )
    finally:
        await connection.close()
