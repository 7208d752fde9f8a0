"""One model's answer to a prompt, whole or streamed, for a comparison and for a judge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from pydantic import Field
from typing_extensions import TypedDict

from ..accounting import reservation
from ..accounting.ledger import Entry, decision_id
from ..dialects import CHAT
from ..dialects.answer_capture import AnswerCapture, is_parsed_soon
from ..dialects.base import object_at, text_of
from ..dialects.beginning import FIELDS
from ..dialects.body_settings import in_body, tree_of
from ..dialects.json_splice import with_members
from ..dialects.model_request import ModelRequest
from ..dialects.prompt import prompt_tokens
from ..dialects.sse import EventSplitter, data_of
from ..dialects.stream_options import with_usage
from ..dialects.usage import TokenUsage
from ..entities import Caller, Model, cost_usd
from ..errors import RouterError, UpstreamUnavailable
from ..http.disconnect import CLIENT_CLOSED_REQUEST
from ..routing import candidates
from ..routing.plan import Plan
from ..services import Services
from ..telemetry.request_record import RequestRecord
from ..upstream.additions import Additions
from ..upstream.attempt import Attempt
from ..upstream.client import Reply

#: Bytes of an answer that are read.
LONGEST = 8 * 1024 * 1024
#: Characters of a provider's error message.
LONGEST_MESSAGE = 2000
_NO_CHAT = "The provider's response is not a chat completion."
_JSON = ((b"content-type", b"application/json"),)


class AnswerError(TypedDict):
    """The error that a model returned in place of an answer."""

    message: str
    status: Annotated[int, Field(description="An HTTP status.")]


class Answer(TypedDict):
    """A model's answer, or its error, with tokens, cost and time."""

    text: str | None
    finish_reason: str | None
    error: AnswerError | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: Annotated[float | None, Field(description="null: tokens or prices are unknown.")]
    latency_ms: float


#: Awaited with each piece of the text of an answer.
OnText = Callable[[str], Awaitable[None]]


async def ask(
    services: Services,
    caller: Caller,
    model: Model,
    question: dict[str, Any],
    price: Mapping[str, Any] | None,
    on_text: OnText | None = None,
) -> Answer:
    """Return one model's answer, or its error. With `on_text`, the answer is streamed."""
    asking = Asking(services, caller, model, question, on_text)
    try:
        await asking.run()
    except RouterError as caught:
        asking.error = {"message": caught.message, "status": caught.status}
    return asking.answer(price)


