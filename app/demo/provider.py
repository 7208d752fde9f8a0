"""A provider of three APIs that replays the demo's recorded answers, so that pgrouter can be tried without a key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from ..dialects import CHAT, MESSAGES, RESPONSES, Dialect
from ..errors import RouterError, TooLarge
from ..http.validation import parse_object
from . import shapes
from .models import BY_NAME, MODELS
from .reply import Reply, reply_to

MAX_BODY = 32 * 1024 * 1024
CLIENT_LEFT = 499
#: Seconds that writing an answer takes at most, after its first token.
LONGEST = 1.0
#: Path at which the application mounts the provider.
MOUNT = "/demo/v1"

Shape = Callable[[Reply], dict[str, Any]]
Events = Callable[[Reply], Iterable[shapes.Event]]


async def chat_completions(request: Request) -> Response:
    """Answer `POST /chat/completions` with 200, or 400, 404, 413 in OpenAI's shape; stop if the client leaves."""
    try:
        body = parse_object(await _read(request))
        reply = reply_to(body, _base_url(request))
    except ClientDisconnect:
        return Response(status_code=CLIENT_LEFT)
    except RouterError as error:
        return _refusal(error, CHAT)
    options = body.get("stream_options")
    include_usage = isinstance(options, dict) and options.get("include_usage") is True
    if body.get("stream") is True:
        return _stream(reply, shapes.completion_events(reply, include_usage))
    return await _whole(request, reply, shapes.completion(reply))


async def responses(request: Request) -> Response:
    """Answer `POST /responses` likewise. Nothing is stored: `previous_response_id` is ignored."""
    return await _other(request, RESPONSES, shapes.response, shapes.response_events)


async def messages(request: Request) -> Response:
    """Answer `POST /messages` likewise, with errors in Anthropic's shape."""
    return await _other(request, MESSAGES, shapes.message, shapes.message_events)


async def count_tokens(request: Request) -> Response:
    """Answer `POST /messages/count_tokens`."""
    return await _counted(request, MESSAGES, {})


async def input_tokens(request: Request) -> Response:
    """Answer `POST /responses/input_tokens`."""
    return await _counted(request, RESPONSES, {"object": "response.input_tokens"})


async def models(_: Request) -> Response:
    """Answer `GET /models` with the demo's models in OpenAI's shape."""
    data = [{"id": name, "object": "model", "created": 1735689600, "owned_by": "pgrouter-demo"} for name in MODELS]
    return Response(orjson.dumps({"object": "list", "data": data}), media_type="application/json")


routes: list[BaseRoute] = [
    Route("/chat/completions", chat_completions, methods=["POST"]),
    Route("/responses", responses, methods=["POST"]),
    Route("/responses/input_tokens", input_tokens, methods=["POST"]),
    Route("/messages", messages, methods=["POST"]),
    Route("/messages/count_tokens", count_tokens, methods=["POST"]),
    Route("/models", models, methods=["GET"]),
]


async def _counted(request: Request, dialect: Dialect, fields: dict[str, Any]) -> Response:
    found = await _reply(request, dialect)
    if isinstance(found, Response):
        return found
    return Response(orjson.dumps({**fields, "input_tokens": found[0].prompt_tokens}), media_type="application/json")


async def _other(request: Request, dialect: Dialect, shape: Shape, events: Events) -> Response:
    found = await _reply(request, dialect)
    if isinstance(found, Response):
        return found
    reply, streamed = found
    if streamed:
        return _stream(reply, events(reply))
    return await _whole(request, reply, shape(reply))


async def _reply(request: Request, dialect: Dialect) -> tuple[Reply, bool] | Response:
    """Return the reply and whether the client wants a stream, or the response that refuses the request."""
    try:
        body = parse_object(await _read(request))
        parsed = dialect.read(body)
        chat = {
            "model": body.get("model"),
            "messages": [{**message} for message in parsed.messages],
            "max_tokens": parsed.limit,
        }
        reply = reply_to(chat, _base_url(request), parsed)
    except ClientDisconnect:
        return Response(status_code=CLIENT_LEFT)
    except RouterError as error:
        return _refusal(error, dialect)
    return reply, parsed.streamed


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise TooLarge(f"The demo provider reads at most {MAX_BODY} bytes.")
    return bytes(body)


def _base_url(request: Request) -> str:
    """Return the base URL of pgrouter on the host that the request names, for commands to copy."""
    return str(request.base_url).rstrip("/").removesuffix(MOUNT) + "/v1"


def _refusal(error: RouterError, dialect: Dialect) -> Response:
    return Response(orjson.dumps(dialect.error(error)), error.status, media_type="application/json")


def _stream(reply: Reply, events: Iterable[shapes.Event]) -> Response:
    return StreamingResponse(_paced(reply, events), media_type="text/event-stream")


async def _whole(request: Request, reply: Reply, answer: dict[str, Any]) -> Response:
    words = len(reply.words())
    first, word = _pace(reply.model, words)
    if await _abandoned(request, first + word * words):
        return Response(status_code=CLIENT_LEFT)
    return Response(orjson.dumps(answer), media_type="application/json")


async def _paced(reply: Reply, events: Iterable[shapes.Event]) -> AsyncIterator[bytes]:
    first, word = _pace(reply.model, len(reply.words()))
    due = asyncio.get_running_loop().time() + first
    for event, is_word in events:
        due += word if is_word else 0.0
        await _sleep_until(due)
        yield event


def _pace(model: str, words: int) -> tuple[float, float]:
    """Return the seconds to the first token and for each word after it."""
    pace = BY_NAME[model]
    return pace.first_token, min(pace.word, LONGEST / max(words, 1))


async def _sleep_until(due: float) -> None:
    # A deadline per word, so that the errors of a coarse timer do not add up over a long answer.
    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


async def _abandoned(request: Request, seconds: float) -> bool:
    """Wait for `seconds`; return True at once when the client disconnects."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
