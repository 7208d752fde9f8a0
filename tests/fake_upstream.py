"""A cheap OpenAI-compatible upstream that misbehaves on request: a separate process for servers, or in this loop.

`python -m tests.fake_upstream --port 0` prints `listening on http://127.0.0.1:PORT/v1` and serves until SIGTERM.

It answers `POST /v1/chat/completions` (plain and streamed), `POST /v1/embeddings` and `GET /v1/models`; any other path
echoes body and content type. What it does with a request is a *plan*, like `status=429;retry-after=2`, taken from the
first of:

- the header `x-fake: PLAN`, or the query `?fake=PLAN`;
- a script for the request's model, set by `PUT /_script` with `{"gpt-4o": "drop"}`;
- the model's own name (`fail-503`, `slow-1.5`, `dead-stream`, `hang`, `drop`, `gzip`), as a proxy that picks the model
  may drop headers.

The words of a plan are the fields of `Plan`; another word is answered with 400, so that a misspelt test fails.

`GET /_log` lists the last 1000 requests as `{method, path, headers: [[name, value]], body: base64, disconnected}`;
`DELETE /_log` forgets them and the scripts; `--no-log` keeps none. Every JSON answer is legal and odd (`ODD`), so that
a proxy that re-serialises is caught.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import re
import signal
import subprocess
import sys
import zlib
from array import array
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, fields
from functools import lru_cache
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, cast
from urllib.parse import parse_qs

import orjson

MODELS = ("gpt-4o-mini", "claude-3-5-haiku", "gpt-4o", "text-embedding-3-small")
CHUNKS = 5
ANSWER = "Hello from the fake upstream — café, 日本 / 😀"
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "cached_tokens": 3}
ALIASES = (
    (re.compile(r"fail-(\d{3})"), "status={}"),
    (re.compile(r"slow-(\d+(?:\.\d+)?)"), "delay={}"),
    (re.compile(r"dead-stream"), "die"),
    (re.compile(r"(hang|drop|gzip)"), "{}"),
)

ANSWER_JSON = rb'"Hello from the fake upstream \u2014 caf\u00e9, ' + "日本".encode() + rb' \/ \ud83d\ude00"'
ODD = (
    rb'"x_float":1.0, "x_exponent" : 1E+2,"x_big":123456789012345678901234567890,"x_small":-0.0,'
    rb' "x_unicode":"\u00e9\u0041\/","x_empty":{ }, "x_null":null'
)
USAGE_JSON = (
    b'{"prompt_tokens":11, "completion_tokens":7,"total_tokens":18 ,"prompt_tokens_details":{"cached_tokens":3,'
    b'"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}, "x_ratio":1.0}'
)
REASONS = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found", 411: b"Length Required"}
REASONS |= {429: b"Too Many Requests", 500: b"Internal Server Error", 503: b"Service Unavailable"}
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")
FAKE = re.compile(rb"\r\n[Xx]-[Ff]ake: *([^\r]*)")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with one request; the defaults answer it well and at once. Times are in seconds."""

    status: int = 200  # anything else: an error in OpenAI's shape
    retry_after: str | None = None  # the header of that name
    delay: float = 0.0  # before the first byte
    gap: float = 0.0  # between the events of a stream
    chunks: int = CHUNKS  # deltas of a stream
    split: int = 0  # bytes a write, each a turn of the loop apart: events and UTF-8 characters arrive in halves
    hang: bool = False  # never answers
    drop: bool = False  # closes the connection without a byte
    die: bool = False  # closes it half-way through the body
    gzip: bool = False  # whatever the request accepts
    cookies: bool = False  # two set-cookie headers


_READERS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": lambda _: True}


@lru_cache(1024)
def parse_plan(text: str) -> Plan:
    """The plan that `word=value;word` describes; raises ValueError naming a word or value that is not understood."""
    kinds = {field.name: str(field.type) for field in fields(Plan)}
    values: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in text.split(";"))):
        word, _, value = item.partition("=")
        kind = kinds.get(word.replace("-", "_"), "")
        if not kind or (kind == "bool") != (value == ""):
            raise ValueError(f"{item!r} is not a word of a plan: {', '.join(kinds)}")
        values[word.replace("-", "_")] = _READERS.get(kind, str)(value)
    return Plan(**values)


@lru_cache(1024)
def alias(model: str) -> str:
    """The plan a model's own name asks for; empty for an ordinary name."""
    for pattern, plan in ALIASES:
        if match := pattern.fullmatch(model):
            return plan.format(*match.groups())
    return ""


def streamed_text(chunks: int = CHUNKS) -> str:
    """The text that a stream of so many deltas adds up to."""
    return "".join(f"é{number} " for number in range(chunks))


