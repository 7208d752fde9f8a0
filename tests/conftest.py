"""A real Postgres for every test, and a running proxy in front of a fake provider."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import typer.main

from app.memory.embedders import surface
from scripts.fake_provider.server import Running, running_upstream
from tests.support import contract
from tests.support.clients import PROXIED, STRAIGHT, Front, front_of
from tests.support.databases import Databases, container, docker_answers, embedded_server
from tests.support.operators import MASTER, Operator
from tests.support.process import kill_all
from tests.support.proxy import STRONG, Proxy, ProxyFactory, running_proxy
from tests.support.randomness import FUZZ_SEED, fuzzing_is_over, register_profiles
from tests.support.sql_world import World, world_of

register_profiles()

# A run that a shell started in the background ignores SIGINT, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str | None:
    """Print the seed that repeats this run of `make fuzz`."""
    return None if FUZZ_SEED is None else f"fuzz: FUZZ_SEED={FUZZ_SEED} repeats this run"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the property tests, and run the files with long tests first, so that no worker ends with one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    for item in items:
        # Tests that draw their examples in their body are marked there.
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("property")


def pytest_runtest_setup() -> None:
    """End `make fuzz` when its time is up."""
    if fuzzing_is_over():
        pytest.skip("FUZZ_SECONDS are over")


@pytest.fixture(scope="session", autouse=True)
def _built_once() -> Iterator[None]:
    """Build once for all tests what each process of the product builds once: the command line and the token table."""
    tables: dict[tuple[str, ...], surface.Surface] = {}
    build = surface.Surface

    def built(vocabulary: Sequence[str]) -> surface.Surface:
        key = tuple(vocabulary)
        if key not in tables:
            tables[key] = build(vocabulary)
        return tables[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(typer.main.get_command))
        patch.setattr(surface, "Surface", built)
        yield


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """Kill the processes that a failed test leaves (workers end with their parent)."""
    yield
    kill_all()


@pytest.fixture(autouse=True)
def _responses_fit_their_models() -> Iterator[None]:
    """Compare every response of the router's own endpoints in a test with the fields of its declared model."""
    contract.mismatches.clear()
    yield
    assert not contract.mismatches, "\n".join(contract.mismatches)


@pytest.fixture
def home() -> Iterator[Path]:
    """A state folder of `pgrouter serve`; servers that run in it are stopped afterwards."""
    from app.embedded import erase

    with tempfile.TemporaryDirectory(prefix="pgrouter-test-") as folder:
        path = Path(folder) / "state"
        yield path
        kill_all()
        erase(path)


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """The DSN of a server whose login may create databases: TEST_DATABASE_URL, a container, or the embedded one."""
    url = os.environ.get("TEST_DATABASE_URL")
    if url:
        yield url
        return
    with container() if docker_answers() else embedded_server() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def databases(server_dsn: str) -> Iterator[Databases]:
    """The factory of databases."""
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
    """One database for a module's tests of the SQL: creating one takes longer than most of them."""
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


@pytest.fixture
def proxies(database: str, upstream: Running) -> ProxyFactory:
    """Start proxies on the same database: `async with proxies(…settings…) as proxy`."""

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
    """A module's proxy, and the provider without one: clients must see the same."""
    with databases.fresh() as dsn:
        async with front_of(request.param, dsn, upstream) as front:
            yield front


@pytest.fixture
async def front(shared_front: Front) -> Front:
    """The module's front, cleared."""
    shared_front.clean()
    return shared_front


@pytest.fixture(params=[STRONG, "auto"])
def model(front: Front, request: pytest.FixtureRequest) -> str:
    """The model that a client names: a real one, and through the proxy also a policy."""
    return front.model(request.param)
