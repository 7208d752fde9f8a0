"""Latency of the calls that the console makes, with a memory of 5,000 examples.

A demo tenant is taught generated examples (scripts/labels/generator.py) until it has 5,000 memories, more than the map
shows, and its ledger gets routed requests. Then every call is made in turns on one connection to one process with its
defaults; the baseline is `GET /v1/models` in the same turns, a call that needs no database. `edges` is a page of the
map's edges, as the page loads them: the neighbours of 30 memories among 2,000 by exact distances.
`explain` has a new prompt each time. Target: 95% of the answers within 100 ms.

Postgres is embedded with its default settings, or the server of TEST_DATABASE_URL or DATABASE_URL. --quick makes 15
turns instead of 100.
"""

from __future__ import annotations

import http.client
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.fake_provider.server import running_upstream
from scripts.labels.generator import PAIR, SIX, rows
from scripts.support.load import quantile
from scripts.support.processes import running_proxy, seed
from scripts.support.report import Baseline, Report, options, say
from scripts.support.scratch import scratch_database

MEMORIES, TAUGHT, BATCH = 5_000, 304, 500
REQUESTS = 300
#: Milliseconds.
TARGET = 100.0
BASELINE = "GET /v1/models"
CANDIDATES = (
    replace(PAIR[0], name="demo-small"),
    replace(SIX[1], name="demo-medium"),
    replace(PAIR[1], name="demo-large"),
)


class Client:
    """One persistent connection with the tenant's key."""

    def __init__(self, url: str, key: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    def call(self, method: str, path: str, body: Any = None) -> tuple[float, int]:
        """Return the milliseconds and the bytes of an answer. Raises `RuntimeError` if it is not a 200."""
        began = time.perf_counter()
        self._connection.request(method, path, None if body is None else orjson.dumps(body), self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        taken = (time.perf_counter() - began) * 1000
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:500]!r}")
        return taken, len(answer)


def example(row: Mapping[str, str]) -> dict[str, Any]:
    """Return a generated row as an example to teach."""
    scores = {name[2:]: float(value) for name, value in row.items() if name.startswith("q:") and value}
    return {"prompt": row["prompt"], "task": row["task"], "scores": scores}


def fill(client: Client, examples: list[dict[str, Any]], prompts: list[str]) -> None:
    """Teach the examples, and send requests so that the ledger has some."""
    for begin in range(0, len(examples), BATCH):
        client.call("POST", "/v1/router/preferences/rank", {"examples": examples[begin : begin + BATCH]})
    for prompt in prompts:
        chat = {"model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": prompt}]}
        client.call("POST", "/v1/chat/completions", chat)


def calls(turn: int, prompt: str) -> dict[str, tuple[str, str, Any]]:
    """Return the calls of a turn by name: method, path and body."""
    paths = {
        BASELINE: "/v1/models",
        "status": "/v1/router/status",
        "samples": "/v1/router/samples",
        "decisions": "/v1/router/decisions?limit=50",
        "reasons": "/v1/router/decisions/reasons",
        "usage": "/v1/router/usage?since=14d&by=day",
        "savings": "/v1/router/savings",
        "memories": f"/v1/router/memories?limit=50&after={turn * 40}",
        "memories, searched": "/v1/router/memories?limit=1000&search=Ghent",
        "graph": "/v1/router/memories/graph",
        "edges": f"/v1/router/memories/graph/edges?limit=30&offset={turn * 30 % 2000}",
    }
    explain = {"model": "auto", "prompt": prompt, "neighbours": 100}
    return {
        **{name: ("GET", path, None) for name, path in paths.items()},
        "explain": ("POST", "/v1/router/explain", explain),
    }


def main() -> None:
    """Run the command line; `--help` prints the docstring of this module."""
    given = options(__doc__).parse_args()
    turns = 15 if given.quick else 100
    report = Report(given)
    made = list(islice(rows(MEMORIES - TAUGHT + REQUESTS + turns + 1, CANDIDATES, seed=11), None))
    prompts = [row["prompt"] for row in made[MEMORIES - TAUGHT :]]
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgrouter-bench-")))
        upstream = stack.enter_context(running_upstream(log=False))
        dsn = stack.enter_context(scratch_database())
        key = seed(dsn, home, upstream.url)
        url, _ = stack.enter_context(running_proxy(dsn, home))
        client = Client(url, key)
        say(f"Teaching up to {MEMORIES:,} memories.")
        fill(client, [example(row) for row in made[: MEMORIES - TAUGHT]], prompts[:REQUESTS])
        taken: dict[str, list[float]] = defaultdict(list)
        sizes: dict[str, int] = {}
        for turn, prompt in enumerate(prompts[REQUESTS:]):
            for name, (method, path, body) in calls(turn, prompt).items():
                milliseconds, sizes[name] = client.call(method, path, body)
                # The first turn plans and warms up.
                if turn:
                    taken[name].append(milliseconds)
    baseline = taken.pop(BASELINE)
    for name, each in taken.items():
        params = {"memories": MEMORIES, "kB": round(sizes[name] / 1000, 1)}
        p50 = statistics.median(each)
        report.add(f"{name} p50", p50, "ms", params=params, baseline=Baseline(BASELINE, statistics.median(baseline)))
        p95 = Baseline(BASELINE, quantile(baseline, 0.95))
        report.add(f"{name} p95", quantile(each, 0.95), "ms", params=params, baseline=p95, under=TARGET)
    report.finish()


if __name__ == "__main__":
    main()
