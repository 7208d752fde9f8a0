"""OpenAI's APIs that are passed on and not routed: the old completions, and embeddings."""

from __future__ import annotations

from typing import Any, ClassVar

from app.dialects.base import OpenAI, ParsedRequest, positive
from app.dialects.chat import times
from app.dialects.usage import TokenUsage


class Completions(OpenAI):
    """`/completions`."""

    name: ClassVar = "completions"
    path: ClassVar = "/completions"
    operation: ClassVar = "text_completion"
    routed: ClassVar = False

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """As `Dialect.read`: the prompts are one message."""
        prompt = body.get("prompt")
        prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
        answers = prompts * max(positive(body.get("n")) or 1, positive(body.get("best_of")) or 1)
        return ParsedRequest(
            [{"role": "user", "content": _texts(prompt)}],
            limit=times(positive(body.get("max_tokens")) or 16, answers),
            answers=answers,
            streamed=body.get("stream") is True,
        )

    def text(self, said: dict[str, Any]) -> str:
        """Of every choice."""
        choices = said.get("choices")
        found = (
            [choice.get("text") for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
        )
        return "".join(text for text in found if isinstance(text, str))


class Embeddings(OpenAI):
    """`/embeddings`."""

    name: ClassVar = "embeddings"
    path: ClassVar = "/embeddings"
    operation: ClassVar = "embeddings"
    routed: ClassVar = False

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """As `Dialect.read`: the inputs are one message, and nothing is said in return."""
        return ParsedRequest([{"role": "user", "content": _texts(body.get("input"))}], limit=0)

    def usage(self, said: dict[str, Any]) -> TokenUsage:
        """Of the prompt alone; of an answer's tokens it is known that there are none."""
        found = super().usage(said)
        return found if found.prompt_tokens is None else found._replace(completion_tokens=0)

    def text(self, said: dict[str, Any]) -> str:
        """Vectors are no text."""
        return ""


def _texts(given: Any) -> str:
    if isinstance(given, str):
        return given
    found = given if isinstance(given, list) else []
    # Tokens that were counted already are numbers; a word for each comes near enough.
    return "\n".join(text if isinstance(text, str) else "a" for text in found)
