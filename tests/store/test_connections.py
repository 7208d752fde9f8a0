"""The stack of connections: a busy one is never handed out, waiting is fair, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from app.errors import DatabaseError, DatabaseUnavailable, InvalidValue
from app.store import connections
from app.store.connections import Connections
from app.store.database import Database
from app.store.pool import Pool
from tests.support.databases import Databases

PID = "select pg_backend_pid()"


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    with databases.fresh() as made:
        yield made


@contextlib.asynccontextmanager
async def opened(dsn: str, size: int) -> AsyncIterator[Pool]:
    pool = Pool(dsn, size=size, session={"application_name": "stack"}, refusals={})
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close(2.0)


async def pid_of(pool: Pool) -> int:
    return int((await pool.fetch(PID))[0][0])


async def until_free(pool: Pool) -> None:
    while pool.connections.in_use:
        await asyncio.sleep(0.005)


async def sessions(dsn: str, condition: str = "true") -> int:
    """Return the number of the stack's sessions on the server."""
    admin = await asyncpg.connect(dsn)
    try:
        return int(
            await admin.fetchval(
                # offset 0: a condition that ends sessions must be evaluated for these only.
                "select count(*) from (select * from pg_stat_activity where application_name = 'stack'"
                f" and datname = current_database() offset 0) as stack where {condition}"
            )
        )
    finally:
        await admin.close()


async def test_the_connection_that_was_used_last_is_used_next(dsn: str) -> None:
    async with opened(dsn, 4) as pool:
        await asyncio.gather(*(pool.fetch("select pg_sleep(0.05)") for _ in range(4)))
        assert len({await pid_of(pool) for _ in range(20)}) == 1


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
async def test_a_call_given_up_ends_on_the_server_before_its_connection_serves_another(dsn: str, how: str) -> None:
    async with opened(dsn, 1) as pool:
        pid = await pid_of(pool)
        call = asyncio.create_task(pool.fetch("select 1 from pg_sleep(60)", timeout=0.1 if how == "timed out" else 60))
        if how == "cancelled":
            await asyncio.sleep(0.1)
            call.cancel()
        with pytest.raises((DatabaseUnavailable, asyncio.CancelledError)):
            await call
        assert pool.connections.in_use == 1
        rows = await asyncio.gather(*(pool.fetch("select $1::int, pg_backend_pid()", number) for number in range(5)))
        assert [row[0][0] for row in rows] == list(range(5))
        assert {row[0][1] for row in rows} == {pid}
        assert await sessions(dsn, "query like '%pg_sleep(60)%' and state = 'active'") == 0


