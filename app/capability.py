"""Which models can serve a request at all: tools, images, JSON schema, length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.store.tenancy import Model

#: An estimate of tokens may be this much too low before a context window overflows.
MARGIN = 1.2


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request asks of its model; `tokens` counts the prompt and the longest answer it allows."""

    tools: bool
    vision: bool
    json_schema: bool
    tokens: int

    def met_by(self, model: Model) -> bool:
        """Whether `model` can serve it. What is not known of a model is taken as a yes: the provider will say."""
        return not (
            (self.tools and model.tools is False)
            or (self.vision and model.vision is False)
            or (self.json_schema and model.json_schema is False)
            or (model.context_window is not None and self.tokens * MARGIN > model.context_window)
        )


def needs_of(body: dict[str, Any], messages: list[dict[str, Any]], prompt_tokens: int) -> Needs:
    """Read a chat request for what it needs."""
    response_format = body.get("response_format")
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return Needs(
        tools=bool(body.get("tools") or body.get("functions")),
        vision=any(
            isinstance(part, dict) and part.get("type") == "image_url"
            for message in messages
            if isinstance(message.get("content"), list)
            for part in message["content"]
        ),
        json_schema=isinstance(response_format, dict) and response_format.get("type") == "json_schema",
        tokens=prompt_tokens + (limit if isinstance(limit, int) and limit > 0 else 0),
    )
