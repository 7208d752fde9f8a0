"""A fake OpenAI and Anthropic that fails on request, in a process of its own or in the running event loop.

`python -m scripts.fake_provider.server --port 0` prints `listening on http://127.0.0.1:PORT/v1` and serves until
SIGTERM.

Served under `/v1`, whole and, if the real API streams, as a stream:

- `chat/completions`, `completions`; `responses` with everything below it; `messages` and `messages/count_tokens` in
  Anthropic's format. If `tool_choice` requires it, tools are called: all of them, unless parallel calls are forbidden.
  If a JSON schema is requested, the answer is JSON of it. Any other answer is the same text each time.
- `embeddings`, `images/…`, `audio/…`, `moderations`, `models`; `files`, `uploads` and `batches`, held in memory.
- Any other path echoes body and content type.

Responses are stored, too: `previous_response_id` and `/responses/ID` accept those of this provider, whose identifiers
begin with `resp_` and the `--name` of the provider. Answers have every field that real clients read. Their JSON is
valid but unusual (`ODD`), so that tests detect a proxy that re-serialises it.

A *plan*, like `status=429;retry-after=2`, determines how a request is answered. It is the first of:

- the header `x-fake: PLAN`, or the query `?fake=PLAN`;
- a script for the request's model, set by `PUT /_script` with `{"gpt-4o": "drop"}`;
- the model's own name (`fail-503`, `slow-1.5`, `dead-stream`, `hang`, `drop`, `gzip`), because a proxy that chooses the
  model may drop headers.

The words of a plan are the fields of `scripts.fake_provider.plan.Plan`; an unknown word is answered with 400, so that a
test with a misspelling fails.

`GET /_log` lists the last 1000 requests as `{method, path, headers: [[name, value]], body: base64, disconnected,
written}`; `body` of a chunked request is decoded, `written` is the number of bytes of the answer sent so far.
`DELETE /_log` deletes them and the scripts; with `--no-log` none are kept.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import orjson

from scripts.fake_provider.connection import Connection
from scripts.fake_provider.media import MODELS
from scripts.fake_provider.plan import CHUNKS, Plan, alias, parse_plan
from scripts.fake_provider.spelling import ANSWER, ODD, USAGE, streamed_text
from scripts.fake_provider.upstream import Upstream

__all__ = [
    "ANSWER", "CHUNKS", "MODELS", "ODD", "USAGE", "Plan", "Running", "Upstream", "alias", "parse_plan",
    "running_upstream", "serving", "streamed_text",
]  # fmt: skip


@asynccontextmanager
async def serving(port: int = 0, *, log: bool = True, name: str = "") -> AsyncIterator[Upstream]:
    """Serve from this event loop on 127.0.0.1; port 0: a free one, `name`: part of identifiers."""
    upstream = Upstream(log=log, name=name)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(upstream.answer, upstream.connections), "127.0.0.1", port, backlog=1024
    )
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield upstream
    finally:
        server.close()
        for connection in list(upstream.connections):
            connection.transport.abort()
        await server.wait_closed()


class Running:
    """A fake provider in a process of its own; `with` and `async with` both start and stop it."""

    def __init__(self, *, port: int = 0, log: bool = True, name: str = "") -> None:
        self.arguments = ["--port", str(port), "--until-stdin-closes", *([] if log else ["--no-log"]), "--name", name]
        self.url = ""

    def log(self) -> list[dict[str, Any]]:
        """The last 1000 requests, oldest first."""
        return cast(list[dict[str, Any]], self._control("GET", "/_log"))

    def clear(self) -> None:
        """Delete the log and the scripts."""
        self._control("DELETE", "/_log")

    def script(self, model: str, plan: str = "") -> None:
        """Answer every request for this model by `plan` from now on; an empty plan removes the script."""
        self._control("PUT", "/_script", orjson.dumps({model: plan}))

    def _control(self, method: str, path: str, body: bytes | None = None) -> Any:
        with closing(HTTPConnection(self.url.split("/")[2], timeout=10)) as connection:
            connection.request(method, path, body)
            response = connection.getresponse()
            content = response.read()
        if response.status != 200:
            raise ValueError(content.decode())
        return orjson.loads(content)

    def __enter__(self) -> Running:
        command = [sys.executable, "-m", "scripts.fake_provider.server", *self.arguments]
        root = Path(__file__).resolve().parents[2]
        # The server ends when the pipe closes, so that a killed test run leaves no server behind.
        self.process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.__exit__(None, None, None)
            raise RuntimeError(f"the fake provider did not start, exit code {self.process.returncode}")
        self.url = line.removeprefix("listening on ").strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        with self.process:
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()

    async def __aenter__(self) -> Running:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)


def running_upstream(*, port: int = 0, log: bool = True, name: str = "") -> Running:
    """Return a fake provider in a process of its own, as a sync or async context manager."""
    return Running(port=port, log=log, name=name)


async def _serve(port: int, log: bool, until_stdin_closes: bool, name: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    async with serving(port, log=log, name=name) as upstream:
        print(f"listening on {upstream.url}", flush=True)
        await stop.wait()


def main() -> None:
    """Run the command line: `--port`, `--no-log`, `--until-stdin-closes`."""
    parser = argparse.ArgumentParser(description="A cheap OpenAI-compatible upstream that misbehaves on request.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--no-log", action="store_true", help="keep no record of requests: for benchmarks")
    parser.add_argument("--name", default="", help="goes into the identifiers of responses, up to 12 characters")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that holds the pipe")
    arguments = parser.parse_args()
    runner: Any = asyncio.run
    with suppress(ImportError):
        import uvloop

        runner = uvloop.run
    runner(_serve(arguments.port, not arguments.no_log, arguments.until_stdin_closes, arguments.name))


if __name__ == "__main__":
    main()