class Received:
    """One request as it arrived; `disconnected` when the client left before the whole answer was written."""

    __slots__ = ("body", "disconnected", "head", "method", "path", "query", "target")

    def __init__(self, head: bytes, body: bytes) -> None:
        line = head.partition(b"\r\n")[0].decode("latin-1")
        self.method, self.target, _ = line.split(" ", 2)
        self.path, _, self.query = self.target.partition("?")
        self.head, self.body, self.disconnected = head, body, False

    def headers(self) -> list[list[str]]:
        """Name and value pairs, spelt and ordered as received."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [[name, value.strip()] for name, _, value in (line.partition(":") for line in lines)]

    def entry(self) -> dict[str, Any]:
        """Its row in `/_log`."""
        body = base64.b64encode(self.body).decode()
        return {
            "method": self.method,
            "path": self.target,
            "headers": self.headers(),
            "body": body,
            "disconnected": self.disconnected,
        }


class Upstream:
    """The state that all connections share: the log, and the scripts by model."""

    def __init__(self, *, log: bool = True) -> None:
        self.url = ""
        self.keep_log = log
        self.received: deque[Received] = deque(maxlen=1000)
        self.scripts: dict[str, str] = {}
        self.connections: set[Connection] = set()

    def log(self) -> list[dict[str, Any]]:
        """The last 1000 requests, oldest first."""
        return [received.entry() for received in self.received]

    def clear(self) -> None:
        """Forget the log and the scripts."""
        self.received.clear()
        self.scripts.clear()

    def script(self, model: str, plan: str = "") -> None:
        """Treat every request for this model so from now on; an empty plan ends it."""
        parse_plan(plan)
        self.scripts[model] = plan

    def answer(self, received: Received) -> tuple[Plan, tuple[bytes, ...]]:
        """The plan of a request and the pieces to write: head first, then an event or the body each."""
        if received.path.startswith("/_"):
            return Plan(), self._control(received)
        if self.keep_log:
            self.received.append(received)
        try:
            body = _parsed(received)
            model = str(body.get("model", ""))
            plan = self._plan(received, model)
        except ValueError as error:
            return Plan(), reply(400, error_json(400, str(error)))
        if plan.status != 200:
            return plan, reply(plan.status, error_json(plan.status, "The fake upstream was told to fail."), plan)
        route = (received.method, received.path)
        if route == ("POST", "/v1/chat/completions"):
            options = body.get("stream_options") or {}
            return plan, completion(model, plan, body.get("stream") is True, options.get("include_usage") is True)
        if route == ("POST", "/v1/embeddings"):
            return plan, reply(200, embeddings(body, model), plan)
        if route == ("GET", "/v1/models"):
            rows = [{"id": name, "object": "model", "created": 1700000000, "owned_by": "fake"} for name in MODELS]
            return plan, reply(200, b'{ "object":"list","data":' + orjson.dumps(rows) + b"}", plan)
        types = [value for name, value in received.headers() if name.lower() == "content-type"]
        return plan, reply(200, received.body, plan, (types or ["application/octet-stream"])[0].encode("latin-1"))

    def _plan(self, received: Received, model: str) -> Plan:
        if match := FAKE.search(received.head):
            return parse_plan(match[1].decode("latin-1"))
        if received.query and (query := parse_qs(received.query).get("fake")):
            return parse_plan(query[0])
        return parse_plan(self.scripts.get(model) or alias(model))

    def _control(self, received: Received) -> tuple[bytes, ...]:
        match received.method, received.path:
            case "GET", "/_log":
                return reply(200, orjson.dumps(self.log()))
            case "DELETE", "/_log":
                self.clear()
                return reply(200, b"{}")
            case "PUT", "/_script":
                try:
                    for model, plan in orjson.loads(received.body).items():
                        self.script(model, str(plan))
                except ValueError as error:
                    return reply(400, error_json(400, str(error)))
                return reply(200, orjson.dumps(self.scripts))
        return reply(404, error_json(404, f"{received.method} {received.path}: no such control."))


def _parsed(received: Received) -> dict[str, Any]:
    if received.path not in ("/v1/chat/completions", "/v1/embeddings"):
        return {}
    body = orjson.loads(received.body)
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    return body


@lru_cache(256)
def completion(model: str, plan: Plan, stream: bool, include_usage: bool) -> tuple[bytes, ...]:
    """A chat completion as the pieces to write: one JSON body, or the events of a stream."""
    name = orjson.dumps(model)
    if not stream:
        body = (
            b'{ "id":"chatcmpl\\u002dfake",\n  "object": "chat.completion","created":1700000000, "model":' + name + b","
            b'"choices":[ {"index":0,"message":{"role":"assistant","content":' + ANSWER_JSON + b',"refusal":null},'
            b'"logprobs":null,"finish_reason":"stop"}],\t"usage":' + USAGE_JSON + b", " + ODD + b"}\n"
        )
        return reply(200, body, plan)
    head = b'data: {"id":"chatcmpl\\u002dfake", "object":"chat.completion.chunk","created":1700000000,"model":' + name
    head += b"," + ODD + b',"system_fingerprint":"fp_fake",'
    tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"

    def event(delta: bytes, finish: bytes = b"null") -> bytes:
        choice = b'"choices":[{"index":0,"delta":' + delta + b',"logprobs":null, "finish_reason":' + finish + b"}]"
        return head + choice + tail

    events = [b": fake upstream\n\n", event(b'{"role":"assistant","content":"","refusal":null}')]
    # Escaped and plain in turn: both are the same text, and a relay has to keep which was which.
    spellings = (rb"\u00e9", "é".encode())
    events += [event(b'{"content":"%b%d "}' % (spellings[number % 2], number)) for number in range(plan.chunks)]
    events.append(event(b"{}", b'"stop"'))
    if include_usage:
        events.append(head + b'"choices":[] , "usage":' + USAGE_JSON + b"}\n\n")
    events.append(b"data: [DONE]\n\n")
    return reply(200, tuple(events), plan, b"text/event-stream; charset=utf-8")


def error_json(status: int, message: str) -> bytes:
    """An error body in OpenAI's shape, oddly spaced."""
    kind, code = {
        401: (b"invalid_request_error", b'"invalid_api_key"'),
        404: (b"invalid_request_error", b'"model_not_found"'),
        429: (b"requests", b'"rate_limit_exceeded"'),
    }.get(status, (b"server_error" if status >= 500 else b"invalid_request_error", b"null"))
    return (
        b'{\n "error" : {"message":' + orjson.dumps(message) + b', "type":"' + kind + b'","param":null,'
        b'"code":' + code + b', "x_float":1.0}}\n'
    )