class Asking:
    """A question to one model. However it ends, it is recorded in the ledger, as such questions cost money too."""

    def __init__(
        self, services: Services, caller: Caller, model: Model, question: dict[str, Any], on_text: OnText | None = None
    ) -> None:
        self.error: AnswerError | None = None
        self._services = services
        self._caller = caller
        self._model = model
        self._request = ModelRequest(CHAT, {"model": model.name, **question})
        self._question = question
        self._on_text = on_text
        self._record = RequestRecord(
            status=CLIENT_CLOSED_REQUEST, requested=model.name, reason="off", decision_id=decision_id()
        )
        self._plan = Plan((model,), "off")
        self._entry = Entry(self._record, caller, self._plan, model, streamed=on_text is not None)
        self._capture: AnswerCapture | None = None
        self._pieces: list[str] = []
        self._text: str | None = None
        self._finish_reason: str | None = None
        self._ended = False

    async def run(self) -> None:
        """Ask the model. Raises the `RouterError` that came in place of an answer; a provider's own is `error`."""
        record = self._record
        try:
            candidates.require_allowed(self._model, self._caller)
            if self._caller.metered:
                await _reserve(self._services, self._caller, self._plan, record, self._request)
            attempt = Attempt(self._model, "chosen", record.arrived)
            record.attempts = (attempt,)
            reply = await self._send()
            try:
                if self._on_text is not None and reply.streamed and reply.status < HTTPStatus.BAD_REQUEST:
                    await self._read_events(reply, attempt, self._on_text)
                else:
                    await self._read_whole(reply)
            finally:
                reply.close()
            record.status = reply.status
            if record.answered is None:
                attempt.end(str(reply.status))
        except RouterError as caught:
            record.status = caught.status
            raise
        finally:
            record.stop()
            self._count_tokens()
            self._services.ledger.add(self._entry)

    def answer(self, price: Mapping[str, Any] | None) -> Answer:
        """Return what came; `price`: the tenant's for this model."""
        usage = self._entry.usage
        return {
            "text": self._text,
            "finish_reason": self._finish_reason,
            "error": self.error,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cost_usd": _cost(price, usage),
            "latency_ms": round((self._record.duration or 0.0) * 1000, 1),
        }

    async def _send(self) -> Reply:
        model, streamed = self._model, self._on_text is not None
        body = {"model": model.upstream_name, **self._question, **({"stream": True} if streamed else {})}
        wanted = Additions(in_body(model.settings, CHAT.path, CHAT.name, body), streamed)
        kind = (self._caller.tenant_id, CHAT.path, hash(frozenset(body)))
        return await self._services.refusals.send(model, kind, wanted, partial(self._send_with, body))

    async def _send_with(self, body: dict[str, Any], added: Additions) -> Reply:
        """Send a request with what the router adds."""
        raw = with_members(orjson.dumps(body), body, tree_of(added.settings))
        raw = with_usage(raw, body) if added.usage else raw
        begin = None if self._on_text is None else _begin
        return await self._services.upstream.send(self._model.provider, CHAT.path, b"", _JSON, raw, begin=begin)

    async def _read_whole(self, reply: Reply) -> None:
        raw = await reply.read_within(LONGEST)
        self._capture = AnswerCapture(streamed=False, encoding=None)
        self._capture.feed(raw)
        self._text, self._finish_reason, self.error = _parsed(raw, reply.status)
        if self._text and self._on_text is not None:
            # The provider does not stream.
            await self._on_text(self._text)

    async def _read_events(self, reply: Reply, attempt: Attempt, on_text: OnText) -> None:
        self._capture = capture = AnswerCapture(streamed=True, encoding=None)
        events = EventSplitter()
        size = 0
        try:
            async with aclosing(reply.chunks()) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > LONGEST:
                        raise UpstreamUnavailable(f"The provider's answer is over {LONGEST} bytes.")
                    capture.feed(chunk)
                    piece = "".join(map(self._piece, events.feed(chunk)))
                    if piece:
                        if self._record.answered is None:
                            attempt.end(str(reply.status))
                            self._record.answered = attempt
                        self._pieces.append(piece)
                        await on_text(piece)
            last = self._piece(events.rest())
            if last:
                self._pieces.append(last)
                await on_text(last)
        finally:
            self._text = "".join(self._pieces) or None
        if not self._ended:
            raise UpstreamUnavailable("The provider's answer broke off.")

    def _piece(self, event: bytes) -> str:
        """Return the text in an event. Raises `UpstreamUnavailable` if it is an error."""
        data = data_of(event).strip()
        if data == b"[DONE]":
            self._ended = True
        if not data or data == b"[DONE]":
            return ""
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise UpstreamUnavailable(_NO_CHAT) from None
        if not isinstance(chunk, dict):
            raise UpstreamUnavailable(_NO_CHAT)
        if chunk.get("error"):
            message = object_at(chunk, "error").get("message") or chunk["error"]
            raise UpstreamUnavailable(str(message)[:LONGEST_MESSAGE])
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        if isinstance(choice.get("finish_reason"), str):
            self._finish_reason, self._ended = choice["finish_reason"], True
        return text_of(object_at(choice, "delta"))

    def _count_tokens(self) -> None:
        """Set the tokens to pay for; those of a stream that does not report them are estimated."""
        if self._capture is None:
            return
        entry, found = self._entry, self._capture.usage()
        if found.completion_tokens is None:
            produced = self._capture.estimated_output_tokens()
            if produced is not None:
                prompt = found.prompt_tokens
                prompt = prompt_tokens(self._request.parsed) if prompt is None else prompt
                found = found._replace(prompt_tokens=prompt, completion_tokens=produced)
                entry.usage_estimated = True
        entry.usage = found


async def _begin(reply: Reply) -> None:
    """Wait for the first bytes of a stream, which is recognised by them under any content type."""
    await reply.begin()
    if reply.status == HTTPStatus.OK and reply.begun.lstrip().startswith(FIELDS):
        reply.treat_as_events()


async def _reserve(
    services: Services, caller: Caller, plan: Plan, record: RequestRecord, request: ModelRequest
) -> None:
    """Check the caller's limits and reserve the expected cost. Raises `RateLimited` or `BudgetSpent`."""
    assert record.decision_id is not None
    parsed = request.parsed
    prompt = prompt_tokens(parsed)
    costs = reservation.costs(plan, parsed, prompt, hedged=False)
    await services.admission.admit(caller, record.decision_id, reservation.tokens(plan, parsed, prompt), costs)


def _parsed(raw: bytes, status: int) -> tuple[str | None, str | None, AnswerError | None]:
    """Return text and finish reason of a chat completion, or the error."""
    if not is_parsed_soon(raw):
        return None, None, {"message": "The provider's response has too many values.", "status": status}
    try:
        body = orjson.loads(raw)
        if status < 400:
            choice = body["choices"][0]
            given, reason = choice["message"], choice.get("finish_reason")
            # The content may be a list of parts, of which those with text count.
            text = given["content"] if isinstance(given.get("content"), str) else text_of(given) or None
            return text, reason if isinstance(reason, str) else None, None
        message = body["error"]["message"]
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        message = _NO_CHAT
    return None, None, {"message": str(message), "status": status}


def _cost(price: Mapping[str, Any] | None, usage: TokenUsage) -> float | None:
    if price is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return cost_usd(
        price["input_price"],
        price["output_price"],
        usage.prompt_tokens,
        usage.completion_tokens,
        cached_tokens=usage.cached_tokens or 0,
        cached_input_price=price["cached_input_price"],
    )
