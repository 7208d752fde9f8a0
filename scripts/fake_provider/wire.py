"""HTTP of the fake provider: a received request, and an answer as the pieces to write."""

from __future__ import annotations

import base64
import zlib
from functools import cached_property
from typing import Any

from scripts.fake_provider.plan import Plan

REASONS = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found", 429: b"Too Many Requests"}
REASONS |= {500: b"Internal Server Error", 503: b"Service Unavailable", 529: b"Overloaded"}
JSON, EVENTS = b"application/json", b"text/event-stream; charset=utf-8"

Pieces = tuple[bytes, ...]


class Received:
    """One request as it arrived; `disconnected`: the client disconnected before the whole answer was written."""

    def __init__(self, head: bytes, body: bytes) -> None:
        line = head.partition(b"\r\n")[0].decode("latin-1")
        self.method, self.target, _ = line.split(" ", 2)
        self.path, _, self.query = self.target.partition("?")
        self.head, self.body, self.disconnected, self.written = head, body, False, 0

    def headers(self) -> list[list[str]]:
        """Name and value pairs, spelt and ordered as received."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [[name, value.strip()] for name, _, value in (line.partition(":") for line in lines)]

    @cached_property
    def named(self) -> dict[str, str]:
        """The headers by their lower-case names, the last of each."""
        return {name.lower(): value for name, value in self.headers()}

    def entry(self) -> dict[str, Any]:
        """The request's row in `/_log`."""
        return {
            "method": self.method,
            "path": self.target,
            "headers": self.headers(),
            "body": base64.b64encode(self.body).decode(),
            "disconnected": self.disconnected,
            "written": self.written,
        }


def reply(
    status: int,
    content: bytes | Pieces,
    plan: Plan | None = None,
    content_type: bytes = JSON,
    *,
    headers: tuple[bytes, ...] = (b"x-request-id: req_fake", b"OpenAI-Processing-MS: 1"),
    error_event: bytes = b"",
) -> Pieces:
    """Return an HTTP response as pieces: bytes become a body with its length, a tuple one HTTP chunk per event."""
    plan = plan or Plan()
    lines = [b"HTTP/1.1 %d %b" % (status, REASONS.get(status, b"Other")), b"Content-Type: " + content_type, *headers]
    lines += [b"retry-after: " + plan.retry_after.encode()] if plan.retry_after else []
    lines += [b"set-cookie: a=1; path=/", b"set-cookie: b=2; path=/"] if plan.cookies else []
    if plan.limits:
        lines += [b"x-ratelimit-limit-requests: 500", b"x-ratelimit-remaining-requests: 499"]
        lines += [b"x-ratelimit-reset-requests: 120ms"]
    lines += [b"content-encoding: gzip"] if plan.gzip else []
    if status in (204, 304):
        return (b"\r\n".join([*lines, b"", b""]),)
    if not isinstance(content, tuple):
        body = _gzipped((content,))[0] if plan.gzip else content
        head = [*lines, b"content-length: %d" % len(body), b"", b""]
        return (b"\r\n".join(head), body[: _last(plan, len(body))])
    events = _told(content, plan, error_event)
    events = _gzipped(events) if plan.gzip else events
    head = [*lines, b"transfer-encoding: chunked", b"", b""]
    wire = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    last = _last(plan, len(wire))
    return (b"\r\n".join(head), *(wire[:last] if last is not None else [*wire, b"0\r\n\r\n"]))


def _told(events: Pieces, plan: Plan, error_event: bytes) -> Pieces:
    if plan.error_after is not None:
        events = (*events[: plan.error_after], error_event)
    if plan.comments:
        events = tuple(b": keep-alive\n\n" + event for event in events)
    return tuple(event.replace(b"\n", b"\r\n") for event in events) if plan.crlf else events


def _last(plan: Plan, length: int) -> int | None:
    if plan.die:
        return length // 2
    return plan.die_after if plan.die_after is not None else plan.hang_after


def _gzipped(events: Pieces) -> Pieces:
    packer = zlib.compressobj(wbits=31)
    packed = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    packed[-1] += packer.flush()
    return tuple(packed)
