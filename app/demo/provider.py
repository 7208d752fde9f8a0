"""A provider that replays recorded answers, so that everything can be tried without an API key: three APIs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any
from uuid import uuid4

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from app.demo import shapes
from app.demo.recordings import MODELS, by_prompt, recordings
from app.demo.shapes import Reply
from app.dialects import MESSAGES, RESPONSES, Dialect
from app.dialects.base import text_of
from app.errors import BadRequest, NotFound, RouterError, TooLarge
from app.http.validation import parse_object

MAX_BODY = 32 * 1024 * 1024
MAX_CHOICES = 128
CLIENT_LEFT = 499
LONGEST = 1.0
"""Seconds that writing an answer takes at most, after its first token."""

PACE = {"gpt-4o-mini": (0.030, 0.0025), "claude-3-5-haiku": (0.040, 0.0030), "gpt-4o": (0.060, 0.0040)}
"""Seconds to the first token and for each word after it: chosen to look real, not measured on any provider."""

FINGERPRINT = "fp_pgrouter_demo"


async def chat_completions(request: Request) -> Response:
    """`POST /chat/completions`: 200, or 400, 404, 413 in OpenAI's shape; a client that leaves stops the answer."""
    try:
        body = parse_object(await _read(request))
        reply = _reply(body)
    except ClientDisconnect:
        return Response(status_code=CLIENT_LEFT)
    except RouterError as error:
        return Response(orjson.dumps(error.body()), error.status, media_type="application/json")
    if body.get("stream") is True:
        options = body.get("stream_options")
        include_usage = isinstance(options, dict) and options.get("include_usage") is True
        return StreamingResponse(_events(reply, include_usage), media_type="text/event-stream")
    return await _whole(request, reply, _completion(reply))


async def responses(request: Request) -> Response:
    """`POST /responses`, likewise. Nothing is kept: what goes on from an answer is answered by what it asks last."""
    return await _other(request, RESPONSES, shapes.response, shapes.response_events)


async def messages(request: Request) -> Response:
    """`POST /messages`, likewise, with errors in Anthropic's shape."""
    return await _other(request, MESSAGES, shapes.message, shapes.message_events)


async def count_tokens(request: Request) -> Response:
    """`POST /messages/count_tokens`."""
    return await _counted(request, MESSAGES, {})


async def input_tokens(request: Request) -> Response:
    """`POST /responses/input_tokens`."""
    return await _counted(request, RESPONSES, {"object": "response.input_tokens"})


async def _counted(request: Request, dialect: Dialect, answer: dict[str, Any]) -> Response:
    reply = await _asked(request, dialect)
    if isinstance(reply, Response):
        return reply
    return Response(orjson.dumps({**answer, "input_tokens": reply[0].prompt_tokens}), media_type="application/json")


async def _other(
    request: Request,
    dialect: Dialect,
    shape: Callable[[Reply], dict[str, Any]],
    events: Callable[[Reply], Iterable[shapes.Event]],
) -> Response:
    asked = await _asked(request, dialect)
    if isinstance(asked, Response):
        return asked
    reply, streamed = asked
    if streamed:
        return StreamingResponse(_paced(reply, events(reply)), media_type="text/event-stream")
    return await _whole(request, reply, shape(reply))


async def _asked(request: Request, dialect: Dialect) -> tuple[Reply, bool] | Response:
    """What to answer, and whether as a stream; or the refusal."""
    try:
        body = parse_object(await _read(request))
        reading = dialect.read(body)
        asked = [{**message} for message in reading.messages]
        reply = _reply({"model": body.get("model"), "messages": asked, "max_tokens": reading.limit})
    except ClientDisconnect:
        return Response(status_code=CLIENT_LEFT)
    except RouterError as error:
        return Response(orjson.dumps(dialect.error(error)), error.status, media_type="application/json")
    return reply, reading.streamed


async def _whole(request: Request, reply: Reply, answer: dict[str, Any]) -> Response:
    first, word = _pace(reply.model, len(reply.words()))
    if await _abandoned(request, first + word * len(reply.words())):
        return Response(status_code=CLIENT_LEFT)
    return Response(orjson.dumps(answer), media_type="application/json")


