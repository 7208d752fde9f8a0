"""The official clients on each of the three APIs, as iterators of text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anthropic
import openai

from tests.support.proxy import Proxy

HELLO: Any = [{"role": "user", "content": "What is a café?"}]
CHAT, RESPONSES, MESSAGES = "chat", "responses", "messages"
#: Errors that the clients raise when a provider fails.
ERRORS = (openai.APIError, anthropic.APIStatusError)


async def spoken(proxy: Proxy, api: str, model: str, plan: str = "", *, stream: bool = True) -> AsyncGenerator[str]:
    """Yield the pieces of text that a client of that API gets, streamed or whole."""
    told: Any = {"extra_headers": {"x-fake": plan} if plan else {}}
    if api == MESSAGES:
        async with anthropic.AsyncAnthropic(base_url=proxy.url, api_key=proxy.key, max_retries=0) as client:
            if not stream:
                yield str((await client.messages.create(model=model, messages=HELLO, max_tokens=9, **told)).content)
                return
            async with client.messages.stream(model=model, messages=HELLO, max_tokens=9, **told) as events:
                async for text in events.text_stream:
                    yield text
        return
    async with proxy.client() as asked:
        if api == CHAT and stream:
            chunks = await asked.chat.completions.create(model=model, messages=HELLO, stream=True, **told)
            async with chunks:
                async for chunk in chunks:
                    yield chunk.choices[0].delta.content or ""
        elif api == CHAT:
            yield str((await asked.chat.completions.create(model=model, messages=HELLO, **told)).choices)
        elif stream:
            async with asked.responses.stream(model=model, input="What is a café?", **told) as responding:
                async for event in responding:
                    if event.type == "error":
                        # The client yields this event like any other.
                        raise openai.APIError(event.message, responding._response.request, body=None)
                    yield event.delta if event.type == "response.output_text.delta" else ""
        else:
            yield (await asked.responses.create(model=model, input="What is a café?", **told)).output_text
