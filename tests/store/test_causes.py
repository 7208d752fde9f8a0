"""Why Postgres did not serve a call, and what that says of the server."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from app.errors import ConfigurationError, DatabaseUnavailable
from app.store import connections, database, pool
from app.store.connections import Connections
from app.store.database import Database
from app.store.errors import cause_of, translate, unavailable
from app.store.pool import Pool
from tests.support.databases import Databases


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    with databases.fresh() as made:
        yield made


@asynccontextmanager
async def opened(dsn: str, size: int, reserved: int = 0) -> AsyncIterator[Pool]:
    found = Pool(dsn, size=size, session={}, refusals={}, reserved=reserved)
    await found.open()
    try:
        yield found
    finally:
        await found.close(2.0)


async def cause(of: Pool, statement: str, timeout: float = 5.0) -> str:
    with pytest.raises(DatabaseUnavailable) as caught:
        await of.fetch(statement, timeout=timeout)
    return caught.value.cause


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("40001", "serialization"), ("40P01", "lock"), ("55P03", "lock"), ("57014", "timeout"), ("25006", "read_only"),
        ("53200", "aborted"), ("53100", "aborted"), ("57P01", "lost"), ("57P03", "connect"), ("53300", "connect"),
    ],
)  # fmt: skip
async def test_an_sqlstate_has_a_cause_and_is_not_absence(dsn: str, state: str, expected: str) -> None:
    async with opened(dsn, 1) as found:
        assert await cause(found, f"do $$ begin raise 'no' using errcode = '{state}'; end $$") == expected
        assert not found.unreachable


async def test_a_call_without_a_connection_in_time_was_not_served_by_the_pool(dsn: str) -> None:
    async with opened(dsn, 1) as found:
        holder = asyncio.create_task(found.fetch("select pg_sleep(0.3)"))
        await asyncio.sleep(0.02)
        assert await cause(found, "select 1", 0.05) == "pool"
        assert found.available
        await holder


async def test_statements_that_time_out_do_not_make_the_server_away(dsn: str) -> None:
    async with opened(dsn, 8) as found:
        assert {await cause(found, "select pg_sleep(5)", 0.05) for _ in range(6)} == {"timeout"}
        await asyncio.sleep(0.2)
        assert found.available
        assert (await found.fetch("select 1"))[0][0] == 1


async def test_a_server_that_does_not_answer_any_more_is_away(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PROBE_TIMEOUT", 0.2)
    async with opened(dsn, 1) as found:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            found._dsn = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/db"
            assert await cause(found, "select pg_sleep(5)", 0.05) == "timeout"
            await asyncio.sleep(0.3)
            assert found.unreachable
            assert await cause(found, "select 1") == "unreachable"
        found._dsn = dsn
        await asyncio.sleep(pool.PAUSE)
        assert (await found.fetch("select 1"))[0][0] == 1
        assert found.available


async def test_no_server_is_unreachable(dsn: str) -> None:
    found = Pool("postgresql://u:p@127.0.0.1:1/db", size=1, session={}, refusals={})
    with contextlib.suppress(OSError):
        await found.open()
    await asyncio.sleep(pool.PAUSE)
    assert await cause(found, "select 1") == "unreachable"
    await found.close(1)


async def test_a_full_server_without_a_connection_of_ours_is_not_unreachable(databases: Databases, dsn: str) -> None:
    name = f"pgrouter_test_{secrets.token_hex(4)}"
    databases.execute(f"create role {name} login password 'word' connection limit 1")
    login = f"postgresql://{name}:word@{dsn.rpartition('@')[2]}"
    try:
        async with opened(login, 2) as found:
            found.connections.expire()
            await asyncio.sleep(0.1)
            holder = await asyncpg.connect(login)
            assert await cause(found, "select 1") == "connect"
            assert not found.unreachable
            await holder.close()
    finally:
        databases.execute(f"drop role {name}")


async def test_a_refused_connection_makes_its_call_wait_for_an_open_one(
    dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "FULL_PAUSE", 0.6)
    full, attempts = True, 0

    async def connect() -> asyncpg.Connection:
        nonlocal attempts
        attempts += 1
        if full and attempts > 2:
            raise asyncpg.TooManyConnectionsError("no more")
        return await asyncpg.connect(dsn)

    stack = Connections(connect, 8)

    async def call() -> None:
        connection = await stack.wait(5)
        await connection.fetch("select pg_sleep(0.01)")
        stack.give(connection)

    await asyncio.gather(*(call() for _ in range(40)))
    assert (stack.open, stack.usable, stack.waiting) == (2, 2, 0)
    assert sum("refused a connection" in record.message for record in caplog.records) == 1
    full = False
    await asyncio.sleep(0.65)
    await asyncio.gather(*(call() for _ in range(40)))
    assert (stack.open, stack.usable) == (8, 8)
    await stack.close(1)


@pytest.mark.parametrize(("size", "most"), [(1, 1), (2, 1), (3, 1), (8, 4)])
async def test_background_calls_hold_their_share_and_come_last(dsn: str, size: int, most: int) -> None:
    async with opened(dsn, size, (size + 1) // 2 if size > 1 else 0) as found:
        calls = [asyncio.create_task(found.fetch_in_background("select pg_sleep(0.05)")) for _ in range(20)]
        await asyncio.sleep(0.02)
        assert found.connections.in_use == most
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(found.fetch("select 1") for _ in range(20)))
        assert asyncio.get_running_loop().time() - began < 0.3
        calls[5].cancel()
        calls[-1].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        stack = found.connections
        assert (stack.in_use, stack.waiting, stack._lent, stack._lending) == (0, 0, set(), 0)


async def test_background_calls_cancelled_at_any_moment_cost_no_connection(dsn: str) -> None:
    async with opened(dsn, 4, 2) as found:

        async def call(number: int) -> None:
            fetch = found.fetch_in_background if number % 3 else found.fetch
            with contextlib.suppress(TimeoutError, DatabaseUnavailable):
                async with asyncio.timeout(number % 17 / 1000):
                    await fetch("select pg_sleep(0.002)")

        for _ in range(3):
            await asyncio.gather(*(call(number) for number in range(150)))
        stack = found.connections
        async with asyncio.timeout(5):
            while stack.in_use:
                await asyncio.sleep(0.005)
        assert (stack.waiting, stack._lent, stack._lending) == (0, set(), 0)
        await asyncio.gather(*(found.fetch_in_background("select 1") for _ in range(20)))


async def test_a_setting_that_does_not_reach_the_session_is_reported_at_the_start(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = Database(dsn, size=1)
    monkeypatch.setitem(database.PINNED, "lock_timeout", "7ms")
    with pytest.raises(ConfigurationError, match=r"lock_timeout = 0, but need 7ms"):
        await db.open()


@pytest.mark.parametrize("state", ["53100", "53200", "53400", "58030", "58P01", "XX000", "XX001", "F0000"])
def test_no_error_shows_a_file_of_the_server(state: str) -> None:
    error = asyncpg.PostgresError.new({"C": state, "M": 'could not extend file "base/16384/2619": No space left'})
    cause = cause_of(error, connected=True)
    for shown in (str(unavailable(error, cause, "away")), str(translate(error)), translate(error).reported):
        assert "base" not in shown
