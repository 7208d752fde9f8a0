"""Passed-through exchanges equal, byte by byte, exchanges recorded without the proxy."""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import replace
from typing import Any

import orjson
import pytest

from tests.support.clients import PROXIED, Front
from tests.support.proxy import STRONG
from tests.support.raw_http import Asked, exchange

pytestmark = pytest.mark.parametrize("shared_front", [PROXIED], indirect=True)

HELLO = [{"role": "user", "content": "What is a café? 日本 😀"}]
BINARY = bytes(range(256)) * 300
BOUNDARY = "----boundary-42"
#: Request headers that each hop or the router writes itself.
OWN = {"host", "authorization", "connection", "content-length", "transfer-encoding", "accept-encoding"}


def odd(**fields: Any) -> bytes:
    """Return a JSON body that changes when it is re-serialised, with a field that no API has."""
    body = orjson.dumps({"x_unknown": {"a": [1, None]}, **fields}, option=orjson.OPT_INDENT_2)
    return body[:-1] + b', "x_float":1.0, "x_big" : 123456789012345678901234567890,"x_escaped":"\\u00e9\\/" }\n'


def post(path: str, /, plan: str = "", **fields: Any) -> Asked:
    """Return a POST of such a body."""
    headers = [("Content-Type", "application/json; charset=utf-8"), ("X-MiXed", "Kept"), ("User-Agent", "test/1.0")]
    return Asked("POST", f"/v1{path}", odd(**fields), (*headers, *([("X-Fake", plan)] if plan else [])))


def form(path: str, **fields: str | bytes) -> Asked:
    """Return a POST of a form; bytes are files."""
    body = b""
    for name, value in fields.items():
        file = f'; filename="{name}.bin"\r\nContent-Type: audio/wav' if isinstance(value, bytes) else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        body += head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    kind = f'multipart/form-data; boundary="{BOUNDARY}"'
    return Asked("POST", f"/v1{path}", body + f"--{BOUNDARY}--\r\n".encode(), (("Content-Type", kind),))


def chat(plan: str = "", **fields: Any) -> Asked:
    """Return a chat completion of a real model."""
    return post("/chat/completions", plan, model=STRONG, messages=HELLO, **fields)


def message(plan: str = "", **fields: Any) -> Asked:
    """Return a message of a real model."""
    return post("/messages", plan, model=STRONG, max_tokens=9, messages=HELLO, **fields)


USAGE = {"include_usage": True}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
BYTES = (("Content-Type", 'application/x-odd; a="b"'), ("OpenAI-Beta", "assistants=v2"))

#: Requests that the proxy parses, and requests that it only forwards.
EXCHANGES = {
    "chat": chat(),
    "chat, chunked": Asked("POST", "/v1/chat/completions", chat().body, chat().headers, chunk=7),
    "chat, several choices and tools": chat(n=2, tools=TOOLS, tool_choice="required"),
    "chat, query": Asked("POST", "/v1/chat/completions?api-version=1&a=%2F%20&b=", chat().body, chat().headers),
    "chat, large": post("/chat/completions", model=STRONG, messages=[{"role": "user", "content": "é" * 700_000}]),
    "chat, cookies and limits": chat("cookies;limits"),
    "chat, compressed": chat("gzip"),
    "chat, 400": chat("status=400"),
    "stream": chat(stream=True),
    "stream with usage": chat(stream=True, stream_options=USAGE),
    "stream, cut finely": chat("split=3", stream=True, stream_options=USAGE),
    "stream, comments and CRLF": chat("comments;crlf", stream=True, stream_options=USAGE),
    "stream, compressed": chat("gzip", stream=True, stream_options=USAGE),
    "stream, long": chat("chunks=3000", stream=True, stream_options=USAGE),
    "stream, tools": chat(stream=True, stream_options=USAGE, tools=TOOLS, tool_choice="required"),
    "stream, error in the middle": chat("error-after=4", stream=True, stream_options=USAGE),
    "completion": post("/completions", model=STRONG, prompt="é"),
    "completion, stream": post("/completions", model=STRONG, prompt="é", stream=True, stream_options=USAGE),
    "response": post("/responses", model=STRONG, input=HELLO),
    "response, stream": post("/responses", model=STRONG, input="é", stream=True),
    "response, cut finely": post("/responses", "split=5", model=STRONG, input="é", stream=True),
    "response, 422": post("/responses", "status=422", model=STRONG, input="é"),
    "response, unknown conversation": post("/responses", model=STRONG, input="é", previous_response_id="resp_no"),
    "response, unknown": Asked("GET", "/v1/responses/resp_no?include[]=a"),
    "message": message(),
    "message, stream": message(stream=True),
    "message, cut finely": message("split=5", stream=True),
    "message, 413": message("status=413"),
    "message, count": post("/messages/count_tokens", model=STRONG, messages=HELLO),
    "embeddings": post("/embeddings", model=STRONG, input=["a", "é"], dimensions=8),
    "embeddings, packed": post("/embeddings", model=STRONG, input="a", encoding_format="base64"),
    "moderation": post("/moderations", input="é"),
    "moderation, 503": post("/moderations", "status=503;retry-after=0", input="é"),
    "image": post("/images/generations", model="gpt-image-1", prompt="é"),
    "speech": post("/audio/speech", model="tts-1", voice="alloy", input="é"),
    "transcription": form("/audio/transcriptions", model="whisper-1", file=BINARY),
    "transcription, text": form("/audio/transcriptions", model="whisper-1", file=BINARY, response_format="text"),
    "picture edited": form("/images/edits", model="gpt-image-1", prompt="é", image=BINARY),
    "files, query": Asked("GET", "/v1/files?purpose=none&limit=2&after="),
    "file, 404": Asked("GET", "/v1/files/file-never/content"),
    "path escaped": Asked("PUT", "/v1/files/a%2Fb%20c?x=%C3%A9&y", BINARY, BYTES),
    "unknown path": Asked("POST", "/v1/some/day/new", BINARY, BYTES),
    "unknown path, chunked": Asked("POST", "/v1/some/day/new", BINARY, BYTES, chunk=1000),
    "unknown path, changed": Asked("PATCH", "/v1/some/day/new?a=1", odd(), BYTES),
    "unknown path, deleted": Asked("DELETE", "/v1/some/day/new"),
    "unknown path, nothing to say": Asked("DELETE", "/v1/some/day/new?fake=status%3D204"),
    "unknown path, not modified": Asked("GET", "/v1/some/day/new?fake=status%3D304"),
    "head": Asked("HEAD", "/v1/files?limit=1"),
    "head, unknown path": Asked("HEAD", "/v1/some/day/new"),
    "options": Asked("OPTIONS", "/v1/some/day/new"),
    "unknown path, compressed": Asked("POST", "/v1/some/day/new", BINARY, (*BYTES, ("X-Fake", "gzip;cookies"))),
}
#: A stream without requested usage: the router may request it, for the ledger.
ASKED_FOR_USAGE = {"stream"}