async def _paced(reply: Reply, events: Iterable[shapes.Event]) -> AsyncIterator[bytes]:
    first, word = _pace(reply.model, len(reply.words()))
    due = asyncio.get_running_loop().time() + first
    for event, said in events:
        due += word if said else 0.0
        await _sleep_until(due)
        yield event


async def models(_: Request) -> Response:
    """`GET /models`: the recorded models in OpenAI's list shape."""
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


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise TooLarge(f"The demo provider reads at most {MAX_BODY} bytes.")
    return bytes(body)


def _reply(body: dict[str, Any]) -> Reply:
    model, messages = body.get("model"), body.get("messages")
    if not isinstance(model, str) or not model:
        raise BadRequest("You must provide a model parameter.", param="model", code="missing_required_parameter")
    if model not in MODELS:
        known = ", ".join(MODELS)
        message = f"The model `{model}` does not exist: the demo provider has {known}."
        raise NotFound(message, param="model", code="model_not_found")
    if messages is None:
        raise BadRequest("Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a list of at least one message.", param="messages")
    for position, message in enumerate(messages):
        if not isinstance(message, dict):
            raise BadRequest(f"'messages[{position}]' must be an object.", param=f"messages[{position}]")
    text, completion_tokens = _answer(model, messages)
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    finish_reason = "stop"
    if type(limit) is int and 0 < limit < completion_tokens:
        # A recorded count may be of a longer original than the text; only text that is cut was stopped by the limit.
        finish_reason = "length" if len(text) > limit * 4 else "stop"
        text, completion_tokens = text[: limit * 4], limit
    count = body.get("n")
    choices = min(max(count, 1), MAX_CHOICES) if isinstance(count, int) else 1
    prompt_tokens = max(1, sum(len(text_of(message)) for message in messages) // 4)
    return Reply(model, text, finish_reason, prompt_tokens, completion_tokens, choices)


def _answer(model: str, messages: list[dict[str, Any]]) -> tuple[str, int]:
    asked = [text_of(message) for message in messages if message.get("role") == "user"]
    recording = by_prompt().get(asked[-1].strip()) if asked else None
    recording = recording or by_prompt().get("\n".join(map(text_of, messages)).strip())
    if recording is not None:
        answer = recording.answers[model]
        return answer.text, answer.completion_tokens
    text = (
        f"This is pgrouter's demo provider, in the place of {model}. There is no model behind it: it has only "
        f"recorded answers to the {len(recordings())} prompts bundled with pgrouter, and this is not one of them. "
        "For real answers, set OPENAI_API_KEY and restart pgrouter."
    )
    return text, max(1, len(text) // 4)


def _envelope(kind: str, reply: Reply) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid4().hex[:29]}",
        "object": kind,
        "created": int(time.time()),
        "model": reply.model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def _completion(reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None, "annotations": []}
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
        for index in range(reply.choices)
    ]
    return {**_envelope("chat.completion", reply), "choices": choices, "usage": reply.usage()}


async def _events(reply: Reply, include_usage: bool) -> AsyncIterator[bytes]:
    envelope = _envelope("chat.completion.chunk", reply)
    if include_usage:
        envelope["usage"] = None

    def event(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunks = ({**envelope, "choices": [{"index": index, **choice}]} for index in range(reply.choices))
        return b"".join(_sse(chunk) for chunk in chunks)

    words = reply.words()
    first, word = _pace(reply.model, len(words))
    due = asyncio.get_running_loop().time() + first
    await _sleep_until(due)
    yield event({"role": "assistant", "content": "", "refusal": None})
    for piece in words:
        due += word
        await _sleep_until(due)
        yield event({"content": piece})
    yield event({}, reply.finish_reason)
    if include_usage:
        yield _sse({**envelope, "choices": [], "usage": reply.usage()})
    yield b"data: [DONE]\n\n"


def _sse(chunk: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _pace(model: str, words: int) -> tuple[float, float]:
    first, word = PACE[model]
    return first, min(word, LONGEST / max(words, 1))


async def _sleep_until(due: float) -> None:
    # Against a clock and not word by word, so that a coarse timer does not add up over a long answer.
    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


async def _abandoned(request: Request, seconds: float) -> bool:
    """Wait so long; True as soon as the client has gone."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
