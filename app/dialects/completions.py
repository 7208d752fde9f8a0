"""The dialects of OpenAI's legacy Completions API and Embeddings API, which are forwarded and not routed."""

from __future__ import annotations

from typing import Any, ClassVar

from .base import OpenAI, ParsedRequest, first_positive
from .chat import total_limit
from .usage import TokenUsage
from .usage_reports import Report


class Completions(OpenAI):
    """The dialect of `/completions`."""

    name: ClassVar = "completions"
    path: ClassVar = "/completions"
    operation: ClassVar = "text_completion"
    routed: ClassVar = False

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """Parse a request body; all prompts become one message."""
        prompt = body.get("prompt")
        prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
        answers = prompts * max(first_positive(body.get("n")) or 1, first_positive(body.get("best_of")) or 1)
        return ParsedRequest(
            [{"role": "user", "content": _texts(prompt)}],
            limit=total_limit(first_positive(body.get("max_tokens")) or 16, answers),
            answers=answers,
            streamed=body.get("stream") is True,
        )

    def text(self, answer: dict[str, Any]) -> str:
        """Return the text of all choices."""
        choices = answer.get("choices")
        found = (
            [choice.get("text") for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
        )
        return "".join(text for text in found if isinstance(text, str))


class Embeddings(OpenAI):
    """The dialect of `/embeddings`."""

    name: ClassVar = "embeddings"
    path: ClassVar = "/embeddings"
    operation: ClassVar = "embeddings"
    routed: ClassVar = False

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """Parse a request body; all inputs become one message, and the answer has no tokens."""
        return ParsedRequest([{"role": "user", "content": _texts(body.get("input"))}], limit=0)

    def read_usage(self, report: Report) -> TokenUsage:
        """Return the usage of the prompt; the completion tokens are 0, because an embedding has none.

        All tokens are the prompt's, which some providers report as the total only (docs.voyageai.com/reference).
        """
        counts = report.counts
        if "prompt_tokens" in counts or "total_tokens" in counts:
            counts = {"prompt_tokens": counts.get("total_tokens"), **counts, "completion_tokens": 0}
        found = super().read_usage(report._replace(counts=counts))
        if found.prompt_tokens is None:
            return found
        prompt = found.prompt_tokens + (found.completion_tokens or 0)
        return found._replace(prompt_tokens=prompt, completion_tokens=0)

    def text(self, answer: dict[str, Any]) -> str:
        """Return an empty string: vectors have no text."""
        return ""


def _texts(given: Any) -> str:
    if isinstance(given, str):
        return given
    found = given if isinstance(given, list) else []
    # The input may be token numbers instead of text; one word per token is a good enough estimate.
    return "\n".join(text if isinstance(text, str) else "a" for text in found)
