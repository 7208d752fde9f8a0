"""DATABASE_URL: read strictly, with libpq's parameters translated, and no password in any error."""

from __future__ import annotations

import logging
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

from app.errors import ConfigurationError
from app.store import dsn, schema
from app.store.database import Database
from app.store.dsn import parse
from tests.support.databases import Databases

#: Passwords that people paste as they are.
RAW = (
    "QQ#ZZ",
    "QQ/ZZ",
    "QQ?ZZ",
    "QQ%ZZ",
    "QQ#Z/Z@Z",
    "QQ/Z@ZZ",
    "12?ZZ",
    "99/ZZ",
    "QQ%zz@Z",
    "QQ?Z=ZZ",
    "1?ZZ=Z&Z=Z@Z",
)
#: Passwords that can be read although they should be encoded.
READABLE = ("QQ@ZZ", "QQ:ZZ", "QQ[ZZ", "QQ]ZZ", "QQ[Z]Z@ZZ", "QQ ZZ")


@pytest.mark.parametrize("password", RAW)
@pytest.mark.parametrize("host", ["h.example", "h1,h2:5433", ""])
def test_an_error_quotes_no_part_of_a_password(password: str, host: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(f"postgresql://user:{password}@{host}/db?sslmode=require")
    assert "percent-encode" in str(caught.value)
    assert "Z" not in str(caught.value)
    assert "Q" not in str(caught.value)
    assert caught.value.__cause__ is None or "Z" not in str(caught.value.__cause__)


@pytest.mark.parametrize("password", READABLE)
def test_what_is_not_ambiguous_is_read(password: str) -> None:
    found = parse(f"postgresql://user:{password}@h/db")
    assert (found.user, found.password, found.hosts, found.database) == ("user", password, (("h", ""),), "db")
    assert parse(found.text()) == found


@pytest.mark.parametrize(
    "url",
    [
        "host=h user=u password=QQ:ZZ dbname=db", "mysql://u:QQZZ@h/db", "postgresql+asyncpg://u:QQZZ@h/db",
        "postgresql://u:QQZZ@h:port/db", "postgresql://u:QQZZ@h:99999/db", "postgresql://u:QQZZ@[::1/db",
        "postgresql://u:QQZZ@h/db?sslmode", "postgresql://u:QQ%FFZZ@h/db", "postgresql://u:QQ%00ZZ@h/db",
        "postgresql://u:QQ\nZZ@h/db", "postgresql://u:QQZZ@h o s t/db",
    ],
)  # fmt: skip
def test_other_urls_are_refused_without_quoting_them(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(url)
    assert "Z" not in str(caught.value)


async def test_every_password_can_be_used_once_it_is_encoded(databases: Databases, database: str) -> None:
    name, password = f"{urlsplit(database).path[1:]}_odd", "a#b@c/d:e%f?g[h]i +\u00e9"
    databases.execute(f"create role {name} login password '{password}'")
    address = database.rpartition("@")[2]
    try:
        url = f"postgresql://{name}:{quote(password, safe='')}@{address}"
        connection = await dsn.connect(url, timeout=10)
        assert await connection.fetchval("select current_user") == name
        await connection.close()
        with pytest.raises(ConfigurationError) as caught:
            await schema.revision_of(f"postgresql://{name}:{quote('QQ' + password, safe='')}@{address}")
        assert "QQ" not in str(caught.value)
    finally:
        databases.execute(f"drop role {name}")


@pytest.mark.parametrize(
    "query",
    [
        "channel_binding=require&sslmode=prefer",
        "connect_timeout=10&gssencmode=disable&keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3",
        "pgbouncer=true&connection_limit=1&pool_timeout=0&schema=public",
        "target_session_attrs=read-write&application_name=shop&fallback_application_name=x",
        "options=-c%20geqo%3Doff&client_encoding=utf8&tcp_user_timeout=1000",
        "sslmode=disable&sslnegotiation=postgres&load_balance_hosts=random",
        "ssl=false",
    ],
)
async def test_parameters_of_managed_hosts_are_accepted(database: str, query: str) -> None:
    db = Database(f"{database}?{query}", size=1)
    await db.open()
    try:
        await db.check_revision()
        (row,) = await db.fetch("select current_setting('application_name'), current_setting('geqo')")
        assert row[0] == ("shop" if "shop" in query else "pgrouter")
        assert row[1] == ("off" if "geqo" in query else "on")
    finally:
        await db.close()


def test_what_has_no_effect_is_logged_once_without_its_value(caplog: pytest.LogCaptureFixture) -> None:
    url = "postgresql://u:QQ@h/only_here?channel_binding=require&scram_client_key=QQ&connect_timeout=5"
    with caplog.at_level(logging.WARNING):
        text, extra = dsn._for_driver(url)
        dsn._for_driver(url)
    assert caplog.messages == ["DATABASE_URL: parameters without effect here: channel_binding, scram_client_key"]
    assert (text, extra) == ("postgresql://u:QQ@h/only_here", {"connect_timeout": 5})


def test_the_certificates_of_the_system_are_a_context() -> None:
    text, extra = dsn._for_driver("postgresql://h/db?sslmode=require&sslrootcert=system")
    assert text == "postgresql://h/db"
    assert extra["ssl"].check_hostname


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("statement_timeout=5000", "'statement_timeout'"), ("chanel_binding=require", "'chanel_binding'"),
        ("search_path=x", "'search_path'"), ("gssencmode=require", "gssencmode=require"),
        ("replication=database", "replication=database"), ("connect_timeout=soon", "connect_timeout='soon'"),
        ("host=a,b&port=1,2,3", "2 hosts and 3 ports"),
    ],
)  # fmt: skip
def test_other_parameters_are_refused_by_name(query: str, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(f"postgresql:///db?{query}")
    assert named in str(caught.value)


def test_libpq_gets_what_it_knows() -> None:
    found = parse("postgresql://u:p@h/db?channel_binding=require&pgbouncer=true&ssl=true&sslmode=require")
    assert found.for_libpq() == "postgresql://u:p@h/db?channel_binding=require&sslmode=require"


async def test_errors_of_the_server_name_no_password(database: str) -> None:
    head, _, rest = database.rpartition("@")
    user = head.removeprefix("postgresql://").partition(":")[0]
    with pytest.raises(asyncpg.PostgresError) as caught:
        await dsn.connect(f"postgresql://{user}:QQZZ@{rest}", timeout=10)
    assert "QQ" not in str(caught.value)
