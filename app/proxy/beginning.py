"""Waits for the beginning of a provider's answer; until then, any failure lets another model serve."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable

from ..dialects import Dialect
from ..dialects.answer_capture import is_parsed_soon
from ..dialects.beginning import BOM, FIELDS, StreamBeginning, error_body, error_in, error_status, whole_answer
from ..errors import UpstreamUnavailable
from ..upstream.answer import WHOLE
from ..upstream.client import Reply

#: Bytes of a stream that are held until its first event with content; beyond them it has begun.
HELD = 4 * 1024 * 1024
#: Bytes from which on it is known whether an answer under another content type is a stream of events.
_KNOWN = max(map(len, FIELDS))
_BLANK = b" \t\r\n"
#: Content codings that zlib reads; answers of any other begin with their first byte.
_ZLIB = (b"gzip", b"x-gzip", b"deflate")


async def begin_named(reply: Reply, *, streamed: bool) -> None:
    """Wait for the first bytes of a stream whose model the request names: its bytes are not the router's to judge.

    `streamed`: the request asks for a stream, so that one is recognised under any content type.
    """
    if reply.streamed:
        await reply.begin()
    elif streamed and reply.status == 200 and reply.header(b"content-encoding") is None:
        await reply.begin()
        if _is_stream(reply.begun):
            reply.treat_as_events()


async def begin_routed(reply: Reply, dialect: Dialect, *, streamed: bool) -> None:
    """Wait until a routed answer has begun: a stream by its first event with content, a whole one by its first byte.

    An error that comes instead replaces the answer. Raises `UpstreamUnavailable` if no answer comes.
    """
    if 300 <= reply.status < 400:
        # A client that followed it would send the prompt past the router.
        raise UpstreamUnavailable("The provider redirects the request: correct its base URL.", invalid=True)
    if reply.status >= 400:
        return
    coding = reply.header(b"content-encoding")
    if coding is not None and coding.lower() not in (*_ZLIB, b"identity"):
        await reply.begin()
        return
    if streamed:
        await _begin_stream(reply, dialect, _unpacker(coding))
    else:
        unpacked = _unpacker(coding)
        head = [b""]
        ended = not await reply.begin_until(lambda chunk: bool(_begun_text(head, unpacked(chunk))), WHOLE)
        if ended:
            raise UpstreamUnavailable("The provider's answer is empty.")
        if not head[0].startswith(b"{"):
            raise UpstreamUnavailable("The provider's answer is no JSON object.", invalid=True)


async def complete(reply: Reply, dialect: Dialect, deadline: float) -> None:
    """Read a routed answer that is no stream, and check that it is one, if it has no more than `WHOLE` bytes.

    A longer one is sent on while it arrives. `deadline`: by `time.perf_counter`. An error under status 200 replaces the
    answer. Raises `UpstreamUnavailable` if it breaks off, or is no answer of the API.
    """
    try:
        if reply.arrived and len(reply.begun) <= WHOLE:
            body = await reply.read()
        else:
            async with asyncio.timeout(max(0.001, deadline - time.perf_counter())):
                body = await reply.peek(WHOLE + 1)
    except TimeoutError:
        raise UpstreamUnavailable("The provider did not end its answer in time.", timed_out=True) from None
    if len(body) > WHOLE:
        return
    reply.whole = body
    coding = reply.header(b"content-encoding")
    if reply.status >= 400 or (coding is not None and coding.lower() not in (*_ZLIB, b"identity")):
        return
    text = _unpacker(coding)(body)
    if not is_parsed_soon(text) and text.rstrip(_BLANK).endswith(b"}"):
        # Hundreds of thousands of values: their end has to do, because parsing them would hold up other requests.
        return
    parsed = whole_answer(dialect, text)
    if parsed is None:
        # Without a length, a body that is cut looks like one that has ended.
        raise UpstreamUnavailable("The provider's answer is none of its API.", invalid=reply.delimited)
    error = error_in(parsed)
    if error is not None:
        reply.become(error_status(error), error_body(dialect, error))
    elif coding is None:
        reply.parsed = parsed


async def _begin_stream(reply: Reply, dialect: Dialect, unpacked: Callable[[bytes], bytes]) -> None:
    beginning = StreamBeginning(dialect)
    head = [b""]
    kind = ["events" if reply.streamed else ""]

    def decides(chunk: bytes) -> bool:
        text = unpacked(chunk)
        if kind[0] == "events" and head[0]:
            return beginning.feed(text)
        shown = _begun_text(head, text)
        if not shown or (not reply.streamed and len(shown) < _KNOWN and b":" not in shown):
            return False
        if shown[:1] in b"{[<":
            kind[0] = "other"
            return True
        kind[0] = "events" if reply.streamed or _is_stream(shown) else "other"
        return kind[0] == "other" or beginning.feed(shown)

    decided = await reply.begin_until(decides, HELD)
    if kind[0] == "other" and head[0].startswith(b"{"):
        body = await reply.peek(WHOLE)
        parsed = whole_answer(dialect, unpacked.again(body) if isinstance(unpacked, _Unpacker) else body)
        error = None if parsed is None else error_in(parsed)
        if error is None:
            raise UpstreamUnavailable("The provider answers with JSON where a stream was requested.", invalid=True)
        reply.become(error_status(error), error_body(dialect, error))
        return
    if kind[0] != "events" and head[0]:
        raise UpstreamUnavailable("The provider's answer is no stream of events.", invalid=True)
    if not decided:
        beginning.end()
    if beginning.error is not None:
        reply.become(error_status(beginning.error), error_body(dialect, beginning.error))
    elif beginning.begun or (decided and len(reply.begun) > HELD):
        reply.treat_as_events()
    else:
        raise UpstreamUnavailable("The provider's stream ended before its first word.")


def _begun_text(head: list[bytes], text: bytes) -> bytes:
    """Add a piece to the start of a text; return it without blanks before it."""
    head[0] = (head[0] + text).removeprefix(BOM).lstrip(_BLANK)
    return head[0]


def _is_stream(start: bytes) -> bool:
    return start.removeprefix(BOM).lstrip(_BLANK).startswith(FIELDS)


class _Unpacker:
    """Unpacks a body by pieces; bytes that are not packed are an empty piece."""

    def __init__(self) -> None:
        self._packed = zlib.decompressobj(wbits=47)

    def __call__(self, chunk: bytes) -> bytes:
        try:
            return self._packed.decompress(chunk, HELD)
        except zlib.error:
            return b""

    def again(self, body: bytes) -> bytes:
        """Unpack a body from its beginning."""
        return _Unpacker()(body)


def _same(chunk: bytes) -> bytes:
    return chunk


def _unpacker(coding: bytes | None) -> Callable[[bytes], bytes]:
    return _same if coding is None or coding.lower() == b"identity" else _Unpacker()
