"""A DSN of several servers: each is tried, those that do not answer are skipped, and one that changed roles is left."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from app.errors import ConfigurationError, DatabaseUnavailable
from app.store import servers, spaces
from app.store.database import Database
from app.store.servers import PRIMARY, READERS, Servers, primary_of, readers, split_dsn


@pytest.mark.parametrize(
    ("dsn", "found"),
    [
        ("postgresql://u:p@h/db", ["postgresql://u:p@h/db"]),
        ("postgresql:///db", ["postgresql:///db"]),
        ("postgresql:///db?host=/tmp", ["postgresql:///db?host=/tmp"]),
        ("postgresql://u:p@[::1]:9999,x", ["postgresql://u:p@[::1]:9999", "postgresql://u:p@x"]),
        (
            "postgresql://u:a%40b@h1:5433,h2,[::1]:5/db?sslmode=require",
            [
                "postgresql://u:a%40b@h1:5433/db?sslmode=require",
                "postgresql://u:a%40b@h2/db?sslmode=require",
                "postgresql://u:a%40b@[::1]:5/db?sslmode=require",
            ],
        ),
        (
            "postgresql://u:p@/db?host=h1,h2&port=1,2",
            ["postgresql://u:p@h1:1/db", "postgresql://u:p@h2:2/db"],
        ),
        ("postgresql:///db?host=h1,h2&port=7", ["postgresql://h1:7/db", "postgresql://h2:7/db"]),
        ("postgresql:///db?host=h1,/tmp", ["postgresql://h1/db", "postgresql://%2Ftmp/db"]),
    ],
)
def test_a_dsn_names_its_servers_in_order(dsn: str, found: list[str]) -> None:
    assert split_dsn(dsn) == found


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", READERS),
        ("?target_session_attrs=prefer-standby", READERS),
        ("?target_session_attrs=any", ("any",)),
        ("?target_session_attrs=standby", ("standby",)),
        ("?target_session_attrs=primary", PRIMARY),
        ("?sslmode=require&target_session_attrs=read-write", PRIMARY),
    ],
)
def test_target_session_attrs_choose_the_servers_of_reads(query: str, wanted: tuple[str, ...]) -> None:
    assert readers(f"postgresql://h1,h2/db{query}") == wanted


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never answers, like a machine that hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def beside(dsn: str, *others: str) -> str:
    """Return `dsn` with other servers before its own."""
    login, _, rest = dsn.rpartition("@")
    return f"{login}@{','.join([*others, rest])}"


@asynccontextmanager
async def opened(dsn: str, *, standbys: bool = True) -> AsyncIterator[Database]:
    db = Database(dsn, size=2, standbys=standbys)
    await db.open()
    try:
        yield db
    finally:
        await db.close()


async def test_a_server_that_does_not_answer_does_not_delay_the_others(
    database: str, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "CONNECT_TIMEOUT", 2.0)
    async with opened(beside(database, silent)) as db:
        assert await spaces.width(db) == 384
        assert await spaces.register_space(db, "space", 8) > 0
        assert db.available
        assert db.writable


async def test_a_server_that_held_one_call_up_does_not_hold_up_the_next(database: str, silent: str) -> None:
    wanted = Servers(beside(database, silent), READERS)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wanted.connect(), 0.3)
    connection = await asyncio.wait_for(wanted.connect(), servers.CONNECT_TIMEOUT)
    await connection.close()


async def test_if_no_server_answers_the_error_names_each_without_passwords(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "CONNECT_TIMEOUT", 0.3)
    db = Database(f"postgresql://me:secret@{silent},127.0.0.1:1/db", standbys=True)
    with pytest.raises(ConfigurationError) as caught:
        await db.open()
    assert silent in str(caught.value)
    assert "127.0.0.1:1: " in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_the_primary_of_several_is_found_for_commands(database: str) -> None:
    assert await primary_of(database) == database
    assert await primary_of(beside(database, "127.0.0.1:1")) == database


async def test_reads_go_to_the_primary_where_there_is_no_standby(database: str) -> None:
    async with opened(beside(database, "127.0.0.1:1")) as db:
        assert (await db.read("select pg_is_in_recovery()"))[0][0] is False


@pytest.mark.parametrize("others", [(), ("127.0.0.1:1",)], ids=["one server", "several"])
async def test_a_server_that_takes_no_writes_any_more_is_asked_to_read_and_left_by_writes(
    database: str, owner: asyncpg.Connection, others: tuple[str, ...]
) -> None:
    async with opened(beside(database, *others)) as db:
        # The server's role is sent when a connection begins: this one is not notified of the promotion.
        await db.fetch("select set_config('default_transaction_read_only', 'on', false)")
        with pytest.raises(DatabaseUnavailable):
            await db.fetch("select router.register_space('space', 8)")
        assert db.available
        assert await spaces.width(db) == 384
        assert await spaces.register_space(db, "space", 8) > 0
