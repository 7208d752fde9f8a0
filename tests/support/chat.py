"""Chat requests by the official client."""

from __future__ import annotations

from typing import Any

import openai

from scripts.fake_provider.server import ANSWER


def ask(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


async def served(client: openai.AsyncOpenAI, text: str, **options: Any) -> tuple[str, str]:
    """Return the model and the reason of one routed request."""
    raw = await client.chat.completions.with_raw_response.create(model="auto", messages=ask(text), **options)
    assert raw.parse().choices[0].message.content == ANSWER
    return raw.headers["x-router-model"], raw.headers["x-router-reason"]
