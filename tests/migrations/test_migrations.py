"""Promises of the migrations: up, down, offline, twice at once and as an ordinary login end in the same schema."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from app.embedded import psql
from app.errors import ConfigurationError
from app.operations.migrate import configuration, migrate
from app.store import limits
from app.store.database import REVISION
from migrations.install import qualified
from scripts.fake_provider.server import Running
from tests.conftest import Databases, blocking
from tests.support.proxy import CHEAP, STRONG, running_proxy
from tests.support.sql_world import Taught, direction, world_of

ROOT = Path(__file__).parents[2]

# One line of text for everything that a migration makes; the same lines are the same schema.
CATALOGUE = """
with relations as (
    select c.oid, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relacl, c.relpartbound
    from pg_class as c where c.relnamespace::regnamespace::text like 'router%'
)
select format('relation %s %s %s %s %s %s %s %s', relname, relkind, relrowsecurity, relforcerowsecurity, reloptions,
    pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid), obj_description(oid, 'pg_class')) as line from relations
union all
select format('view %s %s', relname, pg_get_viewdef(oid)) from relations where relkind = 'v'
union all
select format('column %s.%s %s %s %s %s %s %s %s', r.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod),
    a.attnotnull, a.attidentity, a.attstorage, pg_get_expr(d.adbin, d.adrelid), col_description(r.oid, a.attnum))
