"""A real Postgres for every test, and a running proxy in front of a fake provider."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import asyncpg
import hypothesis
import pytest

from app.operations.migrate import migrate
from scripts.fake_provider.server import Running, running_upstream
from tests.support import contract
from tests.support.clients import PROXIED, STRAIGHT, Front, front_of
from tests.support.operators import MASTER, Operator
from tests.support.process import kill_all
from tests.support.proxy import STRONG, Proxy, running_proxy
from tests.support.sql_world import World, world_of

T = TypeVar("T")
# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

IMAGE = "pgvector/pgvector:pg18"


def blocking(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end from synchronous code, whether or not a loop is running in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def _docker_answers() -> bool:
    # Asked of the command line: the SDK leaves its socket open when nobody answers, which is an error here.
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False).returncode == 0
    return False


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """Whatever a failed test leaves behind is killed (workers follow their parent)."""
    yield
    kill_all()


@pytest.fixture(autouse=True)
def _responses_fit_their_models() -> Iterator[None]:
    """Every response of the router's own endpoints in a test has the fields that its model declares, and no other."""
    contract.mismatches.clear()
    yield
    assert not contract.mismatches, "\n".join(contract.mismatches)


@pytest.fixture
def home() -> Iterator[Path]:
    """A state folder of `pgrouter serve`; whatever the test leaves running there is stopped."""
    from app.embedded import erase

    with tempfile.TemporaryDirectory(prefix="pgrouter-test-") as folder:
        path = Path(folder) / "state"
        yield path
        kill_all()
        erase(path)


@contextmanager
def _embedded() -> Iterator[str]:
    from app.embedded import EmbeddedPostgres, erase

    with tempfile.TemporaryDirectory(prefix="pgrouter-test-") as folder:
        # Nothing here has to outlive a crash of the machine.
        settings = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
        home = Path(folder) / "home"
        with EmbeddedPostgres(home, settings=settings) as postgres:
            yield postgres.dsn
        # As root the cluster may lie elsewhere than its home.
        erase(home)


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(IMAGE, driver=None) as container:
        yield container.get_connection_url()


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """A database whose login may create databases: TEST_DATABASE_URL, else a container, else the embedded one."""
    url = os.environ.get("TEST_DATABASE_URL")
    if url:
        yield url
        return
    with _container() if _docker_answers() else _embedded() as dsn:
        yield dsn


class Databases:
    """Databases made from a migrated template, dropped when done."""

    def __init__(self, server_dsn: str) -> None:
        self.server_dsn = server_dsn
        self._prefix = f"pgrouter_test_{os.getpid()}"
        self._made = 0
        self.template = f"{self._prefix}_template"
        self.execute(f"create database {self.template}")
        migrate(self.dsn(self.template))

    def dsn(self, name: str) -> str:
        """The DSN of a database on the test server."""
        head, _, _ = self.server_dsn.partition("?")[0].rpartition("/")
        return f"{head}/{name}"

    def execute(self, statement: str) -> None:
        """Run one statement on the server's own database."""

        async def run() -> None:
            connection = await asyncpg.connect(self.server_dsn)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        blocking(run)

    @contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        """The DSN of a new database, with the schema or empty."""
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        self.execute(f"create database {name}" + (f" template {self.template}" if migrated else ""))
        try:
            yield self.dsn(name)
        finally:
            self.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def databases(server_dsn: str) -> Iterator[Databases]:
    """The maker of databases."""
    made = Databases(server_dsn)
    yield made
    made.execute(f"drop database {made.template} with (force)")


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """The DSN of a migrated, empty database, whose login owns it."""
    with databases.fresh() as dsn:
        yield dsn


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[str]:
    """The DSN of a database without the schema."""
    with databases.fresh(migrated=False) as dsn:
        yield dsn


@pytest.fixture
async def owner(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to `database` with the owner's rights."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def shared_world(databases: Databases) -> AsyncIterator[World]:
    """One database for a module's tests of the SQL: making one for each takes longer than they do."""
    with databases.fresh() as dsn:
        async with world_of(dsn) as world:
            yield world


@pytest.fixture
async def world(shared_world: World) -> World:
    """The module's database, empty."""
    await shared_world.reset()
    return shared_world


@pytest.fixture(scope="session")
def upstream() -> Iterator[Running]:
    """The fake provider's process."""
    with running_upstream() as running:
        yield running


@pytest.fixture
async def proxy(database: str, upstream: Running) -> AsyncIterator[Proxy]:
    """A proxy in this process with one tenant and the models `cheap` and `strong` of the fake provider."""
    upstream.clear()
    async with running_proxy(database, upstream.url) as running:
        yield running


ProxyFactory = Callable[..., Any]


@pytest.fixture
def proxies(database: str, upstream: Running) -> ProxyFactory:
    """Start more proxies on the same database: `async with proxies(…settings…) as proxy`."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[Proxy]:
        async with running_proxy(database, upstream.url, **settings) as running:
            yield running

    return start


@pytest.fixture
async def admin(proxies: ProxyFactory) -> AsyncIterator[Operator]:
    """An operator of a proxy whose master key is MASTER."""
    headers = {"authorization": f"Bearer {MASTER}"}
    async with proxies(admin_key=MASTER) as proxy, aiohttp.ClientSession(proxy.url, headers=headers) as http:
        yield Operator(proxy, http)


@pytest.fixture(scope="module", params=[STRAIGHT, PROXIED])
async def shared_front(request: pytest.FixtureRequest, databases: Databases, upstream: Running) -> AsyncIterator[Front]:
    """A module's proxy, and the provider without it: clients have to find the same behind both."""
    with databases.fresh() as dsn:
        async with front_of(request.param, dsn, upstream) as front:
            yield front


@pytest.fixture
async def front(shared_front: Front) -> Front:
    """The module's front, as if nothing had been asked yet."""
    shared_front.clean()
    return shared_front


@pytest.fixture(params=[STRONG, "auto"])
def model(front: Front, request: pytest.FixtureRequest) -> str:
    """What a client names: a real model, and behind the proxy a policy too."""
    return front.model(request.param)
