"""Latency that the proxy adds to a request, its throughput, and both in comparison with other gateways.

Several ways to call the same provider are timed in the same run, at 1, 16 and 64 connections, in turns; the table has
the medians over the turns:

    direct          the load generator to the provider, without a proxy: the baseline of all others
    pass-through    through the proxy, naming a model
    routed, known   through the proxy, `model: "auto"`; 50 prompts repeated, their embeddings cached
    routed, new     the same, but every prompt is a new one, embedded by the default (static) embedder
    litellm         through LiteLLM's proxy, naming a model: with --peer litellm
    portkey         through Portkey's gateway, naming a model: with --peer portkey

and the first three streamed, with 1 ms between the events of the answers. Further rows: the latency that routing adds
to a request, which is its p50 less that of passing through in the same turn, at 1 connection; the processor time per
request of every process at 16 connections; the proxy's memory after 100,000 requests, compared with its memory when
its embedding cache is full; the memory and the latency of others that 20 clients cost which request a stream of 20,000
events and do not read it; and the time from a client's disconnect to the proxy's disconnect from the provider.

The proxy is `python -m app serve`: one process, default settings, a tenant with the 304 taught prompts of the demo
and three candidate models. Postgres runs on the same machine with durable commits (TEST_DATABASE_URL or DATABASE_URL
names another server; a database is created there and dropped). The provider is `scripts/fake_provider/server.py`, which
answers at once; requests carry the headers that the official Python client sends and prompts of some 300 characters.
Every answer has to be a 200.

Peers are measured if they are installed and named, each as one worker that only forwards: no routing, no database, no
key of its own, no callback, no cache, no access log. They need environments of their own:

    python3 -m venv litellm && litellm/bin/pip install 'litellm[proxy]==1.106.2'
    npm install @portkey-ai/gateway@1.15.2                                          # Node 20
    LITELLM=litellm/bin/litellm PORTKEY=node_modules/@portkey-ai/gateway \\
        python scripts/bench_proxy.py --peer litellm --peer portkey

Targets at 16 connections, if the run has the peer: passing through answers 6 times as many requests a second as Portkey
and 60 times as many as LiteLLM; routing (known and new prompts) answers 2 and 20 times as many.

The load generator, the provider and the proxy (one process each) and Postgres share the machine's processors. At 1
connection they work in turn. At 16 they compete, so that on two cores the requests per second are those of a share of
two cores, not of one whole core. Targets are for two cores. Latencies are milliseconds at the load generator.

--quick makes as many short turns as fit its time. It leaves out streams and peers at 64 connections, does not fill the
embedding cache first and does not go on to 100,000 requests; if the setup was slow, it leaves out 64 connections
altogether. Peers take extra time: the start of LiteLLM alone takes six seconds of a processor.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.fake_provider.server import running_upstream
from scripts.proxy import disconnects, peers, process_memory
from scripts.proxy.report import report
from scripts.proxy.turns import BUSY, KNOWN, PASSED, ROUTED, Bench, Way, ways
from scripts.support import flames
from scripts.support.processes import backends, resident_mib, running_proxy, seed
from scripts.support.report import Report, options, say
from scripts.support.scratch import scratch_database

BEGAN = monotonic()
#: Seconds after which a quick run starts no turn that would end later, and leaves out 64 connections. The rest takes
#: about ten seconds, up to twenty if the processors are busy.
ENOUGH = 30.0


def main() -> None:
    """Run the command line; `--help` prints the docstring of this module."""
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, metavar="S", help="length of each turn of each way (2; quick: 0.3)")
    parser.add_argument("--turns", type=int, metavar="N", help="turns of all ways (5; quick: as many as fit)")
    parser.add_argument("--requests", type=int, metavar="N", default=100_000, help="after which memory is looked at")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME[=PATH]", help="litellm or portkey; may be repeated"
    )
    parser.add_argument(
        "--profile", type=Path, metavar="FILE", help="record `routed, known` with py-spy: .svg, .txt (stacks) or .json"
    )
    given = parser.parse_args()
    try:
        found = [peers.find(name) for name in given.peer]
        recorder = flames.recorder(given.profile) if given.profile else None
    except (peers.Missing, OSError, ValueError) as error:
        parser.error(str(error))
    rows = Report(given)
    with ExitStack() as stack:
        run(given, found, recorder, rows, stack)
    rows.finish()
    if given.quick:
        say(f"Took {monotonic() - BEGAN:.0f} s. Left out by --quick: streams and peers on 64 connections (late: all);")
        say(f"long turns; memory after {given.requests:,} requests with a full embedding cache.")


def run(
    given: argparse.Namespace, found: list[peers.Peer], recorder: list[str] | None, rows: Report, stack: ExitStack
) -> None:
    """Start all processes, measure, and add the rows; `stack` ends the processes."""
    seconds = given.seconds or (0.3 if given.quick else 2.0)
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgrouter-bench-")))
    upstream = stack.enter_context(running_upstream(log=False))
    starting = [stack.enter_context(peers.running(peer, upstream.url, home)) for peer in found]
    say("Setting up Postgres, the demo tenant and the proxy.")
    dsn = stack.enter_context(scratch_database())
    key = seed(dsn, home, upstream.url)
    url, pid = stack.enter_context(running_proxy(dsn, home))
    others = [ready() for ready in starting]
    processes = {"proxy": [pid], "provider": [upstream.process.pid], "load generator": [os.getpid()]}
    processes |= {other.peer.name: [other.pid] for other in others}
    bench = Bench(ways(upstream.url, url, key, others), processes)
    by_name = {way.name: way for way in bench.ways}

    say("Warming up.")
    for way in bench.ways:
        way.send(BUSY, min(seconds, 0.3) if given.quick else 2.0)
    if not given.quick:
        process_memory.fill(by_name["routed, new"])
    before = resident_mib(pid)
    # Complete only now, because the pool has opened its connections.
    bench.start_over({**processes, "postgres": uvloop.run(backends(dsn))})

    turns(bench, given, seconds)
    served = bench.served
    if not given.quick and served < given.requests:
        say(f"{served:,} requests so far; on to {given.requests:,}.")
        served += process_memory.many([by_name[name] for name in (PASSED, *ROUTED)], given.requests - served)
    report(bench, found, rows)
    process_memory.grown(rows, pid, before, served)
    process_memory.slow_readers(rows, pid, url, key, by_name[PASSED], min(seconds, 1.0))
    disconnects.report(rows, dsn, url, key)
    if recorder is not None:
        say(f"Recording into {given.profile}.")
        length = 3.0 if given.quick else 15.0
        with flames.recording(recorder, pid, length):
            by_name[KNOWN].send(BUSY, length)


def turns(bench: Bench, given: argparse.Namespace, seconds: float) -> None:
    """Run the requested turns; in a quick run, those that fit its time."""

    def late(needed: float = 0.0) -> bool:
        return given.quick and not given.turns and monotonic() - BEGAN + needed > ENOUGH

    def skipped(way: Way, connections: int) -> bool:
        return connections > BUSY and (late() or (given.quick and (way.streamed or way.name in peers.INSTALL)))

    wanted = given.turns or (99 if given.quick else 5)
    took = 0.0
    for number in range(wanted):
        if number and late(took):
            break
        say(f"Turn {number + 1}.")
        took = bench.turn(seconds, skipped)


if __name__ == "__main__":
    main()