from relations as r
join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0
left join pg_attrdef as d on d.adrelid = r.oid and d.adnum = a.attnum
union all
select format('grant %s %s %s %s', r.relname, g.grantee::regrole, g.privilege_type, g.is_grantable)
from relations as r cross join lateral aclexplode(r.relacl) as g
union all
select format('column grant %s.%s %s %s', r.relname, a.attname, g.grantee::regrole, g.privilege_type)
from relations as r join pg_attribute as a on a.attrelid = r.oid cross join lateral aclexplode(a.attacl) as g
union all
select format('constraint %s %s %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
from pg_constraint as c where c.connamespace::regnamespace::text like 'router%'
union all
select format('index %s', pg_get_indexdef(oid)) from relations where relkind in ('i', 'I')
union all
select format('trigger %s', pg_get_triggerdef(t.oid))
from pg_trigger as t join relations as r on r.oid = t.tgrelid where not t.tgisinternal
union all
select format('policy %s', p) from pg_policies as p where p.schemaname in ('router', 'router_internal')
union all
select format('function %s %s', pg_get_functiondef(p.oid), obj_description(p.oid, 'pg_proc'))
from pg_proc as p where p.pronamespace::regnamespace::text like 'router%'
union all
select format('function grant %s %s %s %s', p.pronamespace::regnamespace, p.proname, g.grantee::regrole,
    g.privilege_type)
from pg_proc as p cross join lateral aclexplode(p.proacl) as g
where p.pronamespace::regnamespace::text like 'router%'
union all
select format('type %s %s %s', t.typname, obj_description(t.oid, 'pg_type'),
    (select string_agg(e.enumlabel, ' ' order by e.enumsortorder) from pg_enum as e where e.enumtypid = t.oid))
from pg_type as t where t.typnamespace::regnamespace::text like 'router%'
union all
select format('schema %s %s %s', n.nspname, obj_description(n.oid, 'pg_namespace'), g)
from pg_namespace as n cross join lateral aclexplode(n.nspacl) as g where n.nspname in ('router', 'router_internal')
union all
select format('extension %s', extname) from pg_extension
order by line
"""


def fetch(dsn: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
    """The rows of one query on a connection of its own."""

    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(dsn)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
            return rows
        finally:
            await connection.close()

    return blocking(run)


def catalog(dsn: str) -> list[str]:
    """The schema in lines."""
    return [row["line"] for row in fetch(dsn, CATALOGUE)]


def alembic(*arguments: str, url: str | None = None) -> subprocess.Popen[str]:
    """Alembic's own command line, started."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=ROOT, env={**environment, **({"DATABASE_URL": url} if url else {})},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_process_knows_the_newest_revision() -> None:
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
    """Leave what a pre-release's migrations left at `revision`, as far as ours look at it."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "create schema router;"
            "create table router.alembic_version (version_num varchar(32) primary key);"
            f"insert into router.alembic_version (version_num) values ('{revision}');"
        )
    finally:
        await connection.close()


# The width of the embedding column.


def test_the_width_is_chosen_at_the_first_migration(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_EMBEDDING_DIMENSIONS", "64")
    migrate(empty_database)
    monkeypatch.delenv("ROUTER_EMBEDDING_DIMENSIONS")
    assert "column memories.embedding 10 halfvec(64)" in "\n".join(catalog(empty_database))
    assert fetch(empty_database, "select router.embedding_width()")[0][0] == 64
    with pytest.raises(asyncpg.CheckViolationError, match="spaces_dimensions_check"):
        fetch(empty_database, "select router.register_space('wide', 65)")


def test_the_width_is_384_by_default(database: str) -> None:
    assert fetch(database, "select router.embedding_width()")[0][0] == 384


@pytest.mark.parametrize("width", ["0", "-1", "3073", "wide", "", "1.5", "²"])
def test_a_width_that_is_none_is_refused_by_name(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("ROUTER_EMBEDDING_DIMENSIONS", width)
    with pytest.raises(SystemExit, match="ROUTER_EMBEDDING_DIMENSIONS"):
        migrate(empty_database)


@pytest.mark.parametrize("width", [384, 768, 769, 3072])
def test_a_memory_that_is_full_of_labels_fits_into_the_index(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("ROUTER_EMBEDDING_DIMENSIONS", str(width))
    migrate(empty_database)
    covered = fetch(empty_database, "select pg_get_indexdef('router.memories_small_scan'::regclass)")[0][0]
    assert ("INCLUDE" in covered) is (width <= 768)
    fetch(
        empty_database,
        f"""
        with labels as (
            -- 64 labels of models with high numbers, and digits that do not compress.
            select array_agg(case when i % 31 = 0 and i > 16 then random()::real end order by i) as given
            from generate_series(1, 2000) as i
        ),
        tenant as (select router.create_tenant('t') as id),
        space as (select router.register_space('s', {width}) as id)
        insert into router.memories_small (
            tenant_id, memory_id, created_at, space_id, prompt_tokens, quality, completion_tokens, embedding
        )
        select tenant.id, 1, now(), space.id, 1, given, given,
            (select array_agg(random() order by i) from generate_series(1, {width}) as i)::halfvec({width})
        from labels, tenant, space
        """,
    )
    assert fetch(empty_database, "select cardinality(array_remove(quality, null)) from router.memories")[0][0] == 64
    with pytest.raises(asyncpg.CheckViolationError, match="memories_labels_check"):
        fetch(empty_database, "update router.memories_small set quality = array_fill(1, array[65])")


# The files of sql/.


def test_every_file_is_installed_by_exactly_one_revision() -> None:
    paths = [path.name for path in (ROOT / "sql").rglob("*.sql")]
    # `install` finds a file by its name, whichever folder it is in.
    files = set(paths)
    assert len(paths) == len(files)
    installed = Counter(
        f"{name}.v{version}.sql"
        for path in (ROOT / "migrations" / "versions").glob("*.py")
        # Going back to an earlier version is no installation of it.
        for upgrade in [path.read_text(encoding="utf-8").partition("def downgrade")[0]]
        for name, version in re.findall(r'install(?:_view)?\(\s*"(\w+)", (\d+)', upgrade)
    )
    assert set(installed) == files
    assert set(installed.values()) == {1}


@pytest.mark.parametrize("path", sorted((ROOT / "sql").rglob("*.sql")), ids=lambda path: path.stem)
def test_a_file_defines_and_describes_what_its_name_says(path: Path) -> None:
    found = re.fullmatch(r"(_?[a-z][a-z_]*)\.v[1-9]\d*\.sql", path.name)
    assert found
    text = path.read_text(encoding="utf-8")
    name = qualified(found[1])
    assert re.findall(r"^create (?:or replace )?(?:function|view) ([\w.]+)", text, re.MULTILINE) == [name]
    described = re.findall(r"^comment on (?:function|view) ([\w.]+) is", text, re.MULTILINE)
    assert described == [name]


def test_every_insert_names_its_columns() -> None:
    for path in (*(ROOT / "sql").rglob("*.sql"), *(ROOT / "migrations").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"insert into [\w.]+(?: as \w+)?\s+(?!\()(?!as\b)\w+", text) == [], path.name


@pytest.mark.parametrize("module", sorted((ROOT / "app" / "store").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_module_of_the_store_calls_is_in_the_folder_of_its_name(module: Path) -> None:
    files = {path.name.partition(".")[0]: path.parent.name for path in (ROOT / "sql").rglob("*.sql")}
    folder = {"decision_batches": "decisions", "database": "maintenance"}.get(module.stem, module.stem)
    called = re.findall(r"(?:select|from) router(?:_internal)?\.(\w+)\(", module.read_text(encoding="utf-8"))
    assert {name: files[name] for name in called} == dict.fromkeys(called, folder)


# Released files.


def changed(sums: str, root: Path) -> list[str]:
    """The files of `sums`, the output of sha256sum, that are gone from `root` or have other contents."""
    listed = [line.split(maxsplit=1) for line in sums.splitlines()]
    return [
        name
        for digest, name in listed
        if not (root / name).is_file() or sha256((root / name).read_bytes()).hexdigest() != digest
    ]


def test_released_files_are_as_they_were_released() -> None:
    sums = ROOT / "sql" / "SHA256SUMS"
    if not sums.exists():
        pytest.skip("nothing is released yet; sql/README.md says when sql/SHA256SUMS is written")
    text = sums.read_text(encoding="utf-8")
    assert {"sql/decisions/decide.v1.sql", "migrations/versions/0101_directory.py"} <= set(text.split())
    assert changed(text, ROOT) == []


def test_a_released_file_that_is_edited_or_gone_is_found(tmp_path: Path) -> None:
    names = ("kept.sql", "edited.sql", "gone.sql")
    for name in names:
        (tmp_path / name).write_text(name, encoding="utf-8")
    sums = "".join(f"{sha256(name.encode()).hexdigest()}  {name}\n" for name in names)
    assert changed(sums, tmp_path) == []
    (tmp_path / "edited.sql").write_text("else", encoding="utf-8")
    (tmp_path / "gone.sql").unlink()
    assert changed(sums, tmp_path) == ["edited.sql", "gone.sql"]


# A login with no more rights than it needs.


@pytest.fixture
def ordinary(databases: Databases, empty_database: str) -> Iterator[str]:
    """The DSN of an empty database as its owner, who is no superuser; extension and roles were made by one."""
    parts = urlsplit(empty_database)
    database, name = parts.path.lstrip("/"), f"{parts.path.lstrip('/')}_owner"
    databases.execute(f"create role {name} login password 'ordinary' nosuperuser nocreaterole nobypassrls")
    try:
        databases.execute(f"alter database {database} owner to {name}")
        databases.execute(f"grant router_app, router_reader to {name}")
        fetch(empty_database, "create extension vector")
        address = parts.netloc.rpartition("@")[2]
        yield urlunsplit(parts._replace(netloc=f"{name}:ordinary@{address}"))
    finally:
        databases.execute(f"alter database {database} owner to current_user")
        fetch(empty_database, "drop schema if exists router cascade")
        fetch(empty_database, f"drop owned by {name}")
        databases.execute(f"drop role {name}")


async def work(dsn: str) -> None:
    """What a proxy and an operator do."""
    async with world_of(dsn) as world:
        tenant = await world.tenant()
        policy = await world.policy(tenant)
        key = await world.owner.fetchval("select router.create_key($1, sha256('k'), 'rk-12345')", tenant)
        (caller,) = await world.app.fetch("select * from router.authenticate(sha256('k'))")
        assert (caller["tenant_id"], caller["key_id"]) == (tenant, key)
        await world.teach(tenant, Taught("p", {world.small: 1.0, world.large: 0.5}, task="t"))
        (winner, _) = await world.decide(tenant, policy, direction(0))
        assert (winner["model_id"], winner["reason"]) == (world.small, "learned")
        for move in ("graduate", "shrink", "graduate"):
            assert await world.app.fetchval(f"select router.{move}($1)", tenant) == 1
            assert (await world.decide(tenant, policy, direction(0)))[0]["reason"] == "learned"
        await world.teach(tenant, Taught("q", {world.small: 1.0}))
        due = await world.app.fetch("select chore, amount from router.chores(6, 90)")
        assert ("shrink", 2) in {tuple(row) for row in due}
        decision = await world.owner.fetchval("select uuidv7()")
        assert await world.log({"tenant_id": tenant, "policy_id": policy, "decision_id": decision}) == 1
        assert [row["name"] for row in await world.owner.fetch("select * from router.list_tenants()")] == ["acme"]
        (overview,) = await world.owner.fetch("select * from router.overview")
        assert (overview["memories"], overview["decisions"]) == (2, 1)
        assert await world.owner.fetchval("select router.revoke_key($1, $2)", tenant, key)
        assert await world.app.fetch("select * from router.authenticate(sha256('k'))") == []
        assert await world.owner.fetchval("select router.delete_tenant($1)", tenant)
        assert await world.app.fetchval("select router.sweep($1, $2)", tenant, world.space)
        for table in ("memories", "memory_texts", "decisions", "api_keys", "tenants"):
            assert await world.owner.fetchval(f"select count(*) from router.{table}") == 0, table


def test_an_owner_who_is_no_superuser_can_do_everything(ordinary: str) -> None:
    assert migrate(ordinary) == (None, REVISION)
    blocking(lambda: work(ordinary))
    assert migrate(ordinary, "base") == (REVISION, None)


def test_an_owner_who_is_no_superuser_has_readers(ordinary: str, databases: Databases) -> None:
    migrate(ordinary)
    reader, stranger = (f"{urlsplit(ordinary).username}_{kind}" for kind in ("reader", "stranger"))
    databases.execute(f"create role {reader} in role router_reader")
    databases.execute(f"create role {stranger}")

    async def work() -> None:
        async with world_of(ordinary) as world:
            tenant = await world.tenant()
            assert await world.owner.fetchval("select router.grant_tenant($1, $2)", reader, tenant)
            assert not await world.owner.fetchval("select router.grant_tenant($1, $2)", reader, tenant)
            rows = await world.owner.fetch("select role, tenants from router.list_readers() where role = $1", reader)
            assert [tuple(row) for row in rows] == [(reader, ["acme"])]
            with pytest.raises(
                asyncpg.PostgresError, match=f"an administrator has to: grant router_reader to {stranger}"
            ):
                await world.owner.fetchval("select router.grant_tenant($1, $2)", stranger, tenant)
            assert await world.owner.fetchval("select router.revoke_tenant($1, null)", reader) == 1

    try:
        blocking(work)
    finally:
        databases.execute(f"drop role {reader}")
        databases.execute(f"drop role {stranger}")
