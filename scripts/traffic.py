"""The bytes of the requests that benchmarks send: as the official client's, on prompts like those that were taught."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, cycle

import orjson

from app.demo.recordings import memory, showcase

#: As the official Python client sends them.
HEADERS = {
    "accept-encoding": "gzip, deflate",
    "connection": "keep-alive",
    "accept": "application/json",
    "content-type": "application/json",
    "user-agent": "AsyncOpenAI/Python 2.0.0",
    "x-stainless-lang": "python",
    "x-stainless-package-version": "2.0.0",
    "x-stainless-os": "Linux",
    "x-stainless-arch": "x64",
    "x-stainless-runtime": "CPython",
    "x-stainless-runtime-version": "3.11.7",
    "x-stainless-async": "async:asyncio",
    "x-stainless-retry-count": "0",
    "x-stainless-read-timeout": "600",
}


def request(host: str, key: str, model: str, prompt: str, *, stream: bool = False) -> bytes:
    """The bytes of one chat request."""
    content: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    # A pause between events, so that the first byte is not the last one too.
    extra = {"x-fake": "gap=0.001"} if stream else {}
    body = orjson.dumps(content | ({"stream": True} if stream else {}))
    headers = {"host": host, "authorization": f"Bearer {key}", **HEADERS, **extra, "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /v1/chat/completions HTTP/1.1\r\n{lines}\r\n".encode() + body


def repeated(host: str, key: str, model: str, *, stream: bool = False) -> Iterator[bytes]:
    """The same 50 prompts again and again."""
    prompts = [recording.prompt for recording in memory()[::6]]
    return cycle([request(host, key, model, prompt, stream=stream) for prompt in prompts])


def new(host: str, key: str) -> Iterator[bytes]:
    """Prompts that were never sent before, of the kind that was taught."""
    texts = cycle([recording.prompt for recording in showcase()])
    return (request(host, key, "auto", f"{next(texts)} (exercise {number})") for number in count(1))