def embeddings(body: dict[str, Any], model: str) -> bytes:
    """The answer to `POST /v1/embeddings`: unit vectors made of the words alone, `dimensions` (1536) long."""
    given = body.get("input", "")
    texts = given if isinstance(given, list) and not (given and isinstance(given[0], int)) else [given]
    vectors = [_vector(str(text), int(body.get("dimensions") or 1536)) for text in texts]
    if body.get("encoding_format") == "base64":
        rows: list[Any] = [base64.b64encode(vector.tobytes()).decode() for vector in vectors]
    else:
        rows = [vector.tolist() for vector in vectors]
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    tokens = sum(max(1, len(str(text)) // 4) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps({"object": "list", "data": data, "model": model, "usage": usage})


@lru_cache(4096)
def _vector(text: str, dimensions: int) -> array[float]:
    total = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        digest = hashlib.shake_256(word.encode()).digest(dimensions)
        total = [sum_ + byte - 127.5 for sum_, byte in zip(total, digest, strict=True)]
    length = sum(value * value for value in total) ** 0.5
    vector = array("f", (value / length for value in total))
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


def reply(
    status: int,
    content: bytes | tuple[bytes, ...],
    plan: Plan | None = None,
    content_type: bytes = b"application/json",
) -> tuple[bytes, ...]:
    """An HTTP response as pieces: bytes become a body with its length, a tuple becomes one HTTP chunk an event."""
    plan = plan or Plan()
    lines = [
        b"HTTP/1.1 %d %b" % (status, REASONS.get(status, b"Other")),
        b"Content-Type: " + content_type,
        b"x-request-id: req_fake",
        b"OpenAI-Processing-MS: 1",
    ]
    lines += [b"retry-after: " + plan.retry_after.encode()] if plan.retry_after else []
    lines += [b"set-cookie: a=1; path=/", b"set-cookie: b=2; path=/"] if plan.cookies else []
    lines += [b"content-encoding: gzip"] if plan.gzip else []
    events = content if isinstance(content, tuple) else (content,)
    events = _gzipped(events) if plan.gzip else events
    if isinstance(content, tuple):
        head = [*lines, b"transfer-encoding: chunked", b"", b""]
        wire = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
        pieces = wire[: len(wire) // 2] if plan.die else [*wire, b"0\r\n\r\n"]
    else:
        head = [*lines, b"content-length: %d" % len(events[0]), b"", b""]
        pieces = [events[0][: len(events[0]) // 2] if plan.die else events[0]]
    return (b"\r\n".join(head), *pieces)


def _gzipped(events: tuple[bytes, ...]) -> tuple[bytes, ...]:
    packer = zlib.compressobj(wbits=31)
    packed = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    packed[-1] += packer.flush()
    return tuple(packed)


class Connection(asyncio.Protocol):
    """One client connection: takes requests off it in order and writes each answer as its plan says."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.buffer = bytearray()
        self.task: asyncio.Task[None] | None = None
        self.current: Received | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.upstream.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.advance()

    def advance(self) -> None:
        """Answer what has fully arrived, until an answer takes its time."""
        while self.task is None and (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end])
            lowered = head.lower()
            if b"\r\ntransfer-encoding:" in lowered:
                self.transport.write(b"".join(reply(411, error_json(411, "Send a content-length."))))
                self.transport.close()
                return
            match = LENGTH.search(lowered)
            total = end + 4 + (int(match[1]) if match else 0)
            if len(self.buffer) < total:
                return
            received = Received(head, bytes(self.buffer[end + 4 : total]))
            del self.buffer[:total]
            plan, pieces = self.upstream.answer(received)
            last = b"\r\nconnection: close" in lowered
            if plan.delay or plan.gap or plan.split or plan.hang or plan.drop or plan.die:
                self.current = received
                self.task = asyncio.get_running_loop().create_task(self.perform(plan, pieces, last))
                continue
            self.transport.write(b"".join(pieces))
            if last:
                self.transport.close()
                return

    async def perform(self, plan: Plan, pieces: tuple[bytes, ...], last: bool) -> None:
        """Write an answer that waits, comes in pieces or breaks off."""
        if plan.hang:
            await asyncio.Event().wait()
        await asyncio.sleep(plan.delay)
        if not plan.drop:
            await self.write(plan, pieces)
        self.task = self.current = None
        if plan.drop or plan.die or last:
            self.transport.close()
        else:
            self.advance()

    async def write(self, plan: Plan, pieces: tuple[bytes, ...]) -> None:
        if plan.split:
            whole = b"".join(pieces)
            pieces = tuple(whole[start : start + plan.split] for start in range(0, len(whole), plan.split))
        elif not plan.gap:
            pieces = (b"".join(pieces),)
        else:
            # The head leaves together with the first event, as a model's first token brings both.
            pieces = (pieces[0] + pieces[1], *pieces[2:])
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(plan.gap)
            self.transport.write(piece)

    def connection_lost(self, exc: Exception | None) -> None:
        self.upstream.connections.discard(self)
        if self.current is not None:
            self.current.disconnected = True
        if self.task is not None:
            self.task.cancel()


@asynccontextmanager
async def serving(port: int = 0, *, log: bool = True) -> AsyncIterator[Upstream]:
    """Serve from this event loop on 127.0.0.1; port 0 takes a free one."""
    upstream = Upstream(log=log)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(upstream), "127.0.0.1", port, backlog=1024
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
    """A fake upstream in a process of its own; `with` and `async with` both start and stop it."""

    def __init__(self, *, port: int = 0, log: bool = True) -> None:
        self.arguments = ["--port", str(port), "--until-stdin-closes", *([] if log else ["--no-log"])]
        self.url = ""

    def log(self) -> list[dict[str, Any]]:
        """The last 1000 requests, oldest first."""
        return cast(list[dict[str, Any]], self._control("GET", "/_log"))

    def clear(self) -> None:
        """Forget the log and the scripts."""
        self._control("DELETE", "/_log")

    def script(self, model: str, plan: str = "") -> None:
        """Treat every request for this model so from now on; an empty plan ends it."""
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
        command = [sys.executable, "-m", "tests.fake_upstream", *self.arguments]
        root = Path(__file__).resolve().parent.parent
        # Its end is tied to ours by the pipe: a test run that is killed leaves no server behind.
        self.process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.__exit__(None, None, None)
            raise RuntimeError(f"the fake upstream did not start, exit code {self.process.returncode}")
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


def running_upstream(*, port: int = 0, log: bool = True) -> Running:
    """A context manager, sync or async, over a fake upstream in its own process."""
    return Running(port=port, log=log)


async def _serve(port: int, log: bool, until_stdin_closes: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    async with serving(port, log=log) as upstream:
        print(f"listening on {upstream.url}", flush=True)
        await stop.wait()


def main() -> None:
    """The command line: `--port`, `--no-log`, `--until-stdin-closes`."""
    parser = argparse.ArgumentParser(description="A cheap OpenAI-compatible upstream that misbehaves on request.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--no-log", action="store_true", help="keep no record of requests: for benchmarks")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that holds the pipe")
    arguments = parser.parse_args()
    runner: Any = asyncio.run
    with suppress(ImportError):
        import uvloop

        runner = uvloop.run
    runner(_serve(arguments.port, not arguments.no_log, arguments.until_stdin_closes))


if __name__ == "__main__":
    main()
