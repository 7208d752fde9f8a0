"""How many requests a budget of nine serves when many come at once, and how long the burst takes.

A tenant's budget pays for nine requests; bursts of requests come at once, alone and beside loops that teach batches of
the same or of another tenant, with pools of 2 and 8 connections, with a login that may have 3 connections (one of which
listens for changes), and with each setting that a managed host may set for a role. The baseline of `served` is the
budget, 9; anything above it is money that the tenant has not allowed. `refused` are 402, `503` those whose limits were
not checked in time (ROUTER_ADMISSION_DEADLINE, 5 s).

The proxy is `python -m app serve`, the provider `scripts/fake_provider/server.py`; Postgres is embedded, or on the
server of TEST_DATABASE_URL or DATABASE_URL, whose login has to be a superuser."""

from __future__ import annotations

import asyncio
import itertools
import resource
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.api_keys import hash_of, hint_of, make_key
from app.store import keys, models, policies, providers, tenants
from app.store.database import Database
from scripts.fake_provider.server import running_upstream
from scripts.support.processes import running_proxy
from scripts.support.report import Baseline, Params, Report, options, say
from scripts.support.scratch import scratch_database

SERVED = 9
#: Tokens of an answer of the fake provider; they alone have a price, so that a reservation is what is paid.
ANSWER = 7
ASK = {"model": "strong", "messages": [{"role": "user", "content": "hi"}], "max_tokens": ANSWER}
#: What a managed host may set for a role or database.
HOSTS = (
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_deferrable", "on"),
    ("statement_timeout", "1ms"),
    ("lock_timeout", "1ms"),
    ("transaction_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "1ms"),
    ("idle_session_timeout", "1ms"),
    ("row_security", "off"),
    ("search_path", "public"),
    ("jit", "on"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One burst: its size, the pool, who teaches in how many loops, the server's limit, the role's setting."""

    size: int
    pool: int
    teaches: str = "none"
    loops: int = 0
    server: int = -1
    setting: tuple[str, str] | None = None


def main() -> None:
    """Measure and print the table."""
    given = options(__doc__).parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    report = Report(given)
    with (
        scratch_database(settings={"max_connections": "100"}) as dsn,
        running_upstream(log=False) as upstream,
        tempfile.TemporaryDirectory() as home,
    ):
        asyncio.run(_seed(dsn, upstream.url))
        for case in cases(quick=given.quick):
            _run(case, dsn, Path(home), report)
    report.finish()


def cases(*, quick: bool) -> list[Case]:
    """Return the bursts."""
    sizes, loops = ((200, 1000), (12,)) if quick else ((200, 1000, 5000), (12, 24))
    return [
        *(Case(size, pool) for size in sizes for pool in (2, 8)),
        *(
            Case(size, pool, teaches, number)
            for size in sizes[:2]
            for pool in (2, 8)
            for teaches in ("itself", "another")
            for number in loops
        ),
        *(Case(size, 8, server=3) for size in sizes),
        Case(sizes[0], 8, "another", loops[0], server=3),
        *(Case(200, 8, setting=setting) for setting in HOSTS),
    ]


async def _seed(dsn: str, upstream: str) -> None:
    db = Database(dsn, size=1, role=None)
    await db.open()
    try:
        await providers.put_provider(db, "fake", upstream, None)
        await models.put_model(db, "cheap", "fake", input_price=0, output_price=1)
        await models.put_model(db, "strong", "fake", input_price=0, output_price=10)
    finally:
        await db.close()


async def _tenant(db: Database, *, limited: bool) -> str:
    tenant = await tenants.create_tenant(db, secrets.token_hex(6))
    await policies.put_policy(
        db, tenant, "auto", backend="knn", default="strong", models=("cheap", "strong"), weights=None, settings={}
    )
    key = make_key()
    await keys.create_key(db, tenant, hash_of(key), hint_of(key))
    if limited:
        day = (SERVED + 0.5) * ANSWER * 10 / 1e6
        await db.fetch("select router.put_limits($1, null, null, null, $2, null)", tenant, day)
    return key


def _run(case: Case, dsn: str, home: Path, report: Report) -> None:
    role = f"pgrouter_bench_{secrets.token_hex(4)}"
    asyncio.run(_execute(dsn, _login(role, case)))
    login = f"postgresql://{role}:word@{dsn.rpartition('@')[2]}"
    try:
        settings = {"ROUTER_POOL_SIZE": str(case.pool), "ROUTER_MAINTAIN_SECONDS": "0"}
        with running_proxy(login, home, **settings) as (url, _):
            found, taught, seconds = asyncio.run(_measure(case, dsn, url.removesuffix("/v1")))
    finally:
        asyncio.run(_execute(dsn, [f"drop role {role}"]))
    params: Params = {
        "burst": case.size,
        "pool": case.pool,
        "teaches": f"{case.teaches} x {case.loops}" if case.loops else "nobody",
        "server": case.server if case.server > 0 else "unlimited",
        "role": " = ".join(case.setting) if case.setting else "plain",
        "refused": found[402],
        "503": found[503],
        "others": sum(found.values()) - found[200] - found[402] - found[503],
        "batches": taught,
        "seconds": round(seconds, 2),
    }
    say(f"{params}: served {found[200]}")
    report.add("served", found[200], "requests", params=params, baseline=Baseline("budget", SERVED), under=SERVED + 0.5)


def _login(role: str, case: Case) -> list[str]:
    made = [f"create role {role} login password 'word' connection limit {case.server} in role router_app"]
    if case.setting:
        made.append(f"alter role {role} set {case.setting[0]} = '{case.setting[1]}'")
    return made


async def _execute(dsn: str, statements: list[str]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _measure(case: Case, dsn: str, url: str) -> tuple[Counter[int], int, float]:
    db = Database(dsn, size=1, role=None)
    await db.open()
    try:
        key = await _tenant(db, limited=True)
        other = key if case.teaches == "itself" else await _tenant(db, limited=False)
    finally:
        await db.close()
    taught = [0]
    async with (
        aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as http,
        _teaching(http, other, case.loops, taught),
    ):
        began = time.perf_counter()
        found = Counter(await asyncio.gather(*(_ask(http, key) for _ in range(case.size))))
        return found, taught[0], time.perf_counter() - began


async def _ask(http: aiohttp.ClientSession, key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    try:
        async with http.post("/v1/chat/completions", json=ASK, headers=headers) as response:
            await response.read()
            return response.status
    except aiohttp.ClientError:
        return 0


@asynccontextmanager
async def _teaching(http: aiohttp.ClientSession, key: str, loops: int, taught: list[int]) -> AsyncIterator[None]:
    async def loop(number: int) -> None:
        for turn in itertools.count():
            scores = {"cheap": 0.5, "strong": 1.0}
            examples = [{"prompt": f"lesson {number} {turn} {line}", "scores": scores} for line in range(100)]
            headers = {"authorization": f"Bearer {key}"}
            async with http.post("/v1/router/preferences/rank", json={"examples": examples}, headers=headers) as answer:
                await answer.read()
                taught[0] += answer.status == 200

    tasks = [asyncio.create_task(loop(number)) for number in range(loops)]
    if tasks:
        await asyncio.sleep(0.5)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    main()
