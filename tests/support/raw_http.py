"""HTTP/1.1 on a raw socket: bytes sent and received, with nothing decoded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

#: Headers of one connection, or that each server writes itself.
NOT_COMPARED = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server"))


@dataclass(frozen=True)
class Asked:
    """A request; its body is sent in chunks of `chunk` bytes, or whole with its length."""

    method: str
    target: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    chunk: int = 0

    def wire(self, host: str, key: str) -> bytes:
        """Return the bytes to send."""
        headers = [("Host", host), ("Authorization", f"Bearer {key}"), ("Connection", "close"), *self.headers]
        if self.chunk:
            headers.append(("Transfer-Encoding", "chunked"))
        elif self.body or self.method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(len(self.body))))
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        return "\r\n".join(lines).encode("latin-1") + (self._chunks() if self.chunk else self.body)

    def _chunks(self) -> bytes:
        pieces = [self.body[start : start + self.chunk] for start in range(0, len(self.body), self.chunk)]
        return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@dataclass(frozen=True)
class Came:
    """An answer: its status, its end-to-end headers in order, and its body with the chunks joined."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


async def exchange(url: str, key: str, asked: Asked) -> Came:
    """Send a request to the server of `url` and read until it closes. Raises ValueError if the answer is cut off."""
    host = urlsplit(url).netloc
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(asked.wire(host, key))
    async with asyncio.timeout(20):
        raw = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    named = dict(headers)
    chunked = named.get(b"transfer-encoding") == b"chunked" and asked.method != "HEAD"
    body = _dechunked(rest) if chunked else rest
    if asked.method != "HEAD" and b"content-length" in named and len(body) != int(named[b"content-length"]):
        raise ValueError(f"{len(body)} bytes came of {named[b'content-length'].decode()}")
    kept = [header for header in headers if header[0] not in NOT_COMPARED]
    return Came(int(first.split(b" ")[1]), kept, body)


def _dechunked(rest: bytes) -> bytes:
    pieces: list[bytes] = []
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return b"".join(pieces)
        pieces.append(rest[:length])
        if rest[length : length + 2] != b"\r\n":
            raise ValueError("the answer was cut off")
        rest = rest[length + 2 :]
