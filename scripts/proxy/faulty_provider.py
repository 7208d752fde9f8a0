"""A provider of chat completions on raw sockets, whose models have one fault each.

A model's name begins with the name of its fault (`FAULTS`), or with `well`. `calls` counts requests by model.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
JSON, EVENTS, HTML = b"application/json", b"text/event-stream", b"text/html"
PAGE = b"<!doctype html><title>Sign in</title>"
LAST = b"0\r\n\r\n"
ERROR = {"error": {"message": "The engine is overloaded.", "type": "server_error", "param": None, "code": None}}


def event(data: Any) -> bytes:
    """Return an event of a stream."""
    return b"data: " + (data if isinstance(data, bytes) else orjson.dumps(data)) + b"\n\n"


def part(delta: dict[str, Any] | None, finish: str | None = None) -> bytes:
    """Return an event with a delta of the answer."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return event(
        {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    )


ROLE = part({"role": "assistant", "content": ""})
WORDS = [part({"content": word}) for word in ("Well", " met", ".")]
STREAM = [ROLE, *WORDS, part(None, "stop"), event(b"[DONE]")]
WHOLE = orjson.dumps(
    {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Well met."}}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6},
    }
)  # fmt: skip


def chunk(body: bytes) -> bytes:
    """Return a chunk of HTTP."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def sized(body: bytes, kind: bytes, more: bytes = b"") -> bytes:
    """Return a whole answer."""
    return HEAD % kind + more + b"content-length: %d\r\n\r\n" % len(body) + body


def well(*, streamed: bool, more: bytes = b"") -> bytes:
    """Return a complete and correct answer."""
    if not streamed:
        return sized(WHOLE, JSON, more)
    head = HEAD % EVENTS + more + b"transfer-encoding: chunked\r\n\r\n"
    return head + b"".join(map(chunk, STREAM)) + LAST


@dataclass(slots=True)
class Call:
    """One request: whether it asks for a stream, its number on its connection, and the connection."""

    streamed: bool
    number: int
    writer: asyncio.StreamWriter

    async def write(self, *pieces: bytes, gap: float = 0.005) -> None:
        """Write pieces, each apart from the next."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(gap)

    def reset(self) -> None:
        """Close the connection by a reset."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


#: Answers a call; returns whether the connection stays open.
Fault = Callable[[Call], Awaitable[bool]]


def _sends(streamed: bytes, whole: bytes, *, stays: bool = False) -> Fault:
    async def fault(call: Call) -> bool:
        await call.write(streamed if call.streamed else whole)
        return stays

    return fault


async def _reset(call: Call) -> bool:
    call.reset()
    return False


async def _reset_after_head(call: Call) -> bool:
    await call.write(CHUNKED % (EVENTS if call.streamed else JSON))
    call.reset()
    return False


async def _hang(call: Call) -> bool:
    await asyncio.Event().wait()
    return False


async def _stale(call: Call) -> bool:
    """Close each connection at its second request, as if the idle connection had just been closed."""
    if call.number > 1:
        return False
    await call.write(well(streamed=call.streamed))
    return True


async def _cut_midway(call: Call) -> bool:
    if not call.streamed:
        await call.write(well(streamed=False))
        return True
    await call.write(CHUNKED % EVENTS, *map(chunk, STREAM[:3]))
    return False


#: Headers that make a head long.
LONG = b"content-security-policy: " + b"a" * 20_000 + b"\r\n"
MANY = b"".join(b"x-note-%d: 1\r\n" % number for number in range(200))
#: Each fault by name. Streams and whole answers fail alike, but for `midway`, which is well if no stream is requested.
FAULTS: dict[str, Fault] = {
    "cut": _sends(CHUNKED % EVENTS + chunk(ROLE), CHUNKED % JSON + chunk(WHOLE[:50])),
    "half": _sends(CHUNKED % EVENTS + chunk(ROLE + WORDS[0][:30]), sized(WHOLE, JSON)[:-20]),
    "headonly": _sends(CHUNKED % EVENTS, CHUNKED % JSON),
    "reset": _reset,
    "headreset": _reset_after_head,
    "empty": _sends(CHUNKED % EVENTS + LAST, sized(b"", JSON), stays=True),
    "done": _sends(CHUNKED % EVENTS + chunk(STREAM[-1]) + LAST, CHUNKED % JSON + chunk(b"  \n") + LAST, stays=True),
    "comments": _sends(CHUNKED % EVENTS + chunk(b": wait\n\n" * 3) + LAST, CHUNKED % JSON + chunk(b"\n\n") + LAST),
    "hang": _hang,
    "html": _sends(sized(PAGE, HTML), sized(PAGE, HTML), stays=True),
    "htmltyped": _sends(sized(PAGE, EVENTS), sized(PAGE, JSON), stays=True),
    "redirect": _sends(
        *[b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"] * 2, stays=True
    ),
    "moved": _sends(*[b"HTTP/1.1 301 X\r\nlocation: /v2\r\ncontent-length: 5\r\n\r\nmoved"] * 2, stays=True),
    "othertype": _sends(sized(WHOLE, JSON), CHUNKED % EVENTS + b"".join(map(chunk, STREAM)) + LAST, stays=True),
    "errorfirst": _sends(CHUNKED % EVENTS + chunk(event(ERROR)) + LAST, sized(orjson.dumps(ERROR), JSON), stays=True),
    "errorjson": _sends(sized(orjson.dumps(ERROR), JSON), sized(orjson.dumps(ERROR), JSON), stays=True),
    "longhead": _sends(well(streamed=True, more=LONG), well(streamed=False, more=LONG), stays=True),
    "manyheads": _sends(well(streamed=True, more=MANY), well(streamed=False, more=MANY), stays=True),
    "stale": _stale,
    "midway": _cut_midway,
    "well": _sends(well(streamed=True), well(streamed=False), stays=True),
}


@dataclass
class FaultyProvider:
    """The running provider: its URL, and the number of its calls by model."""

    url: str = ""
    calls: Counter[str] = field(default_factory=Counter)
    faults: dict[str, Fault] = field(default_factory=lambda: dict(FAULTS))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        number, stays = 0, True
        try:
            while stays:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = orjson.loads(await reader.readexactly(length))
                number += 1
                self.calls[body["model"]] += 1
                fault = self.faults[body["model"].partition("-")[0]]
                stays = await fault(Call(body.get("stream") is True, number, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def faulty_provider() -> AsyncIterator[FaultyProvider]:
    """Serve from this event loop on a free port of 127.0.0.1."""
    provider = FaultyProvider()
    busy: set[asyncio.Task[Any]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        busy.add(task)
        with suppress(asyncio.CancelledError):
            await provider.serve(reader, writer)
        busy.discard(task)

    server = await asyncio.start_server(one, "127.0.0.1", 0, backlog=1024)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield provider
    finally:
        server.close()
        for task in list(busy):
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        await server.wait_closed()
