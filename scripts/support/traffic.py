"""The requests that benchmarks send: with the official client's headers, and prompts like the taught ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count, cycle

import orjson

from app.demo.dataset import memory, showcase

#: Headers of the official Python client.
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
#: Plan of `scripts.fake_provider` with a pause between the events of a stream, so that the first byte is not the last.
GAP = "gap=0.001"


def request(
    host: str, key: str, model: str, prompt: str, *, plan: str | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Return the bytes of one chat request; with `plan`, a plan of the fake provider, the answer is streamed."""
    content: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    extra = {} if plan is None else {"x-fake": plan}
    body = orjson.dumps(content | ({"stream": True} if plan is not None else {}))
    own = {"host": host, "authorization": f"Bearer {key}", "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**own, **HEADERS, **extra, **(headers or {})}.items())
    return f"POST /v1/chat/completions HTTP/1.1\r\n{lines}\r\n".encode() + body


def repeated(
    host: str, key: str, model: str, *, stream: bool = False, headers: Mapping[str, str] | None = None
) -> Iterator[bytes]:
    """Yield requests with the same 51 prompts, repeated without end."""
    prompts = [example.prompt for example in memory()[::6]]
    plan = GAP if stream else None
    return cycle([request(host, key, model, prompt, plan=plan, headers=headers) for prompt in prompts])


def new(host: str, key: str) -> Iterator[bytes]:
    """Yield requests with new prompts, of the taught kinds."""
    texts = cycle([example.prompt for example in showcase()])
    return (request(host, key, "auto", f"{next(texts)} (exercise {number})") for number in count(1))
