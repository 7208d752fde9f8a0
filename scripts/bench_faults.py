"""Clients that see a failure while one of two providers' models fails in some way, and the other one is well.

For each fault, requests to `model: "auto"` are sent through the proxy at a steady number of connections; the policy's
first candidate has the fault, its second is well. The rows of `well`, where the first candidate has no fault, are the
baseline. For each fault, whole answers and streams:

    failures        requests whose client got no complete answer: an error status, an error event, an end too early
    calls           calls of both models, per request
    p50, p95        time to the last byte, in milliseconds

Nothing can be done for a client whose stream is cut after its first word: it gets an error event. All others are to get
a complete answer. After five failures in a row a model is passed over until its breaker's pause ends (10 s, then 20 s);
streams that are under way at the fifth cut, one a connection, are lost too.

Faults: `cut` (the body breaks off), `half` (within an event), `headonly`, `headreset` (a head, then nothing), `reset`,
`empty` (no body, no event), `done` (a stream with nothing but its end), `comments`, `hang` (no answer), `html` and
`htmltyped` (a page, with its own or with the expected content type), `redirect` and `moved`, `othertype` (JSON for a
stream, a stream for JSON), `errorfirst` and `errorjson` (an error under status 200), `longhead` and `manyheads` (over
8 kB, or over 128 headers), `stale` (reused connections are closed), `midway` (a stream cut after its first word).

The proxy is `python -m app serve`: one process, the demo tenant, ROUTER_FIRST_BYTE_TIMEOUT=0.5. The provider is
`scripts/proxy/faulty_provider.py`, in the process of the load generator.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import orjson

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.store import models, policies, providers, tenants
from app.store.database import Database
from scripts.proxy.faulty_provider import FAULTS, STREAM, WHOLE, faulty_provider
from scripts.support.load import quantile
from scripts.support.processes import running_proxy, seed
from scripts.support.report import Baseline, Report, options, say
from scripts.support.scratch import scratch_database

#: The baseline comes first.
ORDER = ("well", *(name for name in FAULTS if name != "well"))
CONNECTIONS = 8
#: Seconds after which a client gives up.
PATIENCE = 20.0


@dataclass(slots=True)
class Seen:
    """What the clients saw of one fault."""

    failures: int = 0
    latencies: list[float] = field(default_factory=list)


def main() -> None:
    """Run the command line; `--help` prints the docstring of this module."""
    parser = options(__doc__)
    parser.add_argument("--requests", type=int, metavar="N", help="requests of each fault (300; quick: 40)")
    parser.add_argument("--fault", action="append", choices=ORDER[1:], help="only this fault; may be repeated")
    given = parser.parse_args()
    rows = Report(given)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgrouter-bench-")))
        say("Setting up Postgres, the demo tenant and the proxy.")
        dsn = stack.enter_context(scratch_database())
        key = seed(dsn, home, "http://127.0.0.1:9/v1")
        url, _ = stack.enter_context(running_proxy(dsn, home, ROUTER_FIRST_BYTE_TIMEOUT="0.5"))
        asyncio.run(run(given, dsn, url, key, rows))
    rows.finish()


async def run(given: argparse.Namespace, dsn: str, url: str, key: str, rows: Report) -> None:
    """Measure every fault."""
    requests = given.requests or (40 if given.quick else 300)
    names = ("well", *given.fault) if given.fault else ORDER
    async with faulty_provider() as provider:
        await add_policies(dsn, provider.url, names)
        # The process is notified of the new policies.
        await asyncio.sleep(1)
        headers = {"authorization": f"Bearer {key}"}
        bounds: Any = {"max_headers": 1000, "max_field_size": 64 * 1024}
        async with aiohttp.ClientSession(url.removesuffix("/v1"), headers=headers, **bounds) as client:
            baseline: dict[bool, Seen] = {}
            for name in names:
                for streamed in (False, True):
                    say(f"{name}, {'streams' if streamed else 'whole answers'}")
                    before, seen = provider.calls.copy(), await load(client, policy(name, streamed), streamed, requests)
                    baseline.setdefault(streamed, seen)
                    add_rows(rows, name, streamed, seen, baseline[streamed], provider.calls - before, requests)


def policy(fault: str, streamed: bool) -> str:
    """Return the name of the policy for a fault; each has models of its own, so that no breaker is open before."""
    return f"{fault}-{'stream' if streamed else 'whole'}"


async def add_policies(dsn: str, url: str, names: tuple[str, ...]) -> None:
    """Add the faulty provider with its models, and a policy for each fault to the demo tenant."""
    db = Database(dsn, size=1, role=None)
    await db.open()
    try:
        (tenant, *_) = await tenants.list_tenants(db)
        await providers.put_provider(db, "faulty", url, None)
        for name in names:
            for streamed in (False, True):
                pair = (f"{policy(name, streamed)}-a", f"well-{policy(name, streamed)}-b")
                for model in pair:
                    await models.put_model(db, model, "faulty", input_price=1, output_price=1)
                await policies.put_policy(
                    db, tenant.tenant_id, policy(name, streamed), backend="none", default=pair[0], models=pair,
                    weights=None, settings={},
                )  # fmt: skip
    finally:
        await db.close()


async def load(client: aiohttp.ClientSession, model: str, streamed: bool, requests: int) -> Seen:
    """Send so many requests at `CONNECTIONS` connections."""
    seen = Seen()
    left = iter(range(requests))
    body = orjson.dumps({"model": model, "stream": streamed, "messages": [{"role": "user", "content": "hi"}]})
    expected = b"".join(STREAM) if streamed else WHOLE

    async def one() -> None:
        for _ in left:
            began = perf_counter()
            try:
                async with asyncio.timeout(PATIENCE):
                    async with client.post(
                        "/v1/chat/completions", data=body, headers={"content-type": "application/json"},
                        allow_redirects=False,
                    ) as response:  # fmt: skip
                        well = await response.read() == expected and response.status == 200
            except (aiohttp.ClientError, TimeoutError):
                well = False
            seen.failures += not well
            seen.latencies.append((perf_counter() - began) * 1000)

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return seen


def add_rows(
    rows: Report, name: str, streamed: bool, seen: Seen, well: Seen, calls: Counter[str], requests: int
) -> None:
    """Add the rows of one fault."""
    params = {"fault": name, "answers": "streams" if streamed else "whole", "requests": requests}
    cut = name == "midway" and streamed
    # Streams that are under way when the fifth one is cut cannot be saved.
    allowed = (5 + CONNECTIONS) / requests * 100 if cut else 0.0
    rows.add("failures", seen.failures / requests * 100, "%", params=params, under=allowed + 1e-9)
    rows.add("calls", sum(calls.values()) / requests, "a request", params=params)
    for share, title in ((0.5, "p50"), (0.95, "p95")):
        base = Baseline("well", quantile(well.latencies, share))
        rows.add(title, quantile(seen.latencies, share), "ms", params=params, baseline=base)


if __name__ == "__main__":
    main()