@pytest.mark.parametrize("name", EXCHANGES)
async def test_what_comes_back_is_what_the_provider_sent(front: Front, name: str) -> None:
    recorded = await exchange(front.upstream.url, "sk-fake", EXCHANGES[name])
    came = await exchange(front.url, front.key, EXCHANGES[name])
    assert came.status == recorded.status
    assert _anonymous(came.body) == _anonymous(recorded.body)
    added = (b"x-router-", b"server-timing")
    assert [header for header in came.headers if not header[0].startswith(added)] == list(recorded.headers)


@pytest.mark.parametrize("name", sorted(EXCHANGES.keys() - ASKED_FOR_USAGE))
async def test_what_the_provider_gets_is_what_the_client_sent(front: Front, name: str) -> None:
    await exchange(front.url, front.key, EXCHANGES[name])
    asked, entries = EXCHANGES[name], front.upstream.log()
    assert len(entries) == 1, "one request"
    (entry,) = entries
    assert (entry["method"], entry["path"]) == (asked.method, asked.target)
    assert base64.b64decode(entry["body"]) == asked.body
    kept = [(key.lower(), value) for key, value in entry["headers"] if key.lower() not in OWN]
    assert kept == [(key.lower(), value) for key, value in asked.headers]


ROUTED = {
    "chat": chat(),
    "chat, stream": chat(stream=True, stream_options=USAGE),
    "response": post("/responses", model=STRONG, input=HELLO),
    "response, stream": post("/responses", model=STRONG, input="é", stream=True),
    "message": message(),
    "message, stream": message(stream=True),
    "message, count": post("/messages/count_tokens", model=STRONG, messages=HELLO),
    "response, count": post("/responses/input_tokens", model=STRONG, input=HELLO),
}


@pytest.mark.parametrize("name", ROUTED)
async def test_a_routed_exchange_differs_in_the_models_name_alone(front: Front, name: str) -> None:
    real = ROUTED[name]
    routed = replace(real, body=real.body.replace(orjson.dumps(STRONG), b'"auto"'))
    assert routed.body != real.body
    recorded = await exchange(front.upstream.url, "sk-fake", real)
    front.upstream.clear()
    came = await exchange(front.url, front.key, routed)
    assert _anonymous(came.body) == _anonymous(recorded.body)
    assert ((b"x-router-model", STRONG.encode()) in came.headers) is not name.endswith("count")
    (entry,) = front.upstream.log()
    assert base64.b64decode(entry["body"]) == real.body


@pytest.mark.parametrize("plan", ["", "split=3", "crlf", "chunks=1000", "error-after=3", "no-usage"])
@pytest.mark.parametrize("more", [{}, {"stream_options": {"include_usage": False}}, {"stream_options": None}])
async def test_a_stream_that_only_the_router_wants_the_usage_of_comes_without_it(
    front: Front, plan: str, more: dict[str, Any]
) -> None:
    real = chat(plan, stream=True, **more)
    recorded = await exchange(front.upstream.url, "sk-fake", real)
    front.upstream.clear()
    came = await exchange(front.url, front.key, replace(real, body=real.body.replace(b'"strong"', b'"auto"')))
    assert came.body == recorded.body
    (entry,) = front.upstream.log()
    asked = orjson.loads(base64.b64decode(entry["body"]))
    assert asked == {**orjson.loads(real.body), "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("name", ["chat, large", "transcription", "unknown path"])
async def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(front: Front, name: str) -> None:
    asked = replace(EXCHANGES[name], headers=(*EXCHANGES[name].headers, ("Expect", "100-continue")))
    host = front.url.removeprefix("http://")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    head, _, body = asked.wire(host, front.key).partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(body)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()
    (entry,) = front.upstream.log()
    assert base64.b64decode(entry["body"]) == asked.body


@pytest.mark.parametrize("name", ["chat", "message", "unknown path"])
async def test_the_provider_never_sees_the_clients_key(front: Front, name: str) -> None:
    await exchange(front.url, front.key, EXCHANGES[name])
    (entry,) = front.upstream.log()
    assert front.key not in str(entry["headers"])


def _anonymous(body: bytes) -> bytes:
    """Return a response without its number, which is different each time."""
    return re.sub(rb"_[0-9a-f]{8}\d{24}", b"_NUMBER", body)