async def test_a_connection_that_does_not_answer_any_more_is_replaced(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CLOSE_TIMEOUT", 0.1)

    class Deaf(asyncpg.Connection):  # type: ignore[misc]
        async def execute(self, *_: object, **__: object) -> str:
            raise TimeoutError

    made: list[asyncpg.Connection] = []

    async def connect() -> asyncpg.Connection:
        made.append(await asyncpg.connect(dsn, connection_class=Deaf))
        return made[-1]

    stack = Connections(connect, 1)
    stack.mark_suspect(await stack.wait(5))
    stack.give(await stack.wait(5))
    assert len(made) == 2
    assert made[0].is_closed()
    await stack.close(1)


async def test_waiting_callers_are_served_in_order(dsn: str) -> None:
    async with opened(dsn, 1) as pool:
        served: list[int] = []

        async def call(number: int) -> None:
            await pool.fetch("select 1")
            served.append(number)

        holder = asyncio.create_task(pool.fetch("select pg_sleep(0.1)"))
        await asyncio.sleep(0.02)
        calls = [asyncio.create_task(call(number)) for number in range(20)]
        await asyncio.sleep(0.02)
        assert pool.connections.waiting == 20
        await asyncio.gather(holder, *calls)
        assert served == list(range(20))


async def test_a_caller_that_waits_in_vain_gets_an_error_in_time_and_blocks_no_one(dsn: str) -> None:
    async with opened(dsn, 1) as pool:
        holder = asyncio.create_task(pool.fetch("select pg_sleep(0.5)"))
        await asyncio.sleep(0.02)
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            await pool.fetch("select 1", timeout=0.1)
        assert time.monotonic() - began < 0.45
        assert pool.connections.waiting == 0
        await holder
        assert (await pool.fetch("select 2"))[0][0] == 2


async def test_a_connection_handed_to_a_cancelled_caller_is_not_lost(dsn: str) -> None:
    async with opened(dsn, 1) as pool:
        stack = pool.connections
        connection = stack.take()
        assert connection is not None
        first, second = (asyncio.create_task(stack.wait(5)) for _ in range(2))
        await asyncio.sleep(0)
        stack.give(connection)
        first.cancel()
        assert await second is connection
        with pytest.raises(asyncio.CancelledError):
            await first
        stack.give(connection)
        assert stack.in_use == 0


async def test_a_waiting_caller_gets_the_place_of_a_connection_that_failed(dsn: str) -> None:
    attempts: list[float] = []

    async def connect() -> asyncpg.Connection:
        attempts.append(time.monotonic())
        if len(attempts) == 1:
            await asyncio.sleep(0.05)
            raise ConnectionRefusedError
        return await asyncpg.connect(dsn)

    stack = Connections(connect, 1)
    first, second = (asyncio.create_task(stack.wait(5)) for _ in range(2))
    with pytest.raises(ConnectionRefusedError):
        await first
    stack.give(await second)
    assert (len(attempts), stack.in_use, stack.waiting) == (2, 0, 0)
    await stack.close(1)


async def test_200_callers_at_once_share_the_connections_there_may_be(dsn: str) -> None:
    async with opened(dsn, 3) as pool:
        used: list[int] = []

        async def call(number: int) -> None:
            row = (await pool.fetch("select $1::int, pg_backend_pid()", number))[0]
            assert row[0] == number
            assert pool.connections.in_use <= 3
            used.append(row[1])

        await asyncio.gather(*(call(number) for number in range(200)))
        assert (len(used), len(set(used))) == (200, 3)
        assert await sessions(dsn) == 3


async def test_callers_cancelled_at_any_moment_cost_no_connection(dsn: str) -> None:
    async with opened(dsn, 3) as pool:

        async def call(number: int) -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(number % 17 / 1000):
                    row = (await pool.fetch("select $1::int from pg_sleep(0.002)", number))[0]
                    assert row[0] == number

        for _ in range(3):
            await asyncio.gather(*(call(number) for number in range(100)))
        await asyncio.wait_for(until_free(pool), 5)
        assert pool.available
        assert pool.connections.waiting == 0
        answers = await asyncio.gather(*(pool.fetch("select $1::int", number) for number in range(20)))
        assert [rows[0][0] for rows in answers] == list(range(20))
        assert await sessions(dsn) <= 3


async def test_connections_that_the_server_closed_are_not_handed_out(dsn: str) -> None:
    async with opened(dsn, 3) as pool:
        await asyncio.gather(*(pool.fetch("select pg_sleep(0.05)") for _ in range(3)))
        gone = await pid_of(pool)
        assert await sessions(dsn, "pg_terminate_backend(pid, 5000)") == 3
        await asyncio.sleep(0.05)
        assert await pid_of(pool) != gone
        assert pool.connections.in_use == 0


async def test_what_the_server_refuses_leaves_the_connection_at_hand(dsn: str) -> None:
    async with opened(dsn, 1) as pool:
        pid = await pid_of(pool)
        for statement in ("select 1 / 0", "select nonsense"):
            with pytest.raises(DatabaseError):
                await pool.fetch(statement)
            assert pool.connections.in_use == 0
        with pytest.raises(InvalidValue):
            await pool.fetch("select $1::int", "a word")
        assert await pid_of(pool) == pid


async def test_expired_connections_are_replaced_those_at_work_when_they_are_done(dsn: str) -> None:
    async with opened(dsn, 2) as pool:
        working = asyncio.create_task(pool.fetch("select pg_backend_pid() from pg_sleep(0.2)"))
        idle = await pid_of(pool)
        pool.connections.expire()
        new = await pid_of(pool)
        old = int((await working)[0][0])
        assert len({idle, old, new}) == 3
        assert not {old, idle} & {row[0][0] for row in await asyncio.gather(*(pool.fetch(PID) for _ in range(4)))}


async def test_a_connection_is_replaced_after_so_many_calls(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CALLS", 3)
    async with opened(dsn, 1) as pool:
        # Opening the pool created the first.
        assert len({await pid_of(pool) for _ in range(9)}) == 4


async def test_closing_lets_calls_end_and_then_cuts_them(dsn: str) -> None:
    pool = Pool(dsn, size=2, session={"application_name": "stack"}, refusals={})
    await pool.open()
    short = asyncio.create_task(pool.fetch("select 7 from pg_sleep(0.1)"))
    long = asyncio.create_task(pool.fetch("select 1 from pg_sleep(60)", timeout=60))
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(pool.fetch("select 1"))
    await asyncio.sleep(0)
    began = time.monotonic()
    await pool.close(0.5)
    assert time.monotonic() - began < 2
    assert (await short)[0][0] == 7
    for call in (long, waiting, pool.fetch("select 1")):
        with pytest.raises(DatabaseUnavailable):
            await call


async def test_how_busy_the_connections_are_can_be_seen(dsn: str) -> None:
    db = Database(dsn, size=2, role=None)
    await db.open()
    try:
        calls = [asyncio.create_task(db.fetch("select pg_sleep(0.2)")) for _ in range(5)]
        await asyncio.sleep(0.05)
        ((name, stack),) = db.connections.items()
        assert (name, stack.size, stack.in_use, stack.waiting) == ("writes", 2, 2, 3)
        await asyncio.gather(*calls)
        assert (stack.in_use, stack.waiting) == (0, 0)
    finally:
        await db.close()
