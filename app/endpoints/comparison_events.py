"""A comparison as server-sent events: each answer as it comes, and the models at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import Any

from ..http.pieces import STILL_HERE, event
from .answers import Answer, OnText

#: Events that wait for a client that reads slowly; then the providers wait too.
WAITING = 256
#: Seconds of silence after which a comment is sent.
KEEPALIVE = 15.0
_HIDDEN = "This model gave no answer; the event `end` has its error, which may name it."

log = logging.getLogger("pgrouter")


async def events_of(
    prompt: str, models: Mapping[str, str], ask: Callable[[str, OnText], Coroutine[Any, Any, Answer]], *, blind: bool
) -> AsyncGenerator[bytes, None]:
    """Yield `start`, `delta` and `done` of each label as they come, then `end`; `ask` asks the model of a label.

    Of a `blind` comparison only `end` has what identifies models: names, tokens, costs, times and messages of errors.
    Closing the generator cancels the questions.
    """
    queue = asyncio.Queue[tuple[str, dict[str, Any]]](WAITING)
    found: dict[str, Answer] = {}

    async def asked(label: str) -> None:
        async def on_text(text: str) -> None:
            await queue.put(("delta", {"label": label, "text": text}))

        try:
            found[label] = await ask(label, on_text)
        except Exception as error:
            log.error("a comparison failed: %s", type(error).__name__)
            found[label] = _internal_error()
        done = _done(found[label])
        await queue.put(("done", {"label": label, **(_hidden(done) if blind else {"model": models[label], **done})}))

    tasks = [asyncio.create_task(asked(label)) for label in models]
    try:
        for label, model in models.items():
            yield event("start", {"label": label} if blind else {"label": label, "model": model})
        left = len(models)
        while left:
            try:
                async with asyncio.timeout(KEEPALIVE):
                    name, data = await queue.get()
            except TimeoutError:
                yield STILL_HERE
                continue
            left -= name == "done"
            yield event(name, data)
        answers = [{"label": label, "model": models[label], **_done(found[label])} for label in models]
        comparison = {"object": "router.comparison", "prompt": prompt, "answers": answers, "labels": dict(models)}
        yield event("end", comparison)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _done(answer: Answer) -> dict[str, Any]:
    """Return an answer without its text, which the events `delta` have."""
    return {name: value for name, value in answer.items() if name != "text"}


def _hidden(done: Mapping[str, Any]) -> dict[str, Any]:
    error = done["error"]
    return {
        "finish_reason": done["finish_reason"],
        "error": None if error is None else {"message": _HIDDEN, "status": error["status"]},
    }


def _internal_error() -> Answer:
    return {
        "text": None,
        "finish_reason": None,
        "error": {"message": "Internal error.", "status": 500},
        "prompt_tokens": None,
        "completion_tokens": None,
        "cost_usd": None,
        "latency_ms": 0.0,
    }
